import Octets
import Testing

@testable import Balancing

@Suite struct `A stable hash` {
    /// Values of the reference implementation, `xxhsum -H64`.
    @Test func `is XXH64 with the seed 0`() {
        #expect(StableHash.hash("") == 0xef46_db37_51d8_e999)
        #expect(StableHash.hash("a") == 0xd24e_c4f1_a98c_6e5b)
        #expect(StableHash.hash("abc") == 0x44bc_2cf5_ad77_0999)
        #expect(
            StableHash.hash("Call me Ishmael. Some years ago--never mind how long precisely-") == 0x02a2_e854_70d6_fd96)
    }
}

/// How requests with a hash are spread. The names of endpoints are their addresses.
@Suite struct `Consistent hashing` {
    private static let kinds: [HashPolicy.Table] = [.ring(minimum: 1024), .maglev(size: 65_537)]
    private static let keys = (0..<20_000).map { StableHash.hash("user-\($0)") }

    private func hashed(_ kind: HashPolicy.Table, _ count: Int, weights: [Int] = []) -> SomeCluster {
        let some = SomeCluster(.random, count, weights: weights)
        some.state.hash(by: kind)
        build(some)
        return some
    }

    /// Makes the table as the control plane does.
    private func build(_ some: SomeCluster) {
        while some.state.wantsTable, let job = some.state.takeTableJob() { some.state.install(HashTable(job)) }
        #expect(!some.state.wantsTable && some.state.isHashReady)
    }

    private func homes(_ some: SomeCluster) -> [Int] {
        Self.keys.map { some.cluster.next(hash: $0)?.number ?? -1 }
    }

    /// The share of keys whose endpoint is another one.
    private func moved(_ before: [Int], _ after: [Int]) -> Double {
        Double(zip(before, after).count { $0 != $1 }) / Double(before.count)
    }

    @Test(arguments: kinds) func `sends a key to one endpoint, and spreads keys`(kind: HashPolicy.Table) {
        let some = hashed(kind, 10)
        let first = homes(some)
        #expect(first == homes(some))
        for number in 0..<10 {
            let share = first.count { $0 == number }
            #expect(share > 1400 && share < 2600, "endpoint \(number) has \(share) of 20,000")
        }
    }

