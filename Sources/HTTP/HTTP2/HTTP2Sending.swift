package import Octets

/// What the owner asks of a session's streams. All of it is safe on a stream that is gone already.
extension HTTP2Session {
    /// Octets of a request body kept for a replay; a longer body cannot be replayed.
    package static let replayLimit = 65_536

    /// Opens a stream towards the peer; it waits to begin while the peer's limit is reached, and until
    /// the first `flush`.
    /// - Parameters:
    ///   - isEnd: the request is its header section and nothing else: END_STREAM stands on HEADERS. Otherwise it
    ///     stands on DATA, or on the trailers.
    ///   - keepsBody: keep what is sent of the body until `stopKeeping`, for a replay.
    /// - Returns: the stream's slot; nil when the connection has come to its end.
    package func submitRequest(_ block: HeaderBlock, isEnd: Bool, owner: StreamOwner, keepsBody: Bool) -> Int? {
        guard !isTerminating, nextStream > 0 else { return nil }
        let slot = openSlot()
        slots[slot].owner = owner
        slots[slot].keepsBody = keepsBody && !isEnd
        slots[slot].isEnded = isEnd
        slots[slot].areHeadersAll = isEnd
        if isGoAwayReceived {
            closeStream(slot, code: ErrorCode.refusedStream)
            return slot
        }
        let awaitsSettings = !isPeerKnown && block.first(.protocol) != nil
        if isStarted, waiting.isEmpty, mayBegin, !awaitsSettings {
            start(slot, block)
        } else {
            block.hold()
            slots[slot].headers = block
            if awaitsSettings { awaitingSettings.append(slot) } else { waiting.append(slot) }
        }
        return slot
    }

    /// Sends the final response headers.
    package func submitResponse(_ slot: Int, _ block: HeaderBlock, isEnd: Bool) {
        guard slots[slot].isOpen, !slots[slot].areHeadersFramed else { return }
        slots[slot].isEnded = isEnd
        frameHeaders(slot, block, isEnd: isEnd)
        if isEnd { endFramed(slot) }
    }

    /// Sends the header section of an interim response (1xx).
    package func submitInterim(_ slot: Int, _ block: HeaderBlock) {
        guard slots[slot].isOpen, !slots[slot].areHeadersFramed else { return }
        frameSection(slots[slot].id, block, flags: 0)
    }

    /// Appends octets to the stream's body. What the windows allow is framed at once.
    package func send(_ slot: Int, _ octets: Octets) {
        guard slots[slot].isOpen, !slots[slot].isEnded, octets.count > 0 else { return }
        let keeps = slots[slot].keepsBody
        var rest = octets
        // Until its headers are flushed, a request may be moved to another connection, so its body is kept whole.
        // Streams that wait are served first.
        let isNext = slots[slot].waiting == 0 && ready.isEmpty && slots[slot].areHeadersFramed
        if isNext, isServer || keeps || hasSentHeaders(slot) {
            frameBody(slot, &rest)
            if keeps {
                keepBody(slot, octets)
                slots[slot].cursor += octets.count - rest.count
                slots[slot].waiting += rest.count
                checkKeeping(slot)
            } else if rest.count > 0 {
                keepBody(slot, rest)
                slots[slot].waiting += rest.count
            }
        } else {
            keepBody(slot, octets)
            slots[slot].waiting += octets.count
        }
        makeReady(slot)
    }

    /// Ends the stream's body; the session holds the trailers until they are sent.
    package func finish(_ slot: Int, trailers: HeaderBlock? = nil) {
        guard slots[slot].isOpen, !slots[slot].isEnded else { return }
        slots[slot].isEnded = true
        let hasTrailers = trailers.unretained.map { $0 { !$0.isEmpty } } ?? false
        let trailers = hasTrailers ? trailers : nil
        if slots[slot].waiting == 0, slots[slot].areHeadersFramed { return frameEnd(slot, trailers) }
        trailers?.hold()
        slots[slot].trailers = trailers
        makeReady(slot)
    }

