internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

extension Exchange {
    /// Runs the course from where it stands until a step waits, the request is answered, or all is over.
    func run() {
        while let step = state.running {
            switch perform(step) {
            case .next: state.advance()
            case .goOn(let step): state.goOn(at: step)
            case .retry: state.goBack(to: .pick)
            case .wait(let what): state.wait(for: what)
            case .answer(let situation): answer(situation)
            }
        }
    }

    @inline(__always)
    private func perform(_ step: Step) -> StepEnd {
        switch step {
        case .admit: admit()
        case .match: match()
        case .fault: FaultInjection.begin(self)
        case .cors: Cors.check(self)
        case .respond: Respond.answer(self)
        case .rewrite: Rewriting.makePath(self)
        case .choose: choose()
        case .startClock: startClock()
        case .resolve: resolve()
        case .pick: pick()
        case .connect: connect()
        case .send: send()
        case .await: .wait(.headers)
        case .relay: .wait(.end)
        case .finish: finish()
        }
    }
}

// MARK: - The steps that every request takes

extension Exchange {
    private func admit() -> StepEnd {
        guard let downstream, let request = request.unretained else { return .answer(.noRoute) }
        return request { admit($0, downstream.session) }
    }

    private func admit(_ block: HeaderBlock, _ session: Session) -> StepEnd {
        WebTranslation.noteKind(of: block, self)
        let method = block.first(.method) ?? .empty
        traits.isHeadMethod = method == "HEAD"
        traits.isSafe = traits.isHeadMethod || method == "GET" || method == "OPTIONS"
        guard services.memoryLevel < .exhausted else { return .answer(.overloaded) }
        let path = block.first(.path) ?? .empty
        if method == "CONNECT", case let end = Tunneling.admit(self, block), end != .next { return end }
        if path == "*" { return .answer(.optionsAsterisk) }
        switch session {
        case .undecided: break
        case .http1(let session):
            traits.isWebSocket = session({ $0.upgrade }) == .webSocket
            // No GET, or one with a body.
            if traits.isWebSocket, block.first(.protocol) == nil { return .answer(.upgradeRefused) }
        case .http2:
            // HTTP/1.1's session has looked already.
            if !services.hasValidAuthority(block) { return .answer(.requestRefused(.invalidAuthority)) }
        }
        switch PathNormalization.normalize(path, in: block) {
        case .normal: self.path = path
        case .changed(let changed):
            self.path = changed
            traits.isPathChanged = true
        case .refused: return .answer(.pathRefused)
        }
        return .next
    }

    private func match() -> StepEnd {
        guard let downstream, let request = request.unretained else { return .answer(.noRoute) }
        return downstream.connection { connection in request { match($0, from: connection) } }
    }

    private func match(_ block: HeaderBlock, from downstream: Connection) -> StepEnd {
        guard let snapshot = services.snapshot(for: downstream), let table = downstream.table else {
            return .answer(.noRoute)
        }
        if downstream.clientDemand != .none, let end = refuseUnshown(block, downstream, snapshot) { return end }
        services.joinedHeaders.clear()
        // HTTP/2 allows `host` alone, and it is the authority then (RFC 9113 §8.3.1). What a client says of the
        // scheme of its own connection is not believed.
        let view = RequestView(
            path: path, authority: block.first(.authority) ?? block.first(.host) ?? .empty,
            method: block.first(.method) ?? .empty, scheme: ClientTrust.scheme(of: self), block: block,
            joined: services.joinedHeaders)
        let own = snapshot { Unretained($0.shared.plan.tables[table]) }    // the connection has the snapshot
        var found = own { $0.match(view) }
        if case .noHost = found {
            switch snapshot({ otherServer(view.authority, $0, downstream) }) {
            case .none: break
            case .sameTerms(let table): found = snapshot { $0.shared.plan.tables[table].match(view) }
            case .otherTerms: return .answer(.misdirected)
            }
        }
        switch found {
        case .route(let number):
            let found = snapshot { $0.route(number) }
            route.keep(found)
            extras = found.extras
            return extras == nil ? .goOn(at: .choose) : .next
        case .noHost:
            FrontEnd.unrouted(block, path, downstream, services)
            explanation = "no host of this listener matches authority \"\(words(view.authority))\""
        case .noRoute:
            FrontEnd.unrouted(block, path, downstream, services)
            explanation = "no route matches authority \"\(words(view.authority))\" and path \"\(words(path))\""
        case .tooCostly:
            services.metrics.reached(.matchWork)
            explanation = "the expressions of authority \"\(words(view.authority))\" take too long on this request"
        }
        return .answer(.noRoute)
    }

    /// The beginning of what the request says, for an explanation: the whole of it stands in the access log.
    private func words(_ octets: Octets) -> String { octets.prefix(Self.mostQuotedOctets).string }
    /// Of each text of a request, in an explanation.
    private static let mostQuotedOctets = 256

