internal import CNghttp2
internal import Octets

/// nghttp2's callbacks: each finds its session, notes a fact and returns.
extension HTTP2Session {
    /// Made once, never changed afterwards; nghttp2 copies it into each session.
    nonisolated(unsafe) static let callbacks: OpaquePointer? = {
        var made: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&made) == 0 else { return nil }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(made, onBeginHeaders)
        unsafe nghttp2_session_callbacks_set_on_header_callback2(made, onHeader)
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(made, onFrame)
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, onData)
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(made, onClose)
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(made, onFrameSent)
        unsafe nghttp2_session_callbacks_set_send_callback(made, onSend)
        unsafe nghttp2_session_callbacks_set_send_data_callback(made, onSendData)
        return unsafe made
    }()

    /// Made once, never changed afterwards; nghttp2 copies it into each session.
    nonisolated(unsafe) static let options: OpaquePointer? = {
        var made: OpaquePointer?
        guard unsafe nghttp2_option_new(&made) == 0 else { return nil }
        unsafe nghttp2_option_set_no_auto_window_update(made, 1)
        unsafe nghttp2_option_set_no_closed_streams(made, 1)
        unsafe nghttp2_option_set_max_send_header_block_length(made, 524_288)
        unsafe nghttp2_option_set_server_fallback_rfc7540_priorities(made, 0)
        return unsafe made
    }()

    @inline(__always)
    private static func with<Result>(
        _ user: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> Result
    ) -> Result {
        // `init` sets the pointer before nghttp2 can call anything; it lives as long as the session.
        unsafe Unmanaged<HTTP2Session>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(
            body)
    }

    @inline(__always)
    private func slot(of stream: Int32) -> Int? {
        let user = unsafe nghttp2_session_get_stream_user_data(raw, stream)
        let number = Int(bitPattern: user) - 1
        return number >= 0 ? number : nil
    }

    private static let onBeginHeaders: nghttp2_on_begin_headers_callback = { _, frame, user in
        guard let header = unsafe frame?.pointee.hd else { return 0 }
        return unsafe with(user) { session in session.beginHeaders(stream: header.stream_id) }
    }

    private func beginHeaders(stream: Int32) -> Int32 {
        let index: Int
        if let known = slot(of: stream) {
            index = known
        } else {
            index = openSlot(id: stream)
            _ = unsafe nghttp2_session_set_stream_user_data(
                raw, stream, UnsafeMutableRawPointer(bitPattern: index + 1))
        }
        if let unread = slots[index].incoming { pools.letGo(unread) }
        let block = pools.takeBlock()
        slots[index].incoming = block
        unsafe receiving = Unmanaged.passUnretained(block)
        receivingStream = stream
        return 0
    }

    private static let onHeader: nghttp2_on_header_callback2 = {
        _, frame, name, value, flags, user in
        guard let header = unsafe frame?.pointee.hd, let name = unsafe name,
            let value = unsafe value
        else { return 0 }
        let isSensitive = UInt32(flags) & NGHTTP2_NV_FLAG_NO_INDEX.rawValue != 0
        return unsafe with(user) { session in
            guard session.receivingStream == header.stream_id,
                let receiving = unsafe session.receiving
            else { return 0 }
            return unsafe receiving._withUnsafeGuaranteedRef { block in
                unsafe block.append(name: name, value: value, isSensitive: isSensitive)
                let fits =
                    block.size <= session.limits.headerOctets
                    && block.count <= session.limits.headerFields
                // A stream error: RST_STREAM(INTERNAL_ERROR), the connection lives.
                return fits ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
            }
        }
    }

    private static let onFrame: nghttp2_on_frame_recv_callback = { _, frame, user in
        guard let frame = unsafe frame else { return 0 }
        let header = unsafe frame.pointee.hd
        unsafe with(user) { session in
            switch UInt32(header.type) {
            case NGHTTP2_DATA.rawValue: session.noteEnd(header)
            case NGHTTP2_HEADERS.rawValue:
                session.noteHeaders(header)
                session.noteEnd(header)
            case NGHTTP2_SETTINGS.rawValue:
                guard UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue == 0 else { return }
                session.events.append(StreamEvent(.settings))
            case NGHTTP2_GOAWAY.rawValue:
                let code = unsafe frame.pointee.goaway.error_code
                session.events.append(StreamEvent(.goAway, code: code))
            default: break
            }
        }
        return 0
    }

    private func noteHeaders(_ header: nghttp2_frame_hd) {
        guard let slot = slot(of: header.stream_id), let block = slots[slot].incoming else {
            return
        }
        let isTrailers = slots[slot].headersSeen && block.first(.status) == nil
        slots[slot].headersSeen = true
        slots[slot].incoming = nil
        unsafe receiving = nil
        sections.append((slot, block))
        let isEnd = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        events.append(
            StreamEvent(
                isTrailers ? .trailers : .headers, stream: slot, tag: slots[slot].tag,
                code: isEnd ? 1 : 0))
    }

    private func noteEnd(_ header: nghttp2_frame_hd) {
        guard UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0,
            let slot = slot(of: header.stream_id)
        else { return }
        slots[slot].isEndReceived = true
        events.append(StreamEvent(.end, stream: slot, tag: slots[slot].tag))
    }

    private static let onData: nghttp2_on_data_chunk_recv_callback = {
        raw, _, stream, data, length, user in
        unsafe with(user) { session in
            // The connection's window is opened at once: a stream that waits must not hold up the others.
            _ = unsafe nghttp2_session_consume_connection(raw, length)
            guard let slot = session.slot(of: stream) else { return }
            let octets = unsafe Octets(base: UnsafeRawPointer(data), count: length)
            session.events.append(
                StreamEvent(.data, stream: slot, tag: session.slots[slot].tag, data: octets))
        }
        return 0
    }

    private static let onClose: nghttp2_on_stream_close_callback = { _, stream, code, user in
        unsafe with(user) { session in
            guard let slot = session.slot(of: stream) else { return }
            session.events.append(
                StreamEvent(.closed, stream: slot, tag: session.slots[slot].tag, code: code))
            session.closeSlot(slot)
        }
        return 0
    }

    private static let onFrameSent: nghttp2_on_frame_send_callback = { _, frame, user in
        guard let header = unsafe frame?.pointee.hd else { return 0 }
        let type = UInt32(header.type)
        guard type == NGHTTP2_HEADERS.rawValue || type == NGHTTP2_DATA.rawValue else { return 0 }
        unsafe with(user) { session in
            guard let slot = session.slot(of: header.stream_id) else { return }
            session.slots[slot].hasSentHeaders = true
            guard UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 else { return }
            session.slots[slot].hasSentEnd = true
            if session.slots[slot].resetAfterEnd {
                session.resetsAfterFlush.append((slot, header.stream_id, ErrorCode.none))
            }
        }
        return 0
    }

    private static let onSend: nghttp2_send_callback = { _, data, length, _, user in
        unsafe with(user) { session in
            guard let sink = unsafe session.sink else { return Int(NGHTTP2_ERR_WOULDBLOCK.rawValue) }
            return unsafe sink._withUnsafeGuaranteedRef { sink in
                guard sink.count < session.sinkLimit else { return Int(NGHTTP2_ERR_WOULDBLOCK.rawValue) }
                unsafe sink.append(Octets(base: UnsafeRawPointer(data), count: length))
                return length
            }
        }
    }

    /// nghttp2 asks how much of a stream's body there is; the octets go out in `onSendData`.
    static let readBody: nghttp2_data_source_read_callback = { _, _, _, room, flags, source, user in
        guard let slot = unsafe (source?.pointee.fd).map(Int.init), let flags = unsafe flags else {
            return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
        }
        return unsafe with(user) { session in
            let waiting = session.pending(slot)
            let isEnded = session.slots[slot].isEnded
            guard waiting > 0 || isEnded else {
                session.slots[slot].isDeferred = true
                return Int(NGHTTP2_ERR_DEFERRED.rawValue)
            }
            let count = min(waiting, room)
            var bits = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
            if isEnded, count == waiting { bits |= session.endFlags(slot) }
            unsafe flags.pointee = bits
            return count
        }
    }

    private func endFlags(_ slot: Int) -> UInt32 {
        guard let trailers = slots[slot].trailers else { return NGHTTP2_DATA_FLAG_EOF.rawValue }
        slots[slot].trailers = nil
        submitTrailers(slot, trailers)
        pools.letGo(trailers)
        return NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
    }

    private static let onSendData: nghttp2_send_data_callback = {
        _, frame, head, length, source, user in
        guard let slot = unsafe (source?.pointee.fd).map(Int.init) else {
            return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
        }
        return unsafe with(user) { session in
            guard let sink = unsafe session.sink else { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
            return unsafe sink._withUnsafeGuaranteedRef { sink in
                guard sink.count < session.sinkLimit else { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
                unsafe sink.append(Octets(base: UnsafeRawPointer(head), count: 9))
                session.takeBody(slot, length, into: sink)
                return 0
            }
        }
    }

    private func takeBody(_ slot: Int, _ count: Int, into sink: OctetBuffer) {
        guard count > 0, count <= slots[slot].waiting, let body = slots[slot].body else { return }
        sink.append(body.octets.slice(slots[slot].cursor, slots[slot].cursor + count))
        slots[slot].cursor += count
        slots[slot].waiting -= count
        if slots[slot].keepsBody, slots[slot].cursor > Self.replayLimit {
            slots[slot].keepsBody = false
        }
        if !slots[slot].keepsBody { dropSent(slot) }
        taken.append(TakenOctets(tag: slots[slot].tag, count: count))
    }
}
