internal import COpenSSL
internal import Octets

/// What the certificate of a peer has to satisfy, as configuration says it.
package struct PeerRequirement: Sendable, Equatable {
    /// Who may have issued it.
    package enum Authorities: Sendable, Equatable {
        /// The roots of the system.
        case system
        /// PEM, one or several certificates; those of intermediate authorities are trusted without their root.
        /// Revocation lists among them count.
        case pem([UInt8])
    }

    /// Who must have issued the certificate.
    package var authorities: Authorities
    /// PEM, one or several revocation lists; empty: revocation is not checked. With any, each certificate of the chain
    /// is looked up, so that every authority of the chain needs its list (Istio: `caCrl`, Envoy: `crl`).
    package var revocations: [UInt8] = []
    /// The alternative names of which the certificate must have one; empty: any. A whole DNS name, URI (such as
    /// `spiffe://cluster.local/ns/a/sa/b`), address or mail address.
    package var names: [String] = []
    /// SHA-256 digests of the public key (SubjectPublicKeyInfo), in base64. With `certificatePins`: one of both lists
    /// must fit; both empty: any.
    package var keyPins: [String] = []
    /// SHA-256 digests of the certificate, in hexadecimal, with or without colons.
    package var certificatePins: [String] = []
    /// Whether a client may show none. Servers always show one.
    package var isOptional = false
    /// Whether any certificate is accepted, unverified (Istio: `insecureSkipVerify`). A client's must be shown
    /// nevertheless, unless it is optional.
    package var isSkipped = false

    /// Requires a certificate of one of these authorities, and nothing else of it.
    package init(authorities: Authorities) { self.authorities = authorities }

    var withoutTexts: PeerRequirement {
        var terms = self
        (terms.authorities, terms.revocations) = (.pem([]), [])
        return terms
    }
}

/// A requirement made ready for OpenSSL: for the certificates of clients and for those of servers. Made by the control
/// plane, used by all workers.
///
/// Thread: any. Freed by: the last directory, context or session that has it.
@safe package final class PeerVerification: Sendable {
    /// Without its texts, which OpenSSL has.
    let requirement: PeerRequirement
    /// Owned; freed in `deinit`. Not changed after `init`; OpenSSL locks what it looks up in it.
    private nonisolated(unsafe) let store: OpaquePointer
    private let authorities: [OwnedCertificate]
    private let keyPins: Set<String>
    private let certificatePins: Set<String>
    /// Tells this requirement from any other: sessions are resumed only under the same one. 32 octets.
    let identity: [UInt8]

    /// - Throws: that the authorities, the lists or the pins cannot be used.
    package init(_ requirement: PeerRequirement) throws(TLSError) {
        self.requirement = requirement.withoutTexts
        keyPins = try PeerPins.keys(requirement.keyPins)
        certificatePins = try PeerPins.certificates(requirement.certificatePins)
        identity = Self.identity(of: requirement)
        Failures.clear()
        guard let made = unsafe X509_STORE_new() else { throw .library(Failures.takeReason()) }
        unsafe store = made
        switch requirement.authorities {
        case .system:
            authorities = []
            guard unsafe X509_STORE_set_default_paths(made) == 1 else {
                throw .unusableTrust(reason: Failures.takeReason())
            }
        case .pem(let text):
            do {
                authorities = try PEM.certificates(text, limit: .max)
            } catch {
                throw .unusableTrust(reason: error.description)
            }
            unsafe X509_STORE_set_flags(made, UInt(X509_V_FLAG_PARTIAL_CHAIN))
            try add(authorities)
            try addRevocations(in: text, areNeeded: false)
        }
        try addRevocations(in: requirement.revocations, areNeeded: !requirement.revocations.isEmpty)
    }

    deinit { unsafe X509_STORE_free(store) }

    private func add(_ authorities: [OwnedCertificate]) throws(TLSError) {
        for authority in authorities {
            guard unsafe X509_STORE_add_cert(store, authority.raw) == 1 else {
                throw .unusableTrust(reason: Failures.takeReason())
            }
        }
    }

    private func addRevocations(in text: [UInt8], areNeeded: Bool) throws(TLSError) {
        let lists = try PEM.revocations(text)
        guard !lists.isEmpty else {
            if areNeeded { throw .unusableRevocations(reason: "no BEGIN X509 CRL in it") }
            return
        }
        for list in lists {
            guard unsafe X509_STORE_add_crl(store, list.raw) == 1 else {
                throw .unusableRevocations(reason: Failures.takeReason())
            }
        }
        unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
    }

    private static func identity(of requirement: PeerRequirement) -> [UInt8] {
        var text: [UInt8] = [requirement.isOptional ? 1 : 0, requirement.isSkipped ? 1 : 0]
        /// Adds a part and its length, so that no two lists of parts give the same text.
        func add(_ part: [UInt8]) {
            text += unsafe withUnsafeBytes(of: part.count.littleEndian) { unsafe Array($0) }
            text += part
        }
        switch requirement.authorities {
        case .system: add([])
        case .pem(let authorities): add(authorities)
        }
        add(requirement.revocations)
        for list in [requirement.names, requirement.keyPins, requirement.certificatePins] {
            add([UInt8(truncatingIfNeeded: list.count)])
            for entry in list { add(Array(entry.utf8)) }
        }
        return unsafe text.withUnsafeBytes { unsafe Digest.sha256(Octets($0)) }
    }
}

