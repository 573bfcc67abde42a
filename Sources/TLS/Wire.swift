internal import COpenSSL

/// What lies between OpenSSL and a socket: a BIO that gathers the records of one call to send them at
/// once, and gives OpenSSL the headers and bodies of many records from one receive. OpenSSL's own
/// socket BIO needs two system calls for a record. Its worker's thread only.
///
/// Between `begin` and `finish` the octets lie in the thread's `WireDesk`; what is left after it (a
/// record's rest that the socket did not take, records that the reader had no room for) is kept here.
@safe final class Wire {
    private let descriptor: CInt
    let desk: WireDesk
    private var start = 0    // in `desk.input`: what OpenSSL has not had yet
    private var end = 0
    private var unread = Rest()
    private var unsent = Rest()
    /// How many octets of the writer `unsent` stands for: those that it was not told as taken.
    private(set) var unsentContent = 0
    /// The last receive gave less than was asked for: the socket was empty.
    private(set) var hasDrained = true
    /// This call has received: when that has emptied the socket, a second receive would find nothing.
    private var hasReceived = false
    /// `unsent` is no rest but what `hold` has kept.
    private var isHeld = false
    private(set) var hasEnded = false
    /// Nothing more is given to OpenSSL: the peer asks for too much.
    private(set) var isStopped = false
    /// What broke the connection; 0: nothing.
    private(set) var failure: CInt = 0

    init(descriptor: CInt) {
        self.descriptor = descriptor
        desk = WireDesk.current
    }

    deinit {
        unread.clear()
        unsent.clear()
    }

    var hasUnread: Bool { start < end || unread.count > 0 }
    var hasUnsent: Bool { unsent.count > 0 }

    // MARK: around each call

    func begin() {
        start = 0
        end = unread.count > 0 ? unsafe unread.move(into: desk.input) : 0
        hasReceived = false
    }

    /// Sends what the call has left, and keeps the rest.
    func finish() {
        if desk.filled > 0 { _ = send() }
        keepUnread()
    }

    /// Ends the call without sending: what it has left goes with the next octets.
    func hold() {
        guard desk.filled <= Self.heldLimit, unsent.count == 0 else { return finish() }
        unsafe unsent.keep(UnsafeRawBufferPointer(rebasing: desk.output[..<desk.filled]))
        desk.filled = 0
        isHeld = true
        keepUnread()
    }

    private static let heldLimit = 512

    private func keepUnread() {
        if start < end {
            unsafe unread.keep(UnsafeRawBufferPointer(rebasing: desk.input[start..<end]))
        }
        start = 0
        end = 0
    }

    func stop() { isStopped = true }

    // MARK: sending

    /// - Returns: false when the socket took not all of it, or is broken.
    func sendRest() -> Bool {
        guard unsent.count > 0, !isHeld else { return true }
        unsent.drop(unsafe put(unsent.octets))
        return unsent.count == 0
    }

    /// The content of `unsent` is told as taken now.
    func takeUnsentContent() -> Int {
        defer { unsentContent = 0 }
        return unsentContent
    }

    /// What was held is gathered first.
    func gatherHeld() {
        guard isHeld else { return }
        isHeld = false
        desk.filled = unsafe unsent.move(into: desk.output)
    }

    /// Sends what was gathered; what the socket does not take is kept.
    /// - Returns: how many octets of the writer lie in records that are gone as a whole; nil: all.
    func send() -> Int? {
        let filled = desk.filled
        desk.filled = 0
        if isHeld {
            isHeld = false
            _ = sendRest()
        }
        // Only alerts and answers to KeyUpdate come while there is a rest: `write` has refused.
        let sent =
            unsent.count > 0
            ? 0 : unsafe put(UnsafeRawBufferPointer(rebasing: desk.output[..<filled]))
        guard sent < filled else { return nil }
        unsafe unsent.append(UnsafeRawBufferPointer(rebasing: desk.output[sent..<filled]))
        let gone = desk.ends.last { $0.wire <= sent }?.content ?? 0
        unsentContent += (desk.ends.last?.content ?? 0) - gone
        return gone
    }

