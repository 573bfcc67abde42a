package import Octets
package import Reactor

/// The protocol of a client's request.
package enum RequestProtocol: Sendable {
    case http10, http11, http2
    /// The connection ended before its first octets.
    case unknown

    package var name: StaticString {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        case .unknown: ""
        }
    }
}

/// What a header of the PROXY protocol has said of a client's connection, for the access log. Texts are nil where it
/// said nothing.
///
/// Thread: any. Freed by: the last connection or line that has it.
package final class ProxyFacts: Sendable {
    /// Address and port of the peer itself, which sent the header.
    package let peer: String
    /// The protocol that TLS has negotiated in front.
    package let alpn: String?
    /// The TLS server name that the client has asked for in front.
    package let authority: String?
    /// The balancer's own name of the connection, in hexadecimal digits.
    package let uniqueID: String?
    /// The version of TLS in front.
    package let tlsVersion: String?
    /// The common name of the client's certificate in front.
    package let tlsCommonName: String?
    /// The endpoint of the VPC of AWS through which the client came.
    package let vpcEndpoint: String?

    package init(
        peer: String, alpn: String?, authority: String?, uniqueID: String?, tlsVersion: String?, tlsCommonName: String?,
        vpcEndpoint: String?
    ) {
        self.peer = peer
        self.alpn = alpn
        self.authority = authority
        self.uniqueID = uniqueID
        self.tlsVersion = tlsVersion
        self.tlsCommonName = tlsCommonName
        self.vpcEndpoint = vpcEndpoint
    }
}

/// What the access log says about one request. Its octets must live during `AccessLogger.log` only. Empty texts, nil
/// and -1 mean that a value is absent.
package struct AccessLogEntry: ~Copyable {
    /// When the request's header section had been read.
    package var start: WallTime
    package var method: Octets = .empty
    /// The request's path and query, after normalisation and before any rewrite.
    package var path: Octets = .empty
    package var `protocol`: RequestProtocol = .http11
    /// The status that the client got; 0 if no response was sent.
    package var status = 0
    /// The response flag, for example `NR`; more of them are in `earlierFlags`.
    package var flags: StaticString = ""
    /// Response flags that come before `flags`, as in `URX,UF`.
    package var earlierFlags = EarlierFlags()
    /// What ended the request, as Envoy's RESPONSE_CODE_DETAILS.
    package var details: String?
    /// What has happened, in words; empty where the upstream has answered. It is not part of Istio's default format;
    /// JSON has it.
    package var explanation = ""
    /// Whom a refusal or failure is due to: `client`, `upstream`, `configuration` or `gateway`; and how grave that is.
    /// They are not part of Istio's default format; JSON has them.
    package var blame: StaticString = ""
    package var level: StaticString = ""    // see `blame`
    /// What ended the client's connection, as Envoy's CONNECTION_TERMINATION_DETAILS.
    package var connectionTermination: StaticString = ""
    /// The transport's reason for the upstream's failure, as Envoy's UPSTREAM_TRANSPORT_FAILURE_REASON.
    package var upstreamFailure: Octets = .empty
    /// Octets of the request's body as the client sent it, without the framing of HTTP.
    package var bytesReceived: UInt64 = 0
    /// Octets of the response's body, without framing.
    package var bytesSent: UInt64 = 0
    /// From then to the end of the response.
    package var durationNanoseconds: UInt64 = 0
    /// From the request to the upstream to the header section of its response.
    package var upstreamServiceNanoseconds: Int64 = -1
    /// `x-forwarded-for`, as it is forwarded.
    package var forwardedFor: Octets?
    package var userAgent: Octets?
    /// `x-request-id`, as it is forwarded.
    package var requestID: Octets?
    package var authority: Octets?
    /// Address and port of the endpoint.
    package var upstreamHost: String?
    package var cluster: String?
    /// Our address and port on the upstream connection.
    package var upstreamLocal: String?
    /// Our address and port on the client's connection.
    package var downstreamLocal: String?
    /// The client's address and port.
    package var downstreamRemote: String?
    /// The TLS server name that the client asked for.
    package var serverName: String?
    package var routeName: String?
    /// The gRPC status that the client got. It is not part of Istio's default format.
    package var grpcStatus = -1
    /// What a header of the PROXY protocol said; nil for connections without one. It is not part of Istio's default
    /// format; JSON has it.
    package var proxyFacts: ProxyFacts?
    /// How many tries were made to serve the request. It is not part of Istio's default format; JSON has it.
    package var tries = 0

    /// Makes an entry in which everything else is absent.
    package init(start: WallTime) { self.start = start }
}
