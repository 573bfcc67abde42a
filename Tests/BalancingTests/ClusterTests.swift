import Testing

@testable import Balancing

/// A cluster of endpoints on ports 0, 1, …, which are their numbers too.
struct SomeCluster {
    private let numbers = EndpointNumbers()
    let states: [EndpointState]
    let state: ClusterState
    let cluster: Cluster

    init(_ policy: BalancingPolicy, _ count: Int, weights: [Int] = []) {
        states = (0..<count).map { [numbers] port in Self.endpoint(port, numbers) }
        let identity = ClusterIdentity(host: "c", port: 80, subset: "", policy: policy)
        state = ClusterState(name: "c", identity: identity, list: EndpointList(states, weights: weights))
        cluster = Cluster(state)
    }

    static func endpoint(_ port: Int, _ numbers: EndpointNumbers) -> EndpointState {
        EndpointState(address: .ip("127.0.0.1", port: UInt16(truncatingIfNeeded: port)), numbers: numbers)
    }

    func publish(_ endpoints: [EndpointState]) { state.publish(EndpointList(endpoints)) }

    /// How often each was chosen.
    func picks(_ amount: Int) -> [Int] {
        var counts = Array(repeating: 0, count: states.count)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<amount { counts[cluster.next(random: random.next())?.number ?? 0] += 1 }
        return counts
    }

    func order(_ amount: Int) -> [Int] { (0..<amount).map { _ in cluster.next(random: 0)?.number ?? -1 } }

    /// As many requests are in flight at one of them.
    func occupy(_ place: Int, _ requests: Int) {
        let endpoint = Endpoint(states[place])
        for _ in 0..<requests { endpoint.began() }
    }
}

@Suite struct `A cluster` {
    @Test(arguments: [BalancingPolicy.roundRobin, .leastRequest])
    func `spreads one quiet client exactly evenly`(policy: BalancingPolicy) {
        #expect(SomeCluster(policy, 3).picks(300) == [100, 100, 100])
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `has no endpoint to offer when it is empty, and the one it has`(policy: BalancingPolicy) {
        #expect(SomeCluster(policy, 0).cluster.next(random: 1) == nil)
        #expect(SomeCluster(policy, 1).picks(5) == [5])
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `avoids endpoints that failed this request while another is left`(policy: BalancingPolicy) {
        let two = SomeCluster(policy, 2).cluster
        for _ in 0..<10 { #expect(two.next(random: 0, excluding: [0])?.number == 1) }
        #expect(two.next(random: 0, excluding: [0, 1]) != nil)
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `chooses every endpoint sooner or later`(policy: BalancingPolicy) {
        #expect(SomeCluster(policy, 5).picks(1000).allSatisfy { $0 > 50 })
    }

    @Test func `chooses among new endpoints from the next request on, and goes on with the turn`() {
        let some = SomeCluster(.roundRobin, 3)
        #expect(some.order(2) == [0, 1])
        some.publish([some.states[2], some.states[0]])
        #expect(some.order(3) == [2, 0, 2] && some.cluster.count == 2)
        some.publish([])
        #expect(some.cluster.next(random: 0) == nil && some.cluster.count == 0)
    }

    @Test func `keeps a worker's handle of an endpoint that stays`() throws {
        let some = SomeCluster(.roundRobin, 2)
        let first = try #require(some.cluster.next(random: 0))
        // The new one has number 0 as well.
        some.publish([SomeCluster.endpoint(9, EndpointNumbers()), some.states[0]])
        let next = [some.cluster.next(random: 0), some.cluster.next(random: 0)]
        #expect(next.contains { $0 === first } && next.contains { $0?.name == "127.0.0.1:9" })
    }

    @Test func `of two workers has one turn and one count of requests in flight`() {
        let some = SomeCluster(.roundRobin, 4)
        let other = Cluster(some.state)
        #expect(some.order(1) == [0])
        let chosen = other.next(random: 0)
        chosen?.began()
        #expect(chosen?.number == 1 && some.states[1].active == 1)
        #expect(some.order(1) == [2])
        chosen?.ended()
        #expect(some.states[1].active == 0)
    }
}

@Suite struct `What all workers write` {
    /// 128 octets: no two of them, and nothing else, in one line or in two that are fetched together.
    @Test func `has lines of its own`() {
        #expect(OwnLine.octets == 128)
        let clusters = (0..<50).map { _ in SomeCluster(.leastRequest, 8) }
        let addresses = clusters.flatMap { [$0.state.rotationAddress] + $0.states.map(\.inFlightAddress) }
        #expect(addresses.allSatisfy { $0 % 128 == 0 })
        #expect(Set(addresses).count == 50 * 9)
    }
}

@Suite struct `A rotation` {
    @Test func `follows weights smoothly`() {
        #expect(SomeCluster(.roundRobin, 2, weights: [3, 1]).order(8) == [0, 0, 1, 0, 0, 0, 1, 0])
        #expect(SomeCluster(.roundRobin, 2, weights: [.max, 1]).picks(2000)[1] > 0)
    }

    /// Step by step over all endpoints, as before, this takes 10,000,000,000 steps.
    @Test(.timeLimit(.minutes(15))) func `has a hundred thousand weighted endpoints at once`() {
        let weights = (0..<100_000).map { $0 % 3 + 1 }
        let counts = SomeCluster(.roundRobin, weights.count, weights: weights).picks(200_000)
        #expect(counts.min() == 2)    // a rotation this long has no room for weights
        #expect(counts.reduce(0, +) == 200_000)
    }

    @Test func `gives each weight its share, spread evenly`() {
        #expect(SomeCluster(.roundRobin, 3, weights: [4, 2, 1]).order(7) == [0, 1, 0, 2, 0, 1, 0])
    }
}
