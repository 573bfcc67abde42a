package import Balancing

/// A DestinationRule (networking.istio.io): subsets and policies of one service. Source: Istio `DestinationRule`.
package struct DestinationRule: Sendable {
    package let meta: ObjectMeta
    package var host: Located<String>
    package var subsets: [Subset] = []
    package var trafficPolicy: TrafficPolicy?
    package var exportTo: [Located<String>] = []
    package var workloadSelector: [String: String]?
}

/// An entry of `subsets`.
package struct Subset: Sendable {
    package let place: SourcePlace
    package let path: String
    package var name: Located<String>
    /// An endpoint must have all of these labels; empty selects every endpoint.
    package var labels: [String: String] = [:]
    package var trafficPolicy: TrafficPolicy?
}

/// `trafficPolicy` of a rule, a subset or a port.
package struct TrafficPolicy: Sendable {
    package let place: SourcePlace
    package let path: String
    package var loadBalancer: LoadBalancer?
    /// By service port number. An entry replaces the whole policy around it.
    /// Source: docs/istio.md, Policy of a port and subset.
    package var portLevel: [PortPolicy] = []
    @Rare package var connectionPool: ConnectionPool?
    @Rare package var outlierDetection: OutlierDetection?
    @Rare package var tls: UpstreamTLS?
    @Rare package var proxyProtocol: ProxyProtocolVersion?
    @Rare package var retryBudget: RetryBudget?
    /// Transport settings of this policy that are not in effect yet. Requests are answered 503, because sending without
    /// these settings could send in clear text what was to be encrypted, or octets that the upstream does not
    /// understand.
    package var closings: [ClosingField] = []

    /// An entry of `portLevelSettings`.
    package struct PortPolicy: Sendable {
        package var port: Located<Int>
        package var policy: TrafficPolicy
    }
}

/// `loadBalancer` of a policy. Source: Istio `LoadBalancerSettings`.
package struct LoadBalancer: Sendable {
    package let place: SourcePlace
    package let path: String
    /// nil if it is not written; the default is least request.
    package var simple: Located<BalancingName>?
    @Rare package var consistentHash: ConsistentHash?
    @Rare package var warmup: Warmup?
    @Rare package var locality: LocalitySetting?

    /// `trafficPolicy.loadBalancer.consistentHash`: requests with one key go to one endpoint.
    package struct ConsistentHash: Sendable {
        package let place: SourcePlace
        package var key: Key
        package var minimumRingSize: Int?
        package var maglevTableSize: Int?

        /// What is hashed.
        package enum Key: Sendable {
            case header(String)
            case cookie(Cookie)
            case sourceAddress
            case queryParameter(String)
        }
    }

    /// `httpCookie`.
    package struct Cookie: Sendable {
        package var name: String
        package var path: String?
        /// nil sets no cookie; zero sets a session cookie.
        package var ttl: Duration?
        package var attributes: [(name: String, value: String)] = []
    }

    /// `trafficPolicy.loadBalancer.warmup`: a new endpoint's share grows to what its weight says.
    package struct Warmup: Sendable {
        package var duration: Duration
        package var minimumPercent = 10.0
        package var aggression = 1.0
    }
}

/// `connectionPool` of a policy.
package struct ConnectionPool: Sendable {
    package let place: SourcePlace
    // 0 and nil mean no limit.
    package var maxConnections: Int?
    package var connectTimeout: Duration?
    package var maxConnectionDuration: Duration?
    package var tcpIdleTimeout: Duration?
    package var keepalive: Keepalive?
    package var http1MaxPendingRequests: Int?
    package var http2MaxRequests: Int?
    package var maxRequestsPerConnection: Int?
    package var maxRetries: Int?
    package var idleTimeout: Duration?
    package var h2UpgradePolicy: String?
    package var useClientProtocol = false
    package var maxConcurrentStreams: Int?
    package var http2KeepAlive: HTTP2KeepAlive?

    /// `http2KeepAlive`.
    package struct HTTP2KeepAlive: Sendable {
        package var interval: Duration
        package var timeout: Duration
    }

    /// `tcpKeepalive`.
    package struct Keepalive: Sendable {
        package var probes: Int?
        package var time: Duration?
        package var interval: Duration?
    }
}

/// `outlierDetection` of a policy.
package struct OutlierDetection: Sendable {
    package let place: SourcePlace
    package var consecutive5xxErrors: Int?
    package var consecutiveGatewayErrors: Int?
    package var consecutiveLocalOriginFailures: Int?
    package var splitExternalLocalOriginErrors = false
    package var interval: Duration?
    package var baseEjectionTime: Duration?
    package var maxEjectionPercent: Int?
    package var minHealthPercent: Int?
    /// HTTP status codes, 100 to 599, that count as errors in the place of 500 to 599; empty: not written.
    package var errorCodes: [Int] = []
}

/// TLS towards the upstream.
package struct UpstreamTLS: Sendable {
    package let place: SourcePlace
    package let path: String
    package var mode: Mode
    package var clientCertificate: Located<String>?
    package var privateKey: Located<String>?
    package var caCertificates: Located<String>?
    package var credentialName: Located<String>?
    /// The server name (SNI); nil sends the host of the request, as far as it is a name.
    package var sni: Located<String>?
    package var subjectAltNames: [String] = []
    package var insecureSkipVerify = false
    package var caCrl: Located<String>?

    /// The values of `tls.mode`.
    package enum Mode: String, Sendable, CaseIterable {
        case disable = "DISABLE"
        case simple = "SIMPLE"
        case mutual = "MUTUAL"
        case istioMutual = "ISTIO_MUTUAL"
    }
}

/// `retryBudget` of a policy.
package struct RetryBudget: Sendable {
    /// Of the requests in progress, 0 to 100.
    package var percent: Double?
    package var minRetryConcurrency: Int?
}

/// The values of `proxyProtocol.version`.
package enum ProxyProtocolVersion: String, Sendable, CaseIterable {
    case v1 = "V1"
    case v2 = "V2"
}
