internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// Passes octets on between clients and endpoints: TCP, TLS that is not ended here, and what is behind TLS that is. One
/// buffer serves all relays of a worker, and where much comes at a time in clear text, pipes of the kernel do; see
/// Splicing.swift. What the one side does not take is kept with its connection, at most one buffer or pipe, and the
/// other side is not read meanwhile.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Relays {
    let services: WorkerServices
    private let upstreams: Upstreams
    private let connections: Connections
    private let reporter: RelayReporter
    let input = OctetBuffer(capacity: inputOctets)    // all connections read into it
    let pipes: PipePool
    private var count = 0    // of relays

    /// Octets taken from one socket at a time.
    static let inputOctets = 131_072

    init(services: WorkerServices, upstreams: Upstreams, connections: Connections) {
        self.services = services
        self.upstreams = upstreams
        self.connections = connections
        reporter = RelayReporter(services: services)
        pipes = PipePool(limit: services.budget.pipesPerWorker)
    }

    // MARK: the beginning

    /// Begins to relay a client's connection, which may have TLS of ours.
    /// - Parameters:
    ///   - number: of the route in that snapshot.
    ///   - early: what was read from the client already; the relay gives the buffer back.
    func start(
        _ client: Connection, route number: Int, in snapshot: WorkerSnapshot, serverName: String? = nil,
        after early: OctetBuffer? = nil
    ) {
        let relay = Relay(
            client, snapshot.route(number), serverName, at: services.loop.now, wall: services.loop.wallNow)
        relay.early = early
        client.relay = relay
        client.state.octetsCame(at: services.loop.now)
        client.state.pauseReading()
        connections.enter(.relaying, client)
        services.metrics.relayStarted()
        count += 1
        guard services.memoryLevel < .exhausted else { return end(relay, .overloaded) }
        choose(relay, snapshot)
    }

    private func choose(_ relay: Relay, _ snapshot: WorkerSnapshot) {
        let route = relay.route.route
        if let reason = route.unavailable { return end(relay, .unavailable(reason.sentence)) }
        let number = route.destination(random: services.random.next())
        guard number >= 0 else { return end(relay, .unavailable(Unavailable.brokenRule.sentence)) }
        let destination = snapshot.destination(number)
        relay.destination = destination
        // Never in clear text where TLS is wanted.
        if let reason = destination.unavailable {
            return end(relay, reason.isWithoutEndpoint ? .noEndpoint : .unavailable(reason.sentence))
        }
        if let requested = destination.requested { return resolve(relay, destination, requested) }
        pick(relay)
    }

    /// Has the cluster pick an endpoint, for the whole connection, and connects to it.
    func pick(_ relay: Relay) {
        guard let destination = relay.destination else { return }
        guard let endpoint = next(relay, destination) else {
            return end(relay, .noEndpoint)
        }
        guard relay.state.beginTry(ofEndpoint: endpoint.number) else { return end(relay, .connectFailed) }
        relay.endpoint.pick(endpoint)
        switch upstreams.connect(endpoint, of: destination, for: relay) {
        case .begun: break
        case .overflow: end(relay, .overflow)
        case .failed:
            if upstreams.lastSituation == .connectFailed { note(.failed, of: endpoint) }
            relay.failure = upstreams.lastFailure
            pick(relay)
        }
    }

    /// The endpoint of the next try: by the client's address where the cluster has it so.
    private func next(_ relay: Relay, _ destination: DestinationHandle) -> Endpoint? {
        guard let key = destination.hashKey, key.isAddress, let client = relay.connection(.downstream) else {
            return destination.cluster.next(random: services.random.next(), excluding: relay.state.tried)
        }
        let hash = StableHash.hash(client.peerHost.octets)
        return destination.cluster.next(hash: hash, excluding: relay.state.tried)
    }

    /// Reports to whoever watches the endpoint what became of a connection to it.
    /// Source: envoyproxy/envoy source/common/tcp_proxy/tcp_proxy.cc (onUpstreamConnection).
    private func note(_ result: EndpointResult, of endpoint: Endpoint) {
        endpoint.observer?.note(result, at: services.loop.now.nanoseconds)
    }

    /// The endpoint did not accept: another one is tried, since nothing was sent yet. The connection is closed.
    func connectFailed(_ relay: Relay, because reason: String) {
        guard !relay.isEnded else { return }
        relay.failure = reason
        relay.upstream = nil
        relay.endpoint.end()
        if let endpoint = relay.endpoint.kept { note(.failed, of: endpoint) }
        pick(relay)
    }

    /// The endpoint has accepted, and has done its handshake.
    /// - Parameter mayHaveOctets: whether it may have sent some already.
    func connected(_ relay: Relay, _ upstream: Connection, mayHaveOctets: Bool) {
        relay.state.connected()
        relay.failure = ""
        (relay.upstreamLocal, relay.upstreamReached) = (upstream.localText, upstream.reached)
        if let endpoint = relay.endpoint.kept {
            services.metrics.tried(endpoint: endpoint.number)
            note(.answered(200), of: endpoint)
        }
        upstream.state.octetsCame(at: services.loop.now)
        connections.enter(.relaying, upstream)
        if let early = relay.early.take() {
            count(early.count, from: .downstream, relay)
            upstream.pendingOutput = early
            write(upstream, relay)
        }
        guard !relay.isEnded, let client = relay.connection(.downstream) else { return }
        resume(client)
        if mayHaveOctets { readUnlessCrowded(upstream) }
    }

    // MARK: octets

    /// epoll has an event of one of the connections.
    func ready(_ connection: Connection, _ event: Readiness) {
        guard let relay = connection.relay else { return }
        if event.isWritable { write(connection, relay) }
        guard event.isReadable, !relay.isEnded else { return }
        if event.isHungUp, connection.role == .downstream, isWaiting(connection, relay) {
            return noticeReset(connection, relay)
        }
        let side = connection.role == .downstream ? RelayState.Side.downstream : .upstream
        guard relay.state.flow(from: side) == .open else { return noticeBreak(connection, of: side, relay) }
        readUnlessCrowded(connection)
    }

    /// Reads what an event tells of. In a long turn, and behind relays that wait for their turn, it is not much.
    private func readUnlessCrowded(_ source: Connection) {
        let isCrowded = services.isTurnLong || services.lists.haveRelays
        if isCrowded { source.forgetOldWork(at: services.loop.now) }
        if !services.lists.hasToWait(source, isCrowded: isCrowded) { read(source, isCrowded: isCrowded) }
    }

    /// Nothing waits any more for the other side.
    private func resume(_ source: Connection) {
        source.state.awaitReadiness()
        readUnlessCrowded(source)
    }

    /// Whether nothing may be read, because the other side has to take something first or is not there yet.
    private func isWaiting(_ connection: Connection, _ relay: Relay) -> Bool {
        guard relay.state.stage == .passing else { return true }
        return hasWaiting(towards: connection.role == .downstream ? .upstream : .downstream, relay)
    }

    /// A client that has reset its connection is gone, whatever waits in the kernel. One that has only ended its side
    /// wants its answer; its end is read when the other side has taken what waits, because no event tells of it again.
    private func noticeReset(_ client: Connection, _ relay: Relay) {
        client.state.pauseReading()
        if Socket.connectError(client.transport.descriptor) != nil { end(relay, .clientLost) }
    }

    /// A side that has ended is not read any more. It may still be lost, and take nothing then.
    private func noticeBreak(_ connection: Connection, of side: RelayState.Side, _ relay: Relay) {
        if Socket.connectError(connection.transport.descriptor) != nil { broke(side, relay) }
    }

    /// Reads what waits, and passes it on: much at a time, because small pieces cost more.
    /// - Parameter isCrowded: little is read, and the rest when its turn comes.
    func read(_ source: Connection, isCrowded: Bool = false) {
        guard let relay = source.relay else { return }
        let side = source.role == .downstream ? RelayState.Side.downstream : .upstream
        guard relay.state.stage == .passing, let sink = relay.connection(side.other) else { return }
        guard !services.lists.isServed(source) else { return services.lists.listForReading(source) }
        touch(relay)
        let before = services.pools.work
        defer { source.noteWork(services.pools.work &- before) }
        let room = isCrowded ? Connections.crowdedOctets : Self.inputOctets
        // Small records of TLS are more work than large pieces.
        let most = TurnCost.relayed(octets: services.limits.turn.mostRelayReads * PipePool.pipeOctets)
        for round in 0..<services.limits.turn.mostRelayReads {
            guard !relay.isEnded, relay.state.flow(from: side) == .open else { return }
            guard !hasWaiting(towards: side.other, relay) else {
                if source.state.reading != .paused { services.metrics.reached(.relayBuffer) }
                source.state.pauseReading()
                return
            }
            if round > 0, isCrowded || services.pools.work &- before >= most { break }
            if !isCrowded, relay.state.isSpliced(from: side) {
                switch splice(source, to: sink, relay) {
                case .goOn: continue
                case .stop: return
                case .copy: break
                }
            }
            let hasHungUp = source.state.hasHungUp
            input.clear()
            switch source.transport.read(into: input, most: room, hasHungUp: hasHungUp) {
            case .octets(let octets):
                count(octets, from: side, relay)
                if source.transport.isSecure {
                    services.pools.work &+= TurnCost.opened(records: source.transport.recordsRead)
                }
                if octets == Self.inputOctets, !source.transport.isSecure, !sink.transport.isSecure {
                    relay.state.splice(from: side, true)
                }
                pass(input.octets, to: sink, relay)
                let isDrained = source.transport.isDrained(afterReading: octets, of: room)
                if isDrained, !hasHungUp { return }
            case .wouldBlock: return
            case .closed where source.transport.tls?.breach == nil:
                return act(relay.state.ended(side, hasWaiting: hasWaiting(towards: side.other, relay)), relay)
            case .closed, .failed: return broke(side, relay)
            }
        }
        services.lists.listServed(source)
    }

    /// Whether a side has not taken all that came for it.
    private func hasWaiting(towards side: RelayState.Side, _ relay: Relay) -> Bool {
        relay.pipe(towards: side) != nil || relay.connection(side)?.pendingOutput != nil
    }

    /// Enters octets that have come from a side where they count: the access log, the worker's turn, metrics.
    func count(_ octets: Int, from side: RelayState.Side, _ relay: Relay) {
        relay.state.came(from: side, octets)
        services.octetsRead &+= octets
        services.pools.work &+= TurnCost.relayed(octets: octets)
        services.metrics.relayed(octets, isUp: side == .downstream, route: relay.route.metrics)
    }

    /// Neither connection is idle.
    func touch(_ relay: Relay) {
        let now = services.loop.now
        relay.downstream? { $0.state.octetsCame(at: now) }
        relay.upstream? { $0.state.octetsCame(at: now) }
    }

    /// Gives octets to a side; what its kernel does not take is kept.
    func pass(_ octets: Octets, to sink: Connection, _ relay: Relay) {
        let rest: Octets
        switch sink.transport.write(octets) {
        case .octets(let count) where count == octets.count: return
        case .octets(let count): rest = octets.dropFirst(count)
        case .wouldBlock: rest = octets
        case .closed, .failed: return declined(sink, relay)
        }
        sink.state.writingBlocked()
        let pending = services.pools.takeBuffer(for: rest.count)
        pending.append(rest)
        sink.pendingOutput = pending
    }

    /// Sends what was kept for a side. When all of it has gone, the other side is read again, or its end passed on.
    private func write(_ sink: Connection, _ relay: Relay) {
        let side = sink.role == .downstream ? RelayState.Side.downstream : .upstream
        if let pipe = relay.takePipe(towards: side) {
            drain(pipe, to: sink, relay)
            guard !relay.isEnded, !hasWaiting(towards: side, relay) else { return }
            return drained(side, relay)
        }
        guard let pending = sink.pendingOutput else { return }
        switch sink.transport.write(pending.octets) {
        case .octets(let count):
            pending.take(count)
            touch(relay)
        case .wouldBlock: break
        case .closed, .failed: return declined(sink, relay)
        }
        guard pending.isEmpty else {
            sink.state.writingBlocked()
            return
        }
        dropPending(of: sink)
        drained(side, relay)
    }

    /// A side has taken all that waited: the other one is read again, or its end passed on.
    private func drained(_ side: RelayState.Side, _ relay: Relay) {
        act(relay.state.drained(towards: side), relay)
        guard !relay.isEnded, let source = relay.connection(side.other), source.state.reading == .paused else { return }
        resume(source)
    }

    private func dropPending(of connection: Connection) {
        if let pending = connection.pendingOutput { services.pools.give(pending) }
        connection.pendingOutput = nil
    }

    // MARK: the end

    /// A side takes nothing more. What it has sent before is still read.
    func declined(_ sink: Connection, _ relay: Relay) {
        dropPending(of: sink)
        let side = sink.role == .downstream ? RelayState.Side.downstream : .upstream
        if let pipe = relay.takePipe(towards: side) { pipes.drop(pipe) }
        act(relay.state.declined(side), relay)
        if !relay.isEnded { services.lists.listForReading(sink) }
    }

    /// The connection of a side is lost. What has come from it and waits still goes to the other side.
    func broke(_ side: RelayState.Side, _ relay: Relay) {
        act(relay.state.broke(side, hasWaiting: hasWaiting(towards: side.other, relay)), relay)
    }

    /// Does what the state has decided.
    func act(_ action: RelayState.Action, _ relay: Relay) {
        switch action {
        case .nothing: break
        case .finish(let side): relay.connection(side)?.transport.finish()
        case .end:
            switch relay.state.brokenSide {
            case nil: end(relay, .finished)
            case .downstream?: end(relay, .clientLost)
            case .upstream?: end(relay, .endpointLost)
            }
        }
    }

    /// Nothing came from either side for too long.
    func idleTimedOut(_ connection: Connection) {
        guard let relay = connection.relay else { return }
        services.metrics.reached(.relayIdleTimeout)
        end(relay, .idle)
    }

    /// The endpoint's connection has lasted as long as its cluster allows.
    func aged(_ connection: Connection) {
        if let relay = connection.relay { end(relay, .aged) }
    }

    /// One of the connections is about to be closed, for no reason of the relay's own.
    func closing(_ connection: Connection) {
        guard let relay = connection.relay else { return }
        end(relay, .shutDown, except: connection)
    }

    /// Ends a relay with both connections.
    /// - Parameter except: is being closed already.
    func end(_ relay: Relay, _ how: RelayEnd, except: Connection? = nil) {
        guard relay.state.end() else { return }
        reporter.report(relay, how)
        relay.endpoint.end()
        if let early = relay.early.take() { services.pools.give(early) }
        if let host = relay.awaited.take() { services.hostWaits.leave(relay, host) }
        for side in [RelayState.Side.downstream, .upstream] {
            if let pipe = relay.takePipe(towards: side) { pipes.drop(pipe) }
        }
        count -= 1
        if count == 0 { pipes.clear() }
        let both = [relay.connection(.downstream), relay.connection(.upstream)]
        relay.downstream = nil
        relay.upstream = nil
        for case let connection? in both {
            connection.relay = nil
            if how.isAbrupt {
                Socket.abort(connection.transport.descriptor)
                connection.transport.tls = nil    // its close_notify would call the end a regular one
            }
            if connection !== except { connections.close(connection) }
        }
    }
}
