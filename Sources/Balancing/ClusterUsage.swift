internal import Synchronization

/// What all workers together have in use of a cluster whose policy limits it. Each number is alone on its cache
/// lines. It belongs to the `ClusterState`, so that it survives every publish. Any thread.
/// Source: envoyproxy/envoy api/envoy/config/cluster/v3/circuit_breaker.proto.
///
/// Thread: any. Freed by: the last of its `ClusterState` and the workers' `PoolLimits`.
package final class ClusterUsage: Sendable {
    /// What a cluster's limits bound.
    package enum Resource: Int, Sendable, CaseIterable {
        /// Open connections, and those that are being made.
        case connections
        /// Requests that wait for a connection.
        case pending
        /// Requests that were sent and have not ended.
        case requests
        /// Requests that are sent again, until the answer to the new try begins.
        case retries
    }

    private let connections = OwnLine()
    private let pending = OwnLine()
    private let requests = OwnLine()
    private let retries = OwnLine()
    private let gone = Atomic<Bool>(false)

    package init() {}

    @inline(__always) private func cell(_ resource: Resource) -> LineCell {
        switch resource {
        case .connections: connections.cell
        case .pending: pending.cell
        case .requests: requests.cell
        case .retries: retries.cell
        }
    }

    /// No plan has the cluster any more.
    package var isGone: Bool { gone.load(ordering: .acquiring) }
    /// Says so, once and for all.
    func leave() { gone.store(true, ordering: .releasing) }

    /// How many are in use now.
    package func count(_ resource: Resource) -> Int { cell(resource).value }

    /// Takes one if fewer than `limit` are in use. Workers that ask at the same moment may both be refused the last
    /// one; they never have more than `limit`.
    /// - Returns: whether it was taken; it must be given back then.
    package func take(_ resource: Resource, atMost limit: Int) -> Bool {
        let cell = cell(resource)
        guard cell.value < limit else { return false }
        guard cell.advance() < UInt64(clamping: limit) else {
            cell.add(-1)
            return false
        }
        return true
    }

    /// Takes one whatever is in use.
    package func take(_ resource: Resource) { cell(resource).add(1) }

    /// Ends one use. Exactly once for each that was taken, because all workers share the number.
    package func giveBack(_ resource: Resource) { cell(resource).add(-1) }

    /// Where the numbers lie in memory, for tests.
    var addresses: [UInt] { [connections.address, pending.address, requests.address, retries.address] }
}
