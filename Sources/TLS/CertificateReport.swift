internal import COpenSSL
internal import Octets

/// What a server certificate says, for diagnostics and the admin pages.
package struct CertificateReport: Sendable, Equatable {
    /// The algorithm of a certificate's public key.
    package enum KeyType: String, Sendable {
        case rsa = "RSA"
        case ecdsa = "ECDSA"
        case ed25519 = "Ed25519"
        case other
    }

    /// Served nevertheless; each is worth a warning.
    package enum Problem: Sendable, Equatable {
        /// Seconds since 1970.
        case expired(notAfter: Int64)
        case notYetValid(notBefore: Int64)
        /// Clients look at alternative names only; the common name has no effect.
        case noAlternativeNames
        /// What is wrong with the OCSP response that is there for it.
        case staple(StapleProblem)
        /// It demands an OCSP response, and none is sent. Source: RFC 7633 §4.2.3.
        case missesStaple
    }

    /// RFC 2253 text, for example `CN=example.com,O=Acme`.
    package let subject: String
    /// The issuer's name, in one line.
    package let issuer: String
    /// Alternative names, lower-case; may start with `*.`.
    package let dnsNames: [String]
    /// IPv4 dotted; IPv6 as eight groups.
    package let addresses: [String]
    /// Seconds since 1970.
    package let notBefore: Int64
    /// The last second of validity, since 1970.
    package let notAfter: Int64
    package let keyType: KeyType
    /// The size of the public key in bits.
    package let keyBits: Int
    /// What speaks against using the certificate; empty for a good one.
    package let problems: [Problem]

    /// Reads the first certificate of a PEM chain.
    package init(chain: [UInt8]) throws(TLSError) {
        self.init(try PEM.certificates(chain)[0], isStapled: true)
    }

    /// - Parameters:
    ///   - staple: what is wrong with the OCSP response that is there for the certificate.
    ///   - isStapled: whether one is sent, or nobody knows.
    init(_ certificate: OwnedCertificate, staple: StapleProblem? = nil, isStapled: Bool = true) {
        let raw = unsafe certificate.raw
        subject = certificate.subject
        issuer = certificate.issuer
        (dnsNames, addresses) = unsafe Self.alternativeNames(raw)
        unsafe notBefore = Self.seconds(X509_get0_notBefore(raw))
        unsafe notAfter = Self.seconds(X509_get0_notAfter(raw))
        let key = unsafe X509_get0_pubkey(raw)
        unsafe keyBits = key.map { Int(unsafe EVP_PKEY_get_bits($0)) } ?? 0
        switch unsafe key.map({ unsafe EVP_PKEY_get_base_id($0) }) {
        case EVP_PKEY_RSA, EVP_PKEY_RSA_PSS: keyType = .rsa
        case EVP_PKEY_EC: keyType = .ecdsa
        case EVP_PKEY_ED25519: keyType = .ed25519
        default: keyType = .other
        }
        var problems: [Problem] = []
        // X509_cmp_current_time: negative when the time is past, positive when it is to come.
        if unsafe X509_cmp_current_time(X509_get0_notAfter(raw)) < 0 {
            problems.append(.expired(notAfter: notAfter))
        }
        if unsafe X509_cmp_current_time(X509_get0_notBefore(raw)) > 0 {
            problems.append(.notYetValid(notBefore: notBefore))
        }
        if dnsNames.isEmpty && addresses.isEmpty { problems.append(.noAlternativeNames) }
        if let staple { problems.append(.staple(staple)) }
        if !isStapled, unsafe portico_demands_staple(raw) == 1 { problems.append(.missesStaple) }
        self.problems = problems
        Failures.clear()
    }

    /// Whether clients that call `host` accept this certificate's names (RFC 6125 §6.4.3: `*` stands
    /// for exactly one label). A Gateway's host `*.example.com` needs the same name in the
    /// certificate; the host `*` says nothing that could be compared.
    package func covers(host: String) -> Bool {
        let host = ServerNames.normal(host)
        if host == "*" || dnsNames.contains(host) || addresses.contains(host) { return true }
        guard let dot = host.firstIndex(of: "."), dot > host.startIndex else { return false }
        return host.first != "*" && dnsNames.contains("*" + host[dot...])
    }

    private static func alternativeNames(_ raw: OpaquePointer) -> (
        dns: [String], addresses: [String]
    ) {
        guard let found = unsafe X509_get_ext_d2i(raw, NID_subject_alt_name, nil, nil) else {
            return ([], [])
        }
        let names = OpaquePointer(found)
        defer { unsafe GENERAL_NAMES_free(names) }
        var dns: [String] = []
        var addresses: [String] = []
        for index in 0..<max(0, unsafe portico_names_count(names)) {
            var start: UnsafePointer<UInt8>?
            var length: CInt = 0
            let kind = unsafe portico_name(names, index, &start, &length)
            let octets = unsafe Array(UnsafeBufferPointer(start: start, count: max(0, Int(length))))
            switch kind {
            case GEN_DNS: dns.append(ServerNames.normal(String(decoding: octets, as: UTF8.self)))
            case GEN_IPADD: addresses.append(address(octets))
            default: break
            }
        }
        return (dns, addresses)
    }

    /// An IP address of 4 or 16 octets as text.
    static func address(_ octets: [UInt8]) -> String {
        guard octets.count == 16 else { return octets.map { String($0) }.joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2)
            .map { String(Int(octets[$0]) << 8 | Int(octets[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    /// Seconds since 1970; 0 for a time that cannot be read.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
        guard let epoch = unsafe ASN1_TIME_set(nil, 0) else { return 0 }
        defer { unsafe ASN1_STRING_free(epoch) }
        var (days, seconds): (CInt, CInt) = (0, 0)
        guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}

extension CertificateReport.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .expired(let time):
            "the certificate expired on \(CivilDate(seconds: Int(time))); clients refuse it, renew it"
        case .notYetValid(let time):
            "the certificate is valid from \(CivilDate(seconds: Int(time))) only; is the clock right?"
        case .noAlternativeNames:
            "the certificate has no subject alternative names; clients refuse it, "
                + "issue one with DNS names"
        case .staple(let failure): "its OCSP response \(failure)"
        case .missesStaple:
            "the certificate demands an OCSP response (must-staple), and none is sent; clients refuse it, put a "
                + "response into the key tls.ocsp-staple of its Secret, or into its file with .ocsp at the end"
        }
    }
}
