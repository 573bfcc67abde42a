internal import HTTP
internal import TLS

/// A mistake in front of the gateway that it can see on its own listeners, mostly one of a load balancer's settings.
/// Source: docs/operations.md, The doctor.
package enum FrontFinding: Int, Sendable, CaseIterable {
    /// A gRPC call in HTTP/1.1, which gRPC does not know.
    case grpcOverHTTP1
    case tlsOnClearText
    case clearTextOnTLS
    /// A header of the PROXY protocol on a port that expects none.
    case proxyHeaderUnexpected
    case proxyHeaderMissing
    /// A peer that is not trusted has sent a header of the PROXY protocol, or owed one.
    case proxyHeaderUntrusted
    /// A client of TLS that offers no protocols.
    case withoutALPN
    /// An idle connection that the peer has ended by RST.
    case idleReset
    /// An idle connection that the peer has closed long before the gateway would have.
    case idleClosed
    /// A connection that ended while its requests were silent for long.
    case silentCut
    /// A connection that has said nothing and is closed at once.
    case bareCheck
    /// A health check that no route serves.
    case strayCheck

    /// Its label in metrics.
    package var name: String {
        switch self {
        case .grpcOverHTTP1: "grpc_over_http1"
        case .tlsOnClearText: "tls_on_clear_text"
        case .clearTextOnTLS: "clear_text_on_tls"
        case .proxyHeaderUnexpected: "proxy_header_unexpected"
        case .proxyHeaderMissing: "proxy_header_missing"
        case .proxyHeaderUntrusted: "proxy_header_untrusted"
        case .withoutALPN: "without_alpn"
        case .idleReset: "idle_reset"
        case .idleClosed: "idle_closed"
        case .silentCut: "silent_cut"
        case .bareCheck: "bare_check"
        case .strayCheck: "stray_check"
        }
    }

    /// Whether requests suffer from it; false: it may be as somebody wants it.
    package var isHarmful: Bool {
        switch self {
        case .withoutALPN, .idleReset, .idleClosed, .bareCheck: false
        default: true
        }
    }

    /// How long connections were silent is a part of what was seen.
    package var hasSilence: Bool { self == .idleReset || self == .idleClosed || self == .silentCut }

    /// The finding behind a refusal; nil: it says nothing of what stands in front.
    package init?(_ refusal: Refusal) {
        switch refusal {
        case .http1(.tlsOnClearText): self = .tlsOnClearText
        case .http1(.proxyHeaderUnexpected), .connection(.proxyHeaderUnexpected): self = .proxyHeaderUnexpected
        case .handshake(.plainHTTP): self = .clearTextOnTLS
        case .connection(.proxyHeaderMissing): self = .proxyHeaderMissing
        case .connection(.proxyHeaderUntrusted): self = .proxyHeaderUntrusted
        default: return nil
        }
    }
}
