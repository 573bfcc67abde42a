package import Balancing
internal import Octets
package import Synchronization

/// A host that requests have named and whose addresses are a cluster of their own.
///
/// Thread: any. Freed by: the last of `RequestedHosts`, the `RequestedResolver` and a request that waits.
package final class RequestedHost: Sendable {
    /// What makes two requests ask for the same addresses.
    package struct Key: Hashable, Sendable {
        /// Of the cluster of all hosts under the wildcard.
        package let cluster: ClusterIdentity
        /// The port of the addresses.
        package let port: UInt16
        /// The host, as it is looked up.
        package let name: String

        /// Makes a key; see the properties of the same names.
        package init(cluster: ClusterIdentity, port: UInt16, name: String) {
            self.cluster = cluster
            self.port = port
            self.name = name
        }
    }

    /// What is known of its addresses.
    package enum Status: Sendable, Equatable {
        /// Nothing yet.
        case resolving
        /// `cluster` has them.
        case ready
        /// There are none, for the reason given.
        case failed(String)
        /// It is forgotten: a request that needs it asks for it anew.
        case gone
    }

    /// Whose host it is, and which.
    package let key: Key
    /// Its addresses. Logs know them by the name of the cluster of all hosts under the wildcard.
    package let cluster: ClusterState
    private let state = Lock(Status.resolving)
    private let isKnownReady = Atomic<Bool>(false)
    /// The second of the workers' clock in which a request last asked for it.
    package let usedAt: Atomic<UInt64>

    init(key: Key, clusterName: String, at second: UInt64) {
        self.key = key
        usedAt = Atomic(second)
        cluster = ClusterState(
            name: clusterName,
            identity: ClusterIdentity(
                host: key.name, port: key.cluster.port, subset: key.cluster.subset, policy: key.cluster.policy))
    }

    /// What is known now. No lock is taken for a host whose addresses are known.
    package var status: Status { isReady ? .ready : state.withLock { $0 } }

    var isReady: Bool { isKnownReady.load(ordering: .acquiring) }

    /// Says what is known. The control plane's thread only, after it has published the addresses.
    package func settle(_ status: Status) {
        state.withLock { $0 = status }
        isKnownReady.store(status == .ready, ordering: .releasing)
    }

    /// Notes that a request needs it.
    func touch(at second: UInt64) {
        if usedAt.load(ordering: .relaxed) != second { usedAt.store(second, ordering: .relaxed) }
    }
}

extension RequestedHost: Equatable {
    package static func == (left: RequestedHost, right: RequestedHost) -> Bool { left === right }
}
