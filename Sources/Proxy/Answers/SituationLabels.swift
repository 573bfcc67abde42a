internal import Telemetry

extension Situation {
    /// Under which reason metrics count a retry after it.
    var retryReason: RetryReason {
        switch self {
        case .connectFailed, .connectTimedOut: .connectFailure
        case .upstreamRefused: .refusedStream
        case .tryTimedOut: .tryTimeout
        case .upstreamReset, .upstreamProtocolError, .upstreamMalformed: .reset
        default: .connectionLost
        }
    }
}
