package import Octets

/// One HTTP/1.1 connection, of either side, in the same words as `HTTP2Session`: a stream is one request with its
/// response, and there is one at a time. Requests that a client sends ahead (pipelining) wait in `inbox` until the
/// response before them is complete. It does no I/O: `receive` takes octets and notes events, `flush` makes octets.
///
/// Thread: its owner's. Freed by: its connection.
@safe package final class HTTP1Session {
    package let isServer: Bool
    /// What has happened since the events were cleared, in order.
    package private(set) var events: ContiguousArray<StreamEvent> = []
    /// Octets of bodies that have gone out since this was cleared.
    package private(set) var taken: ContiguousArray<TakenOctets> = []
    /// Why the peer's octets are not HTTP/1.1 that is served; set with the event `.violation`.
    package private(set) var violation: HTTP1Error?
    /// What the request's `upgrade` field asks for.
    package private(set) var upgrade = HTTP1Upgrade.none
    /// Whether the newest request is one of HTTP/1.0.
    package private(set) var isOld = false
    /// Close the connection when all is sent; no further request is read or taken.
    package private(set) var isClosing = false
    private var isLast = false    // the exchange that runs, or the next one

    private let pools: MessagePools
    private let holder: Int32    // its number in the pools' header memory
    private var parser: HTTP1Parser
    private let inbox: OctetBuffer    // octets not parsed yet
    private var parsed = 0    // octets of `inbox` that this turn's events point into
    private var output: OctetBuffer?    // from the pools; none while there is nothing to send
    private var outputBody = 0    // octets of body in `output`
    private var stream: HTTP1Stream?
    private var kept = KeptBody()    // of its request
    /// Header sections of this turn, in the order of their events. Interim and final ones may come together, and the
    /// stream may be over before the owner goes through its events.
    private var sections: ContiguousArray<(number: Int, block: HeaderBlock?)> = []
    private var number = 0    // of the newest stream
    private let windowOctets: Int
    /// While so many octets wait for a client that does not read its responses, its next request is not read.
    private static let outputOctets = 65_536
    /// Memory of a connection that has nothing to be read.
    private static let keptOctets = 4096
    private var unconsumed = 0    // octets of body that the other side has not taken
    private var budget: WorkBudget
    /// Whether the last `receive` left octets because the connection's quota of this turn was used up. It stays
    /// so until the next `receive`, also after `endTurn`; what was left waits in here (`hasWaitingInput`).
    package private(set) var isOverQuota = false
    private var needsMore = false    // what is in `inbox` is the beginning of something
    private var completedHeads: UInt32 = 0

    /// - Parameter isServer: whether the peer is the client.
    package init(isServer: Bool, scheme: HTTP1Parser.Scheme, pools: MessagePools) {
        self.isServer = isServer
        self.pools = pools
        windowOctets = isServer ? 65_536 : 262_144
        parser = HTTP1Parser(
            role: isServer ? .request(scheme) : .response, limits: isServer ? .request : .response)
        inbox = OctetBuffer(capacity: 64)
        holder = pools.headerMemory.open()
        budget = WorkBudget(isServer: isServer)
    }

    deinit {
        closeStream()
        kept.turnEnded(pools)
        dropSections()
        pools.headerMemory.close(holder)
    }

    /// Feeds the peer's octets; the events' data are valid until `endTurn`.
    /// - Returns: always true, because a violation is an event.
    package func receive(_ input: Octets) -> Bool {
        guard violation == nil, !ignoresInput else { return true }
        if inbox.isEmpty {
            let used = parse(input)
            inbox.append(input.dropFirst(used))
        } else {
            inbox.append(input)
            parsed += parse(inbox.octets.dropFirst(parsed))
        }
        // The upstream sends octets without a request. They must not be taken for the response to the next one.
        if !isServer, stream == nil, parsed < inbox.count { isClosing = true }
        return true
    }

    /// To be called when the peer has closed its direction and all of its octets were read.
    package func inputEnded() {
        guard !isServer, stream != nil, parser.inputEnded() == .messageCompleted else { return }
        isClosing = true
        noteEnd()
    }

    /// Reading should wait until the other side has taken more, or the response before is complete.
    package var isReadPaused: Bool {
        unconsumed > windowOctets
            || (isServer && inbox.count >= windowOctets
                && (stream?.isEndReceived == true || stream?.tunnel.holdsInput == true || isHeldBack))
    }

    /// Appends what there is to send, until `out` has `limit` octets.
    package func flush(into out: OctetBuffer, limit: Int) {
        guard out.count < limit, let output = output.take() else { return }
        if out.isEmpty, output.count <= limit {
            stream?.flushed(output.count)
            out.swapContents(with: output)
        } else {
            let part = output.octets.prefix(limit - out.count)
            stream?.flushed(part.count)
            out.append(part)
            output.take(part.count)
        }
        // The body is behind everything else.
        let left = min(outputBody, output.count)
        if outputBody > left, let owner = stream?.owner {
            taken.append(TakenOctets(slot: number, owner: owner, count: outputBody - left))
        }
        outputBody = left
        if output.isEmpty { pools.give(output) } else { self.output = output }
    }

    /// Octets that `flush` has not given yet.
    package var unsentOctets: Int { output?.count ?? 0 }

    /// Whether `flush` would have something to give.
    package var wantsFlush: Bool { output != nil }
    /// Nothing more will be read or sent: close the connection.
    package var isFinished: Bool { isClosing && output == nil && stream == nil }
    /// Requests that are not complete: 0 or 1.
    package var openStreams: Int { stream == nil ? 0 : 1 }
    /// No request is open, and nothing of the next one has come.
    package var isIdle: Bool { stream == nil && inbox.isEmpty }
    /// Whether a request may be sent now; only towards an upstream.
    package var takesRequests: Bool {
        !isServer && stream == nil && !isClosing && violation == nil && inbox.count <= parsed
    }

    /// Forgets events. A client's next request, when one waits, is read by `receive(.empty)`.
    package func endTurn() {
        events.removeAll(keepingCapacity: true)
        taken.removeAll(keepingCapacity: true)
        pools.work &+= budget.endTurn()
        if !sections.isEmpty { dropSections() }
        kept.turnEnded(pools)
        inbox.take(min(parsed, inbox.count))
        parsed = 0
        if inbox.isEmpty { inbox.clear(keeping: Self.keptOctets) }
    }

    /// Octets that came wait in here and may be read now, by `receive(.empty)`: a client's next request, or what
    /// was beyond the quota of an earlier turn. With `isOverQuota` the owner had better serve other connections
    /// first, and read nothing from the socket until then.
    package var hasWaitingInput: Bool {
        guard violation == nil, !isWaiting, !needsMore else { return false }
        if stream?.tunnel == .open, isServer { return isOverQuota || parsed < inbox.count }
        return isOverQuota || (isServer && stream == nil && !isClosing && !inbox.isEmpty)
    }

    /// A number for the header section that has begun and is not complete; nil when there is none. As long as the
    /// number stays, it is the same section: an owner that limits the time for it starts the clock when the number
    /// changes, whatever octets come meanwhile.
    package var unfinishedHeaders: UInt32? {
        let isWanted = parser.isAtHead && violation == nil && !isWaiting && !isOverQuota
        return isWanted && parsed < inbox.count ? completedHeads : nil
    }

    // MARK: what the owner asks; the same words as HTTP2Session

    /// Sends a request.
    /// - Parameter keepsBody: whether octets of the body are kept for another try.
    /// - Returns: the stream's slot; nil when the connection takes no request now.
    package func submitRequest(_ block: HeaderBlock, isEnd: Bool, owner: StreamOwner, keepsBody: Bool) -> Int? {
        guard takesRequests else { return nil }
        let method = block.first(.method) ?? .empty
        let upgrades = block.first(.protocol) == "websocket"
        var stream = HTTP1Stream(tunnel: upgrades ? .asked : .none, owner: owner)
        stream.framing = upgrades ? .untilClose : isEnd ? .none : HTTP1Framing(announcedBy: block) ?? .chunked
        do throws(HTTP1WriteError) {
            try HTTP1Serializer.writeRequest(
                block, framing: stream.framing, connection: upgrades ? .upgradeToWebSocket : .keep, to: takeOutput())
        } catch {
            dropEmptyOutput()
            return nil
        }
        stream.isHeadMethod = method == "HEAD"
        stream.hasSentHeaders = true
        stream.isEndSent = isEnd
        if keepsBody, !isEnd, !upgrades { kept.begin(pools) }
        parser.expectResponse(toMethod: method, upgrading: upgrades)
        number += 1
        self.stream = stream
        return number
    }

    /// Sends the final response's head. With `isEnd` no body follows.
    package func submitResponse(_ slot: Int, _ block: HeaderBlock, isEnd: Bool) {
        guard slot == number, var stream, !stream.hasSentHeaders else { return }
        if stream.tunnel == .asked {
            if block.first(.status) == "101" { return acceptUpgrade(block) }
            stream.tunnel = .refused
        }
        let isBodiless =
            stream.isHeadMethod || block.first(.status) == "204" || block.first(.status) == "304"
        let unannounced: HTTP1Framing = isOld ? .untilClose : .chunked
        stream.framing = isBodiless ? .none : isEnd ? .length(0) : HTTP1Framing(announcedBy: block) ?? unannounced
        if stream.framing == .untilClose { isClosing = true }
        if isEnd, !stream.isEndReceived { isClosing = true }
        if !stream.isKeepAlive { isClosing = true }
        stream.hasSentHeaders = true
        self.stream = stream
        do throws(HTTP1WriteError) {
            try HTTP1Serializer.writeResponse(
                block, framing: stream.framing, connection: isClosing ? .close : isOld ? .keepAlive : .keep,
                isOld: isOld, to: takeOutput())
        } catch {
            isClosing = true
        }
        if isEnd { finish(slot) }
    }

    /// Sends the answer 101: from here on octets pass as they are, in both directions.
    private func acceptUpgrade(_ block: HeaderBlock) {
        stream?.tunnel = .open
        stream?.framing = .untilClose
        stream?.hasSentHeaders = true
        let written: Void? = try? HTTP1Serializer.writeResponse(
            block, framing: .none, connection: .upgradeToWebSocket, to: takeOutput())
        if written == nil { isClosing = true }
    }

    /// Sends an interim response (1xx) in front of the final one.
    package func submitInterim(_ slot: Int, _ block: HeaderBlock) {
        guard slot == number, let stream, !stream.hasSentHeaders, !isOld else { return }    // RFC 9110 §15.2
        try? HTTP1Serializer.writeResponse(block, framing: .none, to: takeOutput())
    }

    /// Appends octets to the body that is being sent.
    package func send(_ slot: Int, _ octets: Octets) {
        guard slot == number, let stream, stream.hasSentHeaders, !stream.isEndSent, octets.count > 0,
            stream.tunnel != .asked
        else { return }
        kept.append(octets, pools)
        guard stream.framing != .none else { return note(taken: octets.count) }
        let output = takeOutput()
        outputBody += octets.count
        if stream.framing == .chunked {
            HTTP1Serializer.writeChunk(octets, to: output)
        } else {
            output.append(octets)
        }
    }

    /// Ends what we send. A client that said `te: trailers` gets the trailers behind the last chunk; otherwise
    /// HTTP/1.1 drops them, and so it does towards upstreams. Source: RFC 9110 §6.5.1.
    package func finish(_ slot: Int, trailers: HeaderBlock? = nil) {
        guard slot == number, let stream, stream.hasSentHeaders else { return }
        if stream.framing == .chunked, !stream.isEndSent {
            HTTP1Serializer.writeLastChunk(trailers: stream.acceptsTrailers ? trailers : nil, to: takeOutput())
        }
        self.stream?.isEndSent = true
        if isServer, !stream.isEndReceived { isClosing = true }
        if isServer || stream.isEndReceived { noteClosed() }
    }

    /// HTTP/1.1 has no reset: the connection ends. What did not leave of a request never will; of an
    /// answer that breaks off, the client should see what there is.
    package func reset(_ slot: Int, code: UInt32) {
        guard slot == number, let stream else { return }
        isClosing = true
        // Of a WebSocket, the last words are still of use.
        if !isServer, stream.tunnel != .open { dropOutput() }
        noteClosed(code: code)
    }

    /// The current response, or the next one, is the last and says so: a request that is on its way is answered.
    package func announceShutdown() {
        isLast = true
        stream?.isKeepAlive = false
    }

    /// It ends when it is idle.
    package func refuseNewStreams() { if stream == nil { isClosing = true } else { announceShutdown() } }

    /// The rest of the request is not wanted: the connection ends with the response.
    package func resetAfterEnd(_ slot: Int) { isClosing = true }

    /// The other side has taken octets of the body: more may be read.
    package func consume(_ slot: Int, _ count: Int) {
        guard slot == number else { return }
        unconsumed = max(0, unconsumed - count)
    }

    /// Octets of body that wait to be sent.
    package func pending(_ slot: Int) -> Int { slot == number ? outputBody : 0 }
    /// Who gets the events of the stream in a slot; nobody once it is over.
    package func owner(_ slot: Int) -> StreamOwner { slot == number ? stream?.owner ?? .nobody : .nobody }
    /// Says who gets the stream's events from now on. A slot whose stream is over is left alone.
    package func setOwner(_ slot: Int, _ owner: StreamOwner) { if slot == number { stream?.owner = owner } }
    /// Whether the peer may have seen something of the request.
    package func mayHaveArrived(_ slot: Int) -> Bool { slot == number && stream?.mayHaveArrived ?? true }
    /// The last octets that `flush` handed over were not taken by the kernel, and never will be.
    package func neverLeft(_ count: Int) { stream?.neverLeft(count) }
    /// Calls `body` with slot and owner of the open stream, if there is one.
    package func forEachOpen(_ body: (Int, StreamOwner) -> Void) {
        if let stream { body(number, stream.owner) }
    }

    /// Whether the slot still has its stream: later streams of the connection have other numbers.
    package func isOpen(_ slot: Int) -> Bool { slot == number && stream != nil }

    /// The first header section of the stream that was not taken yet. The caller holds it now.
    package func takeHeaders(_ slot: Int) -> HeaderBlock? {
        for index in sections.indices where sections[index].number == slot {
            if let block = sections[index].block.take() { return block }
        }
        return nil
    }

    /// No retry will want the octets of the body that were sent.
    package func stopKeeping(_ slot: Int) {
        if slot == number { kept.stop(pools) }
    }

    /// Takes the kept body away for a replay elsewhere; nil when it was not kept, or is too long.
    package func detachBody(_ slot: Int) -> OctetBuffer? { kept.take(of: slot, newest: number) }

    /// Whether `detachBody` has the body.
    package func hasBody(_ slot: Int) -> Bool { kept.has(of: slot, newest: number) }

    /// Answers a request that breaks a rule, and closes.
    /// - Parameter date: for the field `date`, as RFC 9110 §5.6.7 writes it.
    package func answerViolation(date: Octets) {
        guard let violation else { return }
        violation.body.withOctets { answer(status: violation.status, body: $0, date: date) }
    }

    /// Answers a request whose header section is not complete, and closes.
    package func answer(status: Int, body: Octets, date: Octets) {
        guard isServer, stream == nil else { return }
        HTTP1Serializer.writeLast(status: status, body: body, date: date, to: takeOutput())
        isClosing = true
    }

    // MARK: inner steps

    private func parse(_ input: Octets) -> Int {
        var used = 0
        var block = pools.takeBlock()
        defer { pools.letGo(block) }
        do throws(HTTP1Error) {
            isOverQuota = false
            needsMore = false
            while !isWaiting {
                guard budget.hasLeft(of: pools.quota) else {
                    isOverQuota = true    // perhaps only the end of a message is left to note
                    return used
                }
                let (consumed, event) = try parser.next(input.dropFirst(used), headers: block)
                used += consumed
                switch event {
                case .needsMore:
                    needsMore = true
                    return used
                case .body(let data):
                    budget.use(WorkCost.bodyPart)
                    note(data)
                case .end: noteEnd()
                case .head(let head):
                    try take(head, block, octets: consumed)
                    block = pools.takeBlock()
                }
            }
        } catch {
            violation = error
            events.append(StreamEvent(.violation, slot: number, owner: stream?.owner ?? .nobody))
            return input.count
        }
        return used
    }

    /// Takes a header section, and `block`, which holds its fields.
    private func take(_ head: HTTP1Head, _ block: HeaderBlock, octets: Int) throws(HTTP1Error) {
        completedHeads &+= 1
        budget.use(WorkCost.section + WorkCost.decoding(octets))
        if isServer {
            guard pools.headerMemory.hasRoom(holder) else { throw .headerMemory }
            pools.charge(block, to: holder)
        }
        note(head, block)
    }

    /// The next message has to wait for the end of this one.
    private var isWaiting: Bool {
        ignoresInput || stream?.isEndReceived == true || (stream == nil && (!isServer || isHeldBack))
            || (isServer && stream?.tunnel.holdsInput == true)
    }

    /// Nothing more is read: the exchange that was to be the last one is over.
    private var ignoresInput: Bool { isClosing && stream == nil }

    /// Earlier answers still wait to be sent.
    private var isHeldBack: Bool { (output?.count ?? 0) >= Self.outputOctets }

    private func note(_ data: Octets) {
        unconsumed += data.count
        events.append(StreamEvent(.data, slot: number, owner: stream?.owner ?? .nobody, data: data))
    }

    private func note(_ head: HTTP1Head, _ block: HeaderBlock) {
        if isServer {
            number += 1
            unconsumed = 0
            stream = HTTP1Stream(of: head, block, isLast: isLast)
            upgrade = head.upgrade
            isOld = head.minorVersion == 0
        } else if !head.isInterim {
            stream?.isKeepAlive = head.isKeepAlive
            if head.status == 101 { stream?.tunnel = .open }
        }
        sections.append((number, block))
        let isLast = !head.isInterim && (head.framing == .none || head.framing == .length(0))
        events.append(
            StreamEvent(
                .headers, slot: number, owner: stream?.owner ?? .nobody, detail: isLast ? .last : .none))
        if isServer, head.expectsContinue {
            events.append(StreamEvent(.expectsContinue, slot: number))
        }
    }

    private func noteEnd() {
        guard let stream else { return }
        self.stream?.isEndReceived = true
        events.append(StreamEvent(.end, slot: number, owner: stream.owner))
        guard !isServer else { return }
        // An answer before the request's end, or one that ends with the connection: no reuse.
        if !stream.isKeepAlive || !stream.isEndSent { isClosing = true }
        noteClosed()
    }

    private func noteClosed(code: UInt32 = ErrorCode.none) {
        guard let stream else { return }
        if outputBody > 0 { note(taken: outputBody) }
        outputBody = 0
        events.append(StreamEvent(.closed, slot: number, owner: stream.owner, detail: .code(code)))
        closeStream()
    }

    private func closeStream() {
        kept.streamEnded(number, pools)
        stream = nil
        unconsumed = 0
    }

    private func dropSections() {
        for index in sections.indices {
            if let unread = sections[index].block.take() { pools.letGo(unread) }
        }
        sections.removeAll(keepingCapacity: true)
    }

    private func note(taken count: Int) {
        if let owner = stream?.owner { taken.append(TakenOctets(slot: number, owner: owner, count: count)) }
    }

    private func dropOutput() {
        if let dropped = output.take() { pools.give(dropped) }
    }

    private func dropEmptyOutput() { if output?.isEmpty == true { dropOutput() } }

    private func takeOutput() -> OctetBuffer {
        if let output { return output }
        let fresh = pools.takeBuffer()
        output = fresh
        return fresh
    }
}
