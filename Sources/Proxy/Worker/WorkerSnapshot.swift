internal import Balancing
internal import Octets
internal import Routing

/// One worker's own handle on a snapshot, with handles of its parts: references to them are counted by this
/// worker alone, so that no two workers write a count together.
///
/// Whoever serves a request needs its route and its destination. Their handles keep nothing else of the snapshot
/// alive, so a request may hold them as long as it lasts, however often the configuration changes meanwhile.
///
/// Thread: its worker's. Freed by: the last connection that uses it, or the next snapshot.
final class WorkerSnapshot {
    let shared: Snapshot
    /// Listeners by `ListenerSockets.number`.
    private let listeners: [Int: ServedListener]
    private let clusters: ClusterHandles
    private var routes: HandleTable<RouteHandle>    // by route number
    private var destinations: HandleTable<DestinationHandle>    // by cluster number

    /// - Parameter clusters: the worker's, which outlive snapshots.
    init(_ shared: Snapshot, clusters: ClusterHandles) {
        self.shared = shared
        self.clusters = clusters
        listeners = Dictionary(shared.listeners.map { ($0.sockets.number, $0) }) { first, _ in first }
        routes = HandleTable(count: shared.plan.routes.count)
        destinations = HandleTable(count: shared.clusters.count)
    }

    /// What is served on a listener; nil for a connection that is no client's, and when the listener is gone.
    func served(_ listener: Int?) -> ServedListener? { listener.flatMap { listeners[$0] } }

    /// The handle of a route, by its number in the plan.
    @inline(__always) func route(_ number: Int) -> RouteHandle {
        if let known = routes[number] { return known }
        let made = RouteHandle(route: shared.plan.routes[number], metrics: shared.routeMetrics[number])
        routes[number] = made
        return made
    }

    /// The handle of a destination, by its cluster's number in the plan.
    @inline(__always) func destination(_ number: Int) -> DestinationHandle {
        if let known = destinations[number] { return known }
        let made = DestinationHandle(
            plan: shared.plan.clusters[number], cluster: clusters.handle(of: shared.clusters[number]),
            tls: shared.upstreamTLS[number], hosts: shared.requestedHosts)
        destinations[number] = made
        return made
    }
}

/// A worker's own handle of a route.
///
/// Thread: its worker's. Freed by: its snapshot, or the last exchange that keeps it.
final class RouteHandle {
    let route: Route
    /// The policies that few rules have; the route keeps them.
    let extras: Unretained<RouteExtras>?
    /// The process-wide number under which metrics know the route.
    let metrics: Int
    /// The rule's policy, or Istio's default.
    let retries: RetryPolicy
    /// Whether the rule has a policy of its own, which may refuse answers of any status.
    let judgesAnswers: Bool

    init(route: Route, metrics: Int) {
        self.route = route
        extras = route.policy.extras.unretained
        self.metrics = metrics
        retries = route.policy.extras?.retries ?? .standard
        judgesAnswers = route.policy.extras?.retries != nil && retries.attempts > 0
    }
}

/// A worker's own handle of a destination: its cluster, and how one plan wants requests sent there.
///
/// Thread: its worker's. Freed by: its snapshot, or the last exchange that keeps it.
final class DestinationHandle {
    let cluster: Cluster
    /// Whether requests are sent as HTTP/2; gRPC always is.
    let isHTTP2: Bool
    /// How endpoints are spoken to in TLS; nil is clear text.
    let security: UpstreamSecurity?
    var isSecure: Bool { security != nil }
    /// By which version of the PROXY protocol endpoints get the client's address; nil for most.
    let proxyVersion: ProxyVersion?
    /// Whether any connection to an endpoint will do, in clear text.
    let isPlain: Bool
    /// Why nobody can be served.
    let unavailable: Unavailable?
    /// Limits of connections and requests; nil for most.
    let limits: PoolLimits?
    /// What distinguishes requests; nil for most.
    let hashKey: HashKey?
    /// The destinations of the hosts that requests name, of which one takes this one's place; nil for most.
    let requested: RequestedDestinations?
    /// Whether it is the destination of a host that a request has named.
    let isRequested: Bool

    /// - Parameters:
    ///   - tls: what was made of the plan's TLS.
    ///   - hosts: where hosts are asked for that requests name.
    init(plan: ClusterPlan, cluster: Cluster, tls: ClusterTLS? = nil, hosts: RequestedHosts? = nil) {
        self.cluster = cluster
        if let hosts, case .requested(let names) = plan.source {
            requested = RequestedDestinations(names: names, hosts: hosts)
        } else {
            requested = nil
        }
        isRequested = requested != nil
        isHTTP2 = plan.isHTTP2
        if case .secure(let made) = tls { security = made } else { security = nil }
        proxyVersion = plan.policies?.proxyVersion
        isPlain = security == nil && proxyVersion == nil
        unavailable = Self.reason(plan, tls)
        hashKey = plan.policies?.hashing.map(HashKey.init)
        limits = plan.policies?.pool.map { PoolLimits($0, usage: cluster.state.usage()) }
    }

    /// The same destination with the addresses of one host that requests name.
    init(of parent: DestinationHandle, cluster: Cluster) {
        self.cluster = cluster
        isHTTP2 = parent.isHTTP2
        security = parent.security
        proxyVersion = parent.proxyVersion
        isPlain = parent.isPlain
        unavailable = parent.unavailable
        hashKey = parent.hashKey
        limits = parent.limits
        requested = nil
        isRequested = false
    }

    /// Nothing is ever sent in clear text where the plan wants TLS.
    private static func reason(_ plan: ClusterPlan, _ tls: ClusterTLS?) -> Unavailable? {
        if case .unavailable(let reason) = plan.source { return reason }
        return switch tls {
        case .secure: nil
        case .unavailable(let sentence): .noCredential(sentence)
        case nil: plan.tls == nil ? nil : .noCredential("TLS to \(plan.host) is not ready")
        }
    }
}

/// One worker's handles of clusters, kept over snapshots as the clusters are.
///
/// Thread: its worker's. Freed by: `Worker`.
final class ClusterHandles {
    private var handles: [ObjectIdentifier: Cluster] = [:]

    /// The one that this worker has for a cluster; it makes it when it is first asked for.
    func handle(of state: ClusterState) -> Cluster {
        let key = ObjectIdentifier(state)
        if let known = handles[key] { return known }
        let made = Cluster(state)
        handles[key] = made
        return made
    }

    /// Lets go of clusters that no configuration has any more.
    func dropUnused() {
        guard handles.values.contains(where: { $0.state.isGone }) else { return }
        handles = handles.filter { !$0.value.state.isGone }
    }
}

/// Handles by number, made when they are asked for first: a hundred thousand routes cost a new snapshot nothing
/// but the few that have requests.
struct HandleTable<Handle: AnyObject> {
    private static var pageSize: Int { 256 }
    private var pages: ContiguousArray<ContiguousArray<Handle?>>

    init(count: Int) {
        pages = ContiguousArray(repeating: [], count: (count + Self.pageSize - 1) / Self.pageSize)
    }

    /// - Parameter number: 0 to the count; traps beyond.
    subscript(number: Int) -> Handle? {
        @inline(__always) get {
            let page = number / Self.pageSize
            return pages[page].isEmpty ? nil : pages[page][number % Self.pageSize]
        }
        set {
            let page = number / Self.pageSize
            if pages[page].isEmpty { pages[page] = ContiguousArray(repeating: nil, count: Self.pageSize) }
            pages[page][number % Self.pageSize] = newValue
        }
    }
}
