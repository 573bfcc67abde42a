internal import HTTP
internal import Octets
internal import Reactor
internal import Synchronization
internal import Telemetry

/// One worker's exchanges: a pool of them, and the way from a session's event to the exchange whose stream it is.
/// Exchanges are never freed while the worker runs, only used again.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Exchanges {
    private let services: WorkerServices
    private let upstreams: Upstreams
    private let connections: Connections
    private let refusals: Refusals
    private let reporter: ExchangeReporter
    /// Copies of requests for mirrors.
    let mirrors: Mirrors
    private var all: ContiguousArray<Unretained<Exchange>> = []    // `owned` has the references
    private var owned: ContiguousArray<Exchange> = []
    private var free = PlainStack<Int>()    // numbers
    private var isSweepDue = false
    private var roomMadeAt: MonotonicTime?    // the turn in which a hoarder of headers was last ended

    init(services: WorkerServices, upstreams: Upstreams, connections: Connections, refusals: Refusals) {
        self.services = services
        self.upstreams = upstreams
        self.connections = connections
        self.refusals = refusals
        reporter = ExchangeReporter(services: services)
        mirrors = Mirrors(services: services, upstreams: upstreams)
    }

    /// Exchanges in use.
    var count: Int { all.count - free.count }

    /// Calls `body` with the exchange of that number, without counting a reference. Without effect if there is none.
    @inline(__always)
    func with(_ number: Int, _ body: (Exchange) -> Void) {
        guard number >= 0, number < all.count else { return }
        let exchange = all[number]
        exchange(body)
    }

    /// A connection is there that an exchange has waited for, or a copy for a mirror.
    func connected(_ waiting: Int, _ connection: Connection) {
        guard waiting >= 0 else { return mirrors.connected(waiting, connection) }
        with(waiting) { Connecting.connected($0, connection) }
    }

    /// Whoever waits gets no connection.
    func connectionFailed(_ waiting: Int, _ situation: Situation, because reason: String) {
        guard waiting >= 0 else { return mirrors.connectionFailed(waiting, situation) }
        with(waiting) { $0.connectionFailed(situation, because: reason) }
    }

    /// Calls `body` with each exchange that serves a client.
    func forEachInUse(_ body: (Exchange) -> Void) {
        for exchange in owned where exchange.downstream != nil { body(exchange) }
    }

    // MARK: begin and end

    private func take() -> Unretained<Exchange> {
        if let number = free.popLast() { return all[number] }
        let exchange = Exchange(exchanges: self, services: services, upstreams: upstreams, number: all.count)
        owned.append(exchange)
        all.append(Unretained(exchange))
        return Unretained(exchange)
    }

    private func enter(
        _ exchange: Exchange, _ event: StreamEvent, _ block: HeaderBlock, on connection: Connection
    ) {
        services.unretainedMetrics { $0.requestStarted() }
        services.status.activeExchanges.wrappingAdd(1, ordering: .relaxed)
        exchange.serve(connection, event.slot)
        exchange.request.keep(block)
        exchange.identifier = services.random.identifier()
        exchange.started = services.loop.now
        exchange.startedWall = services.loop.wallNow
        exchange.lastProgress = services.loop.now
        connection.session.setOwner(event.slot, .exchange(exchange.number))
        sweepSoon()
    }

    private func begin(_ event: StreamEvent, on connection: Connection) {
        guard let block = connection.session.takeHeaders(event.slot) else { return }
        take()({ exchange in
            enter(exchange, event, block, on: connection)
            exchange.state.begin(event.isLast ? .headersOnly : .receiving)
            // Given up in the same read: its `.closed` follows, and no upstream needs to hear of it. Upstreams count
            // resets, and end the connection that all clients share. Source: CVE-2023-44487.
            if case .http2(let session) = connection.session {
                guard session({ $0.isOpen(event.slot) }) else { return }
                if session({ $0.openStreams == Int($0.limits.concurrentStreams) }) {
                    refusals.reachedStreamLimit(connection)
                }
            }
            exchange.run()
        })
    }

    /// A request that was refused while it was read: its exchange has it for the log and, where the stream is
    /// still open, for an answer.
    private func beginRefused(
        _ event: StreamEvent, _ block: HeaderBlock, _ violation: HTTP2Violation, on connection: Connection
    ) {
        take()({ exchange in
            enter(exchange, event, block, on: connection)
            exchange.state.begin(.receiving)
            WebTranslation.noteKind(of: block, exchange)
            exchange.traits.isHeadMethod = block.first(.method) == "HEAD"
            exchange.requestRefused(violation, event.violationFrame, on: connection)
        })
    }

    /// The last step of an exchange: writes the log, counts, and makes it as new.
    func release(_ exchange: Exchange) {
        reporter.report(exchange)
        if let downstream = exchange.downstream {
            downstream.session.setOwner(downstream.slot, .nobody)
        }
        exchange.clear()
        free.append(exchange.number)
        services.status.activeExchanges.wrappingSubtract(1, ordering: .relaxed)
    }

    /// They refer to the worker's parts, and those to them.
    func clear() {
        all.removeAll()
        owned.removeAll()
        free.free()
        mirrors.clear()
    }

    // MARK: events of clients

    /// Hands an event of a client's stream to its exchange, which the first one makes.
    func downstream(_ event: StreamEvent, of connection: Connection) {
        switch event.kind {
        case .headers: return begin(event, on: connection)
        case .violation: return refuse(event, on: connection)
        default: break
        }
        guard event.slot >= 0 else { return }    // of the connection: SETTINGS, GOAWAY
        guard let exchange = exchange(of: event, downstream: connection) else {
            if event.kind == .data { services.consume(Stream(connection, event.slot), event.data.count) }
            return
        }
        exchange { pass(event, to: $0, of: connection) }
    }

    private func pass(_ event: StreamEvent, to exchange: Exchange, of connection: Connection) {
        switch event.kind {
        case .data: exchange.requestData(event.data)
        case .trailers:
            guard let trailers = connection.session.takeHeaders(event.slot) else { return }
            exchange.requestEnded(trailers: trailers)
            services.letGo(trailers)
        case .end: exchange.requestEnded()
        case .closed: exchange.downstreamClosed(.clientReset, code: event.errorCode)
        case .expectsContinue: exchange.continueIfSent()
        default: break
        }
    }

    private func exchange(of event: StreamEvent, downstream connection: Connection) -> Unretained<Exchange>? {
        // Events that were noted before the headers were acted on do not know their owner yet.
        guard let number = event.owner.exchange ?? connection.session.owner(event.slot).exchange, number < all.count
        else { return nil }
        let exchange = all[number]
        return exchange { $0.isServing(downstream: connection, event.slot) } ? exchange : nil
    }

    // MARK: events of upstreams

    /// Hands an event of an upstream connection to the owner of its stream.
    func upstream(_ event: StreamEvent, of connection: Connection) {
        if case .mirror(let number) = event.owner { mirrors.came(event, number, from: connection) }
        switch event.kind {
        case .settings: return upstreams.learnSettings(connection)
        case .goAway:
            _ = connection.state.stand(.draining, at: services.loop.now)
            upstreams.wentAway(connection)
            return services.markDirty(connection)
        case .closed: return streamClosed(event, on: connection)
        case .violation: return refuseResponse(event, of: connection)
        default: break
        }
        guard let exchange = exchange(of: event, upstream: connection) else {
            if event.kind == .data { services.consume(Stream(connection, event.slot), event.data.count) }
            return
        }
        exchange { pass(event, to: $0, from: connection) }
    }

    private func pass(_ event: StreamEvent, to exchange: Exchange, from connection: Connection) {
        switch event.kind {
        case .data: exchange.responseData(event.data)
        case .end: exchange.responseEnded()
        case .headers, .trailers:
            guard let block = connection.session.takeHeaders(event.slot) else { return }
            if case .headers = event.kind {
                exchange.responseHeaders(block, isEnd: event.isLast)
            } else {
                exchange.responseEnded(trailers: block)
            }
            services.letGo(block)
        default: break
        }
    }

    private func exchange(of event: StreamEvent, upstream connection: Connection) -> Unretained<Exchange>? {
        guard case .exchange(let number) = event.owner, number < all.count else { return nil }
        let exchange = all[number]
        return exchange { $0.isUsing(upstream: connection, event.slot) } ? exchange : nil
    }

    private func streamClosed(_ event: StreamEvent, on connection: Connection) {
        exchange(of: event, upstream: connection)? { exchange in
            if exchange.state.answer == .over { return exchange.detachUpstream() }
            // A server that keeps the call's deadline says CANCEL when it has come. The client must not take that
            // for a failure of the server that it may retry.
            if event.errorCode == ErrorCode.cancel, exchange.hasSentDeadlineCome { return exchange.deadlinePassed() }
            let isRefusal = event.errorCode == ErrorCode.http11Required && exchange.state.answer == .none
            if isRefusal, exchange.traits.isWebSocket {
                return Tunneling.refused(exchange, isAsked: connection.session.mayHaveArrived(event.slot))
            }
            Self.streamFailed(exchange, event, on: connection)
        }
        // The last stream's end is the connection's where no new requests are sent on it.
        guard connection.state.isServing else { return services.markDirty(connection) }
        if !connection.hasServed {
            connection.hasServed = true
            upstreams.keepTicket(of: connection)
        }
        upstreams.giveBack(connection)
    }

    /// An upstream's stream was closed before its answer was complete.
    @inline(never)
    private static func streamFailed(_ exchange: Exchange, _ event: StreamEvent, on connection: Connection) {
        let isUnsent = !connection.session.mayHaveArrived(event.slot)
        let said = connection.failure
        exchange.upstreamFailed(
            situation(code: event.errorCode, isUnsent: isUnsent), code: event.errorCode,
            because: said.isEmpty ? "the endpoint reset the stream with code \(event.errorCode)" : said)
    }

    private static func situation(code: UInt32, isUnsent: Bool) -> Situation {
        if isUnsent { return .closedUnsent }
        return switch code {
        case ErrorCode.refusedStream: .upstreamRefused
        case ErrorCode.protocolError: .upstreamProtocolError
        default: .upstreamReset
        }
    }

    /// A connection is gone while that exchange had a stream on it.
    func lost(_ number: Int, _ connection: Connection, _ slot: Int, _ situation: Situation) {
        with(number) { exchange in
            if exchange.isServing(downstream: connection, slot) {
                exchange.downstreamClosed(situation)
            } else if exchange.isUsing(upstream: connection, slot) {
                if connection.hasServed, !connection.session.isHTTP2 { exchange.hasLostKept = true }
                let isReplayable = situation == .upstreamClosed && Self.mayReplay(exchange, slot, lostWith: connection)
                exchange.upstreamFailed(isReplayable ? .closedUnsent : situation, because: connection.failure)
            }
        }
    }

    /// What was not sent may be sent again, and what was sent to a server that had not begun to speak: a kernel accepts
    /// connections, and takes what is sent, for a process that ends before it has accepted them. So may a safe request
    /// on an HTTP/1.1 connection that had served before: the upstream closed it for idleness while the request was on
    /// its way.
    /// Source: RFC 9112 §9.3.1, RFC 9110 §9.2.2.
    private static func mayReplay(_ exchange: Exchange, _ slot: Int, lostWith connection: Connection) -> Bool {
        if !connection.session.mayHaveArrived(slot) || connection.session.hasSilentPeer { return true }
        return exchange.traits.isSafe && connection.hasServed && !connection.session.isHTTP2
    }

    /// Octets that went out open the windows of those they came from.
    func passWindows(of connection: Connection) {
        var index = 0
        while let taken = connection.session.taken(at: index) {
            index += 1
            guard case .exchange(let number) = taken.owner, number < all.count else { continue }
            let exchange = all[number]
            exchange { $0.passWindow(of: connection, taken) }
        }
    }

    // MARK: what sessions refuse while they read

    private func refuse(_ event: StreamEvent, on connection: Connection) {
        switch connection.session {
        case .undecided: return
        case .http1(let session): if let error = session({ $0.violation }) { refuse(event, error, on: connection) }
        case .http2: if let violation = event.violation { refuse(event, violation, on: connection) }
        }
    }

    /// Octets that are no HTTP/1.1: answers if nothing was answered yet, and closes.
    private func refuse(_ event: StreamEvent, _ error: HTTP1Error, on connection: Connection) {
        services.metrics.refused(.http1(error), .downstream)
        FrontEnd.refused(.http1(error), connection, services)
        if let exchange = exchange(of: event, downstream: connection)?({ $0 }) {
            exchange.dropUpstream(code: ErrorCode.cancel)
            if exchange.state.answer == .none {
                exchange.answer(.requestRefused(error))
            } else {
                exchange.downstreamClosed(.requestRefused(error))
                connections.fail(connection)
            }
        } else if case .http1(let session) = connection.session {
            let date = services.dateText
            session { $0.answerViolation(date: date) }
            refusals.noteRequest(.requestRefused(error), on: connection)
        }
        services.markDirty(connection)
    }

    /// A request that HTTP/2 does not allow, or that is too large.
    private func refuse(_ event: StreamEvent, _ violation: HTTP2Violation, on connection: Connection) {
        let block = event.slot < 0 ? nil : connection.session.takeHeaders(event.slot)
        if event.slot >= 0, let exchange = exchange(of: event, downstream: connection)?({ $0 }) {
            services.metrics.refused(.http2(violation), .downstream)
            exchange.requestRefused(violation, event.violationFrame, on: connection)
            if let block { services.pools.letGo(block) }
        } else if let block {
            services.metrics.refused(.http2(violation), .downstream)
            beginRefused(event, block, violation, on: connection)
        } else {
            refusals.note(.http2(violation), on: connection, because: event.violationFrame?.words ?? "")
        }
        if violation == .headerMemory { makeRoomForHeaders() }
    }

    /// A response that is none, or too large. On HTTP/2 it costs its own call and no other.
    private func refuseResponse(_ event: StreamEvent, of connection: Connection) {
        switch connection.session {
        case .undecided: return
        case .http1(let session):
            if let error = session({ $0.violation }) { refusals.note(.http1(error), on: connection) }
            connections.loseStreams(of: connection, .upstreamProtocolError)
            connections.fail(connection)
        case .http2:
            guard let violation = event.violation else { return }
            refusals.note(.http2(violation), on: connection, because: event.violationFrame?.words ?? "")
            upstreams.noteReset(on: connection)
            exchange(of: event, upstream: connection)? {
                $0.upstreamFailed(
                    .upstreamMalformed(violation), code: violation.code,
                    because: violation.words(event.violationFrame))
            }
        }
    }

    /// Nothing is left for the headers of new requests: those clients give up their own that hold most, until a
    /// sixteenth is free. Once in a turn, and only when one was refused; a client that holds little is never among
    /// them.
    private func makeRoomForHeaders() {
        let pools = services.pools
        guard pools.headerOctets >= pools.headerLimit, roomMadeAt != services.loop.now else { return }
        roomMadeAt = services.loop.now
        var hoarders: [(octets: Int, connection: Connection)] = []
        services.loop.forEachConnection { connection in
            guard connection.role == .downstream, case .open = connection.state.phase,
                case .http2(let session) = connection.session
            else { return }
            hoarders.append((session { $0.headerOctets }, connection))
        }
        var wanted = pools.headerOctets - pools.headerLimit + pools.headerLimit / 16
        for (octets, hoarder) in hoarders.sorted(by: { $0.octets > $1.octets }) where octets > 0 && wanted > 0 {
            wanted -= octets
            if case .http2(let session) = hoarder.session { session { $0.terminate(.headerHoard) } }
            connections.breached(hoarder)
        }
    }

    // MARK: what makes no progress

    private func sweepSoon() {
        guard !isSweepDue else { return }
        isSweepDue = true
        _ = services.loop.arm(at: services.loop.now + Self.sweepInterval, .sweep)
    }

    private static let sweepInterval = Duration.seconds(1)

    /// Looks for requests and answers that have begun and of which nothing has moved for too long. Streams on which
    /// both sides are silent because neither has anything to say are not among them.
    func sweep() {
        isSweepDue = false
        guard count > 0 else { return }
        sweepSoon()
        for exchange in owned where !exchange.state.isOver {
            guard let stuck = exchange.stuckSituation else { continue }
            guard exchange.lastProgress + services.limits.progressTimeout <= services.loop.now else { continue }
            services.metrics.reached(.progressTimeout)
            exchange.progressTimedOut(stuck)
        }
    }
}
