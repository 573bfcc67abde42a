package import Octets
package import Reactor

/// The protocol a request came in.
package enum RequestProtocol: Sendable {
    case http10, http11, http2
    /// The connection ended before anything was said.
    case unknown

    /// As access logs write it.
    package var name: StaticString {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        case .unknown: ""
        }
    }
}

/// What the access log says of one request. Its octets need to live during `AccessLogger.log` only.
/// Empty texts, nil and -1 mean absent.
package struct AccessRecord: ~Copyable {
    package var start: WallTime
    package var method: Octets = .empty
    /// As the client sent it, before any rewrite, with its query.
    package var path: Octets = .empty
    package var `protocol`: RequestProtocol = .http11
    /// 0 when no response was sent.
    package var status = 0
    /// Response flags, for example `NR` or `UF,URX`.
    package var flags: StaticString = ""
    package var details: String?
    package var connectionTermination: StaticString = ""
    /// The transport's reason for the upstream failure.
    package var upstreamFailure: Octets = .empty
    /// Octets of the bodies, without framing.
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var durationNanoseconds: UInt64 = 0
    package var upstreamServiceNanoseconds: Int64 = -1
    package var forwardedFor: Octets?
    package var userAgent: Octets?
    package var requestID: Octets?
    package var authority: Octets?
    package var upstreamHost: String?
    package var cluster: String?
    package var upstreamLocal: String?
    package var downstreamLocal: String?
    package var downstreamRemote: String?
    package var serverName: String?
    package var routeName: String?
    /// Neither of the two is part of Istio's default format.
    package var grpcStatus = -1
    package var attempts = 0

    package init(start: WallTime) { self.start = start }
}
