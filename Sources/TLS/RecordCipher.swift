internal import COpenSSL

/// The cipher suites of TLS 1.3 that we speak. Source: RFC 8446 §B.4.
enum RecordCipher: Int {
    case aes128 = 0x1301, aes256, chacha20

    var keyOctets: Int { self == .aes128 ? 16 : 32 }
    /// Of the suite's hash: the size of its secrets.
    var secretOctets: Int { self == .aes256 ? 48 : 32 }
    var digest: OpaquePointer? {
        unsafe self == .aes256 ? Self.algorithms.sha384 : Self.algorithms.sha256
    }

    /// OpenSSL's name of the suite.
    var suiteName: String {
        switch self {
        case .aes128: "TLS_AES_128_GCM_SHA256"
        case .aes256: "TLS_AES_256_GCM_SHA384"
        case .chacha20: "TLS_CHACHA20_POLY1305_SHA256"
        }
    }

    /// Fetched once: looking up an algorithm costs more than sealing a small record.
    var algorithm: OpaquePointer? {
        switch self {
        case .aes128: unsafe Self.algorithms.aes128
        case .aes256: unsafe Self.algorithms.aes256
        case .chacha20: unsafe Self.algorithms.chacha20
        }
    }

    /// Owned by the process, never freed and never changed.
    private nonisolated(unsafe) static let algorithms = unsafe (
        aes128: EVP_CIPHER_fetch(nil, "AES-128-GCM", nil),
        aes256: EVP_CIPHER_fetch(nil, "AES-256-GCM", nil),
        chacha20: EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil),
        sha256: EVP_MD_fetch(nil, "SHA256", nil),
        sha384: EVP_MD_fetch(nil, "SHA384", nil)
    )
}

/// The keys of one direction: a traffic secret, and what is derived from it.
/// Source: RFC 8446 §7.2 and §7.3.
@safe struct TrafficKeys {
    static let size = 96    // 48 the secret, 32 the key, 12 the static IV

    private let base: UnsafeMutablePointer<UInt8>    // owned by RecordKeys
    /// Records sealed or opened with this key.
    var sequence: UInt64 = 0
    /// Tells this key from all others of its thread; 0: none was derived yet.
    private(set) var identity: UInt64 = 0

    init(at base: UnsafeMutablePointer<UInt8>) { unsafe self.base = base }

    var secret: UnsafeMutablePointer<UInt8> { unsafe base }
    var key: UnsafePointer<UInt8> { unsafe UnsafePointer(base + 48) }

    /// Key and IV of the present secret.
    /// - Returns: false when OpenSSL cannot; the keys are of no use then.
    mutating func derive(_ cipher: RecordCipher, identity: UInt64) -> Bool {
        self.identity = identity
        sequence = 0
        return unsafe expand("key", cipher, into: base + 48, count: cipher.keyOctets)
            && expand("iv", cipher, into: base + 80, count: 12)
    }

    /// The next generation: both sides do it after a KeyUpdate.
    mutating func update(_ cipher: RecordCipher, identity: UInt64) -> Bool {
        unsafe expand("traffic upd", cipher, into: base, count: cipher.secretOctets)
            && derive(cipher, identity: identity)
    }

    /// HKDF-Expand-Label with an empty context. What we derive is never longer than the hash, so
    /// HKDF-Expand is a single HMAC. Source: RFC 8446 §7.1, RFC 5869 §2.3.
    private func expand(
        _ label: StaticString, _ cipher: RecordCipher, into room: UnsafeMutablePointer<UInt8>,
        count: Int
    ) -> Bool {
        unsafe withUnsafeTemporaryAllocation(byteCount: 32 + 64, alignment: 8) { space in
            let name = unsafe UnsafeRawBufferPointer(
                start: label.utf8Start, count: label.utf8CodeUnitCount)
            unsafe space[0] = 0
            unsafe space[1] = UInt8(truncatingIfNeeded: count)
            unsafe space[2] = UInt8(truncatingIfNeeded: 6 + name.count)
            unsafe UnsafeMutableRawBufferPointer(rebasing: space[3..<9]).copyBytes(
                from: "tls13 ".utf8)
            unsafe UnsafeMutableRawBufferPointer(rebasing: space[9...]).copyMemory(from: name)
            unsafe space[9 + name.count] = 0    // no context
            unsafe space[10 + name.count] = 1    // HKDF-Expand's first and only block
            guard let info = space.baseAddress else { return false }
            let made = unsafe (info + 32).assumingMemoryBound(to: UInt8.self)
            defer { unsafe OPENSSL_cleanse(made, 64) }
            let message = unsafe UnsafeRawBufferPointer(start: info, count: 11 + name.count)
            guard unsafe authenticate(message, cipher, into: made) else { return false }
            unsafe room.update(from: made, count: count)
            return true
        }
    }

