internal import COpenSSL

/// How one server of a Gateway serves TLS: its certificates, versions and cipher suites.
/// Made by the control plane, used by all workers; sessions that started with it may outlive it.
///
/// Thread: any. Freed by: the last load, selector or session that has it.
@safe package final class TLSContext: Sendable {
    /// A certificate chain (the server's own first) and its private key, both PEM.
    package struct Certificate: Sendable, Equatable {
        /// The certificate and its intermediates, in PEM.
        package var chain: [UInt8]
        /// The private key, in PEM.
        package var key: [UInt8]

        /// Joins a chain with its key; whether they belong together is checked when a context is made.
        package init(chain: [UInt8], key: [UInt8]) {
            self.chain = chain
            self.key = key
        }
    }

    /// Owned; freed in `deinit`. Never changed after `init`; OpenSSL counts references atomically,
    /// so workers may share it.
    nonisolated(unsafe) let raw: OpaquePointer
    /// What the certificates say, with warnings such as "expired"; same order as given.
    package let reports: [CertificateReport]
    let versions: ClosedRange<TLSVersion>
    /// Tells this context's certificates from any other's; part of the session-id context.
    let fingerprint: [UInt8]
    /// What clients have to show; nil: they are not asked.
    package let verification: PeerVerification?
    /// OpenSSL's names of the key exchanges, in order of preference; nil: those of all servers.
    package let groups: String?

    /// - Parameter cipherSuites: OpenSSL's names, in order of preference; empty: ECDHE and AEAD only.
    /// - Parameter verification: what clients have to show; nil: they are not asked.
    /// - Parameter groups: OpenSSL's names of the key exchanges, in order of preference; empty: those of all servers.
    /// - Throws: the first problem that makes the certificates or settings unusable. An expired
    ///   certificate is no problem: it is served, and `reports` says so.
    package convenience init(
        certificates: [Certificate],
        minVersion: TLSVersion = .tls12,
        maxVersion: TLSVersion = .tls13,
        cipherSuites: [String] = [],
        verification: PeerVerification? = nil,
        groups: [String] = []
    ) throws(TLSError) {
        var pairs: [KeyPair] = []
        for certificate in certificates { pairs.append(try KeyPair.read(certificate)) }
        try self.init(
            pairs: pairs, minVersion: minVersion, maxVersion: maxVersion, cipherSuites: cipherSuites,
            verification: verification, groups: groups)
    }

    /// Makes a context with pairs that were read already; otherwise the same as above.
    package init(
        pairs: [KeyPair],
        minVersion: TLSVersion = .tls12,
        maxVersion: TLSVersion = .tls13,
        cipherSuites: [String] = [],
        verification: PeerVerification? = nil,
        groups: [String] = []
    ) throws(TLSError) {
        guard minVersion <= maxVersion else {
            throw .versionsReversed(lowest: minVersion, highest: maxVersion)
        }
        guard !pairs.isEmpty else { throw .noCertificate(found: nil) }
        let suites = try CipherSuites(names: cipherSuites, lowest: minVersion)
        let context = try OwnedContext.make(isServer: true, groups: groups.isEmpty ? OwnedContext.groups : groups)
        self.groups = groups.isEmpty ? nil : groups.joined(separator: ":")
        try context.apply(suites)
        try context.setVersions(minVersion...maxVersion)
        unsafe context.configure { unsafe SSL_CTX_set_alpn_select_cb($0, chooseProtocol, nil) }
        var reports: [CertificateReport] = []
        var fingerprint: [UInt8] = []
        for pair in pairs {
            try context.add(pair, after: reports)
            reports.append(pair.report)
            fingerprint += pair.chain[0].fingerprint
        }
        unsafe context.configure { unsafe Staple.install(pairs, on: $0) }
        verification?.apply(to: context, isServer: true)
        self.verification = verification
        self.reports = reports
        self.fingerprint = fingerprint + (verification?.identity ?? [])
        versions = minVersion...maxVersion
        unsafe raw = context.release()
    }

    deinit { unsafe SSL_CTX_free(raw) }

    /// Whether this OpenSSL can do a cipher suite of TLS 1.2 and below.
    package static func supports(cipherSuite name: String) -> Bool {
        supportedSuites.contains(name)
    }

    /// Whether this OpenSSL can do a key exchange.
    package static func supports(group name: String) -> Bool { OwnedContext.isKnown(group: name) }

    /// Whether a session may go on where this context is what its server name stands for now: it fulfils what clients
    /// have to show here.
    func accepts(_ session: TLSSession) -> Bool {
        guard let verification else { return true }
        return session.verification === verification || session.verification?.identity == verification.identity
    }

    /// Asked once: a context for each question would be felt with thousands of servers.
    private static let supportedSuites: Set<String> = {
        guard let context = try? OwnedContext.make(isServer: true) else { return [] }
        return Set(CipherSuites.known.filter { context.takes(cipherSuite: $0) })
    }()
}

/// An SSL_CTX in the making: freed on any error, given away when complete.
@safe struct OwnedContext: ~Copyable {
    private let raw: OpaquePointer    // owned

    private init(owning raw: OpaquePointer) { unsafe self.raw = raw }

    /// In order of preference. P-384 is for clients that may use nothing else (CNSA); the hybrid with ML-KEM is
    /// for what is recorded today and read tomorrow, where the library has it: OpenSSL from 3.5 on.
    static let groups = isKnown(group: hybrid) ? [hybrid] + classical : classical
    private static let hybrid = "X25519MLKEM768"
    private static let classical = ["X25519", "P-256", "P-384"]

