internal import Octets

/// From HEADERS and CONTINUATION frames to header sections.
extension HTTP2Session {
    /// A header section begins. Source: RFC 9113 §6.2.
    func headersArrived(_ header: FrameHeader, _ payload: Octets) {
        var fragment = payload
        var padding = 0
        if header.has(FrameFlag.padded) {
            guard fragment.count >= 1 else { return terminate(.frameSize) }
            padding = Int(fragment[0])
            fragment = fragment.dropFirst(1)
        }
        if header.has(FrameFlag.priority) {
            guard fragment.count >= 5 else { return terminate(.frameSize) }
            fragment = fragment.dropFirst(5)
        }
        guard header.stream != 0 else { return terminate(.frameOrder) }
        guard padding <= fragment.count else { return terminate(.padding) }
        fragment = fragment.prefix(fragment.count - padding)
        guard beginSection(header) else { return }
        decode(fragment, isFinal: header.has(FrameFlag.endHeaders))
    }

    /// A header section goes on. Source: RFC 9113 §6.10.
    func continuationArrived(_ header: FrameHeader, _ payload: Octets) {
        receiving.continuations += 1
        // Legitimate sections need one for each 16 KiB. Source: CVE-2024-28182. An endpoint's connection is many
        // clients': for a section that is too large it does not end before it has taken 4 MiB.
        let most = isServer ? 8 + limits.headerOctets / FrameHeader.defaultPayload : 256
        guard receiving.continuations <= most else { return terminate(.continuationFlood) }
        if payload.isEmpty, !header.has(FrameFlag.endHeaders) { waste(WorkCost.emptyFrame, .emptyFrameFlood) }
        if isServer, receiving.violation == nil, !pools.headerMemory.hasRoom(holder) {
            receiving.violation = .headerMemory
        }
        decode(payload, isFinal: header.has(FrameFlag.endHeaders))
    }

    /// Finds the stream of the section; a new one where a request begins.
    /// - Returns: false when the connection ends.
    private func beginSection(_ header: FrameHeader) -> Bool {
        receiving.stream = header.stream
        receiving.slot = -1
        receiving.endsStream = header.has(FrameFlag.endStream)
        receiving.continuations = 0
        receiving.size = 0
        receiving.octets = 0
        receiving.count = 0
        receiving.violation = nil
        receiving.reason = .lateFrameFlood
        if let slot = index.slot(of: header.stream) {
            guard !slots[slot].isEndReceived else { return sectionAfterEnd(slot) }
            receiving.slot = slot
        } else if isServer {
            guard header.stream & 1 == 1 else {
                terminate(.streamNumber)
                return false
            }
            receiving.slot = admitStream(header.stream)
        } else if !isKnown(header.stream) {
            terminate(.idleStream)
            return false
        }
        let slot = receiving.slot
        guard slot >= 0 else { return true }
        let isTrailers = slots[slot].areHeadersReceived
        if isServer, isTrailers, !pools.headerMemory.hasRoom(holder) { receiving.violation = .headerMemory }
        receiving.rules = HeaderRules(isTrailers ? .trailers : isServer ? .request : .response)
        receiving.block = pools.takeBlock()
        return true
    }

    private func sectionAfterEnd(_ slot: Int) -> Bool {
        guard !isServer else {
            terminate(.frameAfterEnd)
            return false
        }
        endStream(slot, for: .frameAfterEnd)
        return true
    }

    /// - Returns: the new stream's slot; -1 when it is not served.
    private func admitStream(_ stream: Int32) -> Int {
        guard stream > lastPeerStream else {
            return -1    // it is over already: trailers that crossed a reset, perhaps
        }
        guard !isFinalGoAwaySent else {
            // Opened before the client knew: it may go on with it. Source: RFC 9113 §6.8.
            lastIgnoredStream = max(lastIgnoredStream, stream)
            return -1
        }
        lastPeerStream = stream
        guard openStreams < Int(limits.concurrentStreams) else {
            refuseUnopened(stream, .tooManyStreams)
            return -1
        }
        guard pools.headerMemory.hasRoom(holder) else {
            refuseUnopened(stream, .headerMemory)
            return -1
        }
        let slot = openSlot()
        slots[slot].id = stream
        slots[slot].sendWindow = Int64(peer.initialWindow)
        index.insert(stream, slot: slot)
        return slot
    }

    private func decode(_ fragment: Octets, isFinal: Bool) {
        receiving.octets += fragment.count
        guard case .done = decodeFields(fragment, isFinal: isFinal) else {
            return terminate(.headerCompression)
        }
        guard isFinal else {
            if let block = receiving.block { pools.charge(block, to: holder) }
            return
        }
        let stream = receiving.stream
        receiving.stream = 0
        guard let block = receiving.block.take() else { return wasteSection(receiving.reason) }
        let slot = receiving.slot
        // Between two frames of the section, the stream may have ended and another have got its slot.
        guard slot >= 0, slots[slot].isOpen, slots[slot].id == stream else {
            pools.letGo(block)
            return wasteSection(.lateFrameFlood)
        }
        budget.use(WorkCost.section + WorkCost.decoding(receiving.work))
        sectionCompleted(slot, block)
    }

