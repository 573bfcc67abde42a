internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Synchronization
internal import TLS
internal import Telemetry

/// Streams: what sessions tell, passed to the exchanges; and the connections that exchanges ask for.
extension Worker {
    // MARK: downstream events

    func downstream(_ event: StreamEvent, of connection: Connection) {
        if event.kind == .headers { return begin(event, on: connection) }
        if event.kind == .violation { return refuse(event, on: connection) }
        guard event.stream >= 0 else { return }    // of the connection: SETTINGS, GOAWAY
        guard let exchange = exchange(of: event, downstream: connection) else {
            if event.kind == .data { connection.consume(event.stream, event.data.count) }
            return
        }
        exchange { pass(event, to: $0, of: connection) }
    }

    private func pass(_ event: StreamEvent, to exchange: Exchange, of connection: Connection) {
        switch event.kind {
        case .data: exchange.requestData(event.data)
        case .trailers:
            guard let trailers = connection.codec.takeHeaders(event.stream) else { return }
            exchange.requestEnded(trailers: trailers)
            pools.letGo(trailers)
        case .end: exchange.requestEnded()
        case .closed:
            exchange.downstreamClosed(.clientReset, code: event.code)
        case .expectsContinue: continueIfAsked(exchange)
        default: break
        }
    }

    func exchange(of event: StreamEvent, downstream connection: Connection) -> Unretained<Exchange>? {
        // Events that were noted before the headers were acted on do not know their tag yet.
        let tag = event.tag >= 0 ? event.tag : connection.codec.tag(event.stream)
        guard tag >= 0, tag < exchanges.count else { return nil }
        let exchange = exchanges[tag]
        return exchange { $0.isServing(downstream: connection, event.stream) } ? exchange : nil
    }

    func exchange(of event: StreamEvent, upstream connection: Connection) -> Unretained<Exchange>? {
        guard event.tag >= 0, event.tag < exchanges.count else { return nil }
        let exchange = exchanges[event.tag]
        return exchange { $0.isUsing(upstream: connection, event.stream) } ? exchange : nil
    }

    private func begin(_ event: StreamEvent, on connection: Connection) {
        guard let block = connection.codec.takeHeaders(event.stream) else { return }
        metrics.requestStarted()
        status.activeExchanges.wrappingAdd(1, ordering: .relaxed)
        takeExchange()({ begin($0, with: block, event, on: connection) })
    }

    /// A request that was refused while it was read: its exchange has it for the log and, where the stream is
    /// still open, for an answer.
    func beginRefused(_ event: StreamEvent, _ block: HeaderBlock, _ fault: HTTP2Fault, on connection: Connection) {
        metrics.requestStarted()
        status.activeExchanges.wrappingAdd(1, ordering: .relaxed)
        takeExchange()({ exchange in
            enter(exchange, event, on: connection)
            exchange.request = block
            exchange.isGRPC = block.first(.contentType).map(GRPC.isGRPC) ?? false
            exchange.isHead = block.first(.method) == "HEAD"
            exchange.requestRefused(fault, on: connection)
        })
    }

    private func enter(_ exchange: Exchange, _ event: StreamEvent, on connection: Connection) {
        exchange.downstream = connection
        exchange.downstreamStream = event.stream
        exchange.started = now
        exchange.startedWall = wallNow
        connection.codec.setTag(event.stream, exchange.index)
    }

    private func begin(
        _ exchange: Exchange, with block: HeaderBlock, _ event: StreamEvent, on connection: Connection
    ) {
        enter(exchange, event, on: connection)
        // Given up in the same read: its `.closed` follows, and no upstream needs to hear of it. Upstreams count
        // resets, and end the connection that all clients share. Source: CVE-2023-44487.
        if case .http2(let session) = connection.codec {
            guard session({ $0.isOpen(event.stream) }) else {
                exchange.request = block
                return
            }
            if session({ $0.openStreams == Int($0.limits.concurrentStreams) }) { reachedStreamLimit(connection) }
        }
        var upgrade = HTTP1Upgrade.none
        if case .http1(let session) = connection.codec { upgrade = session { $0.upgrade } }
        exchange.requestHeaders(block, isEnd: event.code == 1, upgrade: upgrade)
    }

