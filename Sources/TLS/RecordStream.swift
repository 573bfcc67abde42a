internal import COpenSSL

/// The records of a TLS 1.3 connection whose handshake OpenSSL has done, the server's side. Its
/// worker's thread only.
///
/// An SSL object holds 13.4 kB for as long as it lives, of which a connection at rest needs two
/// secrets; and it makes one read(2) and one write(2) for each record. The cryptography is
/// OpenSSL's here too: what is ours is the framing, and the two messages that may come after a
/// handshake without client certificates: KeyUpdate and alerts. Source: RFC 8446 §4.6.3, §5, §6.
@safe final class RecordStream {
    /// Records without content that may come one after the other, KeyUpdates included.
    /// OpenSSL has the same limit.
    static let quietLimit = 32
    /// AES-GCM is safe for 2^24.5 full records with one key. Source: RFC 8446 §5.5.
    static let keyLife: UInt64 = 1 << 24

    enum ContentType {
        static let alert: UInt8 = 21
        static let handshake: UInt8 = 22
        static let data: UInt8 = 23
    }

    let cipher: RecordCipher
    let descriptor: CInt
    let desk: RecordDesk
    let keys: RecordKeys
    /// Why reading has ended; what came before it is read first.
    var end: TLSResult?
    var quiet = 0
    /// Octets as they came, from the start of a record.
    var raw = Rest()
    /// Content that its reader had no room for.
    var content = Rest()
    /// The last read(2) gave less than was asked for: the socket was empty.
    var hasDrained = true
    /// Octets as they go, and how many of the writer's they stand for.
    var sealed = Rest()
    var sealedContent = 0
    var owesKeyUpdate = false

    /// - Parameter recordsWritten: under the application's key, by OpenSSL: tickets.
    /// - Returns: nil when OpenSSL cannot derive the keys.
    init?(_ cipher: RecordCipher, _ keys: RecordKeys, descriptor: CInt, recordsWritten: UInt64) {
        self.cipher = cipher
        self.descriptor = descriptor
        self.keys = keys
        desk = RecordDesk.current
        guard keys.hasSecrets(for: cipher),
            keys.reading.derive(cipher, identity: desk.nextIdentity()),
            keys.writing.derive(cipher, identity: desk.nextIdentity())
        else { return nil }
        keys.writing.sequence = recordsWritten
    }

    deinit {
        desk.forget(keys.reading)
        desk.forget(keys.writing)
        raw.clear()
        content.clear()
        sealed.clear()
    }

    /// Whether octets wait here that a read would give without asking the socket.
    var hasPendingOctets: Bool {
        unsafe content.count > 0 || end != nil || Self.recordSize(raw.octets) != nil
    }

    /// Whether a read would only find that there is nothing.
    var isDrained: Bool { hasDrained && !hasPendingOctets }

    /// The size of the first record when it is complete, or cannot be a record of ours.
    static func recordSize(_ octets: UnsafeRawBufferPointer) -> Int? {
        guard octets.count >= RecordDesk.headerOctets else { return nil }
        let size = unsafe RecordDesk.headerOctets + (Int(octets[3]) << 8 | Int(octets[4]))
        return size <= octets.count || size > RecordDesk.recordLimit ? size : nil
    }

    // MARK: reading

