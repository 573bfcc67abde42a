internal import Octets

/// Frames that are about the connection, or about a stream's end and windows.
extension HTTP2Session {
    // MARK: received

    /// The peer's SETTINGS, or its acknowledgement of ours. Source: RFC 9113 §6.5.
    func settingsArrived(_ header: FrameHeader, _ payload: Octets) {
        guard header.stream == 0 else { return terminate(.frameOrder) }
        if header.has(FrameFlag.ack) {
            guard payload.isEmpty else { return terminate(.frameSize) }
            isSettingsAcknowledged = true
            return waste(WorkCost.ignoredFrame, .settingsFlood)
        }
        guard payload.count % 6 == 0 else { return terminate(.frameSize) }
        guard payload.count <= 6 * Self.mostSettings else { return terminate(.settingsFlood) }
        waste(WorkCost.settings, .settingsFlood)
        let before = peer
        for offset in stride(from: 0, to: payload.count, by: 6) {
            let failure = apply(payload.bigEndian16(at: offset), payload.bigEndian32(at: offset + 2))
            if let failure { return terminate(.settings, code: failure) }
        }
        // The streams' windows move once a frame, however often it changes its mind.
        guard moveWindows(by: Int64(peer.initialWindow) - Int64(before.initialWindow)) else {
            return terminate(.settings, code: ErrorCode.flowControl)
        }
        frame(.settings, flags: FrameFlag.ack)
        countAnswer()
        if !isPeerKnown || peer.concurrentStreams != before.concurrentStreams {
            isPeerKnown = true
            if !awaitingSettings.isEmpty {
                waiting.insert(contentsOf: awaitingSettings, at: 0)
                awaitingSettings = []
            }
            events.append(StreamEvent(.settings), from: pools)
        }
        if !waiting.isEmpty { startWaiting() }
    }

    /// - Returns: the error that the value is. Source: RFC 9113 §6.5.2.
    private func apply(_ number: UInt16, _ value: UInt32) -> UInt32? {
        switch Setting(rawValue: number) {
        case .headerTableSize: hpack.encoder.limitTable(to: value)
        case .enablePush: return value <= (isServer ? 1 : 0) ? nil : ErrorCode.protocolError
        case .concurrentStreams: peer.concurrentStreams = Int(value)
        case .initialWindow:
            guard value <= UInt32(Int32.max) else { return ErrorCode.flowControl }
            peer.initialWindow = Int32(truncatingIfNeeded: value)
        case .frameSize:
            guard (16_384...16_777_215).contains(value) else { return ErrorCode.protocolError }
        case .connectProtocol:
            guard value <= 1 else { return ErrorCode.protocolError }
            peer.allowsTunnels = value == 1
        case .noPriorities: return value <= 1 ? nil : ErrorCode.protocolError
        case .headerListSize, nil: break
        }
        return nil
    }

    /// The first window of all streams changes, of those open as well. Source: RFC 9113 §6.9.2.
    private func moveWindows(by change: Int64) -> Bool {
        guard change != 0 else { return true }
        waste(WorkCost.streams(slots.count), .settingsFlood)
        for slot in slots.indices where slots[slot].isOpen && slots[slot].id != 0 {
            slots[slot].sendWindow += change
            guard slots[slot].sendWindow <= Int64(Int32.max) else { return false }
            makeReady(slot)
        }
        return true
    }

    /// PING is answered. Source: RFC 9113 §6.7.
    func pingArrived(_ header: FrameHeader, _ payload: Octets) {
        guard payload.count == 8 else { return terminate(.frameSize) }
        guard header.stream == 0 else { return terminate(.frameOrder) }
        waste(WorkCost.ping, .pingFlood)
        guard !header.has(FrameFlag.ack) else { return }
        frame(.ping, flags: FrameFlag.ack, payload)
        countAnswer()
    }

    /// Asks the peer for an answer. Source: RFC 9113 §6.7.
    package func ping() { frame(.ping, "portico?") }

