/// The flags of the access log's RESPONSE_FLAGS, as Envoy writes them.
package enum ResponseFlag: String, Sendable, CaseIterable {
    case none = "-"
    case noRoute = "NR"
    case noCluster = "NC"
    case noHealthyEndpoint = "UH"
    case unresolved = "DF"
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
        case .unresolved: "DF"
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

/// Response flags that may stand before another one, as Envoy joins them.
/// It is no `OptionSet`: each request begins with an empty one, and `[]` costs 750 instructions, because the library's
/// initialiser is not specialised for it.
/// Source: envoyproxy/envoy source/common/stream_info/utility.cc (ResponseFlagUtils).
package struct EarlierFlags: Sendable, Equatable {
    private var bits: UInt8    // one for each flag

    private init(bits: UInt8) { self.bits = bits }

    /// As a request begins.
    package init() { bits = 0 }

    var isEmpty: Bool { bits == 0 }

    /// Adds all that another set has.
    package mutating func insert(_ flags: EarlierFlags) { bits |= flags.bits }

    /// Whether all that another set has is here, too.
    package func contains(_ flags: EarlierFlags) -> Bool { bits & flags.bits == flags.bits }

    /// DI: the request was delayed by the rule's `fault.delay`.
    package static let delayInjected = EarlierFlags(bits: 1)
    /// FI: the request was answered by the rule's `fault.abort`.
    package static let faultInjected = EarlierFlags(bits: 2)
    /// URX: there were as many tries as the policy for retries allows.
    package static let retriesExhausted = EarlierFlags(bits: 4)
    /// UO: another try was not made because of the cluster's `maxRetries` or `retryBudget`.
    package static let retryOverflow = EarlierFlags(bits: 8)

    /// In the order in which they are written.
    static let all: [(flag: EarlierFlags, text: StaticString)] = [
        (.delayInjected, "DI"), (.faultInjected, "FI"), (.retriesExhausted, "URX"), (.retryOverflow, "UO"),
    ]
}
