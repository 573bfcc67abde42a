internal import CNghttp2
package import Octets

/// Limits and windows of one HTTP/2 connection. Source: RFC 9113 §6.5.2; Envoy's guide for edges.
package struct HTTP2Limits: Sendable {
    /// Streams that the peer may have open at once.
    package var concurrentStreams: UInt32 = 100
    /// Octets of body that a stream's peer may send ahead.
    package var streamWindowOctets: Int32 = 65_536
    /// Octets of body that the peer may send ahead on all streams.
    package var connectionWindowOctets: Int32 = 1_048_576
    /// Octets of one decoded header section, 32 for each field included.
    package var headerOctets = 61_440
    package var headerFields = 100
    package init() {}

    /// Towards upstreams: larger windows, and response headers may be larger.
    package static var upstream: HTTP2Limits {
        var limits = HTTP2Limits()
        limits.streamWindowOctets = 262_144
        limits.connectionWindowOctets = 16_777_216
        limits.headerOctets = 262_144
        limits.headerFields = 256
        return limits
    }
}

/// One HTTP/2 connection, of either side: nghttp2's session, and beside it a slot for each stream.
/// It does no I/O: `receive` takes octets and notes events, `flush` makes octets. Callbacks only note.
/// A stream's slot stays until `endTurn`, so that events noted before its end can still be acted on.
/// Its owner's thread only.
@safe package final class HTTP2Session {
    /// What there is of one stream beside nghttp2's own record.
    struct Slot {
        var id: Int32 = 0
        var tag = -1
        var isOpen = false
        var incoming: HeaderBlock?    // being received
        var sent: HeaderBlock?    // header section that nghttp2 may still point into
        var sentTrailers: HeaderBlock?    // and the trailer section
        var body: OctetBuffer?    // octets to send; from the pools, none while idle
        var waiting = 0    // octets of `body` not sent yet
        var cursor = 0    // octets of `body` sent but kept for a replay
        var keepsBody = false    // a retry may still want the octets sent
        var isDeferred = false    // nghttp2 waits for `resume`
        var isEnded = false    // nothing comes after `body` but `trailers`
        var trailers: HeaderBlock?
        var hasSentHeaders = false
        var hasSentEnd = false
        var isEndReceived = false
        var resetAfterEnd = false
        var isReset = false
        var headersSeen = false
    }

    package let isServer: Bool
    package let limits: HTTP2Limits
    let pools: MessagePools
    var raw: OpaquePointer    // owned; freed in `deinit`
    let slots = SlotTable<Slot>()
    /// Where the header section in hand goes; HPACK forbids that two are mixed.
    /// The slot holds the block until the section is complete.
    var receiving: Unmanaged<HeaderBlock>?
    var receivingStream: Int32 = -1
    var freeSlots: [Int] = []
    var closedSlots: [Int] = []
    package private(set) var openStreams = 0
    /// Noted by `receive` and `flush`; the owner goes through them and calls `endTurn`.
    package var events: ContiguousArray<StreamEvent> = []
    /// Noted by `flush`.
    package var taken: ContiguousArray<TakenOctets> = []
    /// Complete header sections of this turn, in the order of their events; several may be one stream's.
    var sections: ContiguousArray<(slot: Int, block: HeaderBlock?)> = []
    var firstSection = 0    // all before it were taken
    var sink: Unmanaged<OctetBuffer>?    // where `flush` writes, during the call
    var sinkLimit = 0
    /// With the stream's number: the slot may be another stream's by the time of the flush.
    var resetsAfterFlush: [(slot: Int, stream: Int32, code: UInt32)] = []

    /// - Throws: nothing but a lack of memory, as nil.
    package init?(isServer: Bool, limits: HTTP2Limits, pools: MessagePools) {
        self.isServer = isServer
        self.limits = limits
        self.pools = pools
        var made: OpaquePointer?
        let options = unsafe Self.options
        let callbacks = unsafe Self.callbacks
        let code =
            isServer
            ? unsafe nghttp2_session_server_new3(
                &made, callbacks, nil, options, pools.memory.callbacks)
            : unsafe nghttp2_session_client_new3(
                &made, callbacks, nil, options, pools.memory.callbacks)
        guard code == 0, let made = unsafe made else { return nil }
        unsafe raw = made
        // Unretained: `raw` dies in `deinit`, so no callback can outlive `self`.
        unsafe nghttp2_session_set_user_data(made, Unmanaged.passUnretained(self).toOpaque())
        submitSettings()
    }

    deinit {
        unsafe nghttp2_session_del(raw)
        dropSections()
        for index in slots.indices { releaseMemory(of: index) }
    }

    /// Feeds the peer's octets. The events' data point into `input`.
    /// - Returns: false when the connection cannot go on; what `flush` gives is still worth sending.
    package func receive(_ input: Octets) -> Bool {
        guard let base = unsafe input.base else { return true }
        let used = unsafe nghttp2_session_mem_recv(
            raw, base.assumingMemoryBound(to: UInt8.self), input.count)
        return used >= 0
    }

    /// Appends what there is to send, up to about `limit` octets in `out`.
    /// - Returns: false when the connection cannot go on.
    package func flush(into out: OctetBuffer, limit: Int) -> Bool {
        unsafe sink = Unmanaged.passUnretained(out)
        sinkLimit = limit
        defer { unsafe sink = nil }
        guard unsafe nghttp2_session_send(raw) == 0 else { return false }
        guard !resetsAfterFlush.isEmpty else { return true }
        for (slot, stream, code) in resetsAfterFlush where slots[slot].id == stream {
            submitReset(slot, code: code)
        }
        resetsAfterFlush.removeAll(keepingCapacity: true)
        return unsafe nghttp2_session_send(raw) == 0
    }

    /// Whether `flush` would have something to say.
    package var wantsFlush: Bool {
        unsafe !resetsAfterFlush.isEmpty || nghttp2_session_want_write(raw) != 0
    }

    /// Neither side has anything more to say: close the connection.
    package var isFinished: Bool {
        unsafe nghttp2_session_want_read(raw) == 0 && nghttp2_session_want_write(raw) == 0
    }

    /// Forgets events and frees the slots of streams that are gone.
    package func endTurn() {
        events.removeAll(keepingCapacity: true)
        taken.removeAll(keepingCapacity: true)
        if !sections.isEmpty { dropSections() }
        guard !closedSlots.isEmpty else { return }
        for index in closedSlots {
            if slots[index].id == receivingStream { unsafe receiving = nil }
            releaseMemory(of: index)
            slots[index] = Slot()
            freeSlots.append(index)
        }
        closedSlots.removeAll(keepingCapacity: true)
    }

    /// The peer's limit on streams that we open; 100 until its SETTINGS are known.
    package var peerConcurrentStreams: Int {
        Int(
            unsafe nghttp2_session_get_remote_settings(raw, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        )
    }

    /// Whether a new stream may be opened; false after GOAWAY and when stream numbers are used up.
    package var takesRequests: Bool { unsafe nghttp2_session_check_request_allowed(raw) != 0 }

    private func dropSections() {
        for section in sections {
            if let unread = section.block { pools.letGo(unread) }
        }
        sections.removeAll(keepingCapacity: true)
        firstSection = 0
    }

    // MARK: slots

    func openSlot(id: Int32) -> Int {
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        slots[index].id = id
        slots[index].isOpen = true
        openStreams += 1
        return index
    }

    func closeSlot(_ index: Int) {
        guard slots[index].isOpen else { return }
        slots[index].isOpen = false
        openStreams -= 1
        closedSlots.append(index)
    }

    private func releaseMemory(of index: Int) {
        // `take` moves a reference out where a copy would count it up and down.
        if let block = slots[index].incoming.take() { pools.letGo(block) }
        if let block = slots[index].sent.take() { pools.letGo(block) }
        if let block = slots[index].sentTrailers.take() { pools.letGo(block) }
        if let block = slots[index].trailers.take() { pools.letGo(block) }
        if let body = slots[index].body.take() { pools.give(body) }
    }

    private func submitSettings() {
        var entries = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(limits.streamWindowOctets))
        ]
        if isServer {
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: limits.concurrentStreams))
            // The priorities of RFC 7540 are obsolete, cost time and can be abused. Source: RFC 9218 §2.1.
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1))
        } else {
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        unsafe nghttp2_submit_settings(
            raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
        unsafe nghttp2_session_set_local_window_size(
            raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, limits.connectionWindowOctets)
    }
}
