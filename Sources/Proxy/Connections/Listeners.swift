internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import Synchronization

/// One worker's listeners: they accept clients' connections, and begin the session when the first octets have shown
/// the protocol. Also the steps of a graceful end.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Listeners {
    let services: WorkerServices
    let connections: Connections
    private let refusals: Refusals
    private let evictions: Evictions
    let proxyHeaders: ProxyHeaders
    /// TLS, and what is relayed.
    let handshakes: ClientHandshakes
    /// By `ListenerSockets.number`.
    private var listening: [Int: (sockets: ListenerSockets, slot: Int)] = [:]
    private var isOver = false    // the end of a drain: no listener is opened any more

    /// About a quota of `WorkBudget`.
    static let acceptsPerTurn = 16
    /// A listener that failed, usually because no descriptor is left, rests for a moment: it stays
    /// readable, and the loop would turn at full speed.
    private static let acceptPause = Duration.milliseconds(100)
    /// A listener without a place for its next client rests this long: another worker may close a connection.
    private static let placePause = Duration.milliseconds(20)
    private var search = PlaceSearch()

    init(services: WorkerServices, connections: Connections, refusals: Refusals, evictions: Evictions) {
        self.services = services
        self.connections = connections
        self.refusals = refusals
        self.evictions = evictions
        proxyHeaders = ProxyHeaders(services: services, connections: connections, refusals: refusals)
        handshakes = ClientHandshakes(
            services: services, connections: connections, refusals: refusals, proxyHeaders: proxyHeaders)
    }

    // MARK: listeners

    /// Opens what is new in a configuration, drains what is gone, leaves the rest alone.
    func update(_ snapshot: Snapshot) {
        var wanted: [Int: ListenerSockets] = [:]
        for served in snapshot.listeners { wanted[served.sockets.number] = served.sockets }
        for (number, entry) in listening where wanted[number] == nil {
            stop(entry.sockets, entry.slot)
            drain(listener: number)
        }
        for (number, sockets) in wanted where listening[number] == nil {
            guard !isOver else {
                sockets.close(worker: services.worker)
                continue
            }
            let slot = services.loop.register(.listener(sockets))
            listening[number] = (sockets, slot)
            do throws(SystemError) {
                try services.loop.watchReadable(sockets.descriptor(worker: services.worker), slot: slot)
            } catch {
                // The socket is bound, so clients come: it is tried again.
                refusals.note(.connection(.acceptFailed), on: nil, because: error.description)
                _ = services.loop.arm(at: services.loop.now + Self.acceptPause, .listener, slot)
            }
        }
    }

    private func stop(_ sockets: ListenerSockets, _ slot: Int) {
        services.loop.forget(sockets.descriptor(worker: services.worker))
        sockets.close(worker: services.worker)
        services.loop.vacate(slot)
        listening[sockets.number] = nil
    }

    private func drain(listener: Int) {
        services.loop.forEachConnection { connection in
            // What is relayed goes on until one of its sides ends it.
            guard connection.listener == listener, connection.relay == nil else { return }
            guard connection.isOpen || connection.state.phase == .lingering else {
                refusals.note(.connection(.listenerClosed), on: connection)
                return connections.close(connection)
            }
            connections.announceShutdown(connection)
            connections.refuseNewStreams(connection)
        }
    }

    // MARK: a graceful end

    /// First step: tells every client that is connected now.
    func announceShutdown() {
        services.loop.forEachConnection { if $0.role == .downstream { connections.announceShutdown($0) } }
    }

    /// Second step: takes no new streams from clients to which the end was announced.
    func refuseNewStreams() {
        services.loop.forEachConnection { connection in
            guard connection.role == .downstream, connection.isOpen, connection.state.standing >= .announced else {
                return
            }
            connections.refuseNewStreams(connection)
        }
    }

    /// Accepts nothing any more; whom the kernel has let in already is served.
    func close() {
        isOver = true
        for (_, entry) in listening {
            acceptAll(from: entry.sockets, slot: entry.slot)
            stop(entry.sockets, entry.slot)
        }
    }

    // MARK: accept

    /// Accepts a bounded number of connections of a listener; the rest waits for the next turn.
    func accept(from sockets: ListenerSockets, slot: Int) {
        let listener = sockets.descriptor(worker: services.worker)
        // What is left of the memory is for those who have requests.
        if services.memoryLevel == .exhausted { _ = evictions.makeRoom(upTo: .idle, of: nil) }
        for index in 0..<Self.acceptsPerTurn {
            if let full = fullLimit(of: sockets) {
                // Only the first time it is certain that somebody waits; the event comes again if so.
                return index == 0 ? noRoom(full, on: sockets, slot) : ()
            }
            do throws(SystemError) {
                guard let (descriptor, peer) = try Socket.accept(listener) else { return }
                admit(descriptor, peer, on: sockets)
            } catch {
                refusals.note(.connection(.acceptFailed), on: nil, because: error.description)
                return rest(listener, slot, for: Self.acceptPause)
            }
        }
    }

    /// The limit of clients' connections that leaves no place for another one on the listener; nil: there is a place.
    /// Workers that ask at the same moment may be one connection each beyond it.
    private func fullLimit(of sockets: ListenerSockets) -> ReachedLimit? {
        guard services.budget.hasRoom else { return .downstreamConnections }
        guard let most = services.limits.listenerConnections else { return nil }
        return sockets.connections.load(ordering: .relaxed) < most ? nil : .listenerConnections
    }

    /// A client waits, and all places are taken: idle connections are closed, for the next turn. When none is idle,
    /// the client waits in the kernel's queue, and this listener rests.
    private func noRoom(_ limit: ReachedLimit, on sockets: ListenerSockets, _ slot: Int) {
        guard !isOver else { return }
        services.metrics.reached(limit)
        let listener = limit == .listenerConnections ? sockets.number : nil
        let sacrifice = search.sacrifice(of: sockets.number, hasOtherWorkers: services.budget.hasOtherWorkers)
        guard !evictions.makeRoom(upTo: sacrifice, of: listener) else { return }
        services.budget.tellOthers(
            than: services.worker, .connectionsWanted(idleToo: sacrifice == .idle, listener: listener))
        rest(sockets.descriptor(worker: services.worker), slot, for: Self.placePause)
        guard search.foundNone(sacrifice, of: sockets.number, at: services.loop.wallNow.seconds) else { return }
        services.messages.warn(
            fullHint(limit, sockets) + ", and this worker has no idle one to close: new ones wait",
            at: services.loop.wallNow)
    }

    private func fullHint(_ limit: ReachedLimit, _ sockets: ListenerSockets) -> String {
        guard limit == .listenerConnections else {
            return "clients have \(services.budget.connectionsLimit) connections, as many as they may "
                + "(--max-connections, or the limit of open files)"
        }
        return "clients have \(services.limits.listenerConnections ?? 0) connections of listener \(sockets.name), as "
            + "many as they may (--max-connections-per-listener)"
    }

    private func rest(_ listener: CInt, _ slot: Int, for pause: Duration) {
        services.loop.forget(listener)
        _ = services.loop.arm(at: services.loop.now + pause, .listener, slot)
    }

    /// The pause of a listener that failed is over.
    func resumeAccepting(slot: Int) {
        guard case .listener(let sockets) = services.loop.watcher(at: slot) else { return }
        do throws(SystemError) {
            try services.loop.watchReadable(sockets.descriptor(worker: services.worker), slot: slot)
        } catch {
            // The slot may have gone to another listener, which is watched already.
            if !error.isWatched { _ = services.loop.arm(at: services.loop.now + Self.acceptPause, .listener, slot) }
        }
    }

    private func admit(_ descriptor: CInt, _ peer: SocketAddress?, on sockets: ListenerSockets) {
        guard let served = services.current?.served(sockets.number) else {
            refusals.note(.connection(.listenerClosed), on: nil, because: peer?.description ?? "")
            return Socket.close(descriptor)
        }
        services.pools.work &+= TurnCost.accepting
        let loop = services.loop
        let slot = loop.register { slot in
            .connection(
                Connection(slot: slot, descriptor: descriptor, listener: sockets.number, peer: peer, now: loop.now))
        }
        guard case .connection(let connection) = loop.watcher(at: slot) else { return }
        do throws(SystemError) {
            try loop.watch(descriptor, slot: slot)
        } catch {
            refusals.note(.connection(.acceptFailed), on: connection, because: error.description)
            Socket.close(descriptor)
            return loop.vacate(slot)
        }
        connection.expectsTLS = served.tls != nil
        services.budget.takeConnection()
        sockets.connections.wrappingAdd(1, ordering: .relaxed)
        search.accepted(on: sockets.number)
        services.metrics.connectionOpened(.downstream)
        services.status.downstreamConnections.wrappingAdd(1, ordering: .relaxed)
        if proxyHeaders.expects(connection, served) { return }
        connections.schedule(connection)
        // The endpoint may be the one that speaks first.
        if served.tls == nil, let route = served.relays.clear { handshakes.startRelay(connection, route) }
    }

    /// A client's connection is about to be closed.
    func closed(_ connection: Connection) {
        handshakes.closed(connection)
        services.status.downstreamConnections.wrappingSubtract(1, ordering: .relaxed)
    }

    /// The descriptor of a client's connection is closed: its place is free.
    func gaveBack(_ connection: Connection) {
        services.budget.giveBackConnection()
        guard let number = connection.listener, let sockets = listening[number]?.sockets else { return }
        sockets.connections.wrappingSubtract(1, ordering: .relaxed)
    }

    /// What a client may do on a connection.
    func clientLimits(of connection: Connection) -> HTTP2Limits {
        var limits = HTTP2Limits()
        let asked = services.current?.served(connection.listener)?.concurrentStreams
        limits.concurrentStreams = asked ?? services.limits.concurrentStreams
        return limits
    }

    // MARK: the protocol

    /// The first octets of a connection, or more of them.
    func sniff(_ octets: Octets, on connection: Connection) {
        let known: Octets
        if let sniffed = connection.sniffed {
            sniffed.append(octets)
            known = sniffed.octets
        } else {
            known = octets
        }
        switch Preface.look(at: known) {
        case .incomplete:
            guard connection.sniffed == nil else { return }
            let buffer = services.pools.takeBuffer()
            buffer.append(octets)
            connection.sniffed = buffer
            connections.enter(.sniffing(hasOctets: true), connection)
        case .http2, .http1:
            if connection.transport.isSecure { FrontEnd.note(.withoutALPN, connection, services) }
            startSession(connection, http2: Preface.look(at: known) == .http2)
            if !connection.isClosed { connections.feed(known, to: connection) }
            if let buffer = connection.sniffed { services.pools.give(buffer) }
            connection.sniffed = nil
        }
    }

    /// The protocol is known: a session speaks it from now on.
    func startSession(_ connection: Connection, http2 isHTTP2: Bool) {
        connection.state.terms = ConnectionTerms(client: services.limits, random: services.random.next())
        connections.startSession(connection, http2: isHTTP2)
        if isOver { connections.announceShutdown(connection) }
    }
}
