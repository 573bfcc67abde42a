internal import COpenSSL
internal import Octets

/// A BIO of our own between OpenSSL and a socket. It gathers the records that one call writes and sends them together,
/// and it receives many records at once, from which OpenSSL then reads headers and bodies. OpenSSL's own socket BIO
/// makes two system calls for each record.
///
/// Between `begin` and `finish` the octets lie in the thread's `RecordScratch`. Whatever is left after `finish` is
/// kept here: the rest of a record that the socket did not take, and records for which the reader had no room.
///
/// Thread: its session's. Freed by: its `TLSSession`.
@safe final class RecordBIO {
    private let descriptor: CInt    // its connection's, which closes it
    let scratch: RecordScratch
    private var start = 0    // in `scratch.input`: the first octet that OpenSSL has not read yet
    private var end = 0    // behind the last one
    private var unread = PendingOctets()
    private var unsent = PendingOctets()
    /// Octets of plaintext in `unsent` that were not reported to the writer as written.
    private(set) var unsentContent = 0
    /// The last receive gave less than was asked for.
    private var hasDrained = true
    /// The current or last call has emptied the socket. One that received nothing has not: octets may have come since
    /// the receive before, and their event may be over.
    var hasEmptiedSocket: Bool { hasReceived && hasDrained }
    /// The current call has received already. If that emptied the socket, a second receive would find nothing.
    private var hasReceived = false
    /// True while `unsent` holds octets kept back by `hold()`, not octets that the socket declined.
    private var isHeld = false
    /// The peer closed its direction.
    private(set) var hasEnded = false
    /// Nothing more is given to OpenSSL: the peer asks for too much.
    private(set) var isStopped = false
    /// The error number of the system call that broke the connection; 0 when it is not broken.
    private(set) var failure: CInt = 0

    /// - Parameter received: octets that were read from the descriptor before; a copy of them is kept.
    init(descriptor: CInt, received: Octets = .empty) {
        self.descriptor = descriptor
        scratch = RecordScratch.current
        unsafe unread.keep(received.buffer)
    }

    deinit {
        unread.clear()
        unsent.clear()
    }

    /// Whether octets were received that OpenSSL has not read yet.
    var hasUnread: Bool { start < end || unread.count > 0 }
    /// Whether octets wait for the socket.
    var hasUnsent: Bool { unsent.count > 0 }

    // MARK: around each call

    /// Begins a call into OpenSSL: what was kept goes to the scratch buffer first.
    func begin() {
        start = 0
        end = unread.count > 0 ? unsafe unread.move(into: scratch.input) : 0
        hasReceived = false
    }

    /// Ends the call: sends the records it has written, and keeps what the socket does not take.
    func finish() {
        if scratch.filled > 0 { _ = send() }
        keepUnread()
    }

    /// Ends the call without sending: the records it has written leave together with the next ones.
    func hold() {
        guard scratch.filled <= Self.heldLimit, unsent.count == 0 else { return finish() }
        unsafe unsent.keep(UnsafeRawBufferPointer(rebasing: scratch.output[..<scratch.filled]))
        scratch.filled = 0
        isHeld = true
        keepUnread()
    }

    private static let heldLimit = 512

    private func keepUnread() {
        if start < end {
            unsafe unread.keep(UnsafeRawBufferPointer(rebasing: scratch.input[start..<end]))
        }
        start = 0
        end = 0
    }

    /// Ends reading for good: the next read of OpenSSL fails.
    func stop() { isStopped = true }

    // MARK: sending

    /// Sends what the socket has declined before.
    /// - Returns: false when the socket did not take all of it, or is broken.
    func sendPending() -> Bool {
        guard unsent.count > 0, !isHeld else { return true }
        unsent.drop(unsafe put(unsent.octets))
        return unsent.count == 0
    }

    /// Reports the plaintext behind `unsent` as written, and resets the count.
    func takeUnsentContent() -> Int {
        defer { unsentContent = 0 }
        return unsentContent
    }

