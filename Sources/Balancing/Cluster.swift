internal import Octets

/// A worker's own handle of a cluster: the choice among its endpoints. References to it are counted by one worker
/// alone, and it keeps nothing alive but its cluster: a request may hold it as long as it likes.
///
/// Thread: its worker's. Freed by: its last reference, of a snapshot's handles or of an exchange.
package final class Cluster {
    /// What all workers share of the cluster.
    package let state: ClusterState
    private let rotation: LineCell    // of `state`, which lives as long
    private let policy: BalancingPolicy
    private var list = EndpointList([])
    private var seen: UInt64 = 0    // the version of `list`
    private var hashing: Unretained<Hashing>?    // of `list`, which keeps it
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
        guard list.count > 1 else { return list.count == 1 ? unlessEjected(handle(0)) : nil }
        let first =
            list.groups?.choose(policy, rotation: rotation, random: random)
            ?? policy.choose(among: list, rotation: rotation, random: random)
        guard tried.isEmpty else { return next(after: first, excluding: tried) }
        let chosen = handle(first)
        return unlessEjected(chosen) ?? next(after: first, excluding: [])
    }

    /// Chooses an endpoint of another rank than those of endpoints that have failed a request: any one of the nearest.
    /// Source: envoyproxy/envoy source/extensions/retry/priority/previous_priorities/previous_priorities.cc.
    /// - Parameters:
    ///   - random: a fresh random number.
    ///   - failed: numbers of endpoints whose ranks are left.
    /// - Returns: nil where endpoints have no ranks, or none is left.
    @inline(never)
    package func next(random: UInt64, leaving failed: [Int]) -> Endpoint? {
        update()
        guard let spare = list.spare else { return nil }
        let lists = [list, spare]
        var left: Set<Int> = []
        for list in lists {
            for (place, endpoint) in list.endpoints.enumerated() where failed.contains(endpoint.number) {
                left.insert(list.ranks[place])
            }
        }
        var nearest = Int.max
        var found: [(list: EndpointList, place: Int)] = []
        for list in lists {
            for (place, rank) in list.ranks.enumerated() where rank <= nearest && !left.contains(rank) {
                if !list.monitors.isEmpty, list.monitors[place].isEjected { continue }
                if rank < nearest { found = [] }
                nearest = rank
                found.append((list, place))
            }
        }
        guard !found.isEmpty else { return nil }
        let chosen = found[Int(random % UInt64(found.count))]
        return chosen.list === list ? handle(chosen.place) : makeHandle(chosen.place, of: chosen.list)
    }

    /// Places of a table that are looked at before the list is; more are passed only when most endpoints have failed.
    private static let longestWalk = 4096

    /// The endpoint that a hash leads to. While there is no table, any endpoint, but the same one for the same hash.
    /// - Parameter tried: as for the other `next`.
    package func next(hash: UInt64, excluding tried: [Int] = []) -> Endpoint? {
        update()
        guard list.count > 1 else { return list.count == 1 ? unlessEjected(handle(0)) : nil }
        return hashing?({ found(in: $0, hash, excluding: tried) })
            ?? next(after: Int(hash % UInt64(list.count)), excluding: tried)
    }

    private func found(in hashing: Hashing, _ hash: UInt64, excluding tried: [Int]) -> Endpoint? {
        var position = hashing.position(of: hash)
        for _ in 0..<min(hashing.size, Self.longestWalk) {
            if let place = hashing.place(at: position), let endpoint = unlessEjected(handle(place)),
                tried.isEmpty || !tried.contains(endpoint.number)
            {
                return endpoint
            }
            position = position + 1 == hashing.size ? 0 : position + 1
        }
        return nil
    }

    /// An endpoint that was ejected a moment ago is still in the list.
    @inline(__always) private func unlessEjected(_ endpoint: Endpoint) -> Endpoint? {
        if let observer = endpoint.observer, observer.isEjected { nil } else { endpoint }
    }

    /// The first one from a place on that may be chosen: that has not failed yet, or else that is not ejected.
    @inline(never) private func next(after first: Int, excluding tried: [Int]) -> Endpoint? {
        var second: Endpoint?
        for step in 0..<list.count {
            let place = (first + step) % list.count
            guard let endpoint = unlessEjected(handle(place)) else { continue }
            if !tried.contains(endpoint.number) { return endpoint }
            second = second ?? endpoint
        }
        return second
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
        hashing = next.hashing.unretained
        for place in old.indices {
            guard let handle = old[place] else { continue }
            if place < next.count, isHandle(handle, of: place) {
                handles[place] = handle
            } else {
                moved[ObjectIdentifier(handle.state)] = handle
            }
        }
        guard !moved.isEmpty else { return }
        for place in handles.indices where handles[place] == nil {
            guard let handle = moved[ObjectIdentifier(next.endpoints[place])], isHandle(handle, of: place) else {
                continue
            }
            handles[place] = handle
        }
    }

    /// Whether a handle is that of the endpoint in this place, watched as the list says.
    private func isHandle(_ handle: Endpoint, of place: Int) -> Bool {
        guard list.endpoints[place] === handle.state else { return false }
        return handle.observer?.monitor === (list.monitors.isEmpty ? nil : list.monitors[place])
    }

    @inline(__always) private func handle(_ place: Int) -> Endpoint {
        if let known = handles[place] { return known }
        let made = makeHandle(place, of: list)
        handles[place] = made
        return made
    }

    private func makeHandle(_ place: Int, of list: EndpointList) -> Endpoint {
        let observer = list.detector.flatMap { detector in
            list.monitors.isEmpty ? nil : OutlierObserver(list.monitors[place], detector)
        }
        return Endpoint(list.endpoints[place], observer: observer)
    }
}

@available(*, unavailable) extension Cluster: Sendable {}
