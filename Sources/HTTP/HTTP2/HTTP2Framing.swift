package import Octets

/// From what the owner submitted to frames.
extension HTTP2Session {
    /// Whether `flush` would have something to say.
    package var wantsFlush: Bool {
        if outCount > 0 { return true }
        if isTerminating { return false }
        if !resetsAfterFlush.isEmpty { return true }
        if !ready.isEmpty, sendWindow > 0 { return true }
        return !waiting.isEmpty && !isGoAwayReceived && mayBegin
    }

    /// Whether nothing more should be read: the client does not read its answers. Windows do not bound headers and
    /// the ends of streams, so their octets are bounded here.
    package var isReadPaused: Bool { isServer && outCount >= 2 * Self.mostFramedOctets }

    /// Octets of frames that `flush` has not given yet.
    package var unsentOctets: Int { outCount }

    /// Gives what there is to send, up to about `limit` octets in `sink`.
    package func flush(into sink: OctetBuffer, limit: Int) {
        isStarted = true
        if !waiting.isEmpty { startWaiting() }
        if !ready.isEmpty { sendReady() }
        if !resetsAfterFlush.isEmpty { resetLate() }
        answersQueued = 0
        guard let frames = out, sink.count < limit else { return }
        lastData = LastFrame()
        let count = frames.count
        if sink.isEmpty, count - FrameHeader.octets - FrameHeader.defaultPayload <= limit {
            sink.swapContents(with: frames)
            flushedOctets += UInt64(count)
        } else {
            let part = frames.octets.prefix(limit - sink.count)
            sink.append(part)
            flushedOctets += UInt64(part.count)
            frames.take(part.count)
        }
        guard frames.isEmpty else { return }
        out = nil
        pools.give(frames)
    }

    /// What a window holds back is given up; what only had no room yet goes out with the next flush.
    private func resetLate() {
        resetsAfterFlush.removeAll { slot, stream, code in
            guard slots[slot].id == stream else { return true }
            if slots[slot].isReady, sendWindow > 0, slots[slot].isOpen { return false }
            resetStream(slot, code: code)
            return true
        }
    }

    // MARK: header sections

    /// Writes the stream's header section; with `isEnd` it ends our side.
    func frameHeaders(_ slot: Int, _ block: HeaderBlock, isEnd: Bool) {
        frameSection(slots[slot].id, block, flags: isEnd ? FrameFlag.endStream : 0)
        slots[slot].areHeadersFramed = true
        slots[slot].headersEnd = flushedOctets + UInt64(outCount)
    }

    /// Writes HEADERS, and CONTINUATION where one frame does not hold the section.
    func frameSection(_ stream: Int32, _ block: HeaderBlock, flags: UInt8) {
        guard !isTerminating else { return }
        let isFramed = withFrames { frameSection(stream, block, flags: flags, to: $0) }
        if !isFramed { terminate(code: ErrorCode.internalError) }
    }

    /// - Returns: false when the encoder cannot go on.
    private func frameSection(_ stream: Int32, _ block: HeaderBlock, flags: UInt8, to out: OctetBuffer) -> Bool {
        let room = unsafe out.room(FrameHeader.octets + HPACKEncoder.bound(block))
        let inner = unsafe UnsafeMutableRawBufferPointer(rebasing: room[FrameHeader.octets...])
        guard let length = unsafe hpack.encoder.encode(block, into: inner) else { return false }
        guard length > FrameHeader.defaultPayload else {
            let header = FrameHeader(
                .headers, flags: flags | FrameFlag.endHeaders, stream: stream, length: length)
            unsafe header.write(to: room)
            out.commit(FrameHeader.octets + length)
            return true
        }
        let section = pools.takeBuffer()
        unsafe section.append(Octets(UnsafeRawBufferPointer(inner)).prefix(length))
        frameParts(stream, section.octets, flags: flags)
        pools.give(section)
        return true
    }

    private func frameParts(_ stream: Int32, _ section: Octets, flags: UInt8) {
        var rest = section
        var type = FrameType.headers
        repeat {
            let part = rest.prefix(FrameHeader.defaultPayload)
            rest = rest.dropFirst(part.count)
            let end = rest.isEmpty ? FrameFlag.endHeaders : 0
            frame(type, flags: (type == .headers ? flags : 0) | end, stream: stream, part)
            type = .continuation
        } while !rest.isEmpty
    }