    /// Resets the stream. What a server has submitted before and can be sent now goes out first: a client
    /// should see all of an answer that its upstream broke off.
    package func reset(_ slot: Int, code: UInt32) {
        guard slots[slot].isOpen else { return }
        if !slots[slot].earnsNothing { budget.earn(WorkEarning.ownReset) }
        if isServer, slots[slot].waiting > 0 {
            resetsAfterFlush.append((slot, slots[slot].id, code))
        } else {
            resetStream(slot, code: code)
        }
    }

    /// Tells the peer, after the end of our side, that the rest of its body is not wanted.
    /// Source: RFC 9113 §8.1, RST_STREAM with NO_ERROR.
    package func resetAfterEnd(_ slot: Int) {
        guard slots[slot].isOpen, !slots[slot].isEndReceived else { return }
        if !slots[slot].earnsNothing { budget.earn(WorkEarning.ownReset) }
        if slots[slot].isEndFramed {
            resetStream(slot, code: ErrorCode.none)
        } else {
            slots[slot].resetAfterEnd = true
        }
    }

    /// Opens the stream's window again by octets that the other side has taken; the peer hears of it when half of the
    /// window is used. The window grows when the other side takes the octets as fast as they come.
    package func consume(_ slot: Int, _ count: Int) {
        guard slots[slot].isOpen, count > 0 else { return }
        release(slot, count)
        guard !slots[slot].isEndReceived else { return }
        slots[slot].consumed += Int64(count)
        slots[slot].consumedSinceGrowth += Int64(count)
        let window = window(of: slot)
        let larger = grownWindow(slot, window)
        guard larger > window || slots[slot].consumed * 2 >= window else { return }
        frameWindowUpdate(stream: slots[slot].id, slots[slot].consumed + larger - window)
        slots[slot].received -= slots[slot].consumed
        slots[slot].consumed = 0
    }

    /// What the stream's window should be now: twice as large when half of it was taken and nearly nothing waits.
    @inline(__always)
    private func grownWindow(_ slot: Int, _ window: Int64) -> Int64 {
        let most = Int64(limits.mostStreamWindowOctets)
        guard window < most, slots[slot].consumedSinceGrowth * 2 >= window,
            (slots[slot].received - slots[slot].consumed) * 4 <= window, !pools.isMemoryTight
        else { return window }
        let larger = min(window * 2, most)
        slots[slot].window = Int32(truncatingIfNeeded: larger)
        slots[slot].consumedSinceGrowth = 0
        return larger
    }

    /// Octets of body waiting to be sent.
    package func pending(_ slot: Int) -> Int { slots[slot].waiting }
    /// Whether octets of the stream's body wait for a window of the peer's.
    package func isHeldBack(_ slot: Int) -> Bool {
        slots[slot].waiting > 0 && min(sendWindow, slots[slot].sendWindow) <= 0
    }

    /// No retry will want the octets already sent.
    package func stopKeeping(_ slot: Int) {
        guard slots[slot].keepsBody else { return }
        slots[slot].keepsBody = false
        dropSent(slot)
    }

    /// Whether `detachBody` has the body.
    package func hasBody(_ slot: Int) -> Bool {
        let isKept = slots[slot].keepsBody && slots[slot].cursor <= Self.replayLimit
        return isKept || !hasSentHeaders(slot)
    }

    /// Takes the kept body away for a replay elsewhere; nil when it was not kept from the start. Trailers that wait
    /// behind it are given up: their owner has them, too.
    package func detachBody(_ slot: Int) -> OctetBuffer? {
        guard hasBody(slot) else { return nil }
        if let trailers = slots[slot].trailers.take() { pools.letGo(trailers) }
        let body = slots[slot].body.take() ?? pools.takeBuffer()
        slots[slot].waiting = 0
        slots[slot].cursor = 0
        slots[slot].keepsBody = false
        return body
    }

    /// Who gets the events of the stream in a slot.
    package func owner(_ slot: Int) -> StreamOwner { slots[slot].owner }
    /// Says who gets the stream's events from now on.
    package func setOwner(_ slot: Int, _ owner: StreamOwner) { slots[slot].owner = owner }
    /// Whether the stream is not over.
    package func isOpen(_ slot: Int) -> Bool { slots[slot].isOpen }
    /// Whether the peer has ended its side of the stream.
    package func isEndReceived(_ slot: Int) -> Bool { slots[slot].isEndReceived }

