import Testing

@testable import Balancing

@Suite struct `An endpoint that was picked` {
    private let some = SomeCluster(.leastRequest, 2)

    private func loads() -> [Int] { some.states.map(\.active) }

    @Test func `counts one try from the pick to its end, however often that is said`() {
        var picked = PickedEndpoint()
        #expect(!picked.isCounted && picked.kept == nil)
        picked.end()
        #expect(loads() == [0, 0])
        picked.pick(Endpoint(some.states[1]))
        #expect(loads() == [0, 1] && picked.isCounted)
        picked.end()
        picked.end()
        #expect(loads() == [0, 0] && picked.kept?.number == 1)
        picked.clear()
        #expect(loads() == [0, 0] && picked.kept == nil)
    }

    @Test func `counts at the newest pick alone`() {
        var picked = PickedEndpoint()
        picked.pick(Endpoint(some.states[0]))
        picked.pick(Endpoint(some.states[1]))
        picked.pick(Endpoint(some.states[1]))
        #expect(loads() == [0, 1])
        picked.clear()
        #expect(loads() == [0, 0])
    }

    @Test func `is not left behind by a request that is forgotten`() {
        do {
            var picked = PickedEndpoint()
            picked.pick(Endpoint(some.states[0]))
            #expect(loads() == [1, 0])
        }
        #expect(loads() == [0, 0])
    }

    @Test func `is avoided by LEAST_REQUEST while tries that wait for a connection pile up there`() {
        var counts = [0, 0]
        // The first endpoint never gets a connection, the second one answers at once.
        for _ in 0..<100 {
            guard let endpoint = some.cluster.next(random: 0) else { return }
            counts[endpoint.number] += 1
            if endpoint.number == 0 { endpoint.began() }
        }
        #expect(counts[0] <= 4 && counts[0] + counts[1] == 100)
    }
}
