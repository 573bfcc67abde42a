internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import TLS

/// What happens on one worker's connections between accept or connect and close: they are read, what their sessions
/// note is handed to exchanges, they are flushed, and they end.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Connections {
    private let services: WorkerServices
    let lists: ConnectionLists
    let refusals: Refusals
    private let upstreams: Upstreams
    // They refer to each other: set once by the worker, which takes them away when it ends.
    var exchanges: Exchanges! { didSet { unretainedExchanges = exchanges.map { Unretained($0) } } }
    private var unretainedExchanges: Unretained<Exchanges>?    // the same, followed on every event
    var listeners: Listeners!
    var relays: Relays!
    private let input = OctetBuffer(capacity: inputOctets)    // all connections read into it
    private let output: ConnectionOutput
    let slowClients: SlowClients
    private var freedOctets = 0    // about, since that was last asked

    /// Octets taken from one socket at a time: a window of 64 KiB with its frame headers.
    static let inputOctets = 65_536 + 1024
    /// The same in a turn that is long already, and then once: a frame of HTTP/2 of the usual size.
    static let crowdedOctets = 16_384 + 1024
    /// Octets taken at a time from a client that is slowed down: about 100 requests with their cancelling.
    private static let slowOctets = 4096

    init(services: WorkerServices, refusals: Refusals, upstreams: Upstreams) {
        self.services = services
        self.refusals = refusals
        self.upstreams = upstreams
        lists = services.lists
        output = ConnectionOutput(pools: services.pools)
        slowClients = SlowClients(services: services)
    }

    // MARK: reading

    /// epoll has an event of the connection.
    func ready(_ connection: Connection, _ event: Readiness) {
        guard !connection.isClosed else { return }
        if event.isHungUp { connection.state.peerHungUp() }
        if event.isWritable, connection.state.becameWritable() { lists.markDirty(connection) }
        switch connection.state.phase {
        case .connecting: upstreams.connected(connection, event)
        case .handshaking where connection.role == .upstream: upstreams.continueHandshake(connection)
        case .handshaking: readUnlessCrowded(connection)
        case .relaying: relays.ready(connection, event)
        default: if event.isReadable { readUnlessCrowded(connection) }
        }
    }

    /// When a turn is long, a connection waits that may have much to do, and others may take little more than they did
    /// lately: many that come at once with many requests each do not make it much longer.
    private func readUnlessCrowded(_ connection: Connection) {
        guard !hasToWait(connection) else { return }
        read(connection, atMost: services.isTurnLong ? connection.crowdedQuota : nil)
    }

    /// Whether others come first, and the connection is listed to be read later; see `ConnectionLists`.
    func hasToWait(_ connection: Connection) -> Bool {
        let isCrowded = services.isTurnLong
        if isCrowded { connection.forgetOldWork(at: services.loop.now) }
        return lists.hasToWait(connection, isCrowded: isCrowded)
    }

    /// Reads, and notes whether that was much work.
    /// - Parameter crowdedQuota: what it may take of a turn that is long already, in units of `WorkBudget`.
    func read(_ connection: Connection, atMost crowdedQuota: Int32? = nil) {
        guard !lists.isServed(connection) else { return lists.listForReading(connection) }
        switch connection.state.phase {
        case .lingering: return drop(connection)
        case .handshaking: return listeners.handshakes.continueHandshake(connection)
        default: break
        }
        let before = services.pools.work
        let quota = crowdedQuota ?? connection.fullQuota(used: before)
        services.pools.quota = quota
        let isCrowded = quota < WorkBudget.quotaPerTurn
        var octets = 0
        defer {
            services.pools.work &+= TurnCost.passed(octets: octets)
            connection.noteWork(services.pools.work &- before)
        }
        connection.state.octetsCame(at: services.loop.now)
        reading: for _ in 0..<services.limits.turn.mostReads {
            if connection.isClosed { return }
            if connection.state.reading == .held { return noticeEnd(connection) }
            if connection.session.isReadPaused { return pause(connection) }
            if connection.session.hasWaitingInput, !readWaiting(connection) { return }
            if connection.state.isBeginning, !listeners.handshakes.sniffTLS(connection) { return }
            let room = connection.state.isSlow ? Self.slowOctets : isCrowded ? Self.crowdedOctets : Self.inputOctets
            input.clear()
            let result = connection.transport.read(into: input, most: room, hasHungUp: connection.state.hasHungUp)
            switch result {
            case .octets(let count):
                services.octetsRead &+= count
                octets += count
                if connection.transport.isSecure {
                    services.pools.work &+= TurnCost.opened(records: connection.transport.recordsRead)
                }
                received(input.octets, on: connection)
                if connection.session.isOverQuota { return }    // it is listed for the next turn
                // A short read has emptied the socket: the next readiness is a new event.
                let isDrained = connection.transport.isDrained(afterReading: count, of: room)
                if isDrained, !connection.state.hasHungUp { return }
                if services.pools.work &- before >= quota { break reading }
                // The clients of an endpoint with many streams wait, too, for the first of them.
                let haveOthers = lists.haveOthers || quota > WorkBudget.quotaPerTurn
                if isCrowded || (haveOthers && octets >= Self.inputOctets) { break reading }
            case .wouldBlock:
                // All that the endpoint has said is read.
                if connection.state.writing == .over { peerClosed(connection) }
                return
            case .closed, .failed:
                if let breach = connection.transport.tls?.breach {
                    refusals.note(.connection(.brokenTLS), on: connection, because: breach.words)
                }
                return peerClosed(connection, result)
            }
        }
        lists.listServed(connection)
    }

    /// Throws away what still comes on a connection that we have ended: nobody waits for it, so it is little in a turn.
    private func drop(_ connection: Connection) {
        input.clear()
        let result = connection.transport.discard(scratch: input, most: Self.inputOctets)
        guard case .octets(let count) = result else { return result == .wouldBlock ? () : peerClosed(connection) }
        services.pools.work &+= TurnCost.dropped(octets: count)
        if count == Self.inputOctets { return lists.listServed(connection) }
        // Then the peer's end is behind them, and no event of its own any more.
        if connection.state.hasHungUp { peerClosed(connection) }
    }

    /// Goes on with what was beyond the connection's quota of an earlier turn.
    /// - Returns: false when there is still more of it, or the connection has ended.
    private func readWaiting(_ connection: Connection) -> Bool {
        feed(.empty, to: connection)
        guard !connection.isClosed else { return false }
        guard connection.session.hasWaitingInput else { return true }
        lists.listServed(connection)
        return false
    }

    private func received(_ octets: Octets, on connection: Connection) {
        if case .sniffing = connection.state.phase { return listeners.sniff(octets, on: connection) }
        feed(octets, to: connection)
    }

    /// Gives octets to the session, and acts on what it makes of them.
    func feed(_ octets: Octets, to connection: Connection) {
        var rest = octets
        repeat {
            if !connection.session.receive(&rest) { breached(connection) }
            actOnEvents(of: connection)
        } while !rest.isEmpty && !connection.isClosed && !connection.session.isOverQuota
        if connection.session.isOverQuota { quotaUsed(connection, rest) }
        slowClients.slowDown(connection)
        noteHeaders(connection)
        if connection.state.phase == .closing || connection.session.wantsFlush || connection.session.isFinished {
            lists.markDirty(connection)
        }
    }

    /// The connection has used its quota of the turn up: others are served before the rest is read.
    private func quotaUsed(_ connection: Connection, _ rest: Octets) {
        guard !connection.isClosed else { return }
        connection.session.postpone(rest)
        lists.listServed(connection)
    }

    /// A header section that has begun must be complete in time, however slowly its octets come.
    private func noteHeaders(_ connection: Connection) {
        let unfinished = connection.session.unfinishedHeaders
        if connection.state.headers(unfinished: unfinished, at: services.loop.now) { schedule(connection) }
    }

    /// Nothing is read until the other side has taken more.
    private func pause(_ connection: Connection) {
        if connection.state.reading != .paused { services.metrics.reached(.unreadInput) }
        connection.state.pauseReading()
        noticeEnd(connection)
    }

    /// A hang-up must be noticed although nothing is read: the end waits behind octets that nobody may ever want.
    private func noticeEnd(_ connection: Connection) {
        if connection.state.hasHungUp, connection.role == .downstream { peerClosed(connection) }
    }

    // MARK: events

    /// Goes through what the session noted. A request that waited behind the last one is read too.
    func actOnEvents(of connection: Connection) {
        switch connection.session {
        case .undecided: return
        case .http2(let session): actOnEvents(of: connection, session)
        case .http1(let session): actOnEvents(of: connection, session)
        }
    }

    private func actOnEvents(of connection: Connection, _ session: Unretained<HTTP2Session>) {
        act(on: connection) { index in session { index < $0.events.count ? $0.events[index] : nil } }
        unretainedExchanges? { $0.passWindows(of: connection) }
        session { $0.endTurn() }
        if connection.state.reading == .paused { lists.resumeReading(connection) }
    }

    private func actOnEvents(of connection: Connection, _ session: Unretained<HTTP1Session>) {
        repeat {
            act(on: connection) { index in session { index < $0.events.count ? $0.events[index] : nil } }
            unretainedExchanges? { $0.passWindows(of: connection) }
            session { $0.endTurn() }
            guard !connection.isClosed, session({ $0.hasWaitingInput }) else { break }
            guard !session({ $0.isOverQuota }) else {
                lists.listServed(connection)
                break
            }
            _ = session { $0.receive(.empty) }
        } while session({ !$0.events.isEmpty })
        lists.resumeReading(connection)
    }

    /// Acting on an event may note further ones: the list is asked again each time.
    @inline(__always)
    private func act(on connection: Connection, _ event: (Int) -> StreamEvent?) {
        var index = 0
        let isDownstream = connection.role == .downstream
        unretainedExchanges? { exchanges in
            while !connection.isClosed, let next = event(index) {
                index += 1
                if isDownstream {
                    exchanges.downstream(next, of: connection)
                } else {
                    exchanges.upstream(next, of: connection)
                }
            }
        }
    }

    // MARK: writing

    /// Sends what the session has to say, as much as the kernel takes.
    func flush(_ connection: Connection) {
        guard connection.isOpen else { return }
        if connection.pendingOutput != nil, connection.state.writing == .free,
            !lists.takeWrite(to: connection, most: services.limits.turn.mostWrites)
        {
            return flushLater(connection)
        }
        guard connection.state.writing == .free, isSent(output.sendPending(of: connection), connection) else {
            // Streams may have come to their end meanwhile: their requests must not pile up until somebody reads.
            if !connection.isClosed, connection.session.isHTTP2 { actOnEvents(of: connection) }
            if !connection.isClosed { abandonIfUseless(connection) }
            return
        }
        while lists.takeWrite(to: connection, most: services.limits.turn.mostWrites) {
            let (count, end) = output.send(of: connection)
            let isSent = isSent(end, connection)
            actOnEvents(of: connection)
            guard isSent, !connection.isClosed else { return }
            if count < ConnectionOutput.octetsPerWrite { return closeIfDone(connection) }
            lists.noteFullWrite()
        }
        flushLater(connection)
    }

    /// The turn has no write left for the connection. What its session has noted is acted on in this turn all the same:
    /// an event may point into what a turn has read, which is gone when the turn is over.
    private func flushLater(_ connection: Connection) {
        actOnEvents(of: connection)
        if !connection.isClosed { lists.flushNextTurn(connection) }
    }

    private func isSent(_ end: ConnectionOutput.End, _ connection: Connection) -> Bool {
        switch end {
        case .sent: return true
        case .blocked: return false
        case .lost(let reason):
            connection.note(reason)
            let isRead = connection.state.declined(at: services.loop.now)
            isRead ? lists.listForReading(connection) : peerClosed(connection, reason)
            return false
        }
    }

    /// An endpoint that takes nothing more, of a connection that nobody uses or will use: what waits for it,
    /// here and in the kernel, was given up by its client.
    private func abandonIfUseless(_ connection: Connection) {
        guard connection.role == .upstream, connection.session.openStreams == 0 else { return }
        guard !connection.state.isServing || connection.session.isClosing else { return }
        Socket.abort(connection.transport.descriptor)
        close(connection)
    }

    // MARK: phases

    /// The protocol is known: makes the session.
    func startSession(_ connection: Connection, http2 isHTTP2: Bool) {
        let isServer = connection.role == .downstream
        if isHTTP2 {
            let limits = isServer ? listeners.clientLimits(of: connection) : .upstream
            connection.state.keepAlive = KeepAlive(connection.state.terms)
            connection.speak(HTTP2Session(isServer: isServer, limits: limits, pools: services.pools))
        } else {
            connection.speak(HTTP1Session(isServer: isServer, scheme: connection.scheme, pools: services.pools))
        }
        enter(.open(.serving), connection)
        lists.markDirty(connection)
    }

    /// Moves a connection on to a later phase, whose deadline is set.
    func enter(_ phase: ConnectionState.Phase, _ connection: Connection) {
        connection.state.enter(phase, at: services.loop.now)
        schedule(connection)
    }

    /// Sets the timer to the deadline of the connection's phase.
    func schedule(_ connection: Connection) {
        services.loop.cancel(&connection.timer)
        let isIdle = connection.session.openStreams == 0
        guard let deadline = connection.state.deadline(services.limits, isIdle: isIdle) else { return }
        let time = connection.state.wake(deadline, services.limits, at: services.loop.now)
        connection.timer = services.loop.arm(at: time, .connection, connection.slot)
    }

    // MARK: a graceful end

    /// Tells the peer that the connection will end; requests are still taken.
    func announceShutdown(_ connection: Connection) {
        guard connection.state.stand(.announced, at: services.loop.now) else { return }
        connection.session.announceShutdown()
        lists.markDirty(connection)
    }

    /// Takes no new requests; the connection ends when it is idle.
    func refuseNewStreams(_ connection: Connection) {
        guard connection.isOpen else { return }
        connection.session.refuseNewStreams()
        if connection.role == .upstream { return drain(connection) }
        _ = connection.state.stand(.draining, at: services.loop.now)
        lists.markDirty(connection)
    }

    /// Sends no new requests on an upstream's connection, which ends when it is idle.
    func drain(_ connection: Connection) {
        _ = connection.state.stand(.draining, at: services.loop.now)
        // Streams may have ended in the octets that are gone through now: the ends that are noted are acted on first.
        if connection.session.openStreams == 0, !connection.session.hasNoted { return close(connection) }
        lists.markDirty(connection)
    }

    // MARK: the end

    /// The peer broke a rule of HTTP/2 that ends the connection.
    func breached(_ connection: Connection) {
        if case .http2(let session) = connection.session, let violation = session({ $0.violation }) {
            let frame = session { $0.violationFrame?.words ?? "" }
            refusals.note(.http2(violation), on: connection, because: frame)
        }
        fail(connection)
    }

    /// What there is to say is flushed, then the connection ends; a peer that does not read must not keep it.
    func fail(_ connection: Connection) {
        guard case .open = connection.state.phase else { return }
        enter(.closing, connection)
        lists.markDirty(connection)
    }

    private func closeIfDone(_ connection: Connection) {
        if connection.endsSide { connection.endSide() }
        let isUnwanted = connection.role == .upstream && !connection.state.isServing && !connection.session.hasOwners
        let isClosing = connection.state.phase == .closing
        guard isClosing || connection.session.isFinished || isUnwanted else { return }
        guard connection.role == .downstream, !connection.state.hasHungUp else { return peerClosed(connection) }
        // The peer may still be sending: a plain close would reset the connection and lose our last octets.
        loseStreams(of: connection, connection.endOfClient)
        linger(connection)
    }

    /// All is said: ends our side, and throws away what still comes.
    func linger(_ connection: Connection) {
        connection.transport.finish()
        enter(.lingering, connection)
        services.loop.cancel(&connection.pause)
        connection.state.awaitReadiness()
        lists.listForReading(connection)
    }

    /// The peer has closed, or the connection is broken.
    func peerClosed(_ connection: Connection, _ end: IOResult = .closed) {
        guard !connection.isClosed else { return }
        connection.note(end)
        if case .http1(let session) = connection.session, connection.role == .upstream { session { $0.inputEnded() } }
        // A flush that failed has noted the ends of streams that `loseStreams` does not see any more.
        actOnEvents(of: connection)
        guard !connection.isClosed else { return }
        FrontEnd.ended(connection, end, services)
        loseStreams(of: connection, connection.role == .downstream ? connection.endOfClient : connection.endOfUpstream)
        close(connection)
    }

    /// Tells the owner of every open stream that its connection is gone.
    func loseStreams(of connection: Connection, _ situation: Situation) {
        var lost: [(slot: Int, owner: StreamOwner)] = []
        connection.session.forEachOpen { slot, owner in lost.append((slot, owner)) }
        _ = connection.state.stand(.draining, at: services.loop.now)
        services.pools.work &+= TurnCost.endOfStream &* Int32(truncatingIfNeeded: lost.count)
        for (slot, owner) in lost {
            switch owner {
            case .nobody, .call: break
            case .exchange(let number): exchanges.lost(number, connection, slot, situation)
            case .mirror(let number): exchanges.mirrors.lost(number, connection, slot)
            }
        }
    }

    /// Tells those whose streams have ended that the connection is gone, where the end was noted and will not be acted
    /// on any more: they would hold on to the connection, and use it after its time.
    private func loseNoted(of connection: Connection) {
        let isClient = connection.role == .downstream
        // A request that is tried again must not get this connection once more.
        _ = connection.state.stand(.draining, at: services.loop.now)
        connection.session.forEachNoted { slot, owner in
            switch owner {
            case .nobody, .call: break
            case .exchange(let number):
                exchanges.lost(
                    number, connection, slot, isClient ? connection.endOfClient : connection.endOfUpstream)
            case .mirror(let number): exchanges.mirrors.lost(number, connection, slot)
            }
        }
    }

    /// Closes the connection at once: ends what runs on it, and frees its slot and descriptor.
    func close(_ connection: Connection) {
        guard !connection.isClosed else { return }
        if connection.relay != nil { relays.closing(connection) }
        // With its relay the other attempt of its race ends, which closes this one, too.
        guard !connection.isClosed else { return }
        if connection.session.hasNoted { loseNoted(of: connection) }
        guard !connection.isClosed else { return }
        services.pools.work &+= TurnCost.closing
        connection.transport.tls?.shutdown()
        if connection.role == .downstream {
            listeners.closed(connection)
            if !connection.ownPools.isEmpty { upstreams.leave(connection) }
            services.metrics.connectionClosed(.downstream)
        } else {
            services.metrics.connectionClosed(.upstream)
            upstreams.closed(connection)
        }
        connection.state.enter(.closed, at: services.loop.now)
        services.loop.cancel(&connection.timer)
        services.loop.cancel(&connection.pause)
        if let pending = connection.pendingOutput.take() { services.pools.give(pending) }
        if let hello = connection.hello.take() { services.pools.give(hello.octets) }
        connection.releaseSnapshot()
        lists.keepClosed(connection)
    }

    // MARK: the end of a turn

    /// Frees what was closed in this turn.
    func releaseClosed() {
        lists.releaseClosed { connection in
            freedOctets += connection.transport.keptOctets
            services.loop.forget(connection.transport.descriptor)
            connection.transport.tls = nil
            Socket.close(connection.transport.descriptor)
            if connection.role == .downstream { listeners.gaveBack(connection) }
            services.loop.vacate(connection.slot)
        }
    }

    /// Octets that connections have freed since the last call, about.
    func takeFreedOctets() -> Int {
        defer { freedOctets = 0 }
        return freedOctets
    }

    /// Ends every connection at once.
    func closeAll() {
        services.loop.forEachConnection { close($0) }
        releaseClosed()
    }
}