    // MARK: bodies

    /// The stream has something to send: it is framed by the next `flush`.
    func makeReady(_ slot: Int) {
        guard !slots[slot].isReady, slots[slot].isOpen, slots[slot].areHeadersFramed, !slots[slot].isEndFramed
        else { return }
        guard slots[slot].waiting > 0 ? slots[slot].sendWindow > 0 : slots[slot].isEnded else { return }
        slots[slot].isReady = true
        ready.append(slot)
    }

    /// Streams one after the other, a frame each, while there is a window and room.
    private func sendReady() {
        var left = ready.count
        while !isTerminating, outCount < Self.mostFramedOctets, let slot = ready.popFirst() {
            slots[slot].isReady = false
            let isBlocked = sendWindow <= 0 && slots[slot].waiting > 0
            if !isBlocked { frameWaiting(slot) }
            makeReady(slot)
            guard isBlocked else { continue }
            left -= 1
            if left <= 0 { return }
        }
    }

    /// One frame of the stream's body, and its end when it is the last.
    private func frameWaiting(_ slot: Int) {
        // The slot may be another stream's by now, whose headers were not framed yet.
        guard slots[slot].isOpen, slots[slot].areHeadersFramed, !slots[slot].isEndFramed else { return }
        if slots[slot].waiting > 0, let body = slots[slot].body.unretained {
            let start = slots[slot].cursor
            let most = min(slots[slot].waiting, FrameHeader.defaultPayload)
            var part = body { $0.octets }.slice(start, start + most)
            frameBody(slot, &part)
            bodyFramed(slot, most - part.count)
        }
        guard slots[slot].waiting == 0, slots[slot].isEnded else { return }
        let trailers = slots[slot].trailers.take()
        frameEnd(slot, trailers)
        if let trailers { pools.letGo(trailers) }
    }

    /// Frames octets of a body as far as windows and room allow; leaves the others in `rest`.
    func frameBody(_ slot: Int, _ rest: inout Octets) {
        guard !isTerminating else { return }
        var framed = 0
        while rest.count > 0, outCount < Self.mostFramedOctets {
            let window = min(sendWindow, slots[slot].sendWindow)
            let part = rest.prefix(min(Int(max(window, 0)), FrameHeader.defaultPayload))
            guard part.count > 0 else { break }
            lastData.offset = outCount
            frame(.data, stream: slots[slot].id, part)
            noteLast(slot)
            budget.earn(WorkEarning.bodyPartSent)
            sendWindow -= Int64(part.count)
            slots[slot].sendWindow -= Int64(part.count)
            framed += part.count
            rest = rest.dropFirst(part.count)
        }
        guard framed > 0 else { return }
        taken.append(TakenOctets(slot: slot, owner: slots[slot].owner, count: framed), from: pools)
    }

    /// The DATA frame that was just written can be given END_STREAM, as long as it is the last frame.
    private func noteLast(_ slot: Int) {
        lastData.slot = slot
        lastData.end = outCount
    }

    /// The end of our side: with the trailers, with the last DATA frame if it did not leave yet, or with an
    /// empty one. Never with HEADERS that were to be followed by a body: a gRPC server (grpc-go) waits for the
    /// end of a stream whose header section ended it, and a call without a message would hang.
    func frameEnd(_ slot: Int, _ trailers: HeaderBlock?) {
        if isTerminating {
            // Nothing follows the final GOAWAY, and what stands before it stays as it is.
        } else if let trailers = trailers.unretained {
            trailers { frameSection(slots[slot].id, $0, flags: FrameFlag.endStream) }
        } else if lastData.slot == slot, lastData.end == outCount {
            withFrames { $0.set(FrameFlag.endStream, at: lastData.offset + 4) }
        } else {
            frame(.data, flags: FrameFlag.endStream, stream: slots[slot].id)
        }
        endFramed(slot)
    }

    /// Our END_STREAM is written: the stream ends when the peer has ended it too.
    func endFramed(_ slot: Int) {
        slots[slot].isEndFramed = true
        if slots[slot].isEndReceived {
            closeStream(slot, code: ErrorCode.none)
        } else if slots[slot].resetAfterEnd {
            resetStream(slot, code: ErrorCode.none)
        }
    }
}
