internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import TLS
internal import Telemetry

/// No refusal without a line: whatever this worker turns down is counted by its reason and leaves a line, in
/// the access log or, where that is off or the peer is an upstream, on standard error. Lines are few
/// (`RefusalSampler`); refused requests are no matter of this file: they have an exchange, and its line.
extension Worker {
    /// - Parameters:
    ///   - connection: whose it is; nil when there is none yet.
    ///   - status: of the answer, when one was given.
    ///   - reason: what OpenSSL or the system says of it.
    func refused(_ refusal: Refusal, on connection: Connection?, status: Int = 0, because reason: String = "") {
        let side = connection?.role == .upstream ? ConnectionSide.upstream : .downstream
        metrics.refused(refusal, side)
        guard sampler.admits(refusal, at: wallNow.seconds) else { return summarizeSoon() }
        guard log.isOn, side == .downstream else { return say(refusal, connection, reason) }
        var record = AccessRecord(start: wallNow)
        record.protocol = connection.map { Self.protocolName(of: $0) } ?? .unknown
        record.status = status
        record.flags = refusal.flag.text
        record.details = refusal.details(reason)
        record.downstreamRemote = connection?.peerText
        record.downstreamLocal = connection?.localText
        record.serverName = connection?.tls?.serverName
        log.log(record)
    }

    private static func protocolName(of connection: Connection) -> RequestProtocol {
        switch connection.codec {
        case .undecided: .unknown
        case .http1: .http11
        case .http2: .http2
        }
    }

    private func say(_ refusal: Refusal, _ connection: Connection?, _ reason: String) {
        var text = "refused: \(refusal.sentence)"
        if !reason.isEmpty { text += ": \(reason)" }
        if let connection, connection.role == .upstream {
            text += "; endpoint \(connection.pool?.endpoint.name ?? "unknown")"
        } else if let connection {
            text += "; client \(connection.peerText ?? "unknown") on \(connection.localText ?? "unknown")"
            if let name = connection.tls?.serverName { text += ", server name \(name)" }
        }
        messages.warn(text, at: wallNow)
    }

    /// A client that keeps to the limit says nothing of the calls that wait on its side: somebody should hear of
    /// it, but not more often than once a minute.
    func reachedStreamLimit(_ connection: Connection) {
        metrics.reachedConcurrentStreams()
        guard wallNow.seconds >= nextStreamHint else { return }
        nextStreamHint = wallNow.seconds + 60
        messages.warn(
            "client \(connection.peerText ?? "unknown") has \(connection.codec.openStreams) streams open on one "
                + "connection, as many as it may: its next calls wait in the client; raise --max-concurrent-streams, "
                + "or portico.dev/max-concurrent-streams of the Gateway, or have it open more connections", at: wallNow)
    }

    private func summarizeSoon() {
        guard !isSummaryDue else { return }
        isSummaryDue = true
        _ = arm(at: now + .seconds(1), .summary, 0)
    }

    /// A second has passed: says what got no line.
    func summarizeRefusals() {
        isSummaryDue = false
        guard sampler.isSuppressing else { return }
        messages.warn(sampler.summary(), at: wallNow)
    }
}

// What sessions refuse while they read.
extension Worker {
    func refuse(_ event: StreamEvent, on connection: Connection) {
        switch connection.codec {
        case .undecided: return
        case .http1(let session): if let error = session({ $0.violation }) { refuse(event, error, on: connection) }
        case .http2: if let fault = HTTP2Fault(rawValue: Int(event.code)) { refuse(event, fault, on: connection) }
        }
    }

    /// Octets that are no HTTP/1.1: answers if nothing was answered yet, and closes.
    private func refuse(_ event: StreamEvent, _ error: HTTP1Error, on connection: Connection) {
        metrics.refused(.http1(error), .downstream)
        if let exchange = exchange(of: event, downstream: connection)?({ $0 }) {
            exchange.dropUpstream(code: ErrorCode.cancel)
            if exchange.isResponseStarted {
                exchange.downstreamClosed(.requestRefused(error))
                fail(connection)
            } else {
                exchange.answer(.requestRefused(error))
            }
        } else if case .http1(let session) = connection.codec {
            let date = date.octets(at: wallNow)
            session { $0.answerViolation(date: date) }
            logRefusal(error, on: connection)
        }
        markDirty(connection)
    }

    /// A request that HTTP/2 does not allow, or that is too large.
    private func refuse(_ event: StreamEvent, _ fault: HTTP2Fault, on connection: Connection) {
        let block = event.stream < 0 ? nil : connection.codec.takeHeaders(event.stream)
        if event.stream >= 0, let exchange = exchange(of: event, downstream: connection)?({ $0 }) {
            metrics.refused(.http2(fault), .downstream)
            exchange.requestRefused(fault, on: connection)
            if let block { pools.letGo(block) }
        } else if let block {
            metrics.refused(.http2(fault), .downstream)
            beginRefused(event, block, fault, on: connection)
        } else {
            refused(.http2(fault), on: connection)
            if fault == .headerMemory { makeRoomForHeaders() }
        }
    }

    /// Nothing is left for the headers of new requests: those clients give up their own that hold most, until a
    /// sixteenth is free. Once in a turn, and only when a request was refused; who holds little is never among
    /// them.
    private func makeRoomForHeaders() {
        guard pools.headerOctets >= pools.headerLimit, roomMadeAt != now else { return }
        roomMadeAt = now
        var hoarders: [(octets: Int, connection: Connection)] = []
        forEachConnection { connection in
            guard connection.role == .downstream, connection.phase == .open, !connection.isFailing,
                case .http2(let session) = connection.codec
            else { return }
            hoarders.append((session { $0.headerOctets }, connection))
        }
        var wanted = pools.headerOctets - pools.headerLimit + pools.headerLimit / 16
        for (octets, hoarder) in hoarders.sorted(by: { $0.octets > $1.octets }) where octets > 0 && wanted > 0 {
            wanted -= octets
            if case .http2(let session) = hoarder.codec { session { $0.terminate(.headerHoard) } }
            breached(hoarder)
        }
    }

    /// A response that is none, or too large. On HTTP/2 it costs its own call and no other.
    func refuseResponse(_ event: StreamEvent, of connection: Connection) {
        switch connection.codec {
        case .undecided: return
        case .http1(let session):
            if let error = session({ $0.violation }) { refused(.http1(error), on: connection) }
            loseStreams(of: connection, .upstreamProtocolError)
            fail(connection)
        case .http2:
            guard let fault = HTTP2Fault(rawValue: Int(event.code)) else { return }
            refused(.http2(fault), on: connection)
            exchange(of: event, upstream: connection)? {
                $0.upstreamFailed(.upstreamMalformed(fault), code: fault.code)
            }
        }
    }

    /// The peer broke a rule of HTTP/2 that ends the connection.
    func breached(_ connection: Connection) {
        if case .http2(let session) = connection.codec, let fault = session({ $0.fault }) {
            refused(.http2(fault), on: connection)
        }
        fail(connection)
    }
}
