internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// From the client's headers to a stream on an upstream connection.
extension Exchange {
    /// The client's headers are complete.
    func requestHeaders(_ block: HeaderBlock, isEnd: Bool, upgrade: HTTP1Upgrade) {
        request = block
        isHeadAlone = isEnd
        isRequestEnded = isEnd
        isGRPC = block.first(.contentType).map(GRPC.isGRPC) ?? false
        let method = block.first(.method) ?? .empty
        isHead = method == "HEAD"
        isSafe = isHead || method == "GET" || method == "OPTIONS"
        let path = block.first(.path) ?? .empty
        if method == "CONNECT" { return answer(.connectMethod) }
        if path == "*" { return answer(.optionsAsterisk) }
        if upgrade != .none { return answer(.upgradeRefused) }
        if toDownstream?({ $0.codec.isHTTP2 }) == true, !worker.authority.isValid(block) {
            return answer(.requestRefused(.invalidAuthority))    // HTTP/1.1's session has looked already
        }
        guard let normal = normalized(path, in: block) else { return answer(.pathRefused) }
        guard match(block, path: normal, method: method) else { return }
        startClock(block)
        // Nobody answers so soon: the upstream would hear of the request and at once of its end.
        if let deadline, deadline <= worker.now + Self.shortestDeadline { return timedOut() }
        worker.prepareForUpstream(block, of: self)
        connect()
    }

    /// Octets of the client's body.
    func requestData(_ octets: Octets) {
        receivedOctets += octets.count
        guard let upstream = toUpstream else {
            // The answer was given without an upstream: what still comes is thrown away.
            downstream?.consume(downstreamStream, octets.count)
            return
        }
        upstream {
            $0.codec.send(upstreamStream, octets)
            worker.markDirty($0)
        }
    }

    func requestEnded(trailers: HeaderBlock? = nil) {
        guard !isRequestEnded else { return }
        isRequestEnded = true
        if let trailers {
            ForwardedFields.clean(trailers: trailers)
            trailers.hold()
            requestTrailers = trailers
        }
        if !isGRPC { startRouteTimeout() }
        toUpstream? {
            $0.codec.finish(upstreamStream, trailers: trailers)
            worker.markDirty($0)
        }
    }

    /// Replaces `:path` by its normal form; nil when it must be refused.
    private func normalized(_ path: Octets, in block: HeaderBlock) -> Octets? {
        switch PathNormalization.normalize(path, in: block) {
        case .normal: return path
        case .refused: return nil
        case .changed(let changed):
            block.replaceFirst(.path, with: changed)
            return changed
        }
    }

    /// Finds the rule and draws the destination; answers when there is none.
    private func match(_ block: HeaderBlock, path: Octets, method: Octets) -> Bool {
        guard let downstream = toDownstream, let snapshot = downstream({ worker.snapshot(for: $0) }) else {
            answer(.noRoute)
            return false
        }
        self.snapshot = snapshot
        let table = downstream { $0.table }
        if block.first(.authority) == nil, let host = block.first(.host) {
            // HTTP/2 allows `host` alone; from here on it is the authority. Source: RFC 9113 §8.3.1.
            block.prepend(stable: ":authority", block.copy(host))
        }
        // What a client says of its own connection is not asked.
        let scheme = downstream { $0.schemeText }
        if block.first(.scheme) != scheme { block.replaceFirst(.scheme, with: scheme) }
        let authority = block.first(.authority) ?? .empty
        worker.joinedHeaders.clear()
        let view = RequestView(
            path: path, authority: authority, method: method, scheme: scheme, block: block,
            joined: worker.joinedHeaders)
        guard table >= 0 else {
            answer(.noRoute)
            return false
        }
        switch snapshot.shared.plan.tables[table].match(view) {
        case .route(let number): return choose(number, snapshot)
        case .noHost:
            answer(.noRoute, "no host of this listener matches authority \"\(authority.string)\"")
        case .noRoute:
            answer(.noRoute, "no route matches authority \"\(authority.string)\" and path \"\(path.string)\"")
        case .tooCostly:
            answer(.noRoute, "the expressions of authority \"\(authority.string)\" take too long on this request")
        }
        return false
    }

    private func choose(_ number: Int, _ snapshot: WorkerSnapshot) -> Bool {
        route = number
        let rule = snapshot.route(number).route
        if let reason = rule.unavailable {
            answer(.unknownCluster, reason.sentence)
            return false
        }
        cluster = rule.destination(random: worker.random.next())
        guard cluster >= 0 else {
            answer(.unknownCluster)
            return false
        }
        if let reason = snapshot.destination(cluster).unavailable {
            answer(.unknownCluster, reason.sentence)
            return false
        }
        return true
    }

