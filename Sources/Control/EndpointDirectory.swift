internal import Balancing
internal import Routing

/// The one object of each endpoint, kept over reloads: (service, port, address) → `Endpoint`.
/// The control plane's thread only.
struct EndpointDirectory {
    private struct Key: Hashable {
        let host: String
        let port: Int
        let address: EndpointAddress
    }

    private var known: [Key: Endpoint] = [:]
    private var numbers = 0    // given out so far; none is given twice
    private var start: UInt64 = 0    // staggers the clusters' rotations
    /// Addresses of DNS that nothing is sent to, as sentences.
    private(set) var refused: Set<String> = []

    /// The clusters of a plan, in its order.
    /// - Parameters:
    ///   - resolved: addresses of names, for clusters found by DNS.
    ///   - refusal: as `CompileOptions.refusedEndpoint`, for addresses that DNS gives.
    mutating func clusters(
        of plan: RoutingPlan, resolved: [String: [String]],
        refusal: (EndpointAddress) -> String? = { _ in nil }
    ) -> [Cluster] {
        refused = []
        var used: [Key: Endpoint] = [:]
        let clusters = plan.clusters.map { cluster -> Cluster in
            let (addresses, weights) = self.addresses(of: cluster.source, resolved, refusal)
            let endpoints = addresses.map { address in
                let key = Key(host: cluster.host, port: cluster.port, address: address)
                let endpoint = used[key] ?? known[key] ?? make(address)
                used[key] = endpoint
                return endpoint
            }
            start &+= 1
            return Cluster(
                name: cluster.name, policy: cluster.policy, endpoints: endpoints, weights: weights, start: start)
        }
        known = used
        return clusters
    }

    private mutating func make(_ address: EndpointAddress) -> Endpoint {
        defer { numbers += 1 }
        return Endpoint(address: address, number: numbers)
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
