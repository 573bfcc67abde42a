import Testing

@testable import Balancing

@Suite struct `What a cluster has in use` {
    @Test(arguments: ClusterUsage.Resource.allCases)
    func `is never more than its limit, and each kind is counted apart`(resource: ClusterUsage.Resource) {
        let usage = ClusterUsage()
        #expect(usage.take(resource, atMost: 2) && usage.take(resource, atMost: 2))
        #expect(!usage.take(resource, atMost: 2))
        #expect(ClusterUsage.Resource.allCases.map(usage.count).reduce(0, +) == 2)
        usage.giveBack(resource)
        #expect(usage.take(resource, atMost: 2))
        usage.take(resource)
        #expect(usage.count(resource) == 3)
    }

    @Test func `is never more than its limit when threads ask at the same time`() async {
        let usage = ClusterUsage()
        let most = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var most = 0
                    for _ in 0..<5000 where usage.take(.requests, atMost: 3) {
                        most = max(most, usage.count(.requests))
                        usage.giveBack(.requests)
                    }
                    return most
                }
            }
            return await group.reduce(0, max)
        }
        // Those that find the limit reached stand in the number for a moment: three that have, and three that ask.
        #expect(most <= 6 && most >= 1)
        #expect(usage.count(.requests) == 0)
    }

    @Test func `has each number alone on its cache lines`() {
        let usage = ClusterUsage()
        let places = Set(usage.addresses.map { $0 / UInt(OwnLine.octets) })
        #expect(places.count == ClusterUsage.Resource.allCases.count)
        #expect(usage.addresses.allSatisfy { $0 % UInt(OwnLine.octets) == 0 })
    }

    @Test func `belongs to the cluster, and is there only where somebody counts it`() {
        let cluster = ClusterState(
            name: "c", identity: ClusterIdentity(host: "c", port: 80, subset: "", policy: .random))
        #expect(cluster.countedUsage == nil)
        #expect(cluster.usage() === cluster.usage() && cluster.countedUsage === cluster.usage())
    }
}