    /// HTTP/2 upstreams are not asked whether they want the body: the gateway says yes in their place.
    private func continueIfAsked(_ exchange: Exchange) {
        guard let downstream = exchange.downstream, exchange.upstream?.codec.isHTTP2 ?? false else { return }
        let block = pools.takeBlock()
        block.append(stable: ":status", "100")
        downstream.codec.submitInterim(exchange.downstreamStream, block)
        pools.letGo(block)
        markDirty(downstream)
    }

    // MARK: upstream events

    func upstream(_ event: StreamEvent, of connection: Connection) {
        switch event.kind {
        case .settings: return learnSettings(connection)
        case .goAway:
            connection.isDraining = true
            return markDirty(connection)
        case .closed: return streamClosed(event, on: connection)
        case .violation: return refuseResponse(event, of: connection)
        default: break
        }
        guard let exchange = exchange(of: event, upstream: connection) else {
            if event.kind == .data { connection.consume(event.stream, event.data.count) }
            return
        }
        exchange { pass(event, to: $0, from: connection) }
    }

    private func pass(_ event: StreamEvent, to exchange: Exchange, from connection: Connection) {
        switch event.kind {
        case .data: exchange.responseData(event.data)
        case .end: exchange.responseEnded()
        case .headers, .trailers:
            guard let block = connection.codec.takeHeaders(event.stream) else { return }
            if event.kind == .headers {
                exchange.responseHeaders(block, isEnd: event.code == 1)
            } else {
                exchange.responseTrailers(block)
            }
            pools.letGo(block)
        default: break
        }
    }

    private func streamClosed(_ event: StreamEvent, on connection: Connection) {
        exchange(of: event, upstream: connection)? { exchange in
            if exchange.isResponseEnded { return exchange.detachUpstream() }
            // A server that keeps the call's deadline says CANCEL when it has come. The client must not take that
            // for a failure of the server that it may retry.
            if event.code == ErrorCode.cancel, exchange.hasSentDeadlineCome { return exchange.timedOut() }
            let isUnsent = !connection.codec.hasSentHeaders(event.stream)
            exchange.upstreamFailed(Self.situation(code: event.code, isUnsent: isUnsent), code: event.code)
        }
        if connection.isDraining { return markDirty(connection) }    // the last stream's end is the connection's
        if case .http1 = connection.codec { giveBack(connection) }
    }

    /// An HTTP/1.1 connection has no stream any more, or got none: the next request may use it.
    func giveBack(_ connection: Connection) {
        if connection.takesRequests { connection.pool?.becameIdle(connection) } else { markDirty(connection) }
    }

    private static func situation(code: UInt32, isUnsent: Bool) -> Situation {
        if isUnsent { return .closedUnsent }
        return switch code {
        case ErrorCode.refusedStream: .upstreamRefused
        case ErrorCode.protocolError: .upstreamProtocolError
        default: .upstreamReset
        }
    }

    /// Streams beyond the endpoint's limit that wait for their turn move to another connection. Those that
    /// were framed are left to the endpoint, which refuses them: they cannot be taken back.
    private func learnSettings(_ connection: Connection) {
        guard case .http2(let session) = connection.codec else { return }
        session { learnSettings(connection, $0) }
    }

    private func learnSettings(_ connection: Connection, _ session: HTTP2Session) {
        let limit = session.peerConcurrentStreams
        if limit == 0 { return loseUnsent(of: connection, session) }
        connection.pool?.learnedStreams = max(limit, 1)
        var excess = session.openStreams - limit
        guard excess > 0 else { return }
        var waiting: [(stream: Int, tag: Int)] = []
        session.forEachOpen { stream, tag in
            if excess > 0, tag >= 0, session.isWaiting(stream) {
                waiting.append((stream, tag))
                excess -= 1
            }
        }
        for (stream, tag) in waiting where ownedExchanges[tag].isUsing(upstream: connection, stream) {
            ownedExchanges[tag].moveElsewhere()
        }
    }

