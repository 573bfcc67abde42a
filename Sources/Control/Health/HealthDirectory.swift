internal import Balancing
internal import Proxy
internal import Routing

/// Which endpoints are checked, and what is known of their health: one entry per endpoint, whatever clusters have it.
/// The control plane's thread only.
struct HealthDirectory {
    /// A Service's port.
    struct Key: Hashable {
        let host: String
        let port: Int
    }

    /// How the endpoints of a Service's port are checked.
    struct Terms {
        let policy: HealthCheckPolicy
        /// Whether the Service's port speaks HTTP/2.
        let isHTTP2: Bool
        /// Of the first cluster of this port.
        let security: UpstreamSecurity?
        /// The header of the PROXY protocol that checks begin with; nil: none.
        let proxyVersion: ProxyVersion?
    }

    private struct Entry {
        let endpoint: EndpointState
        let key: Key
        var target: HealthTarget
        var history = HealthHistory()
    }

    private var terms: [Key: Terms] = [:]
    private var counts: [Key: HealthCounts] = [:]
    private var entries: [Int: Entry] = [:]    // by the endpoint's number
    private var orders: [HealthOrder] = []
    private let refusal: (EndpointAddress) -> String?

    /// - Parameter refusal: why nothing is sent to an address; nil: it may be.
    init(refusal: @escaping (EndpointAddress) -> String?) { self.refusal = refusal }

    /// Whether any endpoint may be checked.
    var isUsed: Bool { !terms.isEmpty || !entries.isEmpty }

    /// What the checker is to do, since the last call.
    mutating func takeOrders() -> [HealthOrder] {
        defer { orders = [] }
        return orders
    }

    /// What the checks of an endpoint say; nil: it is not checked.
    func history(of endpoint: EndpointState) -> HealthHistory? { entry(of: endpoint)?.history }

    /// What counts the checks of a Service's port; nil: there are none.
    func counts(of key: Key) -> HealthCounts? { counts[key] }

    private func entry(of endpoint: EndpointState) -> Entry? {
        entries[endpoint.number].flatMap { $0.endpoint === endpoint ? $0 : nil }
    }

    // MARK: changes

    /// Takes how endpoints are checked from now on. Those that are not any more are used as if they were well.
    /// - Returns: the ports whose endpoints are others to choose from for that reason.
    mutating func update(_ next: [Key: Terms]) -> Set<Key> {
        terms = next
        var changed: Set<Key> = []
        for entry in entries.values where next[entry.key] == nil {
            if entry.endpoint.health != .available { changed.insert(entry.key) }
            forget(entry.endpoint)
        }
        counts = counts.filter { next[$0.key] != nil }
        for key in next.keys where counts[key] == nil { counts[key] = HealthCounts(name: "\(key.host):\(key.port)") }
        return changed
    }

    /// A cluster has these endpoints from now on; to be called before it chooses among them. Those that are new are
    /// used when they have passed a check, if there are others to use; else at once.
    /// - Returns: whether one that was known before is used again because it may not be checked any more.
    @discardableResult mutating func join(_ endpoints: [EndpointState], of key: Key) -> Bool {
        guard let terms = terms[key], let counts = counts[key] else { return false }
        var isChanged = false
        let hasOthers = endpoints.contains { entry(of: $0) != nil && $0.health == .available }
        for endpoint in endpoints {
            let target = HealthTarget(
                terms.policy, of: endpoint.address, dual: endpoint.dual, host: key.host, isHTTP2: terms.isHTTP2,
                security: terms.security, proxyVersion: terms.proxyVersion, counts: counts)
            let known = entry(of: endpoint)
            if known?.target == target { continue }
            // The endpoint was found good, and a port of its own for checks may not be.
            if target.address != endpoint.address, refusal(target.address) != nil {
                if known != nil {
                    isChanged = isChanged || endpoint.health != .available
                    forget(endpoint)
                }
                continue
            }
            if known != nil {
                entries[endpoint.number]?.target = target
            } else {
                endpoint.health = hasOthers ? .pending : .available
                entries[endpoint.number] = Entry(endpoint: endpoint, key: key, target: target)
            }
            orders.append(.check(endpoint, target))
        }
        return isChanged
    }

    /// The endpoint is checked no more; it is used as if it were well.
    private mutating func forget(_ endpoint: EndpointState) {
        endpoint.health = .available
        orders.append(.forget(endpoint))
        entries[endpoint.number] = nil
    }

    /// No cluster has the endpoints of these numbers any more.
    mutating func leave(_ numbers: [Int]) {
        guard !entries.isEmpty else { return }
        for number in numbers {
            guard let entry = entries.removeValue(forKey: number) else { continue }
            orders.append(.forget(entry.endpoint))
        }
    }

    /// Takes what the checker has found.
    /// - Returns: the port of the endpoint, whether its health is another one, and whether that makes the endpoints
    ///   others to choose from: an endpoint that was used before its first check is used after it, too. nil if the
    ///   endpoint is checked no more.
    mutating func take(_ news: HealthNews) -> (key: Key, isChanged: Bool, concernsChoice: Bool)? {
        guard let entry = entry(of: news.endpoint) else { return nil }
        entries[news.endpoint.number]?.history = news.history
        let next: EndpointHealth = news.history.health == .unhealthy ? .failing : .available
        let isChanged = news.history.health != entry.history.health
        guard news.history.health != .unknown, news.endpoint.health != next else {
            return (entry.key, isChanged, false)
        }
        news.endpoint.health = next
        return (entry.key, isChanged, true)
    }
}
