internal import CNghttp2
package import Octets

/// What the owner asks of a session's streams. All of it is safe on a stream that is gone already.
extension HTTP2Session {
    /// Octets of a request body kept for a replay; a longer body cannot be replayed.
    package static let replayLimit = 65_536

    /// Opens a stream towards the peer. The session holds the block until the stream is gone.
    /// - Parameter keepsBody: keep what is sent of the body until `stopKeeping`, for a replay.
    /// - Returns: the stream's slot; nil when the peer takes no more streams.
    package func submitRequest(_ block: HeaderBlock, isEnd: Bool, tag: Int, keepsBody: Bool) -> Int?
    {
        let slot = openSlot(id: 0)
        let (vectors, count) = unsafe pools.vectors(of: block)
        var provider = unsafe Self.provider(slot: slot)
        let user = unsafe UnsafeMutableRawPointer(bitPattern: slot + 1)
        let id =
            isEnd
            ? unsafe nghttp2_submit_request(raw, nil, vectors, count, nil, user)
            : unsafe nghttp2_submit_request(raw, nil, vectors, count, &provider, user)
        guard id > 0 else {
            closeSlot(slot)
            return nil
        }
        block.hold()
        slots[slot].id = id
        slots[slot].tag = tag
        slots[slot].sent = block
        slots[slot].keepsBody = keepsBody && !isEnd
        slots[slot].isEnded = isEnd
        return slot
    }

    /// Sends the final response headers. The session holds the block until the stream is gone.
    package func submitResponse(_ slot: Int, _ block: HeaderBlock, isEnd: Bool) {
        guard slots[slot].isOpen, slots[slot].sent == nil else { return }
        let (vectors, count) = unsafe pools.vectors(of: block)
        var provider = unsafe Self.provider(slot: slot)
        let code =
            isEnd
            ? unsafe nghttp2_submit_response(raw, slots[slot].id, vectors, count, nil)
            : unsafe nghttp2_submit_response(raw, slots[slot].id, vectors, count, &provider)
        guard code == 0 else { return submitReset(slot, code: ErrorCode.internalError) }
        block.hold()
        slots[slot].sent = block
        slots[slot].isEnded = isEnd
    }

