internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Synchronization
internal import TLS

/// Connections: accepted, made, read, flushed, closed.
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
                metrics.acceptFailed()
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
        guard let binding = current?.bindings[sockets.number] else {
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
            metrics.acceptFailed()
            Socket.close(descriptor)
            return vacate(slot)
        }
        metrics.connectionOpened(.downstream)
        status.downstreamConnections.wrappingAdd(1, ordering: .relaxed)
        connection.timer = arm(at: now + options.firstOctetsTimeout, .connection, slot)
        if binding.clearTable == nil, let selector = binding.tls { startTLS(connection, selector) }
    }

    private func startTLS(_ connection: Connection, _ selector: TLSSelector) {
        do throws(TLSError) {
            connection.tls = try TLSSession(selector: selector, descriptor: connection.descriptor)
            connection.phase = .handshaking
            hurry(connection)
        } catch {
            metrics.handshakeFailed()
            close(connection)
        }
    }

    /// What has begun must be complete soon.
    private func hurry(_ connection: Connection) {
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.handshakeTimeout, .connection, connection.slot)
    }

    private func continueHandshake(_ connection: Connection) {
        guard let tls = connection.tls else { return }
        switch tls.handshake() {
        case .wantsRead, .wantsWrite: break
        case .closed, .failed:
            metrics.handshakeFailed()
            close(connection)
        case .done:
            connection.chainTag = tls.tag
            connection.phase = .sniffing
            switch tls.negotiatedHTTP2 {
            case true?: open(connection, http2: true)
            case false?: open(connection, http2: false)
            case nil: break
            }
            read(connection)
        }
    }

    /// The protocol is known: makes the session.
    func open(_ connection: Connection, http2 isHTTP2: Bool) {
        let isServer = connection.role == .downstream
        if isHTTP2 {
            guard
                let session = HTTP2Session(
                    isServer: isServer, limits: isServer ? HTTP2Limits() : .upstream, pools: pools)
            else { return close(connection) }
            connection.speak(session)
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

    // MARK: reading

    func ready(_ connection: Connection, _ event: Readiness) {
        guard !connection.isClosed else { return }
        if event.isHungUp { connection.hasHungUp = true }
        if event.isWritable, connection.isWriteBlocked {
            connection.isWriteBlocked = false
            markDirty(connection)
        }
        if connection.phase == .connecting { return connected(connection, event) }
        if connection.phase == .handshaking { return continueHandshake(connection) }
        if event.isReadable { read(connection) }
    }

    func read(_ connection: Connection) {
        connection.lastActive = now
        for _ in 0..<Self.readsPerTurn {
            if connection.isClosed { return }
            if connection.codec.isReadPaused { return pauseReading(connection) }
            if connection.phase == .sniffing, !sniffTLS(connection) { return }
            switch unsafe connection.read(into: input) {
            case .octets(let count):
                guard connection.phase != .lingering else { continue }
                unsafe received(
                    Octets(base: UnsafeRawPointer(input.baseAddress), count: count), on: connection)
                // A short read has emptied the socket: the next readiness is a new event.
                let isDrained = connection.tls?.isDrained ?? (count < Self.inputOctets)
                if isDrained, !connection.hasHungUp { return }
            case .wouldBlock: return
            case .closed, .failed: return peerClosed(connection)
            }
        }
        listForReading(connection)
    }

    /// On a port that serves both, the first octet tells TLS from clear text.
    /// - Returns: false when there is nothing to read yet, or a handshake has begun.
    private func sniffTLS(_ connection: Connection) -> Bool {
        guard connection.tls == nil, connection.sniffed == nil,
            let selector = current?.bindings[connection.listener]?.tls
        else { return true }
        guard let first = Socket.peek(connection.descriptor) else { return connection.hasHungUp }
        guard first == 0x16 else { return true }
        startTLS(connection, selector)
        if !connection.isClosed { continueHandshake(connection) }
        return false
    }

    func listForReading(_ connection: Connection) {
        guard !connection.isListedForReading else { return }
        connection.isListedForReading = true
        unread.append(connection)
    }

    /// The other side has to take more first. A client that is gone is noticed all the same: its end
    /// waits behind octets that nobody may ever want.
    private func pauseReading(_ connection: Connection) {
        connection.isReadingPaused = true
        if connection.hasHungUp, connection.role == .downstream { peerClosed(connection) }
    }

    /// Reading that was paused may go on: what waits in the kernel is no new event.
    func resumeReading(_ connection: Connection) {
        guard connection.isReadingPaused, !connection.isClosed, !connection.codec.isReadPaused else { return }
        connection.isReadingPaused = false
        listForReading(connection)
    }

    private func received(_ octets: Octets, on connection: Connection) {
        guard connection.phase == .sniffing else { return feed(octets, to: connection) }
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
            let buffer = pools.takeBuffer()
            buffer.append(octets)
            connection.sniffed = buffer
            hurry(connection)
        case .http2, .http1:
            open(connection, http2: Preface.look(at: known) == .http2)
            if !connection.isClosed { feed(known, to: connection) }
            if let buffer = connection.sniffed { pools.give(buffer) }
            connection.sniffed = nil
        }
    }

    private func feed(_ octets: Octets, to connection: Connection) {
        if !connection.codec.receive(octets) {
            metrics.protocolError()
            fail(connection)
        }
        actOnEvents(of: connection)
        if connection.isFailing || connection.codec.wantsFlush || connection.codec.isFinished {
            markDirty(connection)
        }
    }

    /// What there is to say is flushed, then the connection ends; a peer that does not read must not keep it.
    func fail(_ connection: Connection) {
        guard !connection.isFailing, connection.phase == .open else { return }
        connection.isFailing = true
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.lingerTimeout, .connection, connection.slot)
        markDirty(connection)
    }

    /// Goes through what the session noted. A request that waited behind the last one is read too.
    func actOnEvents(of connection: Connection) {
        switch connection.codec {
        case .undecided: return
        case .http2(let session): session { actOnEvents(of: connection, $0) }
        case .http1(let session): session { actOnEvents(of: connection, $0) }
        }
    }

    private func actOnEvents(of connection: Connection, _ session: HTTP2Session) {
        act(on: connection) { index in index < session.events.count ? session.events[index] : nil }
        passWindows(of: connection)
        session.endTurn()
        if connection.isReadingPaused { resumeReading(connection) }
    }

    private func actOnEvents(of connection: Connection, _ session: HTTP1Session) {
        repeat {
            act(on: connection) { index in index < session.events.count ? session.events[index] : nil }
            passWindows(of: connection)
            session.endTurn()
            guard !connection.isClosed, session.hasWaitingInput else { break }
            _ = session.receive(.empty)
        } while !session.events.isEmpty
        resumeReading(connection)
    }

    /// Acting on an event may note further ones: the list is asked again each time.
    @inline(__always)
    private func act(on connection: Connection, _ event: (Int) -> StreamEvent?) {
        var index = 0
        let isDownstream = connection.role == .downstream
        while !connection.isClosed, let next = event(index) {
            index += 1
            if isDownstream {
                downstream(next, of: connection)
            } else {
                upstream(next, of: connection)
            }
        }
    }

    // MARK: writing

    /// Sends what the session has to say, as much as the kernel takes.
    func flush(_ connection: Connection) {
        guard connection.phase == .open else { return }
        guard !connection.isWriteBlocked else { return forgetGivenUp(on: connection) }
        guard sendPending(connection) else { return }
        for _ in 0..<Self.flushesPerTurn {
            output.clear(keeping: 4 * Self.flushOctets)
            if !connection.codec.flush(into: output, limit: Self.flushOctets) {
                fail(connection)
            }
            let count = output.count
            let isSent = count == 0 || send(connection)
            actOnEvents(of: connection)
            guard isSent, !connection.isClosed else { return }
            if count < Self.flushOctets { return closeIfDone(connection) }
        }
        markDirty(connection)
    }

    /// Requests that were given up while their upstream reads nothing must not pile up until it does.
    private func forgetGivenUp(on connection: Connection) {
        if connection.role == .upstream, connection.codec.isHTTP2 { actOnEvents(of: connection) }
    }

    /// - Returns: false when the kernel takes no more or the connection is gone.
    private func sendPending(_ connection: Connection) -> Bool {
        guard let pending = connection.pendingOutput else { return true }
        switch connection.write(pending.octets) {
        case .octets(let count):
            pending.take(count)
            guard pending.isEmpty else {
                connection.isWriteBlocked = true
                return false
            }
            connection.pendingOutput = nil
            pools.give(pending)
            return true
        case .wouldBlock:
            connection.isWriteBlocked = true
        case .closed, .failed:
            peerClosed(connection)
        }
        return false
    }

    /// Writes `output`; what the kernel does not take is kept with the connection.
    private func send(_ connection: Connection) -> Bool {
        switch connection.write(output.octets) {
        case .octets(let count):
            output.take(count)
            if output.isEmpty { return true }
        case .wouldBlock: break
        case .closed, .failed:
            peerClosed(connection)
            return false
        }
        connection.isWriteBlocked = true
        let pending = pools.takeBuffer()
        pending.exchange(with: output)
        connection.pendingOutput = pending
        return false
    }

    /// Octets that went out open the windows of those they came from.
    private func passWindows(of connection: Connection) {
        var index = 0
        while let taken = connection.codec.taken(at: index) {
            index += 1
            guard taken.tag >= 0, taken.tag < exchanges.count else { continue }
            let exchange = exchanges[taken.tag]
            exchange { $0.passWindow(of: connection, taken) }
        }
    }

    // MARK: the end

    private func closeIfDone(_ connection: Connection) {
        let isUnwanted = connection.role == .upstream && connection.isDraining && !hasOwners(connection)
        guard connection.isFailing || connection.codec.isFinished || isUnwanted else { return }
        guard connection.role == .downstream, !connection.hasHungUp else { return peerClosed(connection) }
        // The peer may still be sending: a plain close would reset the connection and lose our last octets.
        loseStreams(of: connection, .clientClosed)
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
        connection.phase = .closed
        cancel(&connection.timer)
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
            metrics.handshakeFailed()
            return close(connection)
        case .sniffing, .lingering: return close(connection)
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