    /// Moves what `hold` has kept back to the front of the records that are being gathered.
    func gatherHeld() {
        guard isHeld else { return }
        isHeld = false
        scratch.filled = unsafe unsent.move(into: scratch.output)
    }

    /// Sends the gathered records, and keeps what the socket does not take.
    /// - Returns: the octets of the writer that lie in records which left as a whole; nil when all of them left.
    func send() -> Int? {
        let filled = scratch.filled
        scratch.filled = 0
        if isHeld {
            isHeld = false
            _ = sendPending()
        }
        // While octets wait for the socket, OpenSSL writes only alerts and answers to KeyUpdate: `TLSSession.write`
        // has returned before.
        let sent =
            unsent.count > 0
            ? 0 : unsafe put(UnsafeRawBufferPointer(rebasing: scratch.output[..<filled]))
        guard sent < filled else { return nil }
        unsafe unsent.append(UnsafeRawBufferPointer(rebasing: scratch.output[sent..<filled]))
        let gone = scratch.recordEnds.last { $0.output <= sent }?.content ?? 0
        unsentContent += (scratch.recordEnds.last?.content ?? 0) - gone
        return gone
    }

    private func put(_ octets: UnsafeRawBufferPointer) -> Int {
        let count = unsafe portico_tls_send(descriptor, octets.baseAddress, octets.count)
        if count >= 0 { return count }
        if count != -Int(portico_EAGAIN) { failure = CInt(truncatingIfNeeded: -count) }
        return 0
    }

    // MARK: OpenSSL's side

    /// Takes a record that OpenSSL has made.
    /// - Returns: the number of octets taken, which is all of them, or 0 when the socket is full.
    fileprivate func write(_ octets: UnsafeRawBufferPointer) -> Int {
        // A peer that sends KeyUpdate and does not read must not make the answers pile up.
        guard unsent.count < 2 * RecordScratch.contentLimit || scratch.recordEnds.count > 0 else { return 0 }
        if unsafe octets.count > scratch.output.count - scratch.filled {    // the flight of a long chain
            if scratch.filled > 0 { _ = send() }
            guard unsafe unsent.count == 0 && octets.count <= scratch.output.count else { return 0 }
        }
        let free = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch.output[scratch.filled...])
        unsafe free.copyMemory(from: octets)
        scratch.filled += octets.count
        return octets.count
    }

    /// Gives OpenSSL octets of the socket.
    /// - Returns: their number; 0 at the end; -1 when there are none now, or the connection is broken or stopped.
    fileprivate func read(into room: UnsafeMutableRawBufferPointer) -> Int {
        guard !isStopped else { return -1 }
        if start == end {
            if hasEmptiedSocket { return -1 }
            let count = unsafe portico_tls_receive(
                descriptor, scratch.input.baseAddress, scratch.input.count)
            hasReceived = true
            hasDrained = unsafe count < scratch.input.count
            guard count > 0 else {
                if count == 0 { hasEnded = true }
                if count < 0, count != -Int(portico_EAGAIN) {
                    failure = CInt(truncatingIfNeeded: -count)
                }
                return count == 0 ? 0 : -1
            }
            start = 0
            end = count
        }
        let count = min(room.count, end - start)
        unsafe room.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: scratch.input[start..<(start + count)]))
        start += count
        return count
    }
}

@available(*, unavailable)
extension RecordBIO: Sendable {}

// MARK: the BIO

extension RecordBIO {
    /// Makes `ssl` read and write through this object, which must outlive it.
    /// - Returns: false when OpenSSL has no memory.
    func attach(to ssl: OpaquePointer) -> Bool {
        guard let method = unsafe RecordBIO.method, let bio = unsafe BIO_new(method) else { return false }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_bio(ssl, bio, bio)    // owns it
        return true
    }

