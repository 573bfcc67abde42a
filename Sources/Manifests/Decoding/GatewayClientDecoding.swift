internal import Octets

// What a Gateway's server asks of the certificates of its clients. Source: Istio `ServerTLSSettings`.

extension Gateway.TLS {
    /// The key exchanges that a Gateway can choose, by OpenSSL's names, which are Envoy's too.
    package static let curveNames = ["X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"]

    /// The key exchanges of `ecdhCurves` that are known; others are reported.
    static func curves(_ mapping: inout Mapping) -> [String] {
        var known: [String] = []
        let written = mapping.locatedStrings("ecdhCurves") { value, name in
            if known.contains(name) {
                value.warning("duplicate-name", "`\(name)` is listed twice")
            } else if curveNames.contains(name) {
                known.append(name)
            } else {
                value.warning(
                    "unknown-value", "`\(name)` is no key exchange that a Gateway can choose: it is left out",
                    hint: NearestName.find(name, among: curveNames).map { "did you mean `\($0)`?" }
                        ?? curveNames.joined(separator: ", "))
            }
        }
        if known.isEmpty, !written.isEmpty {
            mapping.field("ecdhCurves")?.error(
                "unknown-value", "none of the key exchanges is known", hint: curveNames.joined(separator: ", "))
        }
        return known
    }

    /// Digests that pin the certificates of clients. A wrong one would fit nobody, which nobody wants to find out by
    /// the alerts of clients.
    static func pins(_ name: StaticString, _ mapping: inout Mapping) -> [String] {
        let isOfKey = "\(name)" == "verifyCertificateSpki"
        return mapping.locatedStrings(name) { value, text in
            guard isOfKey ? !isKeyDigest(text) : !isCertificateDigest(text) else { return }
            value.error(
                "invalid-digest", "`\(text)` is no SHA-256 digest",
                hint: isOfKey
                    ? "openssl x509 -in CERT -noout -pubkey | openssl pkey -pubin -outform der | "
                        + "openssl dgst -sha256 -binary | openssl base64"
                    : "openssl x509 -in CERT -noout -fingerprint -sha256")
        }.map(\.value)
    }

    /// 32 octets in Base64.
    private static func isKeyDigest(_ text: String) -> Bool {
        let octets = Array(text.utf8)
        guard octets.count == 44, octets[43] == UInt8(ascii: "=") else { return false }
        return octets.dropLast().allSatisfy {
            isLetterOrDigit($0) || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/")
        }
    }

    /// 64 hexadecimal digits, or 32 pairs of them with colons between.
    private static func isCertificateDigest(_ text: String) -> Bool {
        var octets = Array(text.utf8)
        if octets.count == 95 {
            for place in octets.indices where place % 3 == 2 {
                guard octets[place] == UInt8(ascii: ":") else { return false }
            }
            octets.removeAll { $0 == UInt8(ascii: ":") }
        }
        return octets.count == 64 && octets.allSatisfy { $0.isDigit || (0x61...0x66).contains($0 | 0x20) }
    }

    private static func isLetterOrDigit(_ octet: UInt8) -> Bool {
        octet.isDigit || (0x61...0x7a).contains(octet | 0x20)
    }

    /// Checks what concerns clients against the mode.
    func checkClients(_ value: Value) {
        guard var mapping = value.mapping() else { return }
        guard mode != .simple else { return checkUnasked(&mapping) }
        for (name, isGiven) in [
            ("credentialName", credentialName != nil), ("credentialNames", !credentialNames.isEmpty),
            ("caCertCredentialName", caCertCredentialName != nil),
        ] where isGiven && caCertificates != nil {
            mapping.field("caCertificates")?.warning(
                "no-effect",
                "beside `\(name)` the file `caCertificates` is not used: the authorities come from a Secret",
                hint: "remove it")
            break
        }
        if insecureSkipVerify {
            mapping.field("insecureSkipVerify")?.warning(
                "weak-tls", "any certificate of a client is accepted, whoever issued it",
                hint: "remove it, and name the authorities of your clients")
        }
    }

    /// With SIMPLE, clients are asked for nothing.
    private func checkUnasked(_ mapping: inout Mapping) {
        let fields: [(name: StaticString, isGiven: Bool)] = [
            ("caCertificates", caCertificates != nil), ("caCertCredentialName", caCertCredentialName != nil),
            ("caCrl", caCrl != nil && sources > 0 && serverCertificate == nil),
            ("subjectAltNames", !subjectAltNames.isEmpty),
            ("verifyCertificateSpki", !verifyCertificateSpki.isEmpty),
            ("verifyCertificateHash", !verifyCertificateHash.isEmpty), ("insecureSkipVerify", insecureSkipVerify),
        ]
        for field in fields where field.isGiven {
            mapping.field(field.name)?.warning(
                "no-effect",
                "`\(field.name)` has no effect with the mode SIMPLE, which asks clients for no certificate",
                hint: "write mode: MUTUAL to ask for one")
        }
    }
}
