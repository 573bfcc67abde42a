internal import COpenSSL

/// What the record streams of one thread share: room for records on their way, and prepared ciphers.
/// An idle connection has none of it.
@safe final class RecordDesk {
    /// A record's parts. Source: RFC 8446 §5.1 and §5.2.
    static let headerOctets = 5
    static let tagOctets = 16
    static let contentLimit = 1 << 14
    static let recordLimit = headerOctets + contentLimit + 256
    /// Header, type and tag around the content.
    static let overhead = headerOctets + 1 + tagOctets
    /// Full records sealed or opened at once: with more the octets leave the cache.
    static let batch = 4
    /// A power of two. A cipher ready for a key has 1.2 kB; to prepare one takes about as long as to
    /// open a record of 1 kB.
    static let ciphersAtHand = 512

    let input: UnsafeMutableRawBufferPointer    // owned, as the next two; freed in `deinit`
    let output: UnsafeMutableRawBufferPointer
    /// The content of one record, when the reader has less room.
    let content: UnsafeMutableRawBufferPointer

    /// For the derivation of keys.
    let digest: OpaquePointer?    // owned

    @safe private struct Cipher {
        var identity: UInt64 = 0
        var context: OpaquePointer?    // owned
    }
    private var ciphers = [Cipher](repeating: Cipher(), count: RecordDesk.ciphersAtHand)
    private var lastIdentity: UInt64 = 0

    init() {
        let batch = Self.batch * (Self.contentLimit + Self.overhead)
        unsafe input = .allocate(byteCount: batch, alignment: 64)
        unsafe output = .allocate(byteCount: batch + 64, alignment: 64)    // a KeyUpdate besides
        unsafe content = .allocate(byteCount: Self.recordLimit, alignment: 64)
        unsafe digest = EVP_MD_CTX_new()
    }

    deinit {
        unsafe EVP_MD_CTX_free(digest)
        for cipher in ciphers { unsafe EVP_CIPHER_CTX_free(cipher.context) }
        for unsafe room in unsafe [input, output, content] {
            unsafe OPENSSL_cleanse(room.baseAddress, room.count)
            unsafe room.deallocate()
        }
    }

    func nextIdentity() -> UInt64 {
        lastIdentity &+= 1
        return lastIdentity
    }

    /// A cipher with this key.
    func cipher(_ keys: TrafficKeys, _ kind: RecordCipher, isSealing: Bool) -> OpaquePointer? {
        let index = Int(truncatingIfNeeded: keys.identity) & (Self.ciphersAtHand - 1)
        if ciphers[index].identity == keys.identity { return unsafe ciphers[index].context }
        if unsafe ciphers[index].context == nil {
            unsafe ciphers[index].context = EVP_CIPHER_CTX_new()
        }
        guard let context = unsafe ciphers[index].context,
            unsafe EVP_CipherInit_ex(
                context, kind.algorithm, nil, keys.key, nil, isSealing ? 1 : 0) == 1
        else { return nil }
        ciphers[index].identity = keys.identity
        return unsafe context
    }

    /// Wipes the key that `cipher` was prepared with.
    func forget(_ keys: TrafficKeys) {
        let index = Int(truncatingIfNeeded: keys.identity) & (Self.ciphersAtHand - 1)
        guard ciphers[index].identity == keys.identity else { return }
        ciphers[index].identity = 0
        unsafe EVP_CIPHER_CTX_reset(ciphers[index].context)
    }

    // MARK: one for each thread

    /// This thread's; freed when the thread ends.
    static var current: RecordDesk {
        if let found = unsafe CRYPTO_THREAD_get_local(local) {
            return unsafe Unmanaged<RecordDesk>.fromOpaque(found).takeUnretainedValue()
        }
        let made = RecordDesk()
        // Released by the thread's end.
        unsafe CRYPTO_THREAD_set_local(local, Unmanaged.passRetained(made).toOpaque())
        return made
    }

    /// The thread's slot; made once, never freed.
    private nonisolated(unsafe) static let local: UnsafeMutablePointer<CRYPTO_THREAD_LOCAL> = {
        let slot = UnsafeMutablePointer<CRYPTO_THREAD_LOCAL>.allocate(capacity: 1)
        let isMade = unsafe CRYPTO_THREAD_init_local(slot) { desk in
            guard let desk = unsafe desk else { return }
            unsafe Unmanaged<RecordDesk>.fromOpaque(desk).release()
        }
        precondition(isMade == 1, "no slot is left for a thread's own data")
        return unsafe slot
    }()
}

@available(*, unavailable)
extension RecordDesk: Sendable {}
