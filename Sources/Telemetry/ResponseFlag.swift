/// The flags of the access log's RESPONSE_FLAGS, as Envoy writes them.
package enum ResponseFlag: String, Sendable, CaseIterable {
    case none = "-"
    case noRoute = "NR"
    case noCluster = "NC"
    case noHealthyEndpoint = "UH"
    case connectFailure = "UF"
    case upstreamClosed = "UC"
    case upstreamReset = "UR"
    case upstreamProtocolError = "UPE"
    case localReset = "LR"
    case timeout = "UT"
    case retriesExhausted = "URX"
    case overflow = "UO"
    case clientProtocolError = "DPE"
    case clientClosed = "DC"
    case clientReset = "DR"
    case idle = "SI"
    case duration = "DT"
    case overload = "OM"
}

extension ResponseFlag {
    /// The same as `rawValue`, without an allocation.
    package var text: StaticString {
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
