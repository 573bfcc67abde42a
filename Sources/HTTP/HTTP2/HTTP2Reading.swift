package import Octets

/// From octets to frames.
extension HTTP2Session {
    private static let preface: Octets = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Feeds the peer's octets, behind those that `postpone` kept. The events' data point into `rest`, or into
    /// what was kept.
    /// - Parameter rest: what was not read yet is left: it is for after `endTurn`. With `isOverQuota` the owner
    ///   had better `postpone` it and serve other connections first.
    /// - Returns: false when the connection has come to its end with these octets; what `flush` gives is
    ///   still worth sending.
    package func receive(_ rest: inout Octets) -> Bool {
        guard !isTerminating else {
            rest = .empty
            return true
        }
        if input.postponed != nil { return receiveBehindPostponed(&rest) }
        if input.isPrefaceExpected { takePreface(&rest) }
        let quota = pools.quota
        while rest.count > 0, !isTerminating, !isTurnFull, budget.hasLeft(of: quota) { step(&rest) }
        if isTerminating { rest = .empty }
        input.isOverQuota = rest.count > 0 && !budget.hasLeft(of: quota)
        return !isTerminating
    }

    /// Slots of streams that ended in this turn are not free before its end. They are memory, and a client that
    /// cancels and asks anew could use up any number of them without exceeding its limit of open streams.
    @inline(__always)
    private var isTurnFull: Bool { isServer && closedSlots.count >= max(Int(limits.concurrentStreams), 1) }

    private func takePreface(_ rest: inout Octets) {
        let wanted = Self.preface.dropFirst(input.prefaceOctets)
        let seen = rest.prefix(wanted.count)
        guard seen == wanted.prefix(seen.count) else { return leaveSilently() }
        input.prefaceOctets += seen.count
        rest = rest.dropFirst(seen.count)
        if input.prefaceOctets == Self.preface.count { input.isPrefaceExpected = false }
    }

    /// The peer does not speak HTTP/2, so a GOAWAY would mean nothing to it.
    private func leaveSilently() {
        isTerminating = true
        violation = .preface
        if let frames = out.take() { pools.give(frames) }
    }

    @inline(__always)
    private func step(_ rest: inout Octets) {
        if input.isInData { return takeData(&rest) }
        if input.skip > 0 {
            let skipped = min(input.skip, rest.count)
            input.skip -= skipped
            rest = rest.dropFirst(skipped)
            return
        }
        if input.carry != nil { return fillCarry(&rest) }
        guard rest.count >= FrameHeader.octets else { return keep(&rest) }
        let header = FrameHeader(rest)
        guard accepts(header) else { return }
        let needed = Self.needed(header)
        guard rest.count >= needed else { return keep(&rest) }
        act(on: header, rest.slice(FrameHeader.octets, needed))
        rest = rest.dropFirst(needed)
    }

    /// Octets that must be there before the frame can be acted on: all, but of DATA what stands in front.
    private static func needed(_ header: FrameHeader) -> Int {
        guard header.type == FrameType.data.rawValue else { return FrameHeader.octets + header.length }
        return FrameHeader.octets + (header.has(FrameFlag.padded) ? 1 : 0)
    }

    private func keep(_ rest: inout Octets) {
        let buffer = pools.takeBuffer()
        buffer.append(rest)
        input.carry = buffer
        rest = .empty
    }

    private func fillCarry(_ rest: inout Octets) {
        guard let carry = input.carry else { return }
        var needed = FrameHeader.octets
        if carry.count >= needed { needed = Self.needed(FrameHeader(carry.octets)) }
        let part = rest.prefix(needed - carry.count)
        carry.append(part)
        rest = rest.dropFirst(part.count)
        guard carry.count == needed else { return }
        let header = FrameHeader(carry.octets)
        if needed == FrameHeader.octets {
            guard accepts(header) else { return }
            guard Self.needed(header) == needed else { return }    // go on with the rest of it
        }
        act(on: header, carry.octets.dropFirst(FrameHeader.octets))
        input.carry = nil
        pools.give(carry)
    }