    /// Sends an informational (1xx) header section.
    package func submitInformational(_ slot: Int, _ block: HeaderBlock) {
        guard slots[slot].isOpen, slots[slot].sent == nil else { return }
        // Copied by nghttp2: informational sections are rare and several may follow each other.
        let (vectors, count) = unsafe pools.vectors(of: block)
        for index in 0..<count {
            unsafe vectors[index].flags = UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
        }
        _ = unsafe nghttp2_submit_headers(
            raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), slots[slot].id, nil, vectors, count, nil)
    }

    /// Appends octets to the stream's body.
    package func send(_ slot: Int, _ octets: Octets) {
        guard slots[slot].isOpen, !slots[slot].isEnded, octets.count > 0 else { return }
        let body: OctetBuffer
        if let present = slots[slot].body {
            body = present
        } else {
            body = pools.takeBuffer()
            slots[slot].body = body
        }
        body.append(octets)
        slots[slot].waiting += octets.count
        resume(slot)
    }

    /// Ends the stream's body; the session holds the trailers until the stream is gone.
    package func finish(_ slot: Int, trailers: HeaderBlock? = nil) {
        guard slots[slot].isOpen, !slots[slot].isEnded else { return }
        slots[slot].isEnded = true
        guard let trailers, !trailers.isEmpty else { return resume(slot) }
        if slots[slot].isDeferred, pending(slot) == 0 {
            // nghttp2 waits for octets that will not come: the trailers end the stream at once.
            submitTrailers(slot, trailers)
        } else {
            trailers.hold()
            slots[slot].trailers = trailers
            resume(slot)
        }
    }

    /// Resets the stream; `.closed` follows with a later `flush`. What a server has submitted before and
    /// can be sent now goes out first: a client should see all of an answer that its upstream broke off.
    package func reset(_ slot: Int, code: UInt32) {
        guard slots[slot].isOpen else { return }
        if isServer, slots[slot].sent != nil {
            resetsAfterFlush.append((slot, slots[slot].id, code))
        } else {
            submitReset(slot, code: code)
        }
    }

    /// A second reset of a request that was not sent yet would reach the peer for a stream it never saw,
    /// which ends the connection.
    func submitReset(_ slot: Int, code: UInt32) {
        guard slots[slot].isOpen, !slots[slot].isReset else { return }
        slots[slot].isReset = true
        _ = unsafe nghttp2_submit_rst_stream(
            raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), slots[slot].id, code)
    }

    /// After the end of our side was sent, tells the peer that the rest of its body is not wanted.
    /// Source: RFC 9113 §8.1, RST_STREAM with NO_ERROR.
    package func resetAfterEnd(_ slot: Int) {
        guard slots[slot].isOpen, !slots[slot].isEndReceived else { return }
        if slots[slot].hasSentEnd {
            submitReset(slot, code: ErrorCode.none)
        } else {
            slots[slot].resetAfterEnd = true
        }
    }

    /// Opens the stream's window again by octets that the other side has taken.
    package func consume(_ slot: Int, _ count: Int) {
        guard slots[slot].isOpen, count > 0 else { return }
        _ = unsafe nghttp2_session_consume_stream(raw, slots[slot].id, count)
    }

    /// Octets of body waiting to be sent.
    package func pending(_ slot: Int) -> Int {
        slots[slot].waiting
    }

    /// No retry will want the octets already sent.
    package func stopKeeping(_ slot: Int) {
        guard slots[slot].keepsBody else { return }
        slots[slot].keepsBody = false
        dropSent(slot)
    }

    /// Takes the kept body away for a replay elsewhere; nil when it was not kept from the start.
    package func detachBody(_ slot: Int) -> OctetBuffer? {
        let isWhole = slots[slot].keepsBody || !slots[slot].hasSentHeaders
        guard isWhole, slots[slot].trailers == nil else { return nil }
        let body = slots[slot].body.take() ?? pools.takeBuffer()
        slots[slot].waiting = 0
        slots[slot].cursor = 0
        slots[slot].keepsBody = false
        return body
    }

    package func tag(_ slot: Int) -> Int { slots[slot].tag }
    package func setTag(_ slot: Int, _ tag: Int) { slots[slot].tag = tag }
    package func hasSentHeaders(_ slot: Int) -> Bool { slots[slot].hasSentHeaders }
    /// Calls `body` with slot and tag of each open stream.
    package func forEachOpen(_ body: (Int, Int) -> Void) {
        for index in slots.indices where slots[index].isOpen { body(index, slots[index].tag) }
    }

    package func isOpen(_ slot: Int) -> Bool { slots[slot].isOpen }

    /// The header section that the `.headers` or `.trailers` event in hand tells of: the first of the
    /// stream that was not taken yet. The caller holds it now.
    package func takeHeaders(_ slot: Int) -> HeaderBlock? {
        for index in firstSection..<sections.count where sections[index].slot == slot {
            guard let block = sections[index].block else { continue }
            sections[index].block = nil
            if index == firstSection { firstSection += 1 }
            return block
        }
        return nil
    }

    // MARK: the connection

    /// First step of a graceful end: new streams are still taken. Source: RFC 9113 §6.8.
    package func announceShutdown() { unsafe nghttp2_submit_shutdown_notice(raw) }

    /// Second step: streams beyond the last one seen are not served.
    package func refuseNewStreams() {
        unsafe nghttp2_submit_goaway(
            raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(raw),
            ErrorCode.none, nil, 0)
    }

    /// Ends the connection with an error after what is queued.
    package func terminate(code: UInt32) { unsafe nghttp2_session_terminate_session(raw, code) }

    // MARK: inner steps

    private func resume(_ slot: Int) {
        guard slots[slot].isDeferred else { return }
        slots[slot].isDeferred = false
        _ = unsafe nghttp2_session_resume_data(raw, slots[slot].id)
    }

    func submitTrailers(_ slot: Int, _ trailers: HeaderBlock) {
        let (vectors, count) = unsafe pools.vectors(of: trailers)
        guard unsafe nghttp2_submit_trailer(raw, slots[slot].id, vectors, count) == 0 else {
            return submitReset(slot, code: ErrorCode.internalError)
        }
        trailers.hold()
        slots[slot].sentTrailers = trailers
    }

    /// Drops octets that were sent and are not kept.
    func dropSent(_ slot: Int) {
        let cursor = slots[slot].cursor
        slots[slot].cursor = 0
        guard slots[slot].waiting > 0 else {
            if let body = slots[slot].body.take() { pools.give(body) }
            return
        }
        slots[slot].body?.take(cursor)
    }

    private static func provider(slot: Int) -> nghttp2_data_provider {
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.source.fd = Int32(slot)
        unsafe provider.read_callback = readBody
        return unsafe provider
    }
}