    /// OpenSSL's description of this kind of BIO: one for the process, never freed.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        let made = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "portico")
        guard let made = unsafe made else { return nil }
        unsafe BIO_meth_set_read_ex(made, reading)
        unsafe BIO_meth_set_write_ex(made, writing)
        unsafe BIO_meth_set_ctrl(made, control)
        return unsafe made
    }()

    private static let reading:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
        ) -> CInt = { bio, room, size, done in
            unsafe BIO_clear_flags(bio, retryFlags)
            guard let data = unsafe BIO_get_data(bio) else { return 0 }
            let free = unsafe UnsafeMutableRawBufferPointer(start: room, count: size)
            let count = unsafe Unmanaged<RecordBIO>.fromOpaque(data)._withUnsafeGuaranteedRef {
                records -> Int in
                let count = unsafe records.read(into: free)
                return count < 0 && records.failure == 0 && !records.isStopped ? Int.min : count
            }
            if count == Int.min { unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY) }
            unsafe done?.pointee = max(0, count)
            return count > 0 ? 1 : 0
        }

    private static let writing:
        @convention(c) (
            OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
        ) -> CInt = { bio, start, size, done in
            unsafe BIO_clear_flags(bio, retryFlags)
            guard let data = unsafe BIO_get_data(bio) else { return 0 }
            let octets = unsafe UnsafeRawBufferPointer(start: start, count: size)
            let count = unsafe Unmanaged<RecordBIO>.fromOpaque(data)._withUnsafeGuaranteedRef {
                records -> Int in
                let count = unsafe records.write(octets)
                return count == 0 && records.failure == 0 ? -1 : count
            }
            if count < 0 { unsafe BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY) }
            unsafe done?.pointee = max(0, count)
            return count > 0 ? 1 : 0
        }

    private static let control: @convention(c) (OpaquePointer?, CInt, Int, UnsafeMutableRawPointer?) -> Int = {
        bio, command, _, _ in
        switch command {
        case BIO_CTRL_FLUSH: return 1    // `finish` sends
        case BIO_CTRL_EOF:
            guard let data = unsafe BIO_get_data(bio) else { return 1 }
            return unsafe Unmanaged<RecordBIO>.fromOpaque(data)._withUnsafeGuaranteedRef {
                $0.hasEnded ? 1 : 0
            }
        default: return 0
        }
    }
}

private let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY

/// Octets that have to wait. It owns no memory while there are none.
@safe struct PendingOctets {
    private var block: UnsafeMutableRawBufferPointer?    // owned
    private var start = 0

    var count: Int { unsafe (block?.count ?? 0) - start }

    var octets: UnsafeRawBufferPointer {
        guard let block = unsafe block else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(rebasing: block[start...])
    }

    /// Keeps a copy of `octets`. No others may wait.
    mutating func keep(_ octets: UnsafeRawBufferPointer) {
        guard octets.count > 0 else { return }
        let made = UnsafeMutableRawBufferPointer.allocate(byteCount: octets.count, alignment: 1)
        unsafe made.copyMemory(from: octets)
        unsafe block = made
        start = 0
    }

    /// Keeps a copy of `octets` behind those that wait.
    mutating func append(_ octets: UnsafeRawBufferPointer) {
        guard count > 0 else { return unsafe keep(octets) }
        let have = count
        let made = UnsafeMutableRawBufferPointer.allocate(
            byteCount: have + octets.count, alignment: 1)
        unsafe made.copyMemory(from: self.octets)
        unsafe UnsafeMutableRawBufferPointer(rebasing: made[have...]).copyMemory(from: octets)
        clear()
        unsafe block = made
    }

    /// Moves as many octets as fit into `room`.
    /// - Returns: their number.
    mutating func move(into room: UnsafeMutableRawBufferPointer) -> Int {
        let moved = min(count, room.count)
        unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: octets[..<moved]))
        drop(moved)
        return moved
    }

    /// Forgets the first octets.
    mutating func drop(_ gone: Int) {
        start += gone
        if count == 0 { clear() }
    }

    /// Forgets all octets and frees their memory.
    mutating func clear() {
        unsafe block?.deallocate()
        unsafe block = nil
        start = 0
    }
}