    /// Checks what can be checked before the frame is complete. Source: RFC 9113 §3.4, §4.2, §6.10.
    @inline(__always)
    private func accepts(_ header: FrameHeader) -> Bool {
        let isInSection = receiving.stream != 0
        if header.length <= FrameHeader.defaultPayload, input.isSettingsSeen,
            isInSection == (header.type == FrameType.continuation.rawValue),
            !isInSection || header.stream == receiving.stream
        {
            return true
        }
        endForFrame(header)
        return input.isSettingsSeen && !isTerminating
    }

    private func endForFrame(_ header: FrameHeader) {
        newestFrame = PeerFrame(header)
        if !input.isSettingsSeen {
            let isSettings = header.type == FrameType.settings.rawValue && !header.has(FrameFlag.ack)
            guard isSettings else { return terminate(.preface) }
            input.isSettingsSeen = true
            if header.length <= FrameHeader.defaultPayload { return }
        }
        let isTooLong = header.length > FrameHeader.defaultPayload
        terminate(isTooLong ? .frameSize : .frameOrder)
    }

    /// A frame is complete; of DATA, what stands in front.
    @inline(__always)
    private func act(on header: FrameHeader, _ payload: Octets) {
        budget.use(WorkCost.frame)
        newestFrame = PeerFrame(header)
        defer { if receiving.stream == 0 { input.completed &+= 1 } }
        switch FrameType(rawValue: header.type) {
        case .data: beginData(header, padding: header.has(FrameFlag.padded) ? Int(payload[0]) : nil)
        case .headers: headersArrived(header, payload)
        case .continuation: continuationArrived(header, payload)
        case .windowUpdate: windowUpdateArrived(header, payload)
        case .settings: settingsArrived(header, payload)
        case .ping: pingArrived(header, payload)
        case .resetStream: resetArrived(header, payload)
        case .goAway: goAwayArrived(header, payload)
        case .pushPromise: terminate(.pushPromise)    // we never allow it
        case .priority:
            // RFC 7540's priorities are obsolete: read past them. Source: RFC 9113 §5.3.2.
            if header.stream == 0 { return terminate(.frameOrder) }
            if payload.count != 5 { terminate(.frameSize) } else { waste(WorkCost.ignoredFrame, .ignoredFrameFlood) }
        case nil: waste(WorkCost.ignoredFrame, .ignoredFrameFlood)
        }
    }

    // MARK: DATA

    private func beginData(_ header: FrameHeader, padding: Int?) {
        let payload = header.length - (padding == nil ? 0 : 1)
        guard payload >= 0 else { return terminate(.frameSize) }
        guard padding ?? 0 <= payload else { return terminate(.padding) }
        guard isKnown(header.stream) else { return terminate(.idleStream) }
        guard useWindow(Int64(header.length)) else { return terminate(.connectionWindow) }
        input.isInData = true
        input.dataSlot = -1
        input.dataStream = header.stream
        input.dataLeft = payload - (padding ?? 0)
        input.padding = padding ?? 0
        input.endsStream = header.has(FrameFlag.endStream)
        // Padding alone is as empty as nothing. Source: CVE-2019-9518.
        if input.dataLeft == 0, !input.endsStream { waste(WorkCost.emptyFrame, .emptyFrameFlood) }
        if let slot = index.slot(of: header.stream) {
            admitData(header, slot)
        } else if input.dataLeft > 0 || input.endsStream {
            waste(WorkCost.lateData, .lateFrameFlood)
        }
        if input.dataLeft == 0 { dataCompleted() }
    }

