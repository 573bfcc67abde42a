extension ResponseFlag {
    /// `rawValue` without an allocation.
    var text: StaticString {
        switch self {
        case .none: ""
        case .noRoute: "NR"
        case .noCluster: "NC"
        case .noHealthyEndpoint: "UH"
        case .connectFailure: "UF"
        case .upstreamClosed: "UC"
        case .upstreamReset: "UR"
        case .upstreamProtocolError: "UPE"
        case .localReset: "LR"
        case .timeout: "UT"
        case .retriesExhausted: "URX"
        case .overflow: "UO"
        case .clientProtocolError: "DPE"
        case .clientClosed: "DC"
        case .clientReset: "DR"
        case .idle: "SI"
        case .duration: "DT"
        case .overload: "OM"
        }
    }
}

extension Situation {
    /// Under which reason metrics count a retry after it.
    var retryReason: RetryReason {
        switch self {
        case .connectFailed, .connectTimedOut: .connectFailure
        case .upstreamRefused: .refusedStream
        default: .connectionLost
        }
    }
}