    /// Octets went out to one side: the window of the other side opens again. A replayed body went out
    /// before and opens nothing.
    func passWindow(of connection: Connection, _ taken: TakenOctets) {
        // Another request may have had this exchange when the octets were taken: the stream tells.
        if isUsing(upstream: connection, taken.stream) {
            takenOctets += taken.count
            let fresh = takenOctets - consumedOctets
            guard fresh > 0 else { return }
            consumedOctets = takenOctets
            toDownstream? { $0.consume(downstreamStream, fresh) }
        } else if isServing(downstream: connection, taken.stream) {
            toUpstream? { $0.consume(upstreamStream, taken.count) }
        }
    }

    // MARK: time

    /// The deadline of a gRPC call runs from its headers: the smaller of the client's `grpc-timeout` and
    /// the route's timeout. Of other requests the route's timeout runs from the end of the request.
    private func startClock(_ block: HeaderBlock) {
        guard isGRPC else {
            if isRequestEnded { startRouteTimeout() }
            return
        }
        var wait = snapshot?.shared.plan.routes[route].timeout
        if let text = block.first(.grpcTimeout), let asked = GRPCTimeout(text)?.duration {
            wait = wait.map { min($0, asked) } ?? asked
        }
        if let wait { setDeadline(started + wait) }
    }

    /// Whether the deadline that the upstream was told has come, which `grpc-timeout` rounds down: an upstream that
    /// keeps it gives the call up a little before our own timer.
    var hasSentDeadlineCome: Bool {
        guard isGRPC, let deadline else { return false }
        let told = GRPCTimeout(remaining: .nanoseconds(Int64(clamping: deadline.nanoseconds(since: started))))
        return started + told.duration <= worker.now + Self.clockGrain
    }

    /// How much early the timer of another machine may be.
    private static let clockGrain = Duration.milliseconds(1)

    private func startRouteTimeout() {
        guard route >= 0, deadline == nil, !isResponseEnded else { return }
        guard let wait = snapshot?.shared.plan.routes[route].timeout else { return }
        setDeadline(worker.now + wait)
    }

    /// The fastest answers through the gateway take longer, from a server beside it (performance.md, d).
    private static let shortestDeadline = Duration.microseconds(50)

    private func setDeadline(_ time: MonotonicTime) {
        deadline = time
        timer = worker.arm(at: time, .exchange, index)
    }

    // MARK: upstream

    /// Picks an endpoint, takes a connection and sends the headers; with `body`, a request that was
    /// sent before and failed unprocessed.
    func connect(replaying body: OctetBuffer? = nil) {
        guard let snapshot = snapshot.unretained, let request = request.unretained else { return }
        snapshot { snapshot in request { request in connect(snapshot, request, body) } }
    }

    private func connect(_ snapshot: WorkerSnapshot, _ request: HeaderBlock, _ body: OctetBuffer?) {
        let destination = snapshot.destination(cluster)
        guard let endpoint = destination.cluster.next(random: worker.random.next(), excluding: tried) else {
            return answer(.noHealthyEndpoint, "\(destination.cluster.name) has no ready endpoint")
        }
        let isHTTP2 = isGRPC || destination.isHTTP2
        guard let connection = worker.acquire(endpoint, http2: isHTTP2) else {
            self.endpoint = endpoint
            return attemptFailed(.connectFailed, body: body)
        }
        begin(on: connection, isHTTP2: isHTTP2, endpoint: endpoint, request: request, body: body)
    }

    private func begin(
        on connection: Connection, isHTTP2: Bool, endpoint: Endpoint, request: HeaderBlock, body: OctetBuffer?
    ) {
        self.endpoint = endpoint
        attempts += 1
        let isEnd = isHeadAlone
        let mayRetry = attempts < Self.mostAttempts
        guard let stream = connection.codec.submitRequest(request, isEnd: isEnd, tag: index, keepsBody: mayRetry) else {
            if !isHTTP2 { worker.giveBack(connection) }
            return attemptFailed(.upstreamProtocolError, body: body)
        }
        upstream = connection
        upstreamStream = stream
        upstreamStarted = worker.now
        takenOctets = 0
        endpoint.began()
        worker.metrics.tried(endpoint: endpoint.number)
        if let body {
            connection.codec.send(stream, body.octets)
            worker.pools.give(body)
        }
        if isRequestEnded, !isEnd { connection.codec.finish(stream, trailers: requestTrailers) }
        worker.markDirty(connection)
    }

    /// The first try and two more, as Istio's default.
    static var mostAttempts: Int { 3 }
}

extension Connection {
    /// Opens the stream's window again and has the peer told.
    func consume(_ stream: Int, _ count: Int) {
        guard phase == .open else { return }
        codec.consume(stream, count)
        worker.markDirty(self)
        worker.resumeReading(self)
    }
}
