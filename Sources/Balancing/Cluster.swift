/// A worker's own handle of a cluster: the choice among its endpoints. References to it are counted by one
/// worker alone, and it keeps nothing alive but its cluster: a request may hold it as long as it likes.
/// One worker's thread.
package final class Cluster {
    /// What all workers share of the cluster.
    package let state: ClusterState
    private let rotation: LineCell    // of `state`, which lives as long
    private let policy: BalancingPolicy
    private var list = EndpointList([])
    private var seen: UInt64 = 0    // the version of `list`
    /// By place in `list`; made when they are chosen first.
    private var handles: ContiguousArray<Endpoint?> = []

    /// A handle for one worker.
    package init(_ state: ClusterState) {
        self.state = state
        rotation = state.rotation
        policy = state.policy
        update()
    }

    /// The cluster's name, as metrics and logs have it.
    package var name: String { state.name }

    /// How many endpoints it has now.
    package var count: Int {
        update()
        return list.count
    }

    /// Chooses an endpoint for one request; nil when there is none.
    /// - Parameters:
    ///   - random: a fresh random number; only RANDOM looks at it.
    ///   - tried: numbers of endpoints that failed this request already; avoided while another one is left.
    package func next(random: UInt64, excluding tried: [Int] = []) -> Endpoint? {
        update()
        guard list.count > 1 else { return list.count == 1 ? handle(0) : nil }
        let first = policy.choose(among: list, rotation: rotation, random: random)
        guard !tried.isEmpty else { return handle(first) }
        for step in 0..<list.count {
            let place = (first + step) % list.count
            if !tried.contains(list.endpoints[place].number) { return handle(place) }
        }
        return handle(first)
    }

    /// One load of a version that all workers only read; the rest when the endpoints have changed.
    @inline(__always) private func update() {
        guard let next = state.read(ifNewerThan: &seen) else { return }
        replace(next)
    }

    /// Endpoints that stay keep their handles.
    @inline(never) private func replace(_ next: EndpointList) {
        let old = handles
        var moved: [ObjectIdentifier: Endpoint] = [:]
        handles = ContiguousArray(repeating: nil, count: next.count)
        list = next
        for place in old.indices {
            guard let handle = old[place] else { continue }
            if place < next.count, next.endpoints[place] === handle.state {
                handles[place] = handle
            } else {
                moved[ObjectIdentifier(handle.state)] = handle
            }
        }
        guard !moved.isEmpty else { return }
        for place in handles.indices where handles[place] == nil {
            handles[place] = moved[ObjectIdentifier(next.endpoints[place])]
        }
    }

    @inline(__always) private func handle(_ place: Int) -> Endpoint {
        if let known = handles[place] { return known }
        let made = Endpoint(list.endpoints[place])
        handles[place] = made
        return made
    }
}

@available(*, unavailable) extension Cluster: Sendable {}
