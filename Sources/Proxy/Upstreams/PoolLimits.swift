internal import Balancing
internal import Octets
internal import Reactor
internal import Routing

/// A cluster's policy of connections and requests, with what all workers have in use of it. One plan's; a worker's
/// own handle.
///
/// Thread: its worker's. Freed by: its `DestinationHandle`, or the last pool or copy that uses it.
final class PoolLimits {
    let policy: PoolPolicy
    /// What all workers use of the cluster; the limits are of the process.
    let usage: ClusterUsage
    let terms: ConnectionTerms

    init(_ policy: PoolPolicy, usage: ClusterUsage) {
        self.policy = policy
        self.usage = usage
        terms = ConnectionTerms(policy)
    }

    /// The cluster, which distinguishes pools: two that are limited differently share no connection.
    var cluster: ObjectIdentifier { ObjectIdentifier(usage) }

    /// Streams of an HTTP/2 connection at the same time.
    var streams: Int { policy.streams ?? .max }

    /// Takes one of what is limited; without a limit too, so that a limit which comes later finds the true number.
    /// - Returns: false when the limit is reached.
    func take(_ resource: ClusterUsage.Resource) -> Bool { usage.take(resource, atMost: limit(resource) ?? .max) }

    /// Ends a use that `take` has allowed. Exactly once for each, because all workers share the number.
    func giveBack(_ resource: ClusterUsage.Resource) { usage.giveBack(resource) }

    private func limit(_ resource: ClusterUsage.Resource) -> Int? {
        switch resource {
        case .connections: policy.connections
        case .pending: policy.pending
        case .requests: policy.requests
        case .retries: policy.budget.map { $0.limit(active: active) } ?? policy.retries
        }
    }

    /// Requests in progress, and those that wait for a connection.
    private var active: Int { usage.count(.requests) + usage.count(.pending) }

    /// The text that a gRPC client gets when a limit is reached.
    func words(_ resource: ClusterUsage.Resource) -> String {
        let name =
            switch resource {
            case .connections: "maxConnections"
            case .pending: "http1MaxPendingRequests"
            case .requests: "http2MaxRequests"
            case .retries: policy.budget == nil ? "maxRetries" : "retryBudget"
            }
        return "has as many in use as connectionPool allows: \(name) \(limit(resource) ?? 0)"
    }

    /// Whether the cluster may have another connection.
    var hasRoomForConnection: Bool { usage.count(.connections) < policy.connections ?? .max }

    /// Sets a new connection's options.
    func prepare(_ connection: Connection) {
        connection.state.terms = terms
        connection.requestsLeft = policy.requestsPerConnection ?? .max
        guard let keepAlive = policy.keepAlive, !connection.isToUnixSocket else { return }
        Socket.keepAlive(
            connection.transport.descriptor, after: keepAlive.time, every: keepAlive.interval, probes: keepAlive.probes)
    }
}

/// How long a connection to an endpoint may take and last where its cluster says so. Plain data, because every
/// connection has it: whole milliseconds, and `.max` is what the flags say. The flags are the most in any case.
struct ConnectionTerms: BitwiseCopyable {
    private var connectMilliseconds = UInt32.max
    private var idleMilliseconds = UInt32.max
    private var lifeMilliseconds = UInt32.max
    private var relayIdleMilliseconds = UInt32.max
    /// When PING is sent, and how long its answer may take.
    private(set) var pingMilliseconds = UInt32.max, pongMilliseconds = UInt32.max

    init() {}

    init(_ policy: PoolPolicy) {
        connectMilliseconds = Self.milliseconds(policy.connectTimeout)
        idleMilliseconds = Self.milliseconds(policy.idleTimeout)
        lifeMilliseconds = Self.milliseconds(policy.lifetime)
        relayIdleMilliseconds = Self.milliseconds(policy.relayIdleTimeout)
        pingMilliseconds = Self.milliseconds(policy.ping?.interval)
        pongMilliseconds = Self.milliseconds(policy.ping?.timeout)
    }

    /// Of a client's connection.
    /// - Parameter random: spreads the ends of connections that began together.
    init(client limits: Limits, random: UInt64) {
        // A tenth more or less, so that not all clients connect anew at once.
        let part = Int64(random % 201) - 100
        lifeMilliseconds = Self.milliseconds(limits.connectionAge.map { $0 + $0 / 1000 * part })
        pingMilliseconds = Self.milliseconds(limits.keepAlive)
        pongMilliseconds = Self.milliseconds(limits.keepAliveTimeout)
    }

    private static func milliseconds(_ duration: Duration?) -> UInt32 {
        guard let (seconds, attoseconds) = duration?.components else { return .max }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max : UInt32(clamping: whole + attoseconds / 1_000_000_000_000_000)
    }

    /// How long the endpoint may take to accept it.
    func connectTimeout(_ limits: Limits) -> Duration { Self.least(connectMilliseconds, limits.connectTimeout) }

    /// How long it is kept without requests.
    func idleTimeout(_ limits: Limits) -> Duration { Self.least(idleMilliseconds, limits.upstreamIdleTimeout) }

    /// How long nothing may come from either side of a relay.
    func relayIdleTimeout(_ limits: Limits) -> Duration { Self.least(relayIdleMilliseconds, limits.relayIdleTimeout) }

    /// How long it takes new requests, or relays; nil: for ever.
    var lifetime: Duration? { lifeMilliseconds == .max ? nil : .milliseconds(Int64(lifeMilliseconds)) }

    private static func least(_ milliseconds: UInt32, _ limit: Duration) -> Duration {
        milliseconds == .max ? limit : min(limit, .milliseconds(Int64(milliseconds)))
    }
}
