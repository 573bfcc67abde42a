internal import COpenSSL

/// What the TLS sessions of one thread share: buffers for the records of one call, and the list of sessions that
/// keep OpenSSL's own buffers.
///
/// Thread: its owner's. Freed by: the end of the thread.
@safe final class RecordScratch {
    /// The largest content of a record. Source: RFC 8446 §5.1.
    static let contentLimit = 1 << 14
    /// Full records that are sent or received at once. With more, the octets leave the processor's cache.
    static let batchRecords = 4
    /// Octets that may go with a full batch, so that a window of 64 KiB and its frame headers are one batch.
    static let tailLimit = 1024
    /// Sessions that keep OpenSSL's two buffers, 33 kB together: the last ones that were used. OpenSSL's own way to
    /// free them at rest, SSL_MODE_RELEASE_BUFFERS, allocates one for each record.
    static let holdersLimit = 32

    let input: UnsafeMutableRawBufferPointer    // owned, as the next; freed in `deinit`
    let output: UnsafeMutableRawBufferPointer    // owned
    /// Octets of `output` that wait to be sent; 0 between two calls of a session.
    var filled = 0
    /// Where each record of this batch ends, in `output` and in the writer's octets.
    var recordEnds: [(output: Int, content: Int)] = []
    private var holders: [Unmanaged<TLSSession>?]    // each takes itself out before it goes
    private var oldest = 0    // the place in `holders` that is given up next
    /// How often a session has lost its buffers to another one, since `TLSBuffers.takeDisplaced`.
    var displaced: UInt64 = 0

    init() {
        // A record has at most 5 + 256 octets more than its content, with TLS 1.3 and AEADs 22.
        let batch = Self.batchRecords * (Self.contentLimit + 22) + Self.tailLimit
        unsafe input = .allocate(byteCount: batch, alignment: 64)
        unsafe output = .allocate(byteCount: batch + 1024, alignment: 64)
        unsafe holders = .init(repeating: nil, count: Self.holdersLimit)
        recordEnds.reserveCapacity(Self.batchRecords + 2)
    }

    deinit {
        unsafe [input, output].forEach { unsafe $0.deallocate() }
    }

    /// Lets `session` keep OpenSSL's buffers. The session that has kept its own longest gives them up.
    /// - Returns: the place in the list, for `release`.
    func hold(_ session: TLSSession) -> Int {
        let place = oldest
        oldest = (oldest + 1) % Self.holdersLimit
        unsafe holders[place]?._withUnsafeGuaranteedRef {
            $0.losesBuffers()
            displaced += 1
        }
        unsafe holders[place] = .passUnretained(session)
        return place
    }

    /// The session at that place is gone.
    func release(_ place: Int) { unsafe holders[place] = nil }

    // MARK: one for each thread

    /// This thread's own, made at its first use. It is freed when the thread has ended and its sessions are gone.
    static var current: RecordScratch {
        if let found = unsafe CRYPTO_THREAD_get_local(local) {
            return unsafe Unmanaged<RecordScratch>.fromOpaque(found).takeUnretainedValue()
        }
        let made = RecordScratch()
        // Released by the thread's end.
        unsafe CRYPTO_THREAD_set_local(local, Unmanaged.passRetained(made).toOpaque())
        return made
    }

    /// The thread's slot; made once, never freed.
    private nonisolated(unsafe) static let local: UnsafeMutablePointer<CRYPTO_THREAD_LOCAL> = {
        let slot = UnsafeMutablePointer<CRYPTO_THREAD_LOCAL>.allocate(capacity: 1)
        let isMade = unsafe CRYPTO_THREAD_init_local(slot) { scratch in
            guard let scratch = unsafe scratch else { return }
            unsafe Unmanaged<RecordScratch>.fromOpaque(scratch).release()
        }
        precondition(isMade == 1, "no slot is left for a thread's own data")
        return unsafe slot
    }()
}

@available(*, unavailable)
extension RecordScratch: Sendable {}