// MARK: On contexts and sessions

extension PeerVerification {
    /// Octets of the certificates that a peer may send, as OpenSSL counts them. The leaf goes into tickets, which
    /// cannot have more than 65,280 octets.
    static let mostOctets = 48 << 10
    /// Intermediate certificates between a peer's and its authority.
    static let mostIntermediates = 10
    /// Octets of the names of authorities that are sent to clients; if they are more, none is sent, which stands for
    /// any (RFC 8446 §4.2.4).
    static let mostNameOctets = 16 << 10

    /// Has the context's sessions verify their peers by this. A server asks for the client's certificate only after
    /// `demand(of:)`.
    func apply(to context: borrowing OwnedContext, isServer: Bool) {
        unsafe context.configure { context in
            unsafe portico_SSL_CTX_set_store(context, store)
            unsafe SSL_CTX_set_cert_verify_callback(context, Self.callback, nil)
            unsafe SSL_CTX_set_verify(context, mode(isServer: isServer), nil)
            unsafe SSL_CTX_set_verify_depth(context, CInt(clamping: Self.mostIntermediates))
            if isServer { unsafe tellAuthorities(to: context) }
        }
    }

    /// Has a server's session ask for the client's certificate. The context that it was switched to does not bring
    /// that along: `SSL_set_SSL_CTX` takes certificates only.
    func demand(of ssl: OpaquePointer) {
        unsafe SSL_set_verify(ssl, mode(isServer: true), nil)
        unsafe SSL_set_verify_depth(ssl, CInt(clamping: Self.mostIntermediates))
        unsafe portico_SSL_set_most_certificates(ssl, Self.mostOctets)
    }

    private func mode(isServer: Bool) -> CInt {
        guard isServer, !requirement.isOptional else { return SSL_VERIFY_PEER }
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    }

    /// Whether the authorities' names are so long together that none is sent to clients.
    package var leavesNamesOut: Bool {
        var octets = 0
        for authority in authorities {
            octets += unsafe max(0, Int(i2d_X509_NAME(X509_get_subject_name(authority.raw), nil))) + 2
        }
        return octets > Self.mostNameOctets
    }

    private func tellAuthorities(to context: OpaquePointer) {
        guard !leavesNamesOut else { return }
        for authority in authorities { unsafe SSL_CTX_add_client_CA(context, authority.raw) }
        Failures.clear()
    }

    /// Called by OpenSSL with the certificates that the peer sent; the session has the verdict.
    private static let callback: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> CInt = { store, _ in
        guard let store = unsafe store, let ssl = unsafe portico_verified_session(store),
            let user = unsafe SSL_get_ex_data(OpaquePointer(ssl), 0)
        else { return 0 }
        let session = unsafe Unmanaged<TLSSession>.fromOpaque(user).takeUnretainedValue()
        return unsafe session.certificateArrived(store) ? 1 : 0
    }

    /// Verifies the certificate that `context` has.
    /// - Parameter names: those accepted in place of the requirement's.
    /// - Returns: the first check that failed; nil: the peer is accepted.
    func failure(in context: OpaquePointer, names: [String]? = nil) -> VerificationError? {
        if requirement.isSkipped {
            unsafe X509_STORE_CTX_set_error(context, X509_V_OK)
            return nil
        }
        guard unsafe X509_verify_cert(context) == 1 else {
            Failures.clear()
            var certificate: OwnedCertificate?
            if let found = unsafe X509_STORE_CTX_get_current_cert(context) {
                unsafe X509_up_ref(found)
                certificate = unsafe OwnedCertificate(owning: found)
            }
            return unsafe VerificationError(verdict: X509_STORE_CTX_get_error(context), certificate: certificate)
        }
        guard let leaf = unsafe X509_STORE_CTX_get0_cert(context) else { return .missing }
        let failure = unsafe failure(ofLeaf: leaf, names: names ?? requirement.names)
        if failure != nil { unsafe X509_STORE_CTX_set_error(context, portico_verify_refused) }
        return failure
    }

    private func failure(ofLeaf leaf: OpaquePointer, names: [String]) -> VerificationError? {
        if !names.isEmpty {
            let shown = unsafe PeerNames(leaf)
            guard shown.contain(anyOf: names) else { return VerificationError(check: .name, words: shown.words) }
        }
        guard !keyPins.isEmpty || !certificatePins.isEmpty else { return nil }
        let digest = unsafe PeerPins.digest(ofCertificate: leaf)
        if certificatePins.contains(digest) { return nil }
        if unsafe !keyPins.isEmpty && keyPins.contains(PeerPins.digest(ofKey: leaf)) { return nil }
        return VerificationError(check: .pin, words: "its SHA-256 digest is \(digest)")
    }
}
