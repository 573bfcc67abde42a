internal import COpenSSL

/// The alternative names of a certificate, and the comparison with those that are accepted.
/// Source: envoyproxy/envoy source/common/tls/cert_validator/default_validator.cc and utility.cc (dnsNameMatch), which
/// Istio configures with exact names of any kind.
struct PeerNames {
    /// The kinds of `subjectAltName` that are compared (RFC 5280 §4.2.1.6).
    enum Kind { case dns, uri, email, address }

    /// In the order of the certificate. Octets that are no UTF-8 are replaced; such a name fits nothing.
    private(set) var entries: [(kind: Kind, text: String)] = []

    /// Reads at most `limit` names; the certificate may have thousands, and is the peer's.
    init(_ certificate: OpaquePointer, limit: Int = 1024) {
        guard let found = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return }
        let names = OpaquePointer(found)
        defer { unsafe GENERAL_NAMES_free(names) }
        for index in 0..<max(0, unsafe portico_names_count(names)) where entries.count < limit {
            var start: UnsafePointer<UInt8>?
            var length: CInt = 0
            let type = unsafe portico_name(names, index, &start, &length)
            let octets = unsafe UnsafeBufferPointer(start: start, count: start == nil ? 0 : max(0, Int(length)))
            guard let kind = Self.kind(type) else { continue }
            let text =
                unsafe kind == .address
                ? CertificateReport.address(Array(octets)) : String(decoding: octets, as: UTF8.self)
            entries.append((kind, text))
        }
    }

    private static func kind(_ type: CInt) -> Kind? {
        switch type {
        case GEN_DNS: .dns
        case GEN_URI: .uri
        case GEN_EMAIL: .email
        case GEN_IPADD: .address
        default: nil
        }
    }

    /// Whether one of `accepted` is in the certificate: any kind, the whole text. DNS names are compared without regard
    /// to case, and a certificate's `*.example.com` fits a name with exactly one label more than `example.com`.
    func contain(anyOf accepted: [String]) -> Bool {
        entries.contains { entry in
            accepted.contains { entry.kind == .dns ? Self.fits($0, certificate: entry.text) : $0 == entry.text }
        }
    }

    private static func fits(_ name: String, certificate pattern: String) -> Bool {
        let (name, pattern) = (name.lowercased(), pattern.lowercased())
        if name == pattern { return true }
        guard pattern.hasPrefix("*."), let dot = name.firstIndex(of: "."), dot > name.startIndex else { return false }
        return name.first != "*" && name[dot...] == pattern.dropFirst()
    }

    /// For messages: the first few, without what a terminal or a log would act on.
    var words: String {
        guard !entries.isEmpty else { return "it has none" }
        let shown = entries.prefix(Self.mostNamed).map { Self.printable($0.text) }.joined(separator: ", ")
        let further = entries.count - Self.mostNamed
        return further > 0 ? "it has \(shown) and \(further) more" : "it has \(shown)"
    }

    /// Names of a certificate that a message has, and characters of each: who shows it may have chosen them.
    static let mostNamed = 4
    private static let mostScalars = 100

    private static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(mostScalars).map { $0.value > 0x20 && $0.value < 0x7f ? Character($0) : "?" })
    }
}