    @Test(arguments: kinds) func `moves only the keys of an endpoint that leaves`(kind: HashPolicy.Table) {
        let some = hashed(kind, 10)
        let before = homes(some)
        some.publish(some.states.filter { $0.number != 3 })
        let atOnce = homes(some)
        build(some)
        let after = homes(some)
        let others = before.indices.filter { before[$0] != 3 }
        let strays = others.count { before[$0] != after[$0] }
        // A ring moves no other key; Maglev's table a few.
        if case .ring = kind { #expect(strays == 0) } else { #expect(strays < others.count / 20, "\(strays)") }
        #expect(moved(before, after) < 0.15)
        #expect(!atOnce.contains(3) && others.allSatisfy { before[$0] == atOnce[$0] }, "before the new table is there")
    }

    @Test(arguments: kinds) func `moves a tenth of the keys when a tenth endpoint comes`(kind: HashPolicy.Table) {
        let some = hashed(kind, 10)
        let all = homes(some)
        some.publish(Array(some.states.dropLast()))
        build(some)
        let nine = homes(some)
        some.publish(some.states)
        build(some)
        #expect(homes(some) == all, "the way there does not matter")
        #expect(moved(nine, all) > 0.07 && moved(nine, all) < 0.16, "\(moved(nine, all))")
    }

    @Test(arguments: kinds) func `does not depend on the order of the list`(kind: HashPolicy.Table) {
        let some = hashed(kind, 12)
        let before = homes(some)
        some.publish(some.states.reversed())
        #expect(homes(some) == before)
        build(some)
        #expect(homes(some) == before)
    }

    @Test(arguments: kinds) func `respects weights`(kind: HashPolicy.Table) {
        let homes = homes(hashed(kind, 4, weights: [1, 1, 2, 4]))
        let shares = (0..<4).map { number in Double(homes.count { $0 == number }) / 20_000 }
        for (share, wanted) in zip(shares, [0.125, 0.125, 0.25, 0.5]) {
            #expect(abs(share - wanted) < 0.05, "\(shares)")
        }
    }

    @Test(arguments: kinds) func `goes on to another endpoint when one has failed, the same one each time`(
        kind: HashPolicy.Table
    ) throws {
        let some = hashed(kind, 5)
        for key in Self.keys.prefix(50) {
            let first = try #require(some.cluster.next(hash: key)).number
            let second = try #require(some.cluster.next(hash: key, excluding: [first])).number
            #expect(first != second && some.cluster.next(hash: key, excluding: [first])?.number == second)
            #expect(some.cluster.next(hash: key, excluding: [0, 1, 2, 3, 4]) != nil)
        }
    }

    @Test(arguments: kinds) func `leaves out an ejected endpoint, whose keys alone move`(kind: HashPolicy.Table) throws
    {
        let some = hashed(kind, 10)
        var policy = OutlierPolicy()
        policy.consecutive5xx = 1
        some.state.detectOutliers(policy, wake: {})
        build(some)
        let before = homes(some)
        let key = try #require(zip(Self.keys, before).first { $0.1 == 4 }).0
        some.cluster.next(hash: key)?.observer?.note(.failed, at: 0)
        _ = some.state.settle(at: 0)
        build(some)
        let after = homes(some)
        #expect(!after.contains(4) && moved(before, after) < 0.2)
        _ = some.state.settle(at: 100_000_000_000)
        build(some)
        #expect(homes(some) == before)
    }

    @Test func `has an answer without a table, and with one endpoint or none`() {
        let some = SomeCluster(.random, 3)
        some.state.hash(by: .ring(minimum: 1024))
        #expect(some.state.wantsTable && !some.state.isHashReady)
        #expect(some.cluster.next(hash: 7)?.number == some.cluster.next(hash: 7)?.number)
        for count in 0...1 {
            let few = hashed(.maglev(size: 65_537), count)
            #expect(few.cluster.next(hash: 7)?.number == (count == 0 ? nil : 0))
        }
    }

    @Test func `has at least the points that were asked for, and no more than there may be`() {
        let endpoints = (0..<3).map { SomeCluster.endpoint($0, EndpointNumbers()) }
        for (minimum, weights, least, most) in [
            (1024, [], 1024, 2048), (100_000, [], 100_000, 200_000), (1, [], 3, 3),
            (8_388_608, [1, 1_000_000_000, .max], 3, 8_388_611),
        ] {
            let size = HashTable.Job(table: .ring(minimum: minimum), endpoints: endpoints, weights: weights).size
            #expect(size >= least && size <= most, "\(minimum): \(size)")
        }
        let many = HashTable.Job(
            table: .maglev(size: 2), endpoints: endpoints, weights: [])
        #expect(many.size == 65_537, "a table with fewer places than endpoints")
    }

    @Test func `of many endpoints takes a bounded table`() {
        let numbers = EndpointNumbers()
        let endpoints = (0..<5000).map { SomeCluster.endpoint($0, numbers) }
        for kind in Self.kinds {
            let job = HashTable.Job(table: kind, endpoints: endpoints, weights: [])
            #expect(job.size <= 70_000)
            let table = HashTable(job)
            #expect(table.size == job.size)
            #expect(Set((0..<table.size).map { table.choice(at: $0) }).count == 5000)
        }
    }

    @Test func `is off again when the policy goes`() {
        let some = hashed(.ring(minimum: 1024), 4)
        #expect(some.state.balancing == "RING_HASH")
        some.state.hash(by: nil)
        #expect(!some.state.wantsTable && some.state.balancing == "RANDOM" && some.state.takeTableJob() == nil)
        #expect(some.cluster.next(hash: 7) != nil)
    }
}
