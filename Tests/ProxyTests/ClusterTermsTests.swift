import Reactor
import Testing

@testable import Proxy
@testable import Routing

/// What a DestinationRule says of the time of a cluster's connections.
@Suite struct `The terms of a connection` {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private var limits: Limits {
        var limits = Limits()
        limits.relayIdleTimeout = .seconds(90)
        return limits
    }

    private func terms(_ adjust: (inout PoolPolicy) -> Void) -> ConnectionTerms {
        var policy = PoolPolicy()
        adjust(&policy)
        return ConnectionTerms(policy)
    }

    private func relaying(_ adjust: (inout PoolPolicy) -> Void) -> ConnectionState {
        var state = ConnectionState(role: .upstream, phase: .relaying, now: start)
        state.terms = terms(adjust)
        return state
    }

    @Test func `end a relay that is silent, at the latest when the gateway's flag says so`() {
        var state = relaying { $0.relayIdleTimeout = .seconds(5) }
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(5))
        #expect(state.expiry(limits, isIdle: true, at: start + .seconds(5)) == .relayIdle)
        state.octetsCame(at: start + .seconds(4))
        #expect(state.expiry(limits, isIdle: true, at: start + .seconds(5)) == .notYet(start + .seconds(9)))
        let long = relaying { $0.relayIdleTimeout = .seconds(900) }
        #expect(long.deadline(limits, isIdle: true) == start + .seconds(90))
    }

    @Test func `end a relay that has lasted long enough, whatever comes`() {
        var state = relaying { $0.lifetime = .seconds(20) }
        state.octetsCame(at: start + .seconds(19))
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(20))
        #expect(state.expiry(limits, isIdle: true, at: start + .seconds(20)) == .relayAged)
    }

    @Test func `say when an endpoint is asked, again and again, and for how long`() {
        let written = terms { $0.ping = PoolPolicy.Ping(interval: .seconds(7), timeout: .seconds(2)) }
        var keepAlive = KeepAlive(written)
        #expect(keepAlive.deadline(lastActive: start, limits) == start + .seconds(7))
        keepAlive.ask(at: start + .seconds(7))
        #expect(keepAlive.deadline(lastActive: start, limits) == start + .seconds(9))
        #expect(keepAlive.isUnanswered(lastActive: start))
        #expect(keepAlive.deadline(lastActive: start + .seconds(8), limits) == start + .seconds(15))
        var usual = KeepAlive(terms { $0.streams = 1 })
        usual.ask(at: start)
        #expect(usual.deadline(lastActive: start + .seconds(1), limits) == start + KeepAlive.pause)
    }

    @Test(arguments: [(0, 0, 0), (0, 3, 3), (14, 0, 2), (100, 3, 20), (-5, 3, 3)])
    func `of retries let a share of the requests be sent again`(active: Int, minimum: Int, expected: Int) {
        var budget = PoolPolicy.RetryBudget()
        budget.minimum = minimum
        #expect(budget.limit(active: active) == expected)
    }
}