    /// Whether our header section was handed over by `flush`, so that the peer may have seen it.
    package func hasSentHeaders(_ slot: Int) -> Bool {
        slots[slot].areHeadersFramed && slots[slot].headersEnd <= flushedOctets
    }

    /// Whether the peer may have seen our header section. Without its last octet nobody acts on it.
    package func mayHaveArrived(_ slot: Int) -> Bool { hasSentHeaders(slot) && slots[slot].headersEnd <= lostFrom }

    /// The last octets that `flush` handed over were not taken by the kernel, and never will be.
    package func neverLeft(_ count: Int) { lostFrom = min(lostFrom, flushedOctets - min(UInt64(count), flushedOctets)) }

    /// Whether the stream waits to begin: nothing of it was framed, and so nothing will be sent when it
    /// is reset.
    package func isWaiting(_ slot: Int) -> Bool { slots[slot].isOpen && slots[slot].id == 0 }

    /// Whether the stream is a WebSocket's and waits until the peer has said by its SETTINGS whether it takes those.
    package func awaitsSettings(_ slot: Int) -> Bool { awaitingSettings.contains(slot) }

    /// Calls `body` with slot and owner of each open stream.
    package func forEachOpen(_ body: (Int, StreamOwner) -> Void) {
        for index in slots.indices where slots[index].isOpen { body(index, slots[index].owner) }
    }

    // MARK: inner steps

    /// Whether a request can be framed now. What the peer does not read stays out of the frames: there it
    /// could not be taken back when it is given up.
    var mayBegin: Bool { startedStreams < peer.concurrentStreams && outCount < Self.mostFramedOctets }

    /// Opens waiting streams as far as the peer's limit and the room for frames allow.
    func startWaiting() {
        guard isStarted, !isGoAwayReceived else { return }
        while mayBegin, !waiting.isEmpty {
            let slot = waiting.removeFirst()
            guard slots[slot].isOpen, let block = slots[slot].headers.take() else { continue }
            start(slot, block)
            pools.letGo(block)
            makeReady(slot)
        }
    }

    private func start(_ slot: Int, _ block: HeaderBlock) {
        guard block.first(.protocol) == nil || peer.allowsTunnels else {
            return closeStream(slot, code: ErrorCode.http11Required)
        }
        guard nextStream > 0 else { return closeStream(slot, code: ErrorCode.refusedStream) }
        slots[slot].id = nextStream
        slots[slot].sendWindow = Int64(peer.initialWindow)
        slots[slot].isHeadMethod = block.first(.method) == "HEAD"
        index.insert(nextStream, slot: slot)
        nextStream &+= 2    // below 0 when they are used up
        startedStreams += 1
        let isEnd = slots[slot].areHeadersAll
        frameHeaders(slot, block, isEnd: isEnd)
        if isEnd { endFramed(slot) }
    }

    private func keepBody(_ slot: Int, _ octets: Octets) {
        if let body = slots[slot].body.unretained { return body { $0.append(octets) } }
        let body = pools.takeBuffer(for: octets.count)
        body.append(octets)
        slots[slot].body = body
    }

    private func checkKeeping(_ slot: Int) {
        // What the peer cannot have seen yet may still have to go elsewhere, whole.
        guard slots[slot].keepsBody, slots[slot].cursor > Self.replayLimit, hasSentHeaders(slot) else { return }
        stopKeeping(slot)
    }

    /// Octets of `body` were framed.
    func bodyFramed(_ slot: Int, _ count: Int) {
        slots[slot].cursor += count
        slots[slot].waiting -= count
        if slots[slot].keepsBody { checkKeeping(slot) } else { dropSent(slot) }
    }

    /// Drops octets that were sent and are not kept.
    private func dropSent(_ slot: Int) {
        let cursor = slots[slot].cursor
        slots[slot].cursor = 0
        guard slots[slot].waiting > 0 else {
            if let body = slots[slot].body.take() { pools.give(body) }
            return
        }
        slots[slot].body.unretained? { $0.take(cursor) }
    }
}