    /// Answers that the peer does not read must not pile up. Source: CVE-2019-9512, CVE-2019-9515.
    private func countAnswer() {
        answersQueued += 1
        if answersQueued > Self.mostAnswers { terminate(.controlFlood) }
    }
    private static let mostAnswers = 1000
    /// In one frame; nghttp2 has the same limit. Each may touch every stream.
    private static let mostSettings = 32

    /// The peer gives a stream up. Source: RFC 9113 §6.4.
    func resetArrived(_ header: FrameHeader, _ payload: Octets) {
        guard payload.count == 4 else { return terminate(.frameSize) }
        guard isKnown(header.stream) else { return terminate(.idleStream) }
        guard let slot = index.slot(of: header.stream) else { return waste(WorkCost.ignoredFrame, .lateFrameFlood) }
        closeStream(slot, code: payload.bigEndian32(at: 0))
        if isServer, !resets.reset(at: pools.second) { terminate(.resetFlood) }
    }

    /// The peer takes no new streams. Source: RFC 9113 §6.8.
    func goAwayArrived(_ header: FrameHeader, _ payload: Octets) {
        guard payload.count >= 8 else { return terminate(.frameSize) }
        guard header.stream == 0 else { return terminate(.frameOrder) }
        waste(WorkCost.settings + WorkCost.streams(slots.count), .goAwayFlood)
        let last = Int32(truncatingIfNeeded: payload.bigEndian32(at: 0) & 0x7fff_ffff)
        isGoAwayReceived = true
        events.append(StreamEvent(.goAway, detail: .code(payload.bigEndian32(at: 4))), from: pools)
        guard !isServer else { return }
        // What the peer has not begun it never will, and what it has not seen either.
        for slot in slots.indices where slots[slot].isOpen && (slots[slot].id == 0 || slots[slot].id > last) {
            closeStream(slot, code: ErrorCode.refusedStream)
        }
    }

    /// A stream, or the connection, may be sent more. Source: RFC 9113 §6.9.
    func windowUpdateArrived(_ header: FrameHeader, _ payload: Octets) {
        guard payload.count == 4 else { return terminate(.frameSize) }
        waste(WorkCost.ignoredFrame, .windowUpdateFlood)
        let octets = Int64(payload.bigEndian32(at: 0) & 0x7fff_ffff)
        guard header.stream != 0 else {
            guard octets > 0 else { return terminate(.windowUpdate) }
            sendWindow += octets
            if sendWindow > Int64(Int32.max) { terminate(.connectionWindow) }
            return
        }
        guard isKnown(header.stream) else { return terminate(.idleStream) }
        guard let slot = index.slot(of: header.stream) else { return }
        guard octets > 0, slots[slot].sendWindow + octets <= Int64(Int32.max) else {
            return endStream(slot, for: octets > 0 ? .streamWindow : .windowUpdate)
        }
        slots[slot].sendWindow += octets
        makeReady(slot)
    }

    // MARK: sent