    func read(into room: UnsafeMutableRawBufferPointer) -> TLSResult {
        guard room.count > 0 else { return .octets(0) }
        if content.count > 0 { return unsafe .octets(content.move(into: room)) }
        if let end { return end }
        var have = unsafe raw.move(into: desk.input)
        while true {
            var total = 0
            let used = unsafe open(
                UnsafeRawBufferPointer(rebasing: desk.input[..<have]), into: room, &total)
            if total > 0 || end != nil {
                unsafe raw.keep(UnsafeRawBufferPointer(rebasing: desk.input[used..<have]))
                return total > 0 ? .octets(total) : end ?? .closed
            }
            if used > 0 {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: desk.input[used..<have])
                unsafe desk.input.copyMemory(from: rest)
                have -= used
            }
            // A record is never as big as the room, so there is some.
            let wanted = unsafe desk.input.count - have
            let count = unsafe portico_tls_receive(
                descriptor, desk.input.baseAddress.map { unsafe $0 + have }, wanted)
            hasDrained = count < wanted
            guard count > 0 else {
                unsafe raw.keep(UnsafeRawBufferPointer(rebasing: desk.input[..<have]))
                return ended(count)
            }
            have += count
        }
    }

    /// What a receive that gave nothing means.
    private func ended(_ count: Int) -> TLSResult {
        if count == -Int(portico_EAGAIN) { return .wantsRead }
        let result =
            count == 0
            ? TLSResult.closed : .failed(.connectionLost(errno: CInt(truncatingIfNeeded: -count)))
        end = result
        return result
    }

    /// Opens complete records as long as there is room.
    /// - Returns: how many octets of `octets` are done with.
    private func open(
        _ octets: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer,
        _ total: inout Int
    ) -> Int {
        var used = 0
        while end == nil, total < room.count, content.count == 0 {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: octets[used...])
            guard let size = unsafe Self.recordSize(rest) else { break }
            guard size <= RecordDesk.recordLimit else {
                fail(alert: SSL_AD_RECORD_OVERFLOW, SSL_R_ENCRYPTED_LENGTH_TOO_LONG)
                break
            }
            guard unsafe rest[0] == ContentType.data else {
                fail(alert: SSL_AD_UNEXPECTED_MESSAGE, SSL_R_BAD_RECORD_TYPE)
                break
            }
            let record = unsafe UnsafeRawBufferPointer(rebasing: rest[..<size])
            let free = unsafe UnsafeMutableRawBufferPointer(rebasing: room[total...])
            let largest = size - RecordDesk.overhead
            if largest <= free.count {
                unsafe total += open(record, into: free)
            } else if total > 0 {
                break    // the next read has more room
            } else {
                let count = unsafe open(record, into: desk.content)
                let opened = unsafe UnsafeRawBufferPointer(rebasing: desk.content[..<count])
                let fitting = min(count, free.count)
                unsafe free.copyMemory(from: UnsafeRawBufferPointer(rebasing: opened[..<fitting]))
                unsafe content.keep(UnsafeRawBufferPointer(rebasing: opened[fitting...]))
                total += fitting
            }
            used += size
        }
        return used
    }

    /// Opens one complete record; `room` takes all of its content.
    /// - Returns: how many octets are the application's.
    private func open(
        _ record: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let (type, count) = unsafe unseal(record, into: room) else {
            fail(alert: SSL_AD_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC)
            return 0
        }
        let plain = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
        if type == ContentType.data, count > 0 {
            if count > RecordDesk.contentLimit {
                fail(alert: SSL_AD_RECORD_OVERFLOW, SSL_R_DATA_LENGTH_TOO_LONG)
                return 0
            }
            quiet = 0
            return count
        }
        quiet += 1
        switch type {
        case ContentType.data where quiet <= Self.quietLimit: break
        case ContentType.alert: unsafe alertArrived(plain)
        case ContentType.handshake where quiet <= Self.quietLimit: unsafe handshakeArrived(plain)
        default: fail(alert: SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD)
        }
        return 0
    }

    private func alertArrived(_ octets: UnsafeRawBufferPointer) {
        guard octets.count == 2 else {
            return fail(alert: SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT)
        }
        switch unsafe CInt(octets[1]) {
        case SSL_AD_CLOSE_NOTIFY: end = .closed
        case SSL_AD_USER_CANCELLED: break    // close_notify follows
        case let alert:
            end = .failed(.peerAlert(Self.text(SSL_AD_REASON_OFFSET + alert)))
        }
    }

    /// KeyUpdate is the only message that a client without a certificate may send now, and nothing
    /// may follow it in its record. Source: RFC 8446 §4.6.3 and §5.1.
    private func handshakeArrived(_ octets: UnsafeRawBufferPointer) {
        guard unsafe octets.count == 5 && octets.starts(with: [UInt8(SSL3_MT_KEY_UPDATE), 0, 0, 1])
        else { return fail(alert: SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_MESSAGE) }
        let request = unsafe octets[4]
        guard request <= 1 else {
            return fail(alert: SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_KEY_UPDATE)
        }
        if request == 1 { owesKeyUpdate = true }
        desk.forget(keys.reading)
        if !keys.reading.update(cipher, identity: desk.nextIdentity()) {
            fail(alert: SSL_AD_INTERNAL_ERROR, SSL_R_BAD_KEY_UPDATE)
        }
    }

    private func fail(alert: CInt, _ reason: CInt) {
        sendAlert(level: UInt8(SSL3_AL_FATAL), alert)
        end = .failed(.brokenStream(Self.text(reason)))
    }

    private static func text(_ reason: CInt) -> String {
        guard let text = unsafe portico_tls_reason(reason) else { return "reason \(reason)" }
        return unsafe String(cString: text)
    }

    // MARK: the end

    /// Says it if the socket takes it, and nothing is half sent.
    func sendAlert(level: UInt8, _ alert: CInt) {
        guard sealed.count == 0 else { return }
        let message = [level, UInt8(truncatingIfNeeded: alert)]
        let size = unsafe message.withUnsafeBytes { unsafe seal($0, ContentType.alert, into: desk.output) }
        guard let size else { return }
        _ = unsafe portico_tls_send(descriptor, desk.output.baseAddress, size)
    }
}

@available(*, unavailable)
extension RecordStream: Sendable {}

extension RecordStream {
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
}
