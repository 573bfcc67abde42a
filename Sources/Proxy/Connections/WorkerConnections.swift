internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Synchronization
internal import TLS
internal import Telemetry

/// Connections: accepted, opened, closed. `WorkerReading` and `WorkerWriting` have what is between.
extension Worker {
    // MARK: downstream

    /// A listener that failed, usually because no descriptor is left, rests for a moment: it stays
    /// readable, and the loop would turn at full speed.
    static let acceptPause = Duration.milliseconds(100)

    func accept(from sockets: ListenerSockets, slot: Int) {
        let listener = sockets.descriptor(worker: number)
        for _ in 0..<Self.acceptsPerTurn {
            do throws(SystemError) {
                guard let (descriptor, peer) = try Socket.accept(listener) else { return }
                admit(descriptor, peer, on: sockets)
            } catch {
                refused(.connection(.acceptFailed), on: nil, because: error.description)
                poller.forget(listener)
                _ = arm(at: now + Self.acceptPause, .listener, slot)
                return
            }
        }
    }

    func resumeAccepting(slot: Int) {
        guard case .listener(let sockets) = watchers[slot] else { return }
        let descriptor = sockets.descriptor(worker: number)
        do throws(SystemError) {
            try poller.watchReadable(descriptor, token: token(of: slot))
        } catch {
            // The slot may have gone to another listener, which is watched already.
            if !error.isWatched { _ = arm(at: now + Self.acceptPause, .listener, slot) }
        }
    }

    private func admit(_ descriptor: CInt, _ peer: SocketAddress?, on sockets: ListenerSockets) {
        guard current?.bindings[sockets.number] != nil else {
            refused(.connection(.listenerClosed), on: nil, because: peer?.description ?? "")
            return Socket.close(descriptor)
        }
        let slot = nextSlot
        let connection = Connection(
            worker: self, role: .downstream, descriptor: descriptor, slot: slot, phase: .sniffing,
            now: now)
        connection.listener = sockets.number
        connection.peer = peer
        connection.peerHost.append(text: peer?.host ?? "unknown")
        let token = register(.connection(connection))
        do throws(SystemError) {
            try poller.watch(descriptor, token: token)
        } catch {
            refused(.connection(.acceptFailed), on: connection, because: error.description)
            Socket.close(descriptor)
            return vacate(slot)
        }
        metrics.connectionOpened(.downstream)
        status.downstreamConnections.wrappingAdd(1, ordering: .relaxed)
        connection.timer = arm(at: now + options.firstOctetsTimeout, .connection, slot)
    }