    /// Whether this OpenSSL can agree on keys in that group. It makes a context to find out.
    static func isKnown(group: String) -> Bool {
        guard let probe = unsafe SSL_CTX_new(TLS_server_method()) else { return false }
        defer {
            unsafe SSL_CTX_free(probe)
            Failures.clear()
        }
        return unsafe portico_SSL_CTX_set_groups(probe, group) == 1
    }

    /// A context with the project's settings, and nothing else.
    /// - Throws: that OpenSSL has no memory, or does not know the groups.
    static func make(isServer: Bool, groups: [String] = groups) throws(TLSError) -> OwnedContext {
        Failures.clear()
        guard let made = unsafe SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method())
        else { throw .library(Failures.takeReason()) }
        let context = unsafe OwnedContext(owning: made)
        let options = isServer ? portico_tls_server_options : portico_tls_client_options
        unsafe SSL_CTX_set_options(made, options)
        unsafe portico_SSL_CTX_set_mode(made, portico_tls_modes)
        unsafe portico_SSL_CTX_cache_off(made)
        unsafe SSL_CTX_set_timeout(made, TicketKeys.ticketSeconds)
        // One ticket for each handshake, as after a resumption: OpenSSL would seal a second one.
        if isServer { unsafe SSL_CTX_set_num_tickets(made, 1) }
        let list = groups.joined(separator: ":")
        guard unsafe portico_SSL_CTX_set_groups(made, list) == 1 else {
            throw .library(Failures.takeReason())
        }
        return context
    }

    deinit { unsafe SSL_CTX_free(raw) }

    /// Hands the context over: the caller frees it.
    consuming func release() -> OpaquePointer {
        let raw = unsafe raw
        discard self
        return unsafe raw
    }

    borrowing func configure(_ body: (OpaquePointer) -> Void) { unsafe body(raw) }

    /// Allows these cipher suites and no others. It throws if OpenSSL knows none of them.
    borrowing func apply(_ suites: CipherSuites) throws(TLSError) {
        Failures.clear()
        guard unsafe SSL_CTX_set_cipher_list(raw, suites.list) == 1,
            unsafe SSL_CTX_set_ciphersuites(raw, suites.list13) == 1
        else { throw .library(Failures.takeReason()) }
    }

    /// Whether OpenSSL knows a suite of TLS 1.2 by that name. It replaces the list of this context.
    borrowing func takes(cipherSuite name: String) -> Bool {
        defer { Failures.clear() }
        return unsafe SSL_CTX_set_cipher_list(raw, name) == 1
    }

    /// Allows these versions of TLS and no others.
    borrowing func setVersions(_ versions: ClosedRange<TLSVersion>) throws(TLSError) {
        let (lowest, highest) = (versions.lowerBound.number, versions.upperBound.number)
        guard unsafe portico_SSL_CTX_set_versions(raw, lowest, highest) == 1 else {
            throw .library(Failures.takeReason())
        }
    }

    /// Takes one certificate with its chain and key.
    borrowing func add(_ pair: KeyPair, after others: [CertificateReport]) throws(TLSError) {
        let report = pair.report
        guard !others.contains(where: { $0.keyType == report.keyType }) else {
            throw .sameKeyTypeTwice(keyType: report.keyType.rawValue)
        }
        Failures.clear()
        var isTaken = unsafe SSL_CTX_use_certificate(raw, pair.chain[0].raw) == 1
        isTaken = unsafe isTaken && SSL_CTX_use_PrivateKey(raw, pair.key.raw) == 1
        for issuer in pair.chain.dropFirst() {
            isTaken = unsafe isTaken && portico_SSL_CTX_add_chain(raw, issuer.raw) == 1
        }
        guard isTaken else {
            throw .refusedCertificate(subject: report.subject, reason: Failures.takeReason())
        }
    }
}

/// Chooses `h2`, else `http/1.1`, whatever the client prefers; for a client that knows neither,
/// nothing: the handshake goes on, and the first octets tell what it speaks.
/// OpenSSL has checked the list: octet counts in front of names, all inside `offer`.
private let chooseProtocol: SSL_CTX_alpn_select_cb_func = {
    _, chosen, chosenLength, offer, length, _ in
    let list = unsafe UnsafeBufferPointer(start: offer, count: Int(length))
    for wanted in ["h2", "http/1.1"] as [StaticString] {
        var index = 0
        while index < list.count {
            let end = unsafe index + 1 + Int(list[index])
            guard end <= list.count else { return SSL_TLSEXT_ERR_NOACK }
            let name = unsafe UnsafeBufferPointer(rebasing: list[(index + 1)..<end])
            let wantedOctets = unsafe UnsafeBufferPointer(
                start: wanted.utf8Start, count: wanted.utf8CodeUnitCount)
            if unsafe name.elementsEqual(wantedOctets) {
                unsafe chosen?.pointee = name.baseAddress
                unsafe chosenLength?.pointee = UInt8(truncatingIfNeeded: name.count)    // it is one of ours
                return SSL_TLSEXT_ERR_OK
            }
            index = end
        }
    }
    return SSL_TLSEXT_ERR_NOACK
}

extension TLSVersion {
    /// The number on the wire.
    var number: CInt {
        switch self {
        case .tls10: TLS1_VERSION
        case .tls11: TLS1_1_VERSION
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}
