internal import Reactor
internal import Testing

@testable internal import Proxy

@Suite struct `A silent endpoint` {
    private let limits = Limits()

    private func time(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: 0) + .seconds(seconds) }

    private func connection(speaksHTTP2: Bool = true) -> ConnectionState {
        var state = ConnectionState(role: .upstream, phase: .connecting, now: time(0))
        if speaksHTTP2 { state.keepAlive = KeepAlive() }
        state.enter(.open(.serving), at: time(0))
        return state
    }

    @Test func `is asked after 30 s, and given up when nothing comes for 10 s`() {
        var state = connection()
        #expect(state.expiry(limits, isIdle: false, at: time(29)) == .notYet(time(30)))
        #expect(state.expiry(limits, isIdle: false, at: time(30)) == .silentPeer)
        state.keepAlive?.ask(at: time(30))
        #expect(state.expiry(limits, isIdle: false, at: time(31)) == .notYet(time(40)))
        #expect(state.expiry(limits, isIdle: false, at: time(40)) == .unanswered)
    }

    @Test func `that answers is asked again after 5 minutes at the earliest`() {
        var state = connection()
        state.keepAlive?.ask(at: time(30))
        state.octetsCame(at: time(31))
        #expect(state.deadline(limits, isIdle: false) == time(340))
        #expect(state.expiry(limits, isIdle: false, at: time(61)) == .notYet(time(91)))
        #expect(state.expiry(limits, isIdle: false, at: time(340)) == .silentPeer)
    }

    @Test func `is let be while we do not read, while it takes nothing, and without streams`() {
        var state = connection()
        state.pauseReading()
        #expect(state.expiry(limits, isIdle: false, at: time(30)) == .notYet(time(60)))
        state.awaitReadiness()
        state.writingBlocked()
        #expect(state.expiry(limits, isIdle: false, at: time(30)) == .notYet(time(60)))
        _ = state.becameWritable()
        #expect(state.expiry(limits, isIdle: true, at: time(30)) == .notYet(time(60)))
        #expect(state.expiry(limits, isIdle: true, at: time(60)) == .idle)
    }

    @Test func `is not asked where PING is unknown`() {
        #expect(connection(speaksHTTP2: false).expiry(limits, isIdle: false, at: time(61)) == .notYet(time(121)))
    }
}
