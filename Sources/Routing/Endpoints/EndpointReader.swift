internal import Balancing

/// Answers questions about the endpoints of one table, as long as it does not change, and remembers what it found of a
/// service's port: the subsets of a service cost their own endpoints, not each all of them. It is made for one pass
/// over a plan's clusters; nothing of it is kept longer.
///
/// Thread: its owner's. Freed by: the pass over a plan's clusters that made it.
package final class EndpointReader {
    private let table: EndpointTable
    private var indexed: [SourceKey: ByLabel<LabeledEndpoint>] = [:]    // of sources that subsets were asked of
    /// Endpoints that were gone through one by one, for tests of what questions cost.
    private(set) var visits = 0

    /// What a cluster's endpoints are found by, without the subset.
    private enum SourceKey: Hashable {
        case service(ServiceName, port: Int)
        case workloads(host: String, port: Int)
    }

    /// Reads a table as it is now.
    package init(_ table: EndpointTable) { self.table = table }

    /// Where requests of a cluster go: endpoints that nothing may be sent to are left out.
    /// - Parameter locality: the cluster's; endpoints that get nothing by it are left out, too.
    package func endpoints(of source: EndpointSource, by locality: LocalityPolicy? = nil) -> FoundEndpoints {
        switch source {
        case .unavailable, .requested: return .endpoints([])
        case .dns(let names): return .names(locality.map { $0.ranked(names) } ?? names)
        case .workloads, .service:
            guard let chosen = chosen(of: source, by: locality) else {
                return source.fallback.map { .names([$0]) } ?? .endpoints([])
            }
            return .endpoints(chosen.filter { refusal(of: $0.address) == nil })
        }
    }

    /// What an endpoint is, when it must not be sent to.
    func refusal(of endpoint: EndpointAddress) -> String? { table.refusal(of: endpoint) }

    /// How many endpoints or names a cluster has; doubles may be counted twice.
    func count(of source: EndpointSource) -> Int {
        if let count = table.addressCount(of: source) { return count }
        switch endpoints(of: source) {
        case .endpoints(let all): return all.count
        case .names(let all): return all.count
        }
    }

    /// The endpoints that the cluster's subset selects, refused ones too; nil when no object says anything of them.
    func chosen(of source: EndpointSource, by locality: LocalityPolicy? = nil) -> [PlannedEndpoint]? {
        guard let labels = source.labels, !labels.isEmpty else {
            guard let found = table.found(source, withLabels: locality != nil) else { return nil }
            visits += found.count
            return planned(found, locality)
        }
        return all(of: source).map { planned($0.having(labels, &visits), locality) }
    }

    private func planned(_ found: [LabeledEndpoint], _ locality: LocalityPolicy?) -> [PlannedEndpoint] {
        guard let locality else { return found.map { PlannedEndpoint(address: $0.address, weight: $0.weight) } }
        return found.compactMap { endpoint in
            locality.rank(of: endpoint.locality, labels: endpoint.allLabels ?? [:]).map {
                PlannedEndpoint(address: endpoint.address, weight: endpoint.weight, rank: $0)
            }
        }
    }

    /// All endpoints of the cluster's port, whatever their labels; nil when no object says anything of them.
    func all(of source: EndpointSource) -> ByLabel<LabeledEndpoint>? {
        guard let key = Self.key(source) else { return nil }
        if let known = indexed[key] { return known }
        guard let found = table.found(source, withLabels: true) else { return nil }
        visits += found.count
        let endpoints = ByLabel(
            found, labels: found.map(\.allLabels), unknown: found.count { $0.labels == nil })
        indexed[key] = endpoints
        return endpoints
    }

    private static func key(_ source: EndpointSource) -> SourceKey? {
        switch source {
        case .service(let lookup): .service(lookup.service, port: lookup.port)
        case .workloads(let lookup): .workloads(host: lookup.host, port: lookup.servicePort)
        case .dns, .requested, .unavailable: nil
        }
    }
}