    private func choose() -> StepEnd {
        guard let route = route.unretained, let snapshot = currentSnapshot else { return .answer(.unknownCluster) }
        if let reason = route({ $0.route.unavailable }) { return refuse(reason) }
        let random = services.random.next()
        destinationIndex = route { $0.route.destinationIndex(random: random) }
        let number = route { $0.route.cluster(ofDestination: destinationIndex) }
        guard number >= 0 else { return .answer(.unknownCluster) }
        destination.keep(snapshot { $0.destination(number) })
        if let reason = destination.unretained?({ $0.unavailable }) ?? nil { return refuse(reason) }
        limits = destination.unretained?({ $0.limits.unretained }) ?? nil
        if traits.isGRPC, let downstream, !downstream.session.isHTTP2,
            case let end = downstream.connection({ GRPCDowngrade.admit(self, from: $0) }), end != .next
        {
            return end
        }
        if extras != nil, !traits.isWebSocket { snapshot { Mirroring.draw(self, from: $0) } }
        letGoOfSnapshot()
        return web.map { WebTranslation.begin($0, self) } ?? .next
    }

    private func refuse(_ reason: Unavailable) -> StepEnd {
        if reason == .redirectedToHTTPS { return .answer(.redirectedToHTTPS) }
        explanation = reason.sentence
        return .answer(reason.isWithoutEndpoint ? .noHealthyEndpoint : .unknownCluster)
    }

    /// The deadline of a gRPC call runs from its header section: the smaller of the client's `grpc-timeout` and
    /// the route's timeout. Of other requests the route's timeout runs from the end of the request.
    private func startClock() -> StepEnd {
        guard traits.isGRPC else {
            if state.isRequestEnded || traits.isWebSocket { routeTimeoutBegins() }
            return .next
        }
        var wait = routeTimeout.map { $0 + heldBack }
        if let text = request.unretained?({ $0.first(.grpcTimeout) }), let asked = GRPCTimeout(text)?.duration {
            wait = wait.map { min($0, asked) } ?? asked
        }
        guard let wait else { return .next }
        setDeadline(started + wait)
        // A deadline this close cannot be met; the upstream is not bothered with a request and its reset.
        guard wait <= Self.shortestDeadline || started + wait <= services.loop.now else { return .next }
        explanation = deadlineInWords
        return .answer(.deadlineUnmeetable(isRoutes: isDeadlineRoutes || heldBack > .zero))
    }

    /// The fastest answers through the gateway take longer, from a server beside it (docs/performance.md, d).
    private static let shortestDeadline = Duration.microseconds(50)

    var routeTimeout: Duration? { route.unretained?({ $0.route.timeout }) ?? nil }

    /// Starts the route's timeout, unless it runs or the request is held back by a fault.
    func routeTimeoutBegins() {
        guard deadline == nil, state.answer != .over, !state.isWaiting(for: .delay), let wait = routeTimeout else {
            return
        }
        setDeadline(services.loop.now + wait)
    }

    private func resolve() -> StepEnd {
        destination.unretained?({ $0.isRequested }) ?? false ? Resolving.find(self) : .next
    }

    private func pick() -> StepEnd {
        guard let destination = destination.unretained else { return .answer(.unknownCluster) }
        let random = services.random.next()
        let picked = destination { destination in
            // By its hash, or in another rank than those that have failed.
            destination.hashKey.unretained != nil || state.tries >= Connecting.triesOfARank
                ? Connecting.endpoint(of: destination, for: self, random: random)
                : destination.cluster.next(random: random, excluding: avoidedEndpoints)
        }
        guard let endpoint = picked else {
            let absence = destination { EndpointReports.absence($0.cluster) }
            explanation = absence.words
            return .answer(absence.areFailing ? .endpointsFailing : .noHealthyEndpoint)
        }
        self.endpoint.pick(endpoint)
        // Of the try before, whose connection is not this one's.
        if upstreamLocal != nil { upstreamLocal = nil }
        if upstreamReached != nil { upstreamReached = nil }
        state.tryBegan()
        return .next
    }

    /// The step `connect`. Source: docs/behaviour.md, Connection pools.
    private func connect() -> StepEnd {
        guard let endpoint = endpoint.unretained else { return .answer(.noHealthyEndpoint) }
        switch endpoint({ acquire($0) }) {
        case .connection(let connection):
            connection { use(.reserved(connection), keeping: $0) }
            return .next
        case .wait(let pool, let place):
            use(.queued(Unretained(pool), place), keeping: pool)
            if DeadlineShedding.isHopeless(self, in: pool) { return .answer(.deadlineHopeless) }
            let time = services.loop.now + services.limits.waitingTimeout
            timers.waiting = services.loop.arm(at: time, .waiting, number)
            return .wait(.connection)
        case .failed:
            (failure, upstreamReached) = (upstreams.lastFailure, nil)
            return tryFailed(upstreams.lastSituation, keeping: nil)
        case .overflow:
            explanation =
                "endpoint \(endpoint { $0.name }) has --max-upstream-connections in use, and "
                + "\(services.limits.waitingRequests) requests wait already (--max-waiting-requests)"
            return .answer(.overflow)
        case .clusterOverflow:
            return Connecting.overflow(self, .pending)
        }
    }

