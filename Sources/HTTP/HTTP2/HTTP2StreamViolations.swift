internal import Octets

/// Streams that end because their peer broke a rule. Each is an event, so that the owner can count and log it.
extension HTTP2Session {
    /// Ends a stream for its peer's mistake; too many of them end the connection. Source: CVE-2025-8671.
    func endStream(_ slot: Int, for violation: HTTP2Violation) {
        events.append(violationEvent(of: slot, violation), from: pools)
        resetStream(slot, code: violation.code)
        waste(WorkCost.violation, .violationFlood)
    }

    /// The same for a rule that the stream's header section breaks. The owner gets what was read of a request, for
    /// its log. A request that is only too large, or finds no memory, stays open for an answer.
    func endStream(_ slot: Int, for violation: HTTP2Violation, _ block: consuming HeaderBlock) {
        let isRequest = receiving.rules.kind == .request
        let isAnswerable = isServer && violation.mayBeAnswered && (isRequest || receiving.endsStream)
        if isServer {
            pools.charge(block, to: holder)
            sections.append(HeldSection(slot: slot, holding: consume block), from: pools)
        } else {
            pools.letGo(block)
        }
        events.append(violationEvent(of: slot, violation), from: pools)
        if isAnswerable {
            slots[slot].areHeadersReceived = true
            slots[slot].earnsNothing = true
            if receiving.endsStream { endReceived(slot) }
        } else {
            // REFUSED_STREAM promises that nothing was done with the request. Source: RFC 9113 §8.7.
            let isPromise = violation.code == ErrorCode.refusedStream && !isRequest
            resetStream(slot, code: isPromise ? ErrorCode.enhanceYourCalm : violation.code)
        }
        wasteSection(.violationFlood)
    }

    /// Refuses a stream for which there is no room, before it has a slot.
    func refuseUnopened(_ stream: Int32, _ violation: HTTP2Violation) {
        events.append(StreamEvent(.violation, detail: .violation(violation, newestFrame)), from: pools)
        frameReset(stream: stream, code: violation.code)
        receiving.reason = .violationFlood    // counted when the section is complete
    }

    private func violationEvent(of slot: Int, _ violation: HTTP2Violation) -> StreamEvent {
        StreamEvent(.violation, slot: slot, owner: slots[slot].owner, detail: .violation(violation, newestFrame))
    }

    /// Keeps a field of a request that will not be served, if the access log prints it or the answer depends on it:
    /// malformed or not, but only the first of each kind, and none that is long.
    func keepForLog(_ name: Octets, _ value: Octets, in block: HeaderBlock) {
        guard receiving.rules.kind == .request else { return }
        let known = KnownHeader(name: name)
        switch known {
        case .method, .path, .authority, .contentType, .userAgent, .requestID, .forwardedFor:
            guard block.first(known) == nil else { return }
            guard value.count <= Self.loggedOctets else { return pools.cutFields += 1 }
            block.append(decoded: name, known, value, isSensitive: false)
        default: return
        }
    }

    private static let loggedOctets = 2048
}
