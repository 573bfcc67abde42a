internal import COpenSSL

// MARK: writing

extension RecordStream {
    /// As `TLSSession.write`.
    func write(_ octets: UnsafeRawBufferPointer) -> TLSResult {
        var total = 0
        if sealed.count > 0 {
            if let trouble = sendRest() { return trouble }
            // The caller has given these octets again: they are gone now.
            assert(octets.count >= sealedContent)
            total = min(sealedContent, octets.count)
            sealedContent = 0
        }
        while total < octets.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: octets[total...])
            guard let (first, size, taken) = unsafe sealBatch(rest) else {
                return .failed(.brokenStream("cannot seal"))
            }
            let sent = unsafe portico_tls_send(descriptor, desk.output.baseAddress, size)
            if sent == size {
                total += taken
                continue
            }
            guard sent > 0 || sent == -Int(portico_EAGAIN) else { return Self.lost(sent) }
            let gone = max(sent, 0)
            let content = Self.contentOctets(in: gone - first, of: taken)
            unsafe sealed.keep(UnsafeRawBufferPointer(rebasing: desk.output[gone..<size]))
            sealedContent = taken - content
            total += content
            return total > 0 ? .octets(total) : .wantsWrite
        }
        return .octets(total)
    }

    /// - Returns: nil when nothing is left to send.
    private func sendRest() -> TLSResult? {
        let sent = unsafe portico_tls_send(descriptor, sealed.octets.baseAddress, sealed.count)
        guard sent > 0 || sent == -Int(portico_EAGAIN) else { return Self.lost(sent) }
        sealed.drop(max(sent, 0))
        return sealed.count > 0 ? .wantsWrite : nil
    }

    private static func lost(_ sent: Int) -> TLSResult {
        .failed(.connectionLost(errno: CInt(truncatingIfNeeded: -sent)))
    }

    /// How much of `total` octets of content is in the complete records of the first `size` octets.
    private static func contentOctets(in size: Int, of total: Int) -> Int {
        let full = RecordDesk.contentLimit + RecordDesk.overhead
        return size <= 0 ? 0 : min(size / full * RecordDesk.contentLimit, total)
    }

    /// Seals some records into the desk's output; before them a KeyUpdate if one is due.
    /// - Returns: the octets of the KeyUpdate, of everything, and of `octets` that were taken.
    private func sealBatch(
        _ octets: UnsafeRawBufferPointer
    ) -> (first: Int, size: Int, taken: Int)? {
        var size = 0
        if owesKeyUpdate || keys.writing.sequence >= Self.keyLife {
            guard let made = sealKeyUpdate() else { return nil }
            size = made
        }
        let first = size
        var taken = 0
        for _ in 0..<RecordDesk.batch where taken < octets.count {
            let end = min(taken + RecordDesk.contentLimit, octets.count)
            let content = unsafe UnsafeRawBufferPointer(rebasing: octets[taken..<end])
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: desk.output[size...])
            guard let made = unsafe seal(content, ContentType.data, into: room) else { return nil }
            size += made
            taken = end
        }
        return (first, size, taken)
    }

    /// From the record behind it on, the next key is used.
    private func sealKeyUpdate() -> Int? {
        owesKeyUpdate = false
        let message = [UInt8(SSL3_MT_KEY_UPDATE), 0, 0, 1, 0]    // update_not_requested
        let size = unsafe message.withUnsafeBytes {
            unsafe seal($0, ContentType.handshake, into: desk.output)
        }
        desk.forget(keys.writing)
        guard keys.writing.update(cipher, identity: desk.nextIdentity()) else { return nil }
        return size
    }
}

// MARK: one record

extension RecordStream {
    /// Up to this size a record is put together first and sealed in one call; above it the content
    /// is not copied, and its type takes a call of its own.
    private static let copiedOctets = 1024

    /// - Returns: the size of the record; nil when OpenSSL cannot, for example without memory.
    func seal(
        _ content: UnsafeRawBufferPointer, _ type: UInt8, into room: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let inner = content.count + 1
        let size = RecordDesk.overhead + content.count
        guard room.count >= size, content.count <= RecordDesk.contentLimit,
            let record = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let octets = unsafe content.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let context = unsafe desk.cipher(keys.writing, cipher, isSealing: true)
        else { return nil }
        unsafe Self.writeHeader(at: record, octets: inner + RecordDesk.tagOctets)
        let body = unsafe record + RecordDesk.headerOctets
        unsafe body[content.count] = type
        var count: CInt = 0
        var isSealed = unsafe keys.writing.withNonce {
            unsafe EVP_EncryptInit_ex(context, nil, nil, nil, $0) == 1
        }
        isSealed = unsafe isSealed && EVP_EncryptUpdate(context, nil, &count, record, 5) == 1
        if content.count <= Self.copiedOctets {
            unsafe body.update(from: octets, count: content.count)
            isSealed = unsafe isSealed && EVP_EncryptUpdate(context, body, &count, body, CInt(inner)) == 1
        } else {
            let last = unsafe body + content.count
            isSealed =
                unsafe isSealed
                && EVP_EncryptUpdate(context, body, &count, octets, CInt(content.count)) == 1
                && EVP_EncryptUpdate(context, last, &count, last, 1) == 1
        }
        let tag = unsafe body + inner
        isSealed =
            unsafe isSealed && EVP_EncryptFinal_ex(context, tag, &count) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CInt(RecordDesk.tagOctets), tag) == 1
        keys.writing.sequence += 1
        return isSealed ? size : nil
    }

    /// Version and type are the same in all records. Source: RFC 8446 §5.2.
    private static func writeHeader(at record: UnsafeMutablePointer<UInt8>, octets: Int) {
        unsafe record[0] = ContentType.data
        unsafe record[1] = 3
        unsafe record[2] = 3
        unsafe record[3] = UInt8(truncatingIfNeeded: octets >> 8)
        unsafe record[4] = UInt8(truncatingIfNeeded: octets)
    }

    /// Opens a whole record. The octet behind the content is its type, unless padding follows: it is
    /// opened apart, so that a full record fits exactly where its content goes.
    /// - Returns: nil for a record that nobody with our keys has made.
    func unseal(
        _ record: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) -> (type: UInt8, count: Int)? {
        var count = record.count - RecordDesk.overhead
        guard count >= 0, room.count >= count,
            let start = unsafe record.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let plain = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let context = unsafe desk.cipher(keys.reading, cipher, isSealing: false)
        else { return nil }
        let body = unsafe start + RecordDesk.headerOctets
        let tag = unsafe UnsafeMutablePointer(mutating: body + count + 1)    // only read
        var type: UInt8 = 0
        var nothing: UInt8 = 0    // the end gives no octets
        var done: CInt = 0
        var isOpen = unsafe keys.reading.withNonce {
            unsafe EVP_DecryptInit_ex(context, nil, nil, nil, $0) == 1
        }
        isOpen = unsafe isOpen && EVP_DecryptUpdate(context, nil, &done, start, 5) == 1
        if count > 0 {
            isOpen = unsafe isOpen && EVP_DecryptUpdate(context, plain, &done, body, CInt(count)) == 1
        }
        isOpen =
            unsafe isOpen && EVP_DecryptUpdate(context, &type, &done, body + count, 1) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CInt(RecordDesk.tagOctets), tag) == 1
            && EVP_DecryptFinal_ex(context, &nothing, &done) == 1
        guard isOpen else { return nil }
        keys.reading.sequence += 1
        while type == 0, count > 0 {    // padding
            count -= 1
            unsafe type = plain[count]
        }
        return (type, count)
    }
}
