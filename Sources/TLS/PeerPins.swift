internal import COpenSSL
internal import Octets

/// Digests that pin certificates or their keys, in the forms in which Envoy takes them.
enum PeerPins {
    /// Checks digests of keys: base64 of 32 octets.
    /// - Throws: the first one that is none.
    static func keys(_ pins: [String]) throws(TLSError) -> Set<String> {
        for pin in pins {
            let text = Array(pin.utf8)
            guard text.count == 44, text[43] == UInt8(ascii: "="), text.dropLast().allSatisfy(isBase64) else {
                throw .unusablePin(pin, form: "base64 of 32 octets")
            }
        }
        return Set(pins)
    }

    /// Checks digests of certificates: 64 hexadecimal digits, or 32 pairs of them with colons between.
    /// - Returns: them in small letters and without colons.
    /// - Throws: the first one that is none.
    static func certificates(_ pins: [String]) throws(TLSError) -> Set<String> {
        var digests: Set<String> = []
        for pin in pins {
            let text = pin.utf8.count == 95 ? pin.replacing(":", with: "") : pin
            guard text.utf8.count == 64, text.utf8.allSatisfy(isHexadecimal) else {
                throw .unusablePin(pin, form: "64 hexadecimal digits")
            }
            digests.insert(text.lowercased())
        }
        return digests
    }

    /// SHA-256 of the certificate, as 64 hexadecimal digits in small letters; empty only if OpenSSL has no memory.
    static func digest(ofCertificate certificate: OpaquePointer) -> String {
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
            var length: UInt32 = 0
            let isMade = unsafe X509_digest(certificate, EVP_sha256(), room.baseAddress, &length) == 1
            count = isMade ? Int(length) : 0
        }
        return hexadecimal(octets)
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo, in base64; empty only if OpenSSL has no memory.
    static func digest(ofKey certificate: OpaquePointer) -> String {
        var encoded: UnsafeMutablePointer<UInt8>?
        let length = unsafe i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded)
        guard let encoded = unsafe encoded, length > 0 else { return "" }
        defer { unsafe CRYPTO_free(encoded, nil, 0) }
        let digest = unsafe Digest.sha256(Octets(base: encoded, count: Int(length)))
        let text = unsafe [UInt8](unsafeUninitializedCapacity: 4 * ((digest.count + 2) / 3) + 1) { room, count in
            count = unsafe Int(EVP_EncodeBlock(room.baseAddress, digest, CInt(clamping: digest.count)))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Two small digits for each octet, without colons.
    static func hexadecimal(_ octets: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: octets.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func isBase64(_ octet: UInt8) -> Bool {
        isLetter(octet) || (0x30...0x39).contains(octet) || octet == UInt8(ascii: "+") || octet == UInt8(ascii: "/")
    }
    private static func isLetter(_ octet: UInt8) -> Bool { (0x61...0x7a).contains(octet | 0x20) }
    private static func isHexadecimal(_ octet: UInt8) -> Bool {
        (0x30...0x39).contains(octet) || (0x61...0x66).contains(octet | 0x20)
    }
}
