import Balancing
import Synchronization
import Testing

@Suite struct `A cluster` {
    private func cluster(_ policy: BalancingPolicy, _ count: Int, weights: [Int] = []) -> Cluster {
        let endpoints = (0..<count).map {
            Endpoint(address: .ip("127.0.0.1", port: UInt16(truncatingIfNeeded: $0)), number: $0)
        }
        return Cluster(name: "c", policy: policy, endpoints: endpoints, weights: weights)
    }

    private func picks(_ cluster: Cluster, _ amount: Int) -> [Int] {
        var counts = Array(repeating: 0, count: cluster.endpoints.count)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<amount { counts[cluster.next(random: random.next())?.number ?? 0] += 1 }
        return counts
    }

    @Test(arguments: [BalancingPolicy.roundRobin, .leastRequest])
    func `spreads one quiet client exactly evenly`(policy: BalancingPolicy) {
        #expect(picks(cluster(policy, 3), 300) == [100, 100, 100])
    }

    @Test func `has no endpoint to offer when it is empty`() {
        #expect(cluster(.leastRequest, 0).next(random: 1) == nil)
    }

    @Test func `prefers the least busy endpoint`() {
        let three = cluster(.leastRequest, 3)
        three.endpoints[0].active.store(5, ordering: .relaxed)
        three.endpoints[2].active.store(2, ordering: .relaxed)
        #expect(picks(three, 50) == [0, 50, 0])
    }

    @Test func `follows weights smoothly`() {
        let two = cluster(.roundRobin, 2, weights: [3, 1])
        #expect((0..<8).map { _ in two.next(random: 0)?.number ?? -1 } == [0, 0, 1, 0, 0, 0, 1, 0])
        #expect(picks(cluster(.roundRobin, 2, weights: [.max, 1]), 2000)[1] > 0)
    }

    /// Step by step over all endpoints, as before, this takes 10,000,000,000 steps.
    @Test(.timeLimit(.minutes(1))) func `has a rotation of a hundred thousand weighted endpoints at once`() {
        let weights = (0..<100_000).map { $0 % 3 + 1 }
        let many = cluster(.roundRobin, weights.count, weights: weights)
        let counts = picks(many, 200_000)
        #expect(counts.min() == 2)    // a rotation this long has no room for weights
        #expect(counts.reduce(0, +) == 200_000)
    }

    @Test func `gives each weight its share, spread evenly`() {
        let three = cluster(.roundRobin, 3, weights: [4, 2, 1])
        let order = (0..<7).map { _ in three.next(random: 0)?.number ?? -1 }
        #expect(order == [0, 1, 0, 2, 0, 1, 0])
    }

    @Test func `avoids endpoints that failed this request while another is left`() {
        let two = cluster(.leastRequest, 2)
        for _ in 0..<10 { #expect(two.next(random: 0, excluding: [0])?.number == 1) }
        #expect(two.next(random: 0, excluding: [0, 1]) != nil)
    }

    @Test func `chooses at random over all endpoints`() {
        for count in picks(cluster(.random, 4), 4000) { #expect((800...1200).contains(count)) }
    }
}
