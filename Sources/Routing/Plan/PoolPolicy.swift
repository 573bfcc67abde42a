/// Limits of a cluster's connections and requests, all workers together, and how its connections are made.
/// nil means no limit, or the gateway's own setting.
/// Source: istio/api networking/v1alpha3/destination_rule.proto (ConnectionPoolSettings).
package struct PoolPolicy: Sendable, Hashable {
    /// Connections of the cluster, 1 or more.
    package var connections: Int?
    /// Requests that wait for a connection, 1 or more.
    package var pending: Int?
    /// Requests in progress, over HTTP/1.1 and HTTP/2, 1 or more.
    package var requests: Int?
    /// Requests that are sent again at the same time, 1 or more.
    package var retries: Int?
    /// What limits them in the place of `retries`; nil: nothing else does.
    package var budget: RetryBudget?
    /// Requests of one connection, 1 or more; it ends with the last one.
    package var requestsPerConnection: Int?
    /// Streams of an HTTP/2 connection at the same time, 1 or more.
    package var streams: Int?
    /// How long an endpoint may take to accept a connection.
    package var connectTimeout: Duration?
    /// How long a connection without requests is kept.
    package var idleTimeout: Duration?
    /// How long nothing may come from either side of a connection that is relayed.
    package var relayIdleTimeout: Duration?
    /// How long a connection takes new requests, or is relayed.
    package var lifetime: Duration?
    /// When an endpoint that owes answers by HTTP/2 is asked whether it is there; nil: as the gateway's flags say.
    package var ping: Ping?
    /// TCP's own probes; nil: none.
    package var keepAlive: KeepAlive?
    /// Whether a request is sent by the version of HTTP in which it came.
    package var usesClientProtocol = false

    package init() {}

    /// A share of the requests in progress that may be sent again at the same time.
    /// Source: envoyproxy/envoy api/envoy/config/cluster/v3/circuit_breaker.proto (RetryBudget).
    package struct RetryBudget: Sendable, Hashable {
        /// 0 to 100.
        package var percent = 20.0
        /// So many may be in any case.
        package var minimum = 3

        /// How many may be sent again.
        /// - Parameter active: requests in progress, and those that wait for a connection.
        package func limit(active: Int) -> Int { max(Int(Double(max(active, 0)) * percent / 100), minimum) }
    }

    /// When PING is sent, and how long its answer may take.
    package struct Ping: Sendable, Hashable {
        /// Silence of the endpoint.
        package var interval: Duration
        /// Then the connection is given up.
        package var timeout: Duration
    }

    /// When the kernel asks a silent peer whether it is there; nil is the system's own setting.
    package struct KeepAlive: Sendable, Hashable {
        /// Unanswered probes until the connection is given up.
        package var probes: Int?
        /// Silence until the first probe, in whole seconds.
        package var time: Int?
        /// Time between probes, in whole seconds.
        package var interval: Int?
    }
}
