internal import COpenSSL
internal import Octets

/// One certificate; it counts as one reference.
///
/// Thread: any. Freed by: the last pair, verification or staple that has it.
@safe final class OwnedCertificate: Sendable {
    /// Owned; freed in `deinit`. Never changed; OpenSSL counts references atomically.
    nonisolated(unsafe) let raw: OpaquePointer
    init(owning raw: OpaquePointer) { unsafe self.raw = raw }
    deinit { unsafe X509_free(raw) }

    var subject: String {
        guard let name = unsafe X509_get_subject_name(raw) else { return "without a subject" }
        let text = unsafe PEM.text {
            unsafe X509_NAME_print_ex($0, name, 0, portico_name_flags) > 0
        }
        return text.isEmpty ? "without a subject" : text
    }

    var issuer: String {
        guard let name = unsafe X509_get_issuer_name(raw) else { return "" }
        return unsafe PEM.text { unsafe X509_NAME_print_ex($0, name, 0, portico_name_flags) > 0 }
    }

    /// Whether the certificate was issued for this key.
    func belongs(to key: OwnedKey) -> Bool {
        defer { Failures.clear() }
        return unsafe X509_check_private_key(raw, key.raw) == 1
    }

    /// SHA-256 of the certificate; empty only when OpenSSL has no memory.
    var fingerprint: [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
            var length: UInt32 = 0
            let isMade = unsafe X509_digest(raw, EVP_sha256(), room.baseAddress, &length) == 1
            count = isMade ? Int(length) : 0
        }
    }
}

/// One private key.
///
/// Thread: any. Freed by: its `KeyPair`.
@safe final class OwnedKey: Sendable {
    /// Owned; freed in `deinit`. Never changed; OpenSSL counts references atomically.
    nonisolated(unsafe) let raw: OpaquePointer
    init(owning raw: OpaquePointer) { unsafe self.raw = raw }
    deinit { unsafe EVP_PKEY_free(raw) }
}

/// Reads PEM text, without ever asking a terminal for a pass phrase.
enum PEM {
    /// Octets of one chain or key, and certificates of one chain; above that the file is refused.
    static let octetLimit = 1 << 20
    static let chainLimit = 32
    /// Octets of a block's label.
    private static let longestLabel = 64

    /// Reads a chain of certificates, in its order.
    /// - Throws: which certificate cannot be read, or that there is none.
    static func certificates(
        _ text: [UInt8], limit: Int = chainLimit
    ) throws(TLSError) -> [OwnedCertificate] {
        let read = unsafe text.withUnsafeBytes { text in
            Result { () throws(TLSError) in try unsafe certificates(Octets(text), limit: limit) }
        }
        return try read.get()
    }

    /// Reads a chain of certificates; see above.
    static func certificates(
        _ text: Octets, limit: Int = chainLimit
    ) throws(TLSError) -> [OwnedCertificate] {
        let source = try MemorySource(text, what: "the certificate chain")
        var certificates: [OwnedCertificate] = []
        while true {
            Failures.clear()
            guard let raw = unsafe PEM_read_bio_X509(source.raw, nil, refusePassphrase, nil) else {
                break
            }
            let certificate = unsafe OwnedCertificate(owning: raw)
            certificates.append(certificate)
            guard certificates.count <= limit else {
                throw .tooLarge(what: "the number of certificates in a chain", limit: limit)
            }
        }
        guard isAtEnd else {
            throw .unreadableCertificate(
                position: certificates.count + 1, reason: Failures.takeReason())
        }
        Failures.clear()
        guard !certificates.isEmpty else { throw .noCertificate(found: labels(text).first) }
        return certificates
    }