    @inline(__always)
    private func acquire(_ endpoint: Endpoint) -> Upstreams.Acquired {
        guard destination.unretained?({ $0.isPlain }) ?? true else { return Connecting.acquire(endpoint, for: self) }
        let transport = UpstreamTransport(
            isHTTP2: Connecting.speaksHTTP2(self), cluster: limits.map { $0 { $0.cluster } })
        return upstreams.acquire(endpoint, transport, limits, for: applicant)
    }

    private func send() -> StepEnd {
        guard case .reserved(let connection) = upstream, let request = request.unretained else {
            return .answer(.localReset)
        }
        return request { request in connection { send(request, on: $0) } }
    }

    private func send(_ request: HeaderBlock, on connection: Connection) -> StepEnd {
        if traits.isGRPC, !connection.session.isHTTP2 { return refuseHTTP1(connection) }
        if let limits, !limits({ holdings.takeRequest($0, services.metrics) }) {
            return Connecting.overflow(self, .requests)
        }
        let isAlone = state.request == .headersOnly
        let section = makeSection(from: request)
        if extras != nil, !Rewriting.edit(section, self) {
            services.pools.letGo(section)
            return .answer(.operationsTooLarge(isAnswer: false))
        }
        if traits.isWebSocket { Tunneling.edit(section, isHTTP2: connection.session.isHTTP2, self) }
        let slot = connection.session.submitRequest(
            section, isEnd: isAlone, owner: .exchange(number), keepsBody: mayTryAgain)
        // Behind the request: a copy may take a stream of the same connection.
        if slot != nil, let copies, !traits.isWebSocket { Mirroring.begin(self, copies, section: section) }
        services.letGo(section)
        guard let slot else {
            limits? { holdings.giveBackRequest($0) }
            use(.none, keeping: nil)
            let isClosing = connection.session.isClosing
            upstreams.giveBack(connection)
            failure = isClosing ? "its connection was about to end" : "the request cannot be written in HTTP/1.1"
            return tryFailed(isClosing ? .closedUnsent : .localReset, keeping: nil)
        }
        use(Stream(connection, slot))
        state.trySent()
        tryStarted = services.loop.now
        tally.upstreamTakenOctets = 0
        if traits.isGRPC || traits.isWebSocket || state.isRequestEnded { tryTimeoutBegins() }
        endpoint.unretained? {
            let number = $0.number
            services.unretainedMetrics { $0.tried(endpoint: number) }
        }
        if traits.isWebSocket { Tunneling.sent(self) } else if !isAlone { sendHeldBody(connection, slot) }
        if traits.wantsContinue { continueIfSent() }
        if limits != nil, connection.isLastRequest() { upstreams.connections.drain(connection) }
        services.markDirty(connection)
        return .next
    }

    /// The endpoint has chosen HTTP/1.1 by ALPN, in which a gRPC call has no trailers.
    @inline(never)
    private func refuseHTTP1(_ connection: Connection) -> StepEnd {
        use(.none, keeping: nil)
        upstreams.giveBack(connection)
        failure = "the endpoint chose HTTP/1.1 by ALPN, and gRPC needs HTTP/2"
        return tryFailed(.handshakeFailed(.noCommonProtocol), keeping: nil)
    }

    private func sendHeldBody(_ connection: Connection, _ slot: Int) {
        if let body = heldBody.take() {
            connection.session.send(slot, body.octets)
            services.pools.give(body)
        }
        if state.isRequestEnded { connection.session.finish(slot, trailers: requestTrailers) }
    }

    /// This try's header section: the client's, with what an edge adds and takes out.
    private func makeSection(from request: HeaderBlock) -> HeaderBlock {
        let section = services.unretainedPools { $0.takeBlock() }
        section.derive(from: request)
        if request.first(.authority) == nil, let host = request.first(.host) {
            section.prepend(stable: ":authority", host)
        }
        if traits.isPathChanged { section.replaceFirst(.path, with: path) }
        guard let downstream = downstream?.connection else { return section }
        let scheme = ClientTrust.scheme(of: self)
        if let said = request.first(.scheme), !(said == scheme) { section.replaceFirst(.scheme, with: scheme) }
        let left = traits.isGRPC ? deadline.map { $0.duration(since: services.loop.now) } : nil
        let peer = downstream { $0.peerHost.octets }
        let certificate = downstream { $0.certificate?.octets }
        identifier.withText { text in
            services.unretainedPools {
                ForwardedFields(
                    peer: peer, scheme: scheme, requestID: text, isGRPC: traits.isGRPC, timeLeft: left,
                    certificate: certificate, client: ClientTrust.host(of: self), trust: downstream { $0.trust }
                ).write(to: section, pools: $0)
            }
        }
        appendAttempt(to: section)
        if web?.isTranslated == true { WebTranslation.edit(section, self) }
        return section
    }

    /// The last step: the client's stream is gone.
    private func finish() -> StepEnd {
        limits? {
            holdings.giveBackRequest($0)
            holdings.giveBackRetry($0)
        }
        exchanges.release(self)
        return .next
    }
}
