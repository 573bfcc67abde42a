import Balancing
import Reactor
import Testing

@testable import Control

@Suite struct `The builder of hash tables` {
    /// A cluster with 4 endpoints that wants a ring of at least 1,024 points.
    private func cluster() -> ClusterState {
        let numbers = EndpointNumbers()
        let endpoints = (1...4).map { EndpointState(address: .ip("127.0.0.1", port: $0), numbers: numbers) }
        let identity = ClusterIdentity(host: "a", port: 80, subset: "", policy: .random)
        let cluster = ClusterState(name: "a", identity: identity, list: EndpointList(endpoints))
        cluster.hash(by: .ring(minimum: 1024))
        return cluster
    }

    /// Waits for as many tables.
    private func tables(_ count: Int, from done: Mailbox<BuiltTable>) -> [BuiltTable] {
        var tables: [BuiltTable] = []
        while tables.count < count {
            guard DescriptorWait.untilReadable(done.descriptor, milliseconds: 30_000) else { break }
            tables += done.takeAll()
        }
        return tables
    }

    @Test func `makes the smallest table when no places are left, and says so`() throws {
        let done = try Mailbox<BuiltTable>()
        let (first, second) = (cluster(), cluster())
        let builder = HashTableBuilder(done: done, mostPlaces: 3_000)
        builder.want([first])
        let whole = try #require(tables(1, from: done).first)
        #expect(whole.cluster === first && !whole.isReduced && whole.table.size >= 1024)
        builder.want([second])
        let reduced = try #require(tables(1, from: done).first)
        #expect(reduced.cluster === second && reduced.isReduced && reduced.table.size == 4)
    }
}
