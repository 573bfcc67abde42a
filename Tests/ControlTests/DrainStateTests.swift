import Proxy
import Reactor
import Testing

@testable import Control

@Suite struct `A drain` {
    private static let began = MonotonicTime(nanoseconds: 1_000_000_000)

    private func drain(accepting: Duration = .seconds(5), limit: Duration = .seconds(45)) -> DrainState {
        DrainState(began: Self.began, accepting: accepting, limit: limit)
    }

    /// What it does when it is looked at each 100 ms: the actions with the milliseconds since it began.
    private func course(_ drain: DrainState, idleFrom: Int = .max) -> [String] {
        var (drain, lines) = (drain, [String]())
        for time in stride(from: 0, through: 60_000, by: 100) {
            for action in drain.look(now: Self.began + .milliseconds(time), isIdle: time >= idleFrom) {
                lines.append("\(time) \(action)".replacing("Proxy.WorkerMessage.", with: ""))
                if case .stop = action { return lines }
            }
        }
        return lines
    }

    @Test func `refuses new streams a second after GOAWAY and again after the listeners have closed`() {
        #expect(
            course(drain()) == [
                "1000 tell(refuseNewStreams)", "5000 tell(closeListeners)", "5000 tell(announceShutdown)",
                "6000 tell(refuseNewStreams)", "45000 stop(cuts: true)",
            ])
    }

    @Test func `ends when nobody is served any more, but not before the listeners have closed`() {
        #expect(course(drain(), idleFrom: 0).last == "5000 stop(cuts: false)")
        #expect(course(drain(), idleFrom: 5100).last == "5100 stop(cuts: false)")
        #expect(course(drain(), idleFrom: 7300).last == "7300 stop(cuts: false)")
        #expect(course(drain(), idleFrom: 45_000).last == "45000 stop(cuts: false)")
    }

    @Test func `goes all steps at once when no time is given`() {
        #expect(
            course(drain(accepting: .zero, limit: .zero)) == [
                "0 tell(refuseNewStreams)", "0 tell(closeListeners)", "0 tell(announceShutdown)",
                "0 stop(cuts: true)",
            ])
        #expect(course(drain(accepting: .zero), idleFrom: 0).last == "0 stop(cuts: false)")
    }

    @Test func `goes each step once when it is looked at late`() {
        var drain = drain()
        let actions = drain.look(now: Self.began + .seconds(30), isIdle: false)
        #expect(
            actions == [
                .tell(.refuseNewStreams), .tell(.closeListeners), .tell(.announceShutdown), .tell(.refuseNewStreams),
            ])
        #expect(drain.look(now: Self.began + .seconds(31), isIdle: false) == [])
        #expect(drain.stage == .refusingLate)
    }
}
