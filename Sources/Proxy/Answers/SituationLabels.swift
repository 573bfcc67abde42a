internal import Telemetry

extension Situation {
    /// Whether the endpoint would refuse another connection at once, too.
    var isRefusedConnection: Bool {
        switch self {
        case .connectFailed, .handshakeFailed: true
        default: false
        }
    }

    /// Under which reason metrics count a retry after it.
    var retryReason: RetryReason {
        switch self {
        case .connectFailed, .connectTimedOut, .handshakeFailed: .connectFailure
        case .upstreamRefused: .refusedStream
        case .tryTimedOut: .tryTimeout
        case .upstreamReset, .upstreamProtocolError, .upstreamMalformed: .reset
        default: .connectionLost
        }
    }
}