    private func admitData(_ header: FrameHeader, _ slot: Int) {
        guard slots[slot].areHeadersReceived else { return endStream(slot, for: .dataBeforeHeaders) }
        guard !slots[slot].isEndReceived else { return endStream(slot, for: .frameAfterEnd) }
        slots[slot].received += Int64(header.length)
        guard slots[slot].received <= streamLimit(slot) else { return endStream(slot, for: .streamWindow) }
        slots[slot].bodyOctets += Int64(input.dataLeft)
        if slots[slot].expected >= 0, slots[slot].bodyOctets > slots[slot].expected {
            return endStream(slot, for: .contentLengthMismatch)
        }
        input.dataSlot = slot
        if isServer {
            slots[slot].held += Int32(truncatingIfNeeded: header.length)    // within the stream's window
            held += Int64(header.length)
            if held >= limits.heldOctets, held - Int64(header.length) < limits.heldOctets { pools.fullConnections += 1 }
        }
        let overhead = header.length - input.dataLeft
        if overhead > 0 { consume(slot, overhead) }
    }

    @inline(__always)
    private func takeData(_ rest: inout Octets) {
        let part = rest.prefix(input.dataLeft)
        rest = rest.dropFirst(part.count)
        input.dataLeft -= part.count
        let slot = input.dataSlot
        if slot >= 0, slots[slot].isOpen, slots[slot].id == input.dataStream {
            budget.use(WorkCost.bodyPart)
            budget.earn(WorkEarning.bodyPartReceived)
            events.append(StreamEvent(.data, slot: slot, owner: slots[slot].owner, data: part), from: pools)
        }
        if input.dataLeft == 0 { dataCompleted() }
    }

    private func dataCompleted() {
        input.isInData = false
        input.skip = input.padding
        let slot = input.dataSlot
        guard input.endsStream, slot >= 0, slots[slot].isOpen, slots[slot].id == input.dataStream else { return }
        endReceived(slot)
    }

    /// Counts octets against the connection's window.
    private func useWindow(_ octets: Int64) -> Bool {
        received += octets
        guard received <= connectionLimit else { return false }
        openConnectionWindow()
        return true
    }

    /// Opens the connection's window again, whether or not the octets were taken: a stream that waits must not hold
    /// up the others, unless too much waits altogether.
    private func openConnectionWindow() {
        guard received * 2 >= connectionLimit, held < limits.heldOctets else { return }
        frameWindowUpdate(stream: 0, received)
        received = 0
    }

    private var connectionLimit: Int64 { Int64(max(limits.connectionWindowOctets, 65_535)) }

    /// The other side has taken octets of a client's body, or will never take them: they count no longer.
    @inline(__always)
    func release(_ slot: Int, _ octets: Int) {
        let released = min(octets, Int(slots[slot].held))
        guard released > 0 else { return }
        slots[slot].held -= Int32(truncatingIfNeeded: released)
        held -= Int64(released)
        openConnectionWindow()
    }

    /// Until our SETTINGS are acknowledged, the peer may still count on the protocol's first window.
    private func streamLimit(_ slot: Int) -> Int64 {
        let limit = window(of: slot)
        return isSettingsAcknowledged ? limit : max(limit, 65_535)
    }

    /// The size of our window for the stream's body, in octets.
    @inline(__always)
    func window(of slot: Int) -> Int64 {
        let window = slots[slot].window
        return Int64(window > 0 ? window : limits.streamWindowOctets)
    }

    /// Whether the peer may send frames for that stream, because it is not idle. Source: RFC 9113 §5.1.
    func isKnown(_ stream: Int32) -> Bool {
        guard stream != 0 else { return false }
        let isOdd = stream & 1 == 1
        guard isServer else { return isOdd && (nextStream <= 0 || stream < nextStream) }
        return isOdd && stream <= max(lastPeerStream, lastIgnoredStream)
    }

    /// The peer's side of the stream is complete.
    func endReceived(_ slot: Int) {
        let isLying = slots[slot].expected >= 0 && slots[slot].bodyOctets != slots[slot].expected
        guard !isLying else { return endStream(slot, for: .contentLengthMismatch) }
        slots[slot].isEndReceived = true
        events.append(StreamEvent(.end, slot: slot, owner: slots[slot].owner), from: pools)
        if slots[slot].isEndFramed { closeStream(slot, code: ErrorCode.none) }
    }
}
