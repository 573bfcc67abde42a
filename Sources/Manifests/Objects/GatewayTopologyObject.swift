extension Gateway {
    /// What the annotation `proxy.istio.io/config` says of what stands in front of the Gateway's ports.
    /// Source: Istio `ProxyConfig.gatewayTopology`.
    package struct Topology: Sendable {
        /// Where the annotation is written.
        package let place: SourcePlace
        /// `proxyProtocol`: connections begin with a header of the PROXY protocol.
        package var expectsProxyHeader = false
        /// `numTrustedProxies`: how many proxies in front append to `x-forwarded-for`.
        package var trustedProxies: Int?
        /// `forwardClientCertDetails`: what becomes of `x-forwarded-client-cert`.
        package var clientCertificate: ClientCertificateMode?
    }

    /// The values of `forwardClientCertDetails`.
    package enum ClientCertificateMode: String, Sendable, CaseIterable {
        /// The field is removed.
        case sanitize = "SANITIZE"
        /// It is removed, and tells of the client's own certificate if that was verified. The default.
        case sanitizeSet = "SANITIZE_SET"
        /// It is passed on where the client's certificate was verified.
        case forwardOnly = "FORWARD_ONLY"
        /// The same, with the client's own certificate behind it.
        case appendForward = "APPEND_FORWARD"
        /// It is passed on, whoever the client is.
        case alwaysForwardOnly = "ALWAYS_FORWARD_ONLY"
    }
}
