internal import Octets
internal import Synchronization

/// What makes two clusters of two configurations the same one.
package struct ClusterIdentity: Hashable, Sendable {
    package let host: String
    /// The service's port.
    package let port: Int
    /// Empty: the whole service.
    package let subset: String
    package let policy: BalancingPolicy

    package init(host: String, port: Int, subset: String, policy: BalancingPolicy) {
        self.host = host
        self.port = port
        self.subset = subset
        self.policy = policy
    }
}

/// What is known of a cluster in the whole process: its endpoints and whose turn it is. It survives every
/// publish of a configuration as long as its identity does. Workers choose through a `Cluster` of their own.
/// Any thread.
package final class ClusterState: Sendable {
    package let name: String
    package let identity: ClusterIdentity
    private let list: Lock<EndpointList>
    /// Moves with every new list. Read by all workers for each request, and written with a new list alone.
    private let version = Atomic<UInt64>(1)
    private let gone = Atomic<Bool>(false)
    private let turn: OwnLine

    /// - Parameter start: where the rotation begins.
    package init(name: String, identity: ClusterIdentity, list: EndpointList = EndpointList([]), start: Int = 0) {
        self.name = name
        self.identity = identity
        self.list = Lock(list)
        turn = OwnLine(start)
    }

    package var policy: BalancingPolicy { identity.policy }

    /// The endpoints as they are now.
    package var endpoints: [EndpointState] { list.withLock { $0 }.endpoints }

    /// Replaces the endpoints: every worker chooses among the new ones from its next request on.
    package func publish(_ next: EndpointList) {
        list.withLock { $0 = next }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// The list when it is newer than `seen`; no lock while nothing changed. `seen` starts at 0.
    @inline(__always) func read(ifNewerThan seen: inout UInt64) -> EndpointList? {
        let current = version.load(ordering: .acquiring)
        guard current != seen else { return nil }
        seen = current
        return list.withLock { $0 }
    }

    /// No configuration has it any more.
    package var isGone: Bool { gone.load(ordering: .acquiring) }
    package func leave() { gone.store(true, ordering: .releasing) }

    var rotation: LineCell { turn.cell }

    /// Where its turn lies in memory, for tests.
    var turnAddress: UInt { turn.address }
}
