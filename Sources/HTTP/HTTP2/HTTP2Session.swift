internal import Octets

/// Limits and windows of one HTTP/2 connection. Source: RFC 9113 §6.5.2;
/// envoyproxy/envoy docs/root/configuration/best_practices/edge.rst.
package struct HTTP2Limits: Sendable {
    /// The default of the streams that a client may have open at once on a connection (1 to 1,000,000). Long streams
    /// count: a client behind another proxy, or with a watch for each object, soon has more than the 100 of Envoy's
    /// guide for edges, and its further calls wait in the client without any message. Envoy's default is 1,024.
    package static let usualConcurrentStreams: UInt32 = 1000
    /// Streams that the peer may have open at once.
    package var concurrentStreams: UInt32 = usualConcurrentStreams
    /// Octets of body that a stream's peer may send ahead at first.
    package var streamWindowOctets: Int32 = 65_536
    /// What that grows to: it doubles when the other side has taken half of it and left next to nothing waiting.
    /// A stream whose other side is slow keeps its first window. A client's uploads are bounded by `heldOctets` all
    /// the same.
    package var mostStreamWindowOctets: Int32 = 65_536
    /// Octets of body that the peer may send ahead on all streams.
    package var connectionWindowOctets: Int32 = 1_048_576
    /// Octets of clients' bodies that may wait for their upstreams. Above that the connection's window stays closed,
    /// which bounds the memory of many streams together. Towards upstreams there is no such limit, because a response
    /// that one client does not read must not hold up the responses of others.
    package var heldOctets: Int64 = 8_388_608
    /// Octets of one decoded header section, 32 for each field included.
    package var headerOctets = 61_440
    /// Fields of one header section.
    package var headerFields = 100
    /// Octets of an interim response (1xx), and the number of them that a stream may have.
    static let mostInterimOctets = 16_384
    static let mostInterimSections = UInt8(clamping: HTTP1Limits.mostInterimResponses)
    /// The limits towards clients.
    package init() {}

    /// Towards upstreams: larger windows, and response headers may be larger.
    package static var upstream: HTTP2Limits {
        var limits = HTTP2Limits()
        limits.mostStreamWindowOctets = 262_144
        limits.connectionWindowOctets = 16_777_216
        limits.headerOctets = 262_144
        limits.headerFields = 256
        return limits
    }
}

