internal import COpenSSL

/// How a client checks its servers and what it offers them.
///
/// Thread: any. Freed by: the last directory, security or session that has it.
@safe package final class TLSClientContext: Sendable {
    /// Owned; not changed after `init`, see `TLSContext.raw`.
    nonisolated(unsafe) let raw: OpaquePointer
    /// How servers are verified besides their names; nil: by the roots that OpenSSL has.
    let verification: PeerVerification?

    /// - Parameter trusted: PEM text of CA certificates; nil: the system's.
    /// - Parameter verification: in place of `trusted`; its names are accepted besides the server's.
    /// - Parameter identity: shown to servers that ask for a certificate.
    /// - Parameter verifiesPeer: false only for tests and `--insecure`.
    /// - Parameter protocols: ALPN, in order of preference; each 1 to 255 octets.
    /// - Parameter cipherSuites: as for `TLSContext`.
    /// - Parameter groups: OpenSSL's names of the key exchanges offered, in order of preference.
    package init(
        trusted: [UInt8]? = nil,
        verification: PeerVerification? = nil,
        identity: KeyPair? = nil,
        verifiesPeer: Bool = true,
        protocols: [String] = ["h2", "http/1.1"],
        minVersion: TLSVersion = .tls12,
        maxVersion: TLSVersion = .tls13,
        cipherSuites: [String] = [],
        groups: [String] = ["X25519", "P-256"]
    ) throws(TLSError) {
        let suites = try CipherSuites(names: cipherSuites, lowest: minVersion)
        let context = try OwnedContext.make(isServer: false, groups: groups)
        try context.apply(suites)
        try context.setVersions(minVersion...max(minVersion, maxVersion))
        if verification == nil { try context.trust(trusted) }
        if let identity { try context.add(identity, after: []) }
        self.verification = verification
        let offer = Self.offer(protocols)
        unsafe context.configure {
            unsafe SSL_CTX_set_verify($0, verifiesPeer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
            if !offer.isEmpty { unsafe SSL_CTX_set_alpn_protos($0, offer, UInt32(offer.count)) }
        }
        if verifiesPeer { verification?.apply(to: context, isServer: false) }
        unsafe raw = context.release()
    }

    deinit { unsafe SSL_CTX_free(raw) }

    /// A list of protocols as ALPN wants it: octet counts in front of names.
    static func offer(_ protocols: [String]) -> [UInt8] {
        protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8.prefix(255)) }
    }
}

/// A session that a client may resume.
///
/// Thread: its worker's. Freed by: the `EndpointPool` that keeps it.
@safe package final class TLSTicket {
    let raw: OpaquePointer    // owned; freed in `deinit`
    init(owning raw: OpaquePointer) { unsafe self.raw = raw }
    deinit { unsafe SSL_SESSION_free(raw) }

    /// Whether the server's certificate is still valid: OpenSSL does not look at it when a session is resumed.
    var isCurrent: Bool {
        guard let certificate = unsafe SSL_SESSION_get0_peer(raw) else { return true }
        return unsafe X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0
    }
}

extension OwnedContext {
    borrowing func trust(_ pem: [UInt8]?) throws(TLSError) {
        var isSet = true
        if let pem {
            let certificates: [OwnedCertificate]
            do {
                certificates = try PEM.certificates(pem, limit: .max)
            } catch {
                throw .unusableTrust(reason: error.description)
            }
            unsafe configure { context in
                guard let store = unsafe SSL_CTX_get_cert_store(context) else {
                    isSet = false
                    return
                }
                for certificate in certificates {
                    isSet = unsafe isSet && X509_STORE_add_cert(store, certificate.raw) == 1
                }
            }
        } else {
            unsafe configure { isSet = unsafe SSL_CTX_set_default_verify_paths($0) == 1 }
        }
        guard isSet else { throw .unusableTrust(reason: Failures.takeReason()) }
    }
}