    /// The endpoint takes no streams at all: what waits is refused, and counts as a try. Another
    /// connection would say the same, and so on without an end.
    private func loseUnsent(of connection: Connection, _ session: HTTP2Session) {
        var unsent: [(stream: Int, tag: Int)] = []
        session.forEachOpen { stream, tag in
            if tag >= 0, session.isWaiting(stream) { unsent.append((stream, tag)) }
        }
        connection.isDraining = true
        for (stream, tag) in unsent where ownedExchanges[tag].isUsing(upstream: connection, stream) {
            ownedExchanges[tag].upstreamFailed(.upstreamRefused, code: ErrorCode.refusedStream)
            session.reset(stream, code: ErrorCode.cancel)
        }
        markDirty(connection)
    }

    // MARK: exchanges

    func takeExchange() -> Unretained<Exchange> {
        if let index = freeExchanges.popLast() { return exchanges[index] }
        let exchange = Exchange(worker: self, index: exchanges.count)
        ownedExchanges.append(exchange)
        exchanges.append(Unretained(exchange))
        return Unretained(exchange)
    }

    /// The downstream stream is gone: writes the log, counts, frees.
    func finished(_ exchange: Exchange) {
        record(exchange)
        exchange.toDownstream? { $0.codec.setTag(exchange.downstreamStream, -1) }
        if let block = exchange.request.take() { pools.letGo(block) }
        if let block = exchange.requestTrailers.take() { pools.letGo(block) }
        exchange.clear()
        freeExchanges.append(exchange.index)
        status.activeExchanges.wrappingSubtract(1, ordering: .relaxed)
    }

    /// The configuration for the next request of a connection: the newest, or the last one that still
    /// had its listener.
    func snapshot(for connection: Connection) -> WorkerSnapshot? {
        if connection.snapshot !== current, let current, let binding = current.bindings[connection.listener] {
            connection.table =
                connection.tls == nil
                ? binding.clearTable ?? -1
                : binding.table(serverName: connection.tls?.serverName, tag: connection.chainTag)
            connection.snapshot = current
        }
        return connection.snapshot
    }

    // MARK: upstream connections

    /// A connection to the endpoint that takes a request now; perhaps still connecting.
    func acquire(_ endpoint: Endpoint, http2 isHTTP2: Bool) -> Connection? {
        let pool = pool(of: endpoint)
        if let connection = pool.available(http2: isHTTP2) { return connection }
        guard let address = pool.address, let descriptor = try? Socket.connect(address) else {
            metrics.upstreamConnectFailed()
            return nil
        }
        let slot = nextSlot
        let connection = Connection(
            worker: self, role: .upstream, descriptor: descriptor, slot: slot, phase: .connecting, now: now)
        let token = register(.connection(connection))
        guard (try? poller.watch(descriptor, token: token)) != nil else {
            Socket.close(descriptor)
            vacate(slot)
            return nil
        }
        connection.pool = pool
        connection.timer = arm(at: now + options.connectTimeout, .connection, slot)
        open(connection, http2: isHTTP2)
        if isHTTP2 { pool.http2.append(connection) }
        metrics.connectionOpened(.upstream)
        return connection
    }

    private func pool(of endpoint: Endpoint) -> EndpointPool {
        while endpointPools.count <= endpoint.number { endpointPools.append(nil) }
        if let pool = endpointPools[endpoint.number] { return pool }
        let pool = EndpointPool(endpoint: endpoint)
        endpointPools[endpoint.number] = pool
        return pool
    }

    /// The TCP handshake of an upstream connection has ended, one way or the other.
    func connected(_ connection: Connection, _ event: Readiness) {
        guard event.isWritable || event.isHungUp else { return }
        guard Socket.connectError(connection.descriptor) == nil else {
            metrics.upstreamConnectFailed()
            loseStreams(of: connection, .connectFailed)
            return close(connection)
        }
        connection.phase = .open
        connection.isWriteBlocked = false
        cancel(&connection.timer)
        connection.timer = arm(at: now + options.idleTimeout, .connection, connection.slot)
        markDirty(connection)
        if event.isReadable { read(connection) }
    }
}
