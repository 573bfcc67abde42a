internal import COpenSSL

/// What the TLS sessions of one thread share: room for records on their way, and who holds OpenSSL's
/// buffers.
@safe final class WireDesk {
    /// The largest content of a record. Source: RFC 8446 §5.1.
    static let contentLimit = 1 << 14
    /// Full records sent or received at once: with more the octets leave the cache.
    static let batch = 4
    /// So little more goes with them: a window of 64 KiB and the frame headers in it are one batch.
    static let tailLimit = 1024
    /// OpenSSL's two buffers have 33 kB. Its own way to have none at rest, SSL_MODE_RELEASE_BUFFERS,
    /// makes and frees one for each record; here the last sessions to work keep theirs.
    static let holdersLimit = 32

    let input: UnsafeMutableRawBufferPointer    // owned, as the next; freed in `deinit`
    let output: UnsafeMutableRawBufferPointer
    /// How much of `output` waits to be sent; 0 between two calls of a session.
    var filled = 0
    /// Where the records of this batch end: in `output`, and in the writer's octets.
    var ends: [(wire: Int, content: Int)] = []
    private var holders: [Unmanaged<TLSSession>?]    // each takes itself out before it goes
    private var oldest = 0

    init() {
        // A record has at most 5 + 256 octets more than its content, with TLS 1.3 and AEADs 22.
        let batch = Self.batch * (Self.contentLimit + 22) + Self.tailLimit
        unsafe input = .allocate(byteCount: batch, alignment: 64)
        unsafe output = .allocate(byteCount: batch + 1024, alignment: 64)
        unsafe holders = .init(repeating: nil, count: Self.holdersLimit)
        ends.reserveCapacity(Self.batch + 2)
    }

    deinit {
        unsafe [input, output].forEach { unsafe $0.deallocate() }
    }

    /// Lets `session` keep OpenSSL's buffers; who has kept them longest loses his.
    /// - Returns: the place to give back.
    func hold(_ session: TLSSession) -> Int {
        let place = oldest
        oldest = (oldest + 1) % Self.holdersLimit
        unsafe holders[place]?._withUnsafeGuaranteedRef { $0.losesBuffers() }
        unsafe holders[place] = .passUnretained(session)
        return place
    }

    func release(_ place: Int) { unsafe holders[place] = nil }

    // MARK: one for each thread

    /// This thread's; freed when the thread ends and its sessions are gone.
    static var current: WireDesk {
        if let found = unsafe CRYPTO_THREAD_get_local(local) {
            return unsafe Unmanaged<WireDesk>.fromOpaque(found).takeUnretainedValue()
        }
        let made = WireDesk()
        // Released by the thread's end.
        unsafe CRYPTO_THREAD_set_local(local, Unmanaged.passRetained(made).toOpaque())
        return made
    }

    /// The thread's slot; made once, never freed.
    private nonisolated(unsafe) static let local: UnsafeMutablePointer<CRYPTO_THREAD_LOCAL> = {
        let slot = UnsafeMutablePointer<CRYPTO_THREAD_LOCAL>.allocate(capacity: 1)
        let isMade = unsafe CRYPTO_THREAD_init_local(slot) { desk in
            guard let desk = unsafe desk else { return }
            unsafe Unmanaged<WireDesk>.fromOpaque(desk).release()
        }
        precondition(isMade == 1, "no slot is left for a thread's own data")
        return unsafe slot
    }()
}

@available(*, unavailable)
extension WireDesk: Sendable {}
