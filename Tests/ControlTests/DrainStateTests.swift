import Proxy
import Reactor
import Testing

@testable import Control

@Suite struct `A drain` {
    private static let began = MonotonicTime(nanoseconds: 1_000_000_000)

    private func drain(_ schedule: DrainSchedule = DrainSchedule(deregistration: .seconds(5))) -> DrainState {
        DrainState(began: Self.began, schedule: schedule)
    }

    /// What it does when it is looked at each 100 ms: the actions with the milliseconds since it began.
    private func course(_ drain: DrainState, idleFrom: Int = .max) -> [String] {
        var (drain, lines, isAccepting) = (drain, [String](), true)
        for time in stride(from: 0, through: 600_000, by: 100) {
            let actions = drain.look(
                now: Self.began + .milliseconds(time), isIdle: time >= idleFrom, isAccepting: isAccepting)
            for action in actions {
                lines.append("\(time) \(action)".replacing("Proxy.WorkerMessage.", with: ""))
                if case .stop = action { return lines }
                if action == .tell(.closeListeners) { isAccepting = false }
            }
        }
        return lines
    }

    @Test func `accepts, tells clients in waves, closes, and cuts at the end: all by one time`() {
        let lines = course(drain(DrainSchedule(deregistration: .seconds(60))))
        var expected = ["60000 tell(announceTo(Proxy.DrainShare.wave(0, of: 10)))"]
        for wave in 1...9 {
            expected.append("\(60 + wave)000 tell(refuseNewStreams)")
            expected.append("\(60 + wave)000 tell(announceTo(Proxy.DrainShare.wave(\(wave), of: 10)))")
        }
        expected += [
            "70000 tell(closeListeners)", "70000 tell(refuseNewStreams)", "70000 tell(announceShutdown)",
            "71000 tell(refuseNewStreams)", "100000 stop(cuts: true)",
        ]
        #expect(lines == expected)
    }

    @Test
    func `ends when nobody is served any more, but not before the load balancer knows and the listeners are closed`() {
        #expect(
            course(drain(), idleFrom: 0) == [
                "5000 tell(closeListeners)", "5000 tell(refuseNewStreams)", "5000 tell(announceShutdown)",
                "5100 stop(cuts: false)",
            ])
        #expect(course(drain(), idleFrom: 7300).last == "7400 stop(cuts: false)")
        #expect(course(drain(), idleFrom: 20_000).last == "20000 stop(cuts: false)")
        #expect(course(drain(), idleFrom: 45_000).last == "45000 stop(cuts: false)")
    }

    @Test func `goes all steps at once when no time is given`() {
        let schedule = DrainSchedule(deregistration: .zero, limit: .zero)
        let steps = [
            "tell(announceTo(Proxy.DrainShare.wave(0, of: 1)))", "tell(closeListeners)", "tell(refuseNewStreams)",
            "tell(announceShutdown)", "tell(refuseNewStreams)", "stop(cuts: true)",
        ]
        #expect(course(drain(schedule)) == steps.map { "0 \($0)" })
    }

    @Test func `goes each step once when it is looked at late`() {
        var drain = drain()
        let actions = drain.look(now: Self.began + .seconds(30), isIdle: false, isAccepting: true)
        #expect(actions.filter { $0 == .tell(.closeListeners) }.count == 1)
        #expect(actions.last == .tell(.refuseNewStreams))
        #expect(drain.look(now: Self.began + .seconds(31), isIdle: false, isAccepting: false) == [])
        #expect(drain.stage == .refusingLate)
    }

    @Test func `has times that may be given one by one`() {
        let usual = DrainSchedule(deregistration: .seconds(5))
        #expect(usual.acceptTime == .seconds(5) && usual.limit == .seconds(45) && usual.noticeTime == .seconds(10))
        let short = DrainSchedule(deregistration: .seconds(5), limit: .seconds(6))
        #expect(short.acceptTime == .seconds(3) && short.noticeTime == .seconds(1) && short.waves == 1)
        let own = DrainSchedule(deregistration: .seconds(5), limit: .seconds(6), acceptTime: .seconds(60))
        #expect(own.acceptTime == .seconds(6) && own.noticeTime == .zero && own.waveTime == .zero)
        let handedOver = usual.afterHandOver
        #expect(handedOver.acceptTime == .zero && handedOver.limit == .seconds(45))
    }
}