    /// The section in hand was decoded in vain.
    func wasteSection(_ violation: HTTP2Violation) {
        budget.use(WorkCost.decoding(receiving.work))
        waste(WorkCost.violation + WorkCost.vainDecoding(receiving.work), violation)
    }

    private func decodeFields(_ fragment: Octets, isFinal: Bool) -> HPACK.Decoded {
        let block = receiving.block.unretained
        if isFinal, receiving.continuations == 0 {
            return hpack.decode(fragment, isFinal: isFinal, pools: pools) { name, value, isSensitive in
                if let block { block { take(name, value, isSensitive: isSensitive, into: $0) } }
            }
        }
        let tooLong = { if self.receiving.violation == nil { self.receiving.violation = .headersTooLarge } }
        return hpack.decodeInParts(fragment, isFinal: isFinal, pools: pools, tooLong: tooLong) {
            name, value, isSensitive in
            if let block { block { take(name, value, isSensitive: isSensitive, into: $0) } }
        }
    }

    @inline(__always)
    private func take(_ name: Octets, _ value: Octets, isSensitive: Bool, into block: HeaderBlock) {
        guard receiving.violation == nil else { return keepForLog(name, value, in: block) }
        receiving.size += name.count + value.count + 32
        receiving.count += 1
        let most = receiving.rules.isInterim ? HTTP2Limits.mostInterimOctets : limits.headerOctets
        guard receiving.size <= most, receiving.count <= limits.headerFields else {
            receiving.violation = receiving.size <= most ? .tooManyHeaders : .headersTooLarge
            return keepForLog(name, value, in: block)
        }
        let known = KnownHeader(name: name)
        if case .contentLength = known, receiving.rules.hasNoLength { return }
        guard receiving.rules.accept(known, name, value) else {
            return takeTrimmed(name, known, value, isSensitive: isSensitive, into: block)
        }
        block.append(decoded: name, known, value, isSensitive: isSensitive)
    }

    /// A field that was not accepted as it is: perhaps for blanks around its value, which are no part of it.
    /// RFC 9113 §8.2.1 calls such a section malformed, but gRPC clients send them in metadata, and may expect them to
    /// be stripped. A pseudo-header field keeps them, and is refused.
    /// Source: RFC 9110 §5.5; grpc/grpc doc/PROTOCOL-HTTP2.md, Custom-Metadata.
    private func takeTrimmed(
        _ name: Octets, _ known: KnownHeader, _ value: Octets, isSensitive: Bool, into block: HeaderBlock
    ) {
        let trimmed = HTTP1Syntax.trimmed(value)
        guard trimmed.count < value.count, name.first != UInt8(ascii: ":"),
            receiving.rules.accept(known, name, trimmed)
        else {
            receiving.violation = HeaderDiagnosis.violation(of: known, name, behind: block, receiving.rules.kind)
            return keepForLog(name, value, in: block)
        }
        block.append(decoded: name, known, trimmed, isSensitive: isSensitive)
    }

    private func sectionCompleted(_ slot: Int, _ block: consuming HeaderBlock) {
        let endsStream = receiving.endsStream
        if let violation = receiving.violation { return endStream(slot, for: violation, block) }
        guard receiving.rules.isComplete(endsStream: endsStream) else {
            return endStream(slot, for: HeaderDiagnosis.violation(ofIncomplete: block, receiving.rules.kind), block)
        }
        let rules = receiving.rules
        if rules.isInterim {
            // Nothing but their number holds them back: a client's window does not.
            slots[slot].interimSections += 1
            waste(WorkCost.interimResponse, .interimFlood)
            guard slots[slot].interimSections <= HTTP2Limits.mostInterimSections else {
                return endStream(slot, for: .tooManyInterimResponses, block)
            }
        }
        if rules.isFinal {
            slots[slot].areHeadersReceived = true
            slots[slot].expected = rules.hasNoBody || slots[slot].isHeadMethod ? 0 : rules.contentLength
        }
        let isLying = endsStream && slots[slot].expected >= 0 && slots[slot].bodyOctets != slots[slot].expected
        guard !isLying else { return endStream(slot, for: .contentLengthMismatch, block) }
        if isServer || rules.kind == .trailers { pools.charge(block, to: holder) }
        sections.append(HeldSection(slot: slot, holding: consume block), from: pools)
        let kind = rules.kind == .trailers ? StreamEvent.Kind.trailers : .headers
        events.append(
            StreamEvent(kind, slot: slot, owner: slots[slot].owner, detail: endsStream ? .last : .none), from: pools)
        if endsStream { endReceived(slot) }
    }

}