    /// HMAC of `message` with the secret. Not OpenSSL's HMAC(): it looks up and allocates five things
    /// for each call, 20,000 instructions in all. Source: RFC 2104 §2.
    private func authenticate(
        _ message: UnsafeRawBufferPointer, _ cipher: RecordCipher,
        into made: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        guard let context = unsafe RecordDesk.current.digest, let digest = unsafe cipher.digest else {
            return false
        }
        let block = cipher == .aes256 ? 128 : 64    // of SHA-384 and SHA-256
        return unsafe withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { pad in
            defer { unsafe OPENSSL_cleanse(pad.baseAddress, pad.count) }
            func fill(_ value: UInt8) {
                for index in 0..<block {
                    unsafe pad[index] = value ^ (index < cipher.secretOctets ? base[index] : 0)
                }
            }
            fill(0x36)
            let isInnerMade =
                unsafe EVP_DigestInit_ex2(context, digest, nil) == 1
                && EVP_DigestUpdate(context, pad.baseAddress, block) == 1
                && EVP_DigestUpdate(context, message.baseAddress, message.count) == 1
                && EVP_DigestFinal_ex(context, made, nil) == 1
            fill(0x5c)
            return unsafe isInnerMade && EVP_DigestInit_ex2(context, digest, nil) == 1
                && EVP_DigestUpdate(context, pad.baseAddress, block) == 1
                && EVP_DigestUpdate(context, made, cipher.secretOctets) == 1
                && EVP_DigestFinal_ex(context, made, nil) == 1
        }
    }

    /// The nonce of the next record. Source: RFC 8446 §5.3.
    func withNonce<Result>(_ body: (UnsafePointer<UInt8>?) -> Result) -> Result {
        unsafe withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { space in
            let high = unsafe UnsafeRawPointer(base + 80).loadUnaligned(as: UInt32.self)
            let low = unsafe UnsafeRawPointer(base + 84).loadUnaligned(as: UInt64.self)
            unsafe space.storeBytes(of: high, toByteOffset: 0, as: UInt32.self)
            unsafe space.storeBytes(of: low ^ sequence.bigEndian, toByteOffset: 4, as: UInt64.self)
            return unsafe space.withMemoryRebound(to: UInt8.self) {
                unsafe body(UnsafePointer($0.baseAddress))
            }
        }
    }
}

/// Both directions' keys of one server session, in one block that is wiped at the end. OpenSSL tells
/// the secrets during the handshake (the callback for key logs), long before it is complete.
@safe final class RecordKeys {
    private let block: UnsafeMutablePointer<UInt8>    // owned; wiped and freed in `deinit`
    var reading: TrafficKeys
    var writing: TrafficKeys
    private var readingOctets = 0    // of the secrets that were told
    private var writingOctets = 0

    init() {
        unsafe block = .allocate(capacity: 2 * TrafficKeys.size)
        unsafe block.initialize(repeating: 0, count: 2 * TrafficKeys.size)
        unsafe reading = TrafficKeys(at: block)
        unsafe writing = TrafficKeys(at: block + TrafficKeys.size)
    }

    deinit {
        unsafe OPENSSL_cleanse(block, 2 * TrafficKeys.size)
        unsafe block.deallocate()
    }

    func hasSecrets(for cipher: RecordCipher) -> Bool {
        readingOctets == cipher.secretOctets && writingOctets == cipher.secretOctets
    }

    /// Notes the secret of a line `LABEL client-random secret` (hexadecimal); skips other lines.
    /// - Returns: true when from now on records go out under the application's key.
    func note(_ line: UnsafePointer<CChar>) -> Bool {
        let line = unsafe UnsafeRawBufferPointer(
            start: line, count: Self.length(line, limit: 512))
        if let start = unsafe Self.secretStart(in: line, after: "CLIENT_TRAFFIC_SECRET_0 ") {
            readingOctets = unsafe Self.decode(line[start...], into: reading.secret)
            return false
        }
        guard let start = unsafe Self.secretStart(in: line, after: "SERVER_TRAFFIC_SECRET_0 ")
        else { return false }
        writingOctets = unsafe Self.decode(line[start...], into: writing.secret)
        return true
    }

    private static func length(_ text: UnsafePointer<CChar>, limit: Int) -> Int {
        var count = 0
        while unsafe count < limit && text[count] != 0 { count += 1 }
        return count
    }

    /// Where the secret begins: behind the label and the 64 digits of the client's random.
    private static func secretStart(
        in line: UnsafeRawBufferPointer, after label: StaticString
    ) -> Int? {
        let start = label.utf8CodeUnitCount
        let wanted = unsafe UnsafeRawBufferPointer(start: label.utf8Start, count: start)
        guard line.count > start + 65, unsafe line[..<start].elementsEqual(wanted) else {
            return nil
        }
        return start + 65
    }

    private static func decode(
        _ digits: Slice<UnsafeRawBufferPointer>, into room: UnsafeMutablePointer<UInt8>
    ) -> Int {
        guard unsafe digits.count <= 96 && digits.count.isMultiple(of: 2) else { return 0 }
        var index = unsafe digits.startIndex
        for octet in unsafe 0..<(digits.count / 2) {
            guard let high = unsafe value(digits[index]), let low = unsafe value(digits[index + 1])
            else { return 0 }
            unsafe room[octet] = high << 4 | low
            index += 2
        }
        return unsafe digits.count / 2
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
