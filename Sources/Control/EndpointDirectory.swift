internal import Balancing
internal import Routing

/// What is known of clusters and endpoints, kept over reloads: (service, port, address) → `EndpointState`, and a
/// cluster's identity → `ClusterState`.
/// The control plane's thread only.
struct EndpointDirectory {
    private struct Key: Hashable {
        let host: String
        let port: Int
        let address: EndpointAddress
    }

    private var known: [Key: EndpointState] = [:]
    private var states: [ClusterIdentity: ClusterState] = [:]
    private let numbers = EndpointNumbers()
    private let countedBefore: (Int) -> UInt64
    private var start = 0    // staggers the clusters' rotations
    /// Numbers of the endpoints that the last plan has no more.
    private(set) var left: [Int] = []
    /// Addresses of DNS that nothing is sent to, as sentences.
    private(set) var refused: Set<String> = []

    /// - Parameter countedBefore: what metrics have counted so far under a number.
    init(countedBefore: @escaping (Int) -> UInt64 = { _ in 0 }) { self.countedBefore = countedBefore }

    /// The clusters of a plan, in its order.
    /// - Parameters:
    ///   - resolved: addresses of names, for clusters found by DNS.
    ///   - refusal: as `CompileOptions.refusedEndpoint`, for addresses that DNS gives.
    mutating func clusters(
        of plan: RoutingPlan, resolved: [String: [String]],
        refusal: (EndpointAddress) -> String? = { _ in nil }
    ) -> [ClusterState] {
        refused = []
        var used: [Key: EndpointState] = [:]
        var usedStates: [ClusterIdentity: ClusterState] = [:]
        let clusters = plan.clusters.map { cluster -> ClusterState in
            let (addresses, weights) = self.addresses(of: cluster.source, resolved, refusal)
            let endpoints = addresses.map { address in
                let key = Key(host: cluster.host, port: cluster.port, address: address)
                let endpoint = used[key] ?? known[key] ?? make(address)
                used[key] = endpoint
                return endpoint
            }
            let identity = ClusterIdentity(
                host: cluster.host, port: cluster.port, subset: cluster.subset, policy: cluster.policy)
            let state = usedStates[identity] ?? states[identity] ?? makeState(cluster.name, identity)
            usedStates[identity] = state
            state.publish(EndpointList(endpoints, weights: weights))
            return state
        }
        left = known.filter { used[$0.key] == nil }.map { _, endpoint in
            endpoint.leave()
            return endpoint.number
        }
        for (identity, state) in states where usedStates[identity] == nil { state.leave() }
        (known, states) = (used, usedStates)
        return clusters
    }

    private mutating func makeState(_ name: String, _ identity: ClusterIdentity) -> ClusterState {
        start &+= 1
        return ClusterState(name: name, identity: identity, start: start)
    }

    private func make(_ address: EndpointAddress) -> EndpointState {
        EndpointState(address: address, numbers: numbers, countedBefore: countedBefore)
    }

    private mutating func addresses(
        of source: EndpointSource, _ resolved: [String: [String]], _ refusal: (EndpointAddress) -> String?
    ) -> ([EndpointAddress], [Int]) {
        switch source {
        case .unavailable: return ([], [])
        case .endpoints(let endpoints): return (endpoints.map(\.address), endpoints.map(\.weight))
        case .dns(let names):
            var addresses: [EndpointAddress] = []
            var weights: [Int] = []
            var known: Set<EndpointAddress> = []
            for name in names {
                for address in resolved[name.host] ?? [] {
                    let place = EndpointAddress.ip(address, port: name.port)
                    guard known.insert(place).inserted else { continue }
                    if let reason = refusal(place) {
                        refused.insert("nothing is sent to \(place), an address of \(name.host), \(reason)")
                        continue
                    }
                    addresses.append(place)
                    weights.append(name.weight)
                }
            }
            return (addresses, weights)
        }
    }
}
