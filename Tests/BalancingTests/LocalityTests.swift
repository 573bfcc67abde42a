import Testing

@testable import Balancing

/// Source: envoyproxy/envoy docs/root/intro/arch_overview/upstream/load_balancing/priority.rst, whose table of two
/// ranks this is.
@Suite struct `The ranks of a cluster` {
    private func loads(_ ranks: [(healthy: Int, total: Int)]) -> [Int] {
        EndpointArrangement.ranked.parts(
            ranks.map { EndpointArrangement.Census(total: $0.total, healthy: $0.healthy) })
    }

    @Test(arguments: [(100, 100, 0), (72, 100, 0), (71, 99, 1), (50, 70, 30), (25, 35, 65), (0, 0, 100)])
    func `pass on what they cannot take`(healthy: Int, first: Int, second: Int) {
        #expect(loads([(healthy, 100), (100, 100)]) == [first, second])
    }

    @Test func `share by their health when together they are not enough`() {
        #expect(loads([(20, 100), (20, 100)]) == [50, 50])
        #expect(loads([(25, 100), (0, 100), (20, 100)]) == [56, 0, 44])
        #expect(loads([(0, 2), (0, 6)]) == [2, 6])
        #expect(loads([(0, 0), (1, 1)]) == [0, 100] && loads([]) == [])
        #expect(loads([(.max, .max), (1, 1)]) == [100, 0])
    }
}

@Suite struct `Endpoints with ranks` {
    private func cluster(
        _ policy: BalancingPolicy, ranks: [Int], _ arrangement: EndpointArrangement, weights: [Int] = []
    ) -> SomeCluster {
        let cluster = SomeCluster(policy, ranks.count)
        cluster.state.arrange(by: arrangement)
        cluster.state.publish(EndpointList(cluster.states, weights: weights, ranks: ranks))
        return cluster
    }

    private func eject(_ places: [Int], of cluster: SomeCluster, _ adjust: (inout OutlierPolicy) -> Void = { _ in }) {
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (1, 100)
        adjust(&policy)
        cluster.state.detectOutliers(policy) {}
        for place in places {
            while let next = cluster.cluster.next(
                random: 0, excluding: cluster.states.map(\.number).filter { $0 != place }),
                next.number == place, next.observer?.monitor.isEjected == false
            {
                next.observer?.note(.answered(500), at: 1)
            }
            _ = cluster.state.settle(at: 2)
        }
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `of the first level get everything while they are healthy`(policy: BalancingPolicy) {
        let picks = cluster(policy, ranks: [3, 0, 0, 7], .ranked).picks(100)
        #expect(picks[0] == 0 && picks[3] == 0 && picks[1] + picks[2] == 100)
        #expect(cluster(policy, ranks: [4, 2], .ranked).picks(10) == [0, 10])
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `of the next level get what the first cannot take`(policy: BalancingPolicy) {
        let some = cluster(policy, ranks: [0, 0, 3], .ranked)
        eject([0], of: some)
        #expect(some.picks(100) == [0, 70, 30])
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `get the share of their place, and by their weight in it`(policy: BalancingPolicy) {
        let picks = cluster(policy, ranks: [0, 1, 1, 2], .shares([20, 70, 10])).picks(1000)
        #expect(picks[0] == 200 && picks[1] + picks[2] == 700 && picks[3] == 100)
        // A share without endpoints goes to the others.
        #expect(cluster(policy, ranks: [0, 2], .shares([20, 70, 30])).picks(100) == [40, 60])
    }

    @Test func `are chosen by weight within their place`() {
        let weights = [1, 3, 1, 1]
        let picks = cluster(.roundRobin, ranks: [0, 0, 1, 1], .shares([80, 20]), weights: weights).picks(1000)
        #expect(picks == [200, 600, 100, 100])
    }

    @Test func `that are ejected make their place get less`() {
        let some = cluster(.roundRobin, ranks: [0, 0, 1], .shares([50, 50]))
        eject([0], of: some)
        let picks = some.picks(1700)
        #expect(picks == [0, 700, 1000])
    }

    @Test func `of other ranks than those that have failed are chosen, the nearest first`() {
        let some = cluster(.roundRobin, ranks: [0, 0, 2, 3, 3], .ranked)
        func next(_ failed: [Int]) -> [Int?] {
            let numbers = some.states.map(\.number)
            let found = (0..<8).map {
                some.cluster.next(random: UInt64($0), leaving: failed.map { numbers[$0] })?.number
            }
            return Set(found).map { number in number.flatMap(numbers.firstIndex) }.sorted { $0 ?? -1 < $1 ?? -1 }
        }
        #expect(next([]) == [0, 1] && next([0]) == [2] && next([1, 2]) == [3, 4])
        #expect(next([0, 2, 3]) == [nil])
        eject([0, 1], of: some)
        #expect(next([2]) == [3, 4])
        let plain = cluster(.roundRobin, ranks: [0, 1], .shares([50, 50]))
        #expect(plain.cluster.next(random: 0, leaving: []) == nil)
    }

    @Test func `are used in a panic only when all ranks together are not enough`() {
        let some = cluster(.roundRobin, ranks: [0, 0, 0, 1], .ranked)
        eject([0, 1, 2], of: some) { $0.minHealthPercent = 60 }
        #expect(some.state.detector?.isPanicking == false && some.picks(10) == [0, 0, 0, 10])
        let two = cluster(.roundRobin, ranks: [0, 0, 1, 1], .ranked)
        eject([0, 1, 3], of: two) { $0.minHealthPercent = 60 }
        #expect(two.state.detector?.isPanicking == true, "level 1 takes 70 of 100 alone")
        #expect(two.picks(10) == [0, 0, 5, 5])
    }

    @Test func `are found by hash in the first level alone`() {
        let some = cluster(.random, ranks: [0, 0, 1], .ranked)
        some.state.hash(by: .ring(minimum: 64))
        if let job = some.state.takeTableJob() { some.state.install(HashTable(job)) }
        let found = Set((0..<200).compactMap { some.cluster.next(hash: StableHash.hash("\($0)"))?.number })
        #expect(found == [0, 1])
        let shared = cluster(.random, ranks: [0, 1], .shares([90, 10]))
        shared.state.hash(by: .maglev(size: 65537))
        if let job = shared.state.takeTableJob() { shared.state.install(HashTable(job)) }
        let most = (0..<1000).count { shared.cluster.next(hash: StableHash.hash("\($0)"))?.number == 0 }
        #expect((850..<950).contains(most))
    }

    @Test func `have handles that stay when the ranks change`() {
        let some = cluster(.roundRobin, ranks: [0, 1], .ranked)
        let first = some.cluster.next(random: 0)
        some.state.publish(EndpointList(some.states, ranks: [1, 0]))
        #expect(some.picks(4) == [0, 4])
        some.state.arrange(by: nil)
        #expect(some.picks(4) == [2, 2])
        #expect(first?.number == 0)
    }
}
