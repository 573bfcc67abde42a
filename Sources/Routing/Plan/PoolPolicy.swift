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
    /// Requests of one connection, 1 or more; it ends with the last one.
    package var requestsPerConnection: Int?
    /// Streams of an HTTP/2 connection at the same time, 1 or more.
    package var streams: Int?
    /// How long an endpoint may take to accept a connection.
    package var connectTimeout: Duration?
    /// How long a connection without requests is kept.
    package var idleTimeout: Duration?
    /// How long a connection takes new requests.
    package var lifetime: Duration?
    /// TCP's own probes; nil: none.
    package var keepAlive: KeepAlive?
    /// Whether a request is sent by the version of HTTP in which it came.
    package var usesClientProtocol = false

    /// No limits.
    package init() {}

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