    /// What each connection begins with.
    func greet() {
        if !isServer { withFrames { $0.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" as StaticString) } }
        let payload = pools.takeBuffer()
        Self.append(.initialWindow, UInt32(limits.streamWindowOctets), to: payload)
        if isServer {
            Self.append(.concurrentStreams, limits.concurrentStreams, to: payload)
            Self.append(.headerListSize, UInt32(limits.headerOctets), to: payload)
            // The priorities of RFC 7540 are obsolete and can be abused. Source: RFC 9218 §2.1.
            Self.append(.noPriorities, 1, to: payload)
            // A WebSocket is asked for by CONNECT with `:protocol`. Source: RFC 8441 §3.
            Self.append(.connectProtocol, 1, to: payload)
        } else {
            Self.append(.enablePush, 0, to: payload)
        }
        frame(.settings, payload.octets)
        pools.give(payload)
        let more = Int64(limits.connectionWindowOctets) - 65_535
        if more > 0 { frameWindowUpdate(stream: 0, more) }
    }

    private static func append(_ setting: Setting, _ value: UInt32, to payload: OctetBuffer) {
        let room = unsafe payload.room(6)
        unsafe room.storeBytes(of: setting.rawValue.bigEndian, as: UInt16.self)
        unsafe room.storeBytes(of: value.bigEndian, toByteOffset: 2, as: UInt32.self)
        payload.commit(6)
    }

    /// First step of a graceful end: new streams are still taken. Source: RFC 9113 §6.8.
    package func announceShutdown() { frameGoAway(last: Int32.max, code: ErrorCode.none) }

    /// Second step: streams beyond the last one seen are not served.
    package func refuseNewStreams() {
        frameGoAway(last: lastPeerStream, code: ErrorCode.none)
        isFinalGoAwaySent = true
    }

    /// Ends the connection for what the peer sent, and tells it why; nothing more is read.
    /// - Parameter code: where the rule alone does not say it.
    package func terminate(_ violation: HTTP2Violation, code: UInt32? = nil) {
        guard !isTerminating else { return }
        self.violation = violation
        // No frame of a hoarder is wrong, and what does not speak HTTP/2 has sent none.
        if violation != .headerHoard, violation != .preface { violationFrame = newestFrame }
        let frame = violationFrame.map { ": \($0.words)" } ?? ""
        frameGoAway(
            last: lastPeerStream, code: code ?? violation.code,
            saying: "\(violation.sentence) (\(violation.source))\(frame)")
        isTerminating = true
        // Of a section that never ended. Others are their streams'.
        if let block = receiving.block.take() { pools.letGo(block) }
    }

    /// Ends the connection with an error after what is queued; nothing more is read.
    package func terminate(code: UInt32) {
        guard !isTerminating else { return }
        frameGoAway(last: lastPeerStream, code: code)
        isTerminating = true
    }

    /// Ends a stream with an error of the peer's, or of ours.
    func resetStream(_ slot: Int, code: UInt32) {
        guard slots[slot].isOpen else { return }
        if slots[slot].id != 0 { frameReset(stream: slots[slot].id, code: code) }
        closeStream(slot, code: code)
    }

    /// - Parameter text: for people who read the peer's log. Source: RFC 9113 §6.8, additional debug data.
    private func frameGoAway(last: Int32, code: UInt32, saying text: String = "") {
        let payload = pools.takeBuffer()
        var numbers = (UInt32(bitPattern: last).bigEndian, code.bigEndian)
        unsafe withUnsafeBytes(of: &numbers) { unsafe payload.append(Octets($0)) }
        payload.append(text: text)
        frame(.goAway, payload.octets)
        pools.give(payload)
    }

    /// Writes RST_STREAM.
    func frameReset(stream: Int32, code: UInt32) {
        resetsFramed &+= 1
        var payload = code.bigEndian
        unsafe withUnsafeBytes(of: &payload) { unsafe frame(.resetStream, stream: stream, Octets($0)) }
    }

    /// Writes WINDOW_UPDATE; `stream` is 0 for the connection.
    func frameWindowUpdate(stream: Int32, _ octets: Int64) {
        var payload = UInt32(truncatingIfNeeded: octets).bigEndian
        unsafe withUnsafeBytes(of: &payload) { unsafe frame(.windowUpdate, stream: stream, Octets($0)) }
    }

    /// A whole frame, at once; nothing follows a final GOAWAY.
    func frame(_ type: FrameType, flags: UInt8 = 0, stream: Int32 = 0, _ payload: Octets = .empty) {
        guard !isTerminating else { return }
        let header = FrameHeader(type, flags: flags, stream: stream, length: payload.count)
        withFrames(for: payload.count) { out in
            unsafe header.write(to: out.room(FrameHeader.octets))
            out.commit(FrameHeader.octets)
            out.append(payload)
        }
    }

    /// Calls `body` with the buffer that frames go to.
    @inline(__always)
    func withFrames<Result>(for octets: Int = 0, _ body: (OctetBuffer) -> Result) -> Result {
        if out == nil { out = pools.takeBuffer(for: octets) }
        return unsafe out.unretained.unsafelyUnwrapped(body)
    }

    /// Octets framed and not handed over.
    @inline(__always)
    var outCount: Int { out.unretained.map { $0 { $0.count } } ?? 0 }
}