    /// The first octets of a ClientHello are here.
    func startTLS(_ connection: Connection, _ selector: TLSSelector) {
        do throws(TLSError) {
            connection.tls = try TLSSession(selector: selector, descriptor: connection.descriptor)
        } catch {
            refused(.handshake(.other), on: connection, because: error.description)
            return close(connection)
        }
        connection.phase = .handshaking
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.helloTimeout, .connection, connection.slot)
        handshakes.begin(token(of: connection.slot), keeping: { handshaking($0) != nil })
        if handshakes.count > options.handshakesAtOnce { endOldestHandshake() }
    }

    private func handshaking(_ token: UInt64) -> Connection? {
        let slot = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard slot < watchers.count, self.token(of: slot) == token, case .connection(let connection) = watchers[slot],
            connection.phase == .handshaking
        else { return nil }
        return connection
    }

    /// There are more than the worker wants to remember: who has had the longest time was the slowest.
    private func endOldestHandshake() {
        while let token = handshakes.popOldest() {
            guard let oldest = handshaking(token) else { continue }
            refused(.handshake(.tooMany), on: oldest)
            return close(oldest)
        }
    }

    /// What has begun must be complete soon.
    func hurry(_ connection: Connection) {
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.handshakeTimeout, .connection, connection.slot)
    }

    func continueHandshake(_ connection: Connection) {
        guard let tls = connection.tls else { return }
        let wasHelloRead = tls.isHelloRead
        switch handshake(tls, hasHungUp: connection.hasHungUp) {
        case .wantsRead, .wantsWrite:
            guard tls.isHelloRead, !wasHelloRead else { return }
            cancel(&connection.timer)
            let rest = options.handshakeTimeout - options.helloTimeout
            connection.timer = arm(at: now + max(rest, options.helloTimeout), .connection, connection.slot)
        case .closed:
            refused(.handshake(.closed), on: connection)
            close(connection)
        case .failed(let error):
            refused(.handshake(error.handshakeReason ?? tls.handshakeReason), on: connection, because: error.words)
            close(connection)
        case .done:
            handshakes.ended()
            connection.chainTag = tls.chainNumber
            connection.phase = .sniffing
            switch tls.negotiatedHTTP2 {
            case true?: open(connection, http2: true)
            case false?: open(connection, http2: false)
            case nil: break
            }
            read(connection)
        }
    }

    /// The end of a client that has hung up waits behind its last octets, and is no event of its own any more:
    /// the handshake goes on until it has seen it.
    private func handshake(_ tls: TLSSession, hasHungUp: Bool) -> TLSProgress {
        var progress = tls.handshake()
        guard hasHungUp else { return progress }
        for _ in 0..<Connection.readsToTheEnd where progress == .wantsRead { progress = tls.handshake() }
        // Or it closed before it took what we have to say, and never will.
        return progress == .wantsRead || progress == .wantsWrite ? .closed : progress
    }

    /// The protocol is known: makes the session.
    func open(_ connection: Connection, http2 isHTTP2: Bool) {
        let isServer = connection.role == .downstream
        if isHTTP2 {
            let limits = isServer ? clientLimits(of: connection) : .upstream
            connection.speak(HTTP2Session(isServer: isServer, limits: limits, pools: pools))
        } else {
            connection.speak(HTTP1Session(isServer: isServer, scheme: connection.scheme, pools: pools))
        }
        guard isServer else { return }
        connection.phase = .open
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.idleTimeout, .connection, connection.slot)
        markDirty(connection)
        if isListeningOver { announceShutdown(connection) }
    }

    private func clientLimits(of connection: Connection) -> HTTP2Limits {
        var limits = HTTP2Limits()
        let asked = current?.bindings[connection.listener]?.concurrentStreams
        limits.concurrentStreams = asked ?? options.concurrentStreams
        return limits
    }

    // MARK: the end

    /// What there is to say is flushed, then the connection ends; a peer that does not read must not keep it.
    func fail(_ connection: Connection) {
        guard !connection.isFailing, connection.phase == .open else { return }
        connection.isFailing = true
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.lingerTimeout, .connection, connection.slot)
        markDirty(connection)
    }

    func closeIfDone(_ connection: Connection) {
        let isUnwanted = connection.role == .upstream && connection.isDraining && !hasOwners(connection)
        guard connection.isFailing || connection.codec.isFinished || isUnwanted else { return }
        guard connection.role == .downstream, !connection.hasHungUp else { return peerClosed(connection) }
        // The peer may still be sending: a plain close would reset the connection and lose our last octets.
        loseStreams(of: connection, .clientClosed)
        linger(connection)
    }

    /// All is said: ends our side, and throws away what still comes.
    func linger(_ connection: Connection) {
        connection.tls?.shutdown()
        Socket.finish(connection.descriptor)
        connection.phase = .lingering
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.lingerTimeout, .connection, connection.slot)
        listForReading(connection)
    }

    /// Whether any exchange waits for a stream. Cancelled streams that the peer's limit kept from being
    /// opened count as open in the session and never end.
    private func hasOwners(_ connection: Connection) -> Bool {
        var found = false
        connection.codec.forEachOpen { _, tag in found = found || tag >= 0 }
        return found
    }

    /// The peer has closed, or the connection is broken.
    func peerClosed(_ connection: Connection) {
        guard !connection.isClosed else { return }
        if case .http1(let session) = connection.codec, connection.role == .upstream { session { $0.inputEnded() } }
        // A flush that failed has noted the ends of streams that `loseStreams` does not see any more.
        actOnEvents(of: connection)
        guard !connection.isClosed else { return }
        loseStreams(of: connection, connection.role == .downstream ? .clientClosed : .upstreamClosed)
        close(connection)
    }

    /// Tells the exchange of every open stream that its connection is gone.
    func loseStreams(of connection: Connection, _ situation: Situation) {
        var lost: [(stream: Int, tag: Int)] = []
        connection.codec.forEachOpen { stream, tag in if tag >= 0 { lost.append((stream, tag)) } }
        connection.isDraining = true
        for (stream, tag) in lost {
            let exchange = ownedExchanges[tag]
            if exchange.isServing(downstream: connection, stream) {
                exchange.downstreamClosed(situation)
            } else if exchange.isUsing(upstream: connection, stream) {
                let isReplayable =
                    situation == .upstreamClosed && mayReplay(exchange, stream, lostWith: connection)
                exchange.upstreamFailed(isReplayable ? .closedUnsent : situation)
            }
        }
    }

    /// What was not sent may be sent again. So may a safe request on an HTTP/1.1 connection that had
    /// served before: the upstream closed it for idleness while the request was on its way.
    /// Source: RFC 9112 §9.3.1, RFC 9110 §9.2.2.
    private func mayReplay(
        _ exchange: Exchange, _ stream: Int, lostWith connection: Connection
    ) -> Bool {
        if !connection.codec.hasSentHeaders(stream) { return true }
        return exchange.isSafe && connection.hasServed && !connection.codec.isHTTP2
    }

    func close(_ connection: Connection) {
        guard !connection.isClosed else { return }
        connection.tls?.shutdown()
        if connection.phase == .handshaking { handshakes.ended() }
        connection.phase = .closed
        cancel(&connection.timer)
        cancel(&connection.pause)
        if let pending = connection.pendingOutput { pools.give(pending) }
        connection.pendingOutput = nil
        connection.snapshot = nil
        if connection.role == .downstream {
            metrics.connectionClosed(.downstream)
            status.downstreamConnections.wrappingSubtract(1, ordering: .relaxed)
        } else {
            metrics.connectionClosed(.upstream)
            connection.pool?.remove(connection)
            connection.pool = nil
        }
        closed.append(connection)
    }

    func timedOut(_ connection: Connection) {
        switch connection.phase {
        case .closed: return
        case .connecting:
            metrics.upstreamConnectFailed()
            loseStreams(of: connection, .connectTimedOut)
            return close(connection)
        case .handshaking:
            refused(.handshake(.timedOut), on: connection)
            return close(connection)
        case .sniffing:
            refused(.connection(connection.sniffed == nil ? .silent : .prefaceTimedOut), on: connection)
            return close(connection)
        case .lingering: return close(connection)
        case .open: break
        }
        // The second time: the peer was told, and takes nothing of it.
        let isOverdue = connection.isOverdue && connection.codec.openStreams == 0
        if connection.isFailing || isOverdue { return peerClosed(connection) }
        let idleSince = connection.lastActive + options.idleTimeout
        guard connection.codec.openStreams == 0, idleSince <= now else {
            let next = connection.codec.openStreams == 0 ? idleSince : now + options.idleTimeout
            connection.timer = arm(at: next, .connection, connection.slot)
            return
        }
        connection.isOverdue = true
        connection.timer = arm(at: now + options.lingerTimeout, .connection, connection.slot)
        announceShutdown(connection)
        refuseNewStreams(connection)
    }
}