    /// Reads an unencrypted private key.
    /// - Throws: why it cannot be used.
    static func key(_ text: Octets) throws(TLSError) -> OwnedKey {
        let source = try MemorySource(text, what: "the private key")
        Failures.clear()
        var isEncrypted = false
        let raw = unsafe withUnsafeMutablePointer(to: &isEncrypted) {
            unsafe PEM_read_bio_PrivateKey(source.raw, nil, refusePassphrase, $0)
        }
        if let raw = unsafe raw { return unsafe OwnedKey(owning: raw) }
        if isEncrypted {
            Failures.clear()
            throw .encryptedKey
        }
        let reason = Failures.takeReason()
        let labels = labels(text)
        guard labels.contains(where: { $0.hasSuffix("PRIVATE KEY") }) else {
            throw .noKey(found: labels.first)
        }
        throw .unreadableKey(reason: reason)
    }

    /// What `write` prints into a memory BIO.
    static func text(_ write: (OpaquePointer) -> Bool) -> String {
        guard let raw = unsafe BIO_new(BIO_s_mem()) else { return "" }
        defer { unsafe BIO_free(raw) }
        guard unsafe write(raw) else { return "" }
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: 1024) { room, count in
            count = max(0, Int(unsafe BIO_read(raw, room.baseAddress, CInt(clamping: room.count))))
        }
        return String(decoding: octets, as: UTF8.self)
    }

    /// The reader stopped because no further block starts, not because one is damaged.
    static var isAtEnd: Bool {
        let code = Failures.first
        return Failures.library(code) == ERR_LIB_PEM && Failures.reason(code) == PEM_R_NO_START_LINE
    }

    /// The labels of the `-----BEGIN label-----` lines, at most a chain's number of them.
    private static func labels(_ text: Octets) -> [String] {
        var labels: [String] = []
        var rest = text
        while rest.count > 0, labels.count < chainLimit {
            let end = rest.firstIndex(of: 0x0a) ?? rest.count
            let line = rest.slice(0, end)
            rest = rest.dropFirst(min(end + 1, rest.count))
            guard line.hasPrefix("-----BEGIN ") else { continue }
            let label = line.dropFirst(11).array.prefix(longestLabel)
                .prefix { $0 != UInt8(ascii: "-") && $0 >= 0x20 && $0 < 0x7f }
            let name = String(decoding: label, as: UTF8.self)
            // The text may be a Secret that is no PEM: no other word of it may reach a message.
            labels.append(knownLabels.contains(name) ? name : "block of another kind")
        }
        return labels
    }

    private static let knownLabels: Set<String> = [
        "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE", "CERTIFICATE REQUEST",
        "NEW CERTIFICATE REQUEST", "X509 CRL", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY",
        "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PUBLIC KEY", "RSA PUBLIC KEY",
        "EC PARAMETERS", "DH PARAMETERS", "PKCS7", "CMS",
    ]

    /// Notes in the `Bool` of its user data that it was asked; gives no pass phrase.
    private static let refusePassphrase:
        @convention(c) (
            UnsafeMutablePointer<CChar>?, CInt, CInt, UnsafeMutableRawPointer?
        ) -> CInt = { _, _, _, user in
            if let user = unsafe user {
                unsafe user.assumingMemoryBound(to: Bool.self).pointee = true
            }
            return -1
        }
}

/// A BIO that holds a copy of some octets.
///
/// Thread: its owner's. Freed by: the function that reads the octets.
@safe final class MemorySource {
    let raw: OpaquePointer    // owned; freed in `deinit`

    init(_ octets: Octets, what: String, limit: Int = PEM.octetLimit) throws(TLSError) {
        guard octets.count <= limit else {
            throw .tooLarge(what: "the length of \(what) in octets", limit: limit)
        }
        guard let made = unsafe BIO_new(BIO_s_mem()) else { throw .library(Failures.takeReason()) }
        unsafe raw = made
        guard
            unsafe octets.count == 0
                || BIO_write(made, octets.base, CInt(clamping: octets.count)) == octets.count
        else { throw .library(Failures.takeReason()) }
    }

    deinit { unsafe BIO_free(raw) }
}