/// One HTTP/2 connection, of either side: frames, streams, windows, header sections. It does no I/O: `receive` takes
/// octets and notes events, what is to be sent is framed at once where the windows allow it, and `flush` hands it over.
/// A stream's slot stays until `endTurn`, so that events noted before its end can still be acted on.
///
/// Thread: its owner's. Freed by: its connection.
@safe package final class HTTP2Session {
    package let isServer: Bool
    /// What the peer is held to.
    package let limits: HTTP2Limits
    let pools: MessagePools
    var hpack: HPACK
    /// The connection's number in the pools' header memory.
    let holder: Int32

    // Streams
    let slots = SlotTable<HTTP2Stream>()
    var index = StreamIndex()    // of streams that the peer knows
    var freeSlots = PlainStack<Int32>()
    var closedSlots: TurnList<Int> = TurnList()
    package internal(set) var openStreams = 0
    var startedStreams = 0    // of ours: that the peer knows, and are not over
    var nextStream: Int32 = 1    // of ours
    /// Streams that we have begun so far.
    package var begunStreams: Int { Int(nextStream &- 1) / 2 }
    /// Whether the peer has said nothing: not its SETTINGS, and nothing in their place.
    package var hasSilentPeer: Bool { !isPeerKnown && !isTerminating }
    /// RST_STREAM that we have sent so far.
    package internal(set) var resetsFramed = 0
    var lastPeerStream: Int32 = 0    // that was served
    var lastIgnoredStream: Int32 = 0    // beyond the final GOAWAY's
    /// Requests that wait for their turn, in order.
    var waiting: [Int] = []
    /// WebSockets that wait until it is known whether the peer takes them, beside those that wait for their turn.
    var awaitingSettings: [Int] = []

    // For the owner
    /// Noted by all calls; the owner goes through them and calls `endTurn`.
    package internal(set) var events: TurnList<StreamEvent> = TurnList()
    /// Octets of bodies that were framed: what the other side sent may be followed by more.
    package internal(set) var taken: TurnList<TakenOctets> = TurnList()
    /// Complete header sections of this turn, in the order of their events; several may be one stream's.
    var sections: TurnList<HeldSection> = TurnList()
    var firstSection = 0    // all before it were taken

    // Reading
    var input = HTTP2Input()
    /// The header section that is coming: at most one, because nothing may stand between its frames.
    var receiving = HeaderReception()

    // Writing
    var out: OctetBuffer?    // frames to be handed over; from the pools
    var flushedOctets: UInt64 = 0    // handed over so far
    var lostFrom = UInt64.max    // octets from there on were handed over and never left
    var isStarted = false    // the owner has asked for octets
    var ready = ReadyQueue()    // streams with a body that may be sent
    var lastData = LastFrame()
    /// With the stream's number: the slot may be another stream's by the time of the flush.
    var resetsAfterFlush: [(slot: Int, stream: Int32, code: UInt32)] = []

    // The connection
    var peer = PeerSettings()
    var sendWindow: Int64 = 65_535    // octets that the peer takes now, on all streams
    var received: Int64 = 0    // octets of our window that the peer has used
    var held: Int64 = 0    // octets of clients' bodies on open streams: not taken by the other side
    var isSettingsAcknowledged = false
    var isPeerKnown = false    // it has sent SETTINGS
    var isGoAwayReceived = false
    var isFinalGoAwaySent = false    // the final GOAWAY was sent
    var isTerminating = false    // GOAWAY with an error: nothing follows
    /// The rule that the peer broke, when that has ended the connection.
    package internal(set) var violation: HTTP2Violation?
    /// The frame with which it broke the rule; nil where no frame did.
    package internal(set) var violationFrame: PeerFrame?
    var newestFrame = PeerFrame(FrameHeader(.settings, length: 0))    // of those that were acted on
    var answersQueued = 0    // of SETTINGS and PING, since the last flush
    var budget: WorkBudget
    var resets = ResetAllowance()

    /// Frames of bodies are made ahead up to here; more waits with its stream.
    static let mostFramedOctets = 131_072

    /// - Parameter isServer: whether the peer is the client.
    package init(isServer: Bool, limits: HTTP2Limits, pools: MessagePools) {
        self.isServer = isServer
        self.limits = limits
        self.pools = pools
        hpack = HPACK(isServer: isServer)
        holder = pools.headerMemory.open()
        budget = WorkBudget(isServer: isServer)
        input.isPrefaceExpected = isServer
        greet()
    }

    deinit {
        hpack.close()
        index.close()
        freeSlots.free()
        dropSections()
        events.clear(to: pools)
        taken.clear(to: pools)
        closedSlots.clear(to: pools)
        if let block = receiving.block.take() { pools.letGo(block) }
        if let buffer = input.carry.take() { pools.give(buffer) }
        if let buffer = input.postponed.take() { pools.give(buffer) }
        if let buffer = out.take() { pools.give(buffer) }
        for index in slots.indices { releaseMemory(of: index) }
        pools.headerMemory.close(holder)
    }

    /// Whether the client cancels so many requests that only a little should be read from it at a time.
    package var isSlow: Bool { resets.isSlow }

    /// How many milliseconds nothing should be read, for the same reason; the caller waits that long.
    package func takePause() -> Int { resets.takePause() }

    /// Octets of header sections that the connection holds.
    package var headerOctets: Int { pools.headerMemory.octets(of: holder) }

    /// Neither side has anything more to say: close the connection.
    package var isFinished: Bool {
        guard !wantsFlush else { return false }
        return isTerminating || (openStreams == 0 && (isFinalGoAwaySent || isGoAwayReceived))
    }

    /// Forgets events and frees the slots of streams that are gone.
    package func endTurn() {
        events.clear(to: pools)
        taken.clear(to: pools)
        if !sections.isEmpty { dropSections() }
        pools.work &+= budget.endTurn()
        if input.postponed != nil { dropReadOctets() }
        guard !closedSlots.isEmpty else { return }
        for index in closedSlots {
            releaseMemory(of: index)
            // A slot that is still in the ready queue stays there for its next stream. It must not be queued twice.
            slots.renew(at: index, with: HTTP2Stream(isReady: slots[index].isReady))
            freeSlots.append(Int32(truncatingIfNeeded: index))
        }
        closedSlots.clear(to: pools)
    }

    /// The peer's limit on streams that we open; 100 until its SETTINGS are known.
    package var peerConcurrentStreams: Int { peer.concurrentStreams }

    /// Whether a new stream may be opened; false after GOAWAY and when stream numbers are used up.
    package var takesRequests: Bool {
        !isServer && !isGoAwayReceived && !isTerminating && nextStream > 0
    }

    /// The header section of the `.headers` or `.trailers` event in hand: the first one of the stream that was not
    /// taken yet. The caller holds it now.
    package func takeHeaders(_ slot: Int) -> HeaderBlock? {
        for index in firstSection..<sections.count where sections[index].slot == slot {
            var section = sections[index]
            guard let block = section.take() else { continue }
            sections.replace(at: index, with: section)
            if index == firstSection { firstSection += 1 }
            return block
        }
        return nil
    }

    private func dropSections() {
        for index in sections.indices {
            var section = sections[index]
            if let unread = section.take() { pools.letGo(unread) }
        }
        sections.clear(to: pools)
        firstSection = 0
    }

    // MARK: slots

    /// Takes a slot for a new stream, which counts as open from now on.
    func openSlot() -> Int {
        openStreams += 1
        if let free = freeSlots.popLast() {
            slots[Int(free)].isOpen = true
            return Int(free)
        }
        slots.append(HTTP2Stream())
        slots[slots.count - 1].isOpen = true
        return slots.count - 1
    }

    /// The stream is over; its slot is free after `endTurn`.
    func closeStream(_ slot: Int, code: UInt32) {
        guard slots[slot].isOpen else { return }
        slots[slot].isOpen = false
        openStreams -= 1
        release(slot, .max)
        events.append(StreamEvent(.closed, slot: slot, owner: slots[slot].owner, detail: .code(code)), from: pools)
        closedSlots.append(slot, from: pools)
        guard slots[slot].id != 0 else {
            awaitingSettings.removeAll { $0 == slot }
            return waiting.removeAll { $0 == slot }
        }
        index.remove(slots[slot].id)
        if code == ErrorCode.none, !slots[slot].earnsNothing { budget.earn(WorkEarning.completedStream) }
        guard !isServer else {
            if code == ErrorCode.none { resets.completed() }
            return
        }
        startedStreams -= 1
        if !waiting.isEmpty { startWaiting() }
    }

    private func releaseMemory(of index: Int) {
        // `take` moves a reference out where a copy would count it up and down.
        if let block = slots[index].headers.take() { pools.letGo(block) }
        if let block = slots[index].trailers.take() { pools.letGo(block) }
        if let body = slots[index].body.take() { pools.give(body) }
    }
}

/// The peer's settings, with the values that hold until it sends SETTINGS. Source: RFC 9113 §6.5.2.
struct PeerSettings {
    /// Octets of body that a new stream of ours may send (SETTINGS_INITIAL_WINDOW_SIZE).
    var initialWindow: Int32 = 65_535
    /// The standard names no value for the time before SETTINGS, but hardly any server allows fewer.
    var concurrentStreams = 100
    /// It takes CONNECT with `:protocol`. Source: RFC 8441 §3.
    var allowsTunnels = false
}
