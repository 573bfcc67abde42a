internal import Reactor
internal import Testing

@testable internal import Proxy

@Suite struct `The order in which idle clients make room` {
    private func time(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: 0) + .seconds(seconds) }

    private func client(_ phase: ConnectionState.Phase, active: Int64, since: Int64 = 0) -> ConnectionState {
        var state = ConnectionState(role: .downstream, phase: .sniffing(hasOctets: false), now: time(since))
        if active > since { state.octetsCame(at: time(active)) }
        if phase != state.phase { state.enter(phase, at: time(since)) }
        return state
    }

    @Test func `is: who only has to close, who never spoke, who is idle longest`() throws {
        let order = [
            client(.lingering, active: 9), client(.sniffing(hasOctets: false), active: 0),
            client(.sniffing(hasOctets: false), active: 5, since: 5), client(.open(.serving), active: 1),
            client(.handshaking(hasHello: false), active: 2), client(.open(.draining), active: 3),
        ]
        let ranks = try order.map { try #require(EvictionOrder($0, openStreams: 0)) }
        #expect(ranks == ranks.reversed().sorted())
        #expect(Set(ranks.map(\.lastActive)).count == ranks.count)
    }

    @Test func `spares requests, endpoints and what is closed`() {
        #expect(EvictionOrder(client(.open(.serving), active: 1), openStreams: 1) == nil)
        #expect(EvictionOrder(client(.closing, active: 1), openStreams: 1) == nil)
        #expect(EvictionOrder(client(.relaying, active: 1), openStreams: 0) == nil)
        #expect(EvictionOrder(client(.closed, active: 1), openStreams: 0) == nil)
        var endpoint = ConnectionState(role: .upstream, phase: .connecting, now: time(0))
        #expect(EvictionOrder(endpoint, openStreams: 0) == nil)
        endpoint.enter(.open(.serving), at: time(1))
        #expect(EvictionOrder(endpoint, openStreams: 0) == nil)
    }
}
