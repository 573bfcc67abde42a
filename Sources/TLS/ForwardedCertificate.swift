internal import COpenSSL
internal import Octets

// What upstreams get to know of a client's certificate, as Envoy writes `x-forwarded-client-cert` with the settings of
// Istio's gateways: SANITIZE_SET, and Cert, Subject, URI and DNS beside Hash.
// Source: envoyproxy/envoy source/common/http/conn_manager_utility.cc (mutateXfccRequestHeader).

extension TLSSession {
    /// The value of `x-forwarded-client-cert`; nil if the client showed no certificate, or none that was verified.
    package var forwardedCertificate: ForwardedCertificate? {
        guard isPeerVerified else { return nil }
        return withPeerCertificate { certificate in
            var forwarded = ForwardedCertificate()
            _ = withOwnCertificate { forwarded.addReceiver($0) }
            forwarded.addClient(certificate)
            return forwarded
        }
    }
}

/// The elements of a `x-forwarded-client-cert`.
package struct ForwardedCertificate {
    private var parts: [String] = []
    /// Whether something was left out for its length.
    package private(set) var isShortened = false

    /// The field's value.
    package var value: [UInt8] { Array(parts.joined(separator: ";").utf8) }

    /// Octets of the whole certificate, in PEM and escaped. A longer one is left out: servers take 8 KiB of a field,
    /// rarely more than 64 KiB.
    static let mostCertificateOctets = 16 << 10
    /// Octets of the names together, for the same reason.
    static let mostNameOctets = 8 << 10

    fileprivate init() {}

    /// Says which server of ours the client's certificate was shown to.
    fileprivate mutating func addReceiver(_ certificate: OwnedCertificate) {
        parts += names(of: certificate, .uri).map { "By=\($0)" }
    }

    fileprivate mutating func addClient(_ certificate: OwnedCertificate) {
        parts.append("Hash=\(PeerPins.hexadecimal(certificate.fingerprint))")
        let pem = Self.pem(of: certificate)
        if let pem { parts.append("Cert=\"\(Self.escaped(pem))\"") }
        let subject = Self.subject(of: certificate)
        parts.append("Subject=\"\(subject ?? "")\"")
        if pem == nil || subject == nil { isShortened = true }
        let uris = names(of: certificate, .uri)
        parts += uris.isEmpty ? ["URI="] : uris.map { "URI=\($0)" }
        parts += names(of: certificate, .dns).map { "DNS=\($0)" }
    }

    private mutating func names(of certificate: OwnedCertificate, _ kind: PeerNames.Kind) -> [String] {
        let all = unsafe PeerNames(certificate.raw).entries.filter { $0.kind == kind }.map { Self.name($0.text) }
        var octets = 0
        let kept = all.prefix { name in
            octets += name.utf8.count
            return octets <= Self.mostNameOctets
        }
        if kept.count < all.count { isShortened = true }
        return Array(kept)
    }

    /// In ASCII, with `"` and `\` escaped; nil if it is too long to be passed on.
    private static func subject(of certificate: OwnedCertificate) -> String? {
        guard let name = unsafe X509_get_subject_name(certificate.raw) else { return "" }
        return unsafe text(limit: mostNameOctets) {
            unsafe X509_NAME_print_ex($0, name, 0, portico_ascii_name_flags) >= 0
        }
    }

    private static func pem(of certificate: OwnedCertificate) -> String? {
        unsafe text(limit: mostCertificateOctets) { unsafe PEM_write_bio_X509($0, certificate.raw) == 1 }
    }

    /// What `write` prints; nil if it is longer than `limit`.
    private static func text(limit: Int, _ write: (OpaquePointer) -> Bool) -> String? {
        guard let raw = unsafe BIO_new(BIO_s_mem()) else { return nil }
        defer {
            unsafe BIO_free(raw)
            Failures.clear()
        }
        guard unsafe write(raw) else { return nil }
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: limit + 1) { room, count in
            count = max(0, Int(unsafe BIO_read(raw, room.baseAddress, CInt(clamping: room.count))))
        }
        return octets.count > limit ? nil : String(decoding: octets, as: UTF8.self)
    }

    /// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
    private static func escaped(_ text: String) -> String {
        percentEncoded(text) { isUnreserved($0) }
    }

    /// A name stands without quotes: what ends an element there, or is no visible ASCII, is percent-encoded, so that
    /// no certificate can add elements of its own.
    private static func name(_ text: String) -> String {
        percentEncoded(text) { $0 > 0x20 && $0 < 0x7f && !Self.delimiters.contains($0) }
    }

    private static let delimiters = Array("\",;\\".utf8)

    private static func percentEncoded(_ text: String, keeping isKept: (UInt8) -> Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        encoded.reserveCapacity(text.utf8.count * 5 / 4)
        for octet in text.utf8 {
            if isKept(octet) {
                encoded.append(octet)
            } else {
                encoded += [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func isUnreserved(_ octet: UInt8) -> Bool {
        (0x61...0x7a).contains(octet | 0x20) || (0x30...0x39).contains(octet) || Self.marks.contains(octet)
    }

    private static let marks = Array("-._~".utf8)
}
