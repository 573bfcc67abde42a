internal import COpenSSL

/// What a client's session tells its server, and what it expects of the server's certificate beside its authority.
package struct TLSServerExpectation: Sendable, Equatable {
    /// Sent as SNI, unless it is empty or an address. Source: RFC 6066 §3.
    package var serverName: String
    /// A host that the certificate must have among its names; nil: none.
    package var host: String?
    /// The names of which the certificate must have one as well; empty: any.
    package var names: [String]
    /// What one of the certificate's URIs must begin with; nil: anything.
    package var uriPrefix: String?
    /// What ALPN offers, in order of preference; each 1 to 255 octets. Source: RFC 7301.
    package var protocols: [String]

    package init(
        serverName: String, host: String? = nil, names: [String] = [], uriPrefix: String? = nil,
        protocols: [String] = []
    ) {
        self.serverName = serverName
        self.host = host
        self.names = names
        self.uriPrefix = uriPrefix
        self.protocols = protocols
    }
}

extension TLSServerExpectation {
    /// Whether a name is an IP address, which is not sent as a server name. Source: RFC 6066 §3.
    static func isAddress(_ name: String) -> Bool {
        name.utf8.contains(UInt8(ascii: ":")) || name.utf8.allSatisfy { $0 == UInt8(ascii: ".") || ($0 &- 0x30) < 10 }
    }

    /// Tells OpenSSL what is sent.
    /// - Parameter comparesHost: OpenSSL compares the host itself; else `failure` does.
    /// - Returns: whether it takes all of it.
    func apply(to ssl: OpaquePointer, comparesHost: Bool) -> Bool {
        var isSet = true
        if !serverName.isEmpty, !Self.isAddress(serverName) {
            isSet = unsafe portico_SSL_set_server_name(ssl, serverName) == 1
        }
        if comparesHost, let host {
            let isTaken =
                unsafe Self.isAddress(host)
                ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) : SSL_set1_host(ssl, host)
            isSet = isSet && isTaken == 1
        }
        let offer = TLSClientContext.offer(protocols)
        guard !offer.isEmpty else { return isSet }
        return unsafe isSet && SSL_set_alpn_protos(ssl, offer, UInt32(offer.count)) == 0
    }

    /// Compares the certificate that `context` has verified.
    /// - Returns: that it has not the names that are expected; nil: it has.
    func failure(in context: OpaquePointer) -> VerificationError? {
        guard host != nil || !names.isEmpty || uriPrefix != nil else { return nil }
        let leaf = unsafe X509_STORE_CTX_get0_cert(context)
        guard let leaf = unsafe leaf else { return .missing }
        let shown = unsafe PeerNames(leaf)
        let failure = missing(in: shown, hasAddress: { unsafe X509_check_ip_asc(leaf, $0, 0) == 1 })
        if failure != nil { unsafe X509_STORE_CTX_set_error(context, portico_verify_refused) }
        return failure
    }

    private func missing(in shown: PeerNames, hasAddress: (String) -> Bool) -> VerificationError? {
        if let host {
            let isFound = Self.isAddress(host) ? hasAddress(host) : shown.contain(anyOf: [host])
            guard isFound else { return VerificationError(check: .name, words: "\(shown.words), and not \(host)") }
        }
        if !names.isEmpty, !shown.contain(anyOf: names) {
            let wanted = names.prefix(PeerNames.mostNamed).joined(separator: " or ")
            return VerificationError(check: .name, words: "\(shown.words), and not \(wanted)")
        }
        if let uriPrefix, !shown.entries.contains(where: { $0.kind == .uri && $0.text.hasPrefix(uriPrefix) }) {
            return VerificationError(check: .name, words: "\(shown.words), and none that begins with \(uriPrefix)")
        }
        return nil
    }
}

extension KeyPair {
    /// The trust domain of its SPIFFE identity, `spiffe://DOMAIN/…`; nil if it has none.
    package var trustDomain: String? {
        let prefix = "spiffe://"
        let names = unsafe PeerNames(chain[0].raw).entries
        guard let name = names.first(where: { $0.kind == .uri && $0.text.hasPrefix(prefix) })?.text else { return nil }
        let domain = name.dropFirst(prefix.count).prefix { $0 != "/" }
        return domain.isEmpty ? nil : String(domain)
    }
}