    private func put(_ octets: UnsafeRawBufferPointer) -> Int {
        let count = unsafe portico_tls_send(descriptor, octets.baseAddress, octets.count)
        if count >= 0 { return count }
        if count != -Int(portico_EAGAIN) { failure = CInt(truncatingIfNeeded: -count) }
        return 0
    }

    // MARK: OpenSSL's side

    /// - Returns: how many were taken: all; 0: the socket is full.
    fileprivate func write(_ octets: UnsafeRawBufferPointer) -> Int {
        // Answers to KeyUpdates for a peer that does not read.
        guard unsent.count < 2 * WireDesk.contentLimit || desk.ends.count > 0 else { return 0 }
        if unsafe octets.count > desk.output.count - desk.filled {    // the flight of a long chain
            if desk.filled > 0 { _ = send() }
            guard unsafe unsent.count == 0 && octets.count <= desk.output.count else { return 0 }
        }
        let free = unsafe UnsafeMutableRawBufferPointer(rebasing: desk.output[desk.filled...])
        unsafe free.copyMemory(from: octets)
        desk.filled += octets.count
        return octets.count
    }

    /// - Returns: how many were given; 0: the end; -1: none now, or the connection is broken.
    fileprivate func read(into room: UnsafeMutableRawBufferPointer) -> Int {
        guard !isStopped else { return -1 }
        if start == end {
            if hasReceived, hasDrained { return -1 }
            let count = unsafe portico_tls_receive(
                descriptor, desk.input.baseAddress, desk.input.count)
            hasReceived = true
            hasDrained = unsafe count < desk.input.count
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
            from: UnsafeRawBufferPointer(rebasing: desk.input[start..<(start + count)]))
        start += count
        return count
    }
}

@available(*, unavailable)
extension Wire: Sendable {}

// MARK: the BIO

extension Wire {
    /// Gives `ssl` this wire, which must outlive it.
    func attach(to ssl: OpaquePointer) -> Bool {
        guard let method = unsafe Wire.method, let bio = unsafe BIO_new(method) else { return false }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_bio(ssl, bio, bio)    // owns it
        return true
    }

    /// One for the process; never freed.
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
            let count = unsafe Unmanaged<Wire>.fromOpaque(data)._withUnsafeGuaranteedRef {
                wire -> Int in
                let count = unsafe wire.read(into: free)
                return count < 0 && wire.failure == 0 && !wire.isStopped ? Int.min : count
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
            let count = unsafe Unmanaged<Wire>.fromOpaque(data)._withUnsafeGuaranteedRef {
                wire -> Int in
                let count = unsafe wire.write(octets)
                return count == 0 && wire.failure == 0 ? -1 : count
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
            return unsafe Unmanaged<Wire>.fromOpaque(data)._withUnsafeGuaranteedRef {
                $0.hasEnded ? 1 : 0
            }
        default: return 0
        }
    }
}

private let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY

/// Octets that have to wait; no memory while there are none.
@safe struct Rest {
    private var block: UnsafeMutableRawBufferPointer?    // owned
    private var start = 0

    var count: Int { unsafe (block?.count ?? 0) - start }

    var octets: UnsafeRawBufferPointer {
        guard let block = unsafe block else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(rebasing: block[start...])
    }

    /// Keeps a copy; there must be none yet.
    mutating func keep(_ octets: UnsafeRawBufferPointer) {
        guard octets.count > 0 else { return }
        let made = UnsafeMutableRawBufferPointer.allocate(byteCount: octets.count, alignment: 1)
        unsafe made.copyMemory(from: octets)
        unsafe block = made
        start = 0
    }

    /// Keeps a copy behind what there is.
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

    /// Gives as much as fits.
    mutating func move(into room: UnsafeMutableRawBufferPointer) -> Int {
        let moved = min(count, room.count)
        unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: octets[..<moved]))
        drop(moved)
        return moved
    }

    mutating func drop(_ gone: Int) {
        start += gone
        if count == 0 { clear() }
    }

    mutating func clear() {
        unsafe block?.deallocate()
        unsafe block = nil
        start = 0
    }
}
