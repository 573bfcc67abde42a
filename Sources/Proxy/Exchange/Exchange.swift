internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// One request and its answer: a stream of a client's connection, a stream of an upstream connection, and the route
/// between them. `Course.swift` has the order of its steps and says which function each one is; `ExchangeState`
/// decides, and this class does what was decided. It lives as long as the client's stream; several upstream
/// streams may follow each other when one fails provably unprocessed.
///
/// Thread: its worker's. Freed by: `Exchanges`, when the worker ends; until then it is used again.
final class Exchange {
    /// What the newest try has of its upstream. Plain data: copying it counts no references.
    enum Upstream: BitwiseCopyable {
        case none
        /// The look-up of the host that the request names.
        case resolving(Unretained<RequestedHost>)
        /// A place in the queue for a connection.
        case queued(Unretained<EndpointPool>, WaitingQueue.Place)
        /// A connection on which `send` opens a stream next.
        case reserved(Unretained<Connection>)
        case stream(Stream)
    }

    let exchanges: Exchanges    // owns this object, and lets go of it when the worker ends
    let services: WorkerServices
    let upstreams: Upstreams
    let number: Int    // place in `exchanges`, and the owner of its streams
    var state = ExchangeState()

    private(set) var downstream: Stream?
    private(set) var upstream = Upstream.none
    private var keptDownstream: Connection?    // keeps alive what `downstream` refers to
    private var keptUpstream: AnyObject?    // keeps alive what `upstream` refers to

    // The request; the block stays as the client sent it
    var request = Kept<HeaderBlock>()    // held
    var requestTrailers: HeaderBlock?    // held for the next try
    var heldBody: OctetBuffer?    // octets of the body that no try has got yet
    var identifier = RequestIdentifier()
    var path = Octets.empty    // in its normal form; lives in `request`
    /// What the header section of the request says, read once.
    var traits = RequestTraits()
    var web: WebCall?    // of a request of gRPC-Web
    var injected = EarlierFlags()    // what the rule's `fault` has done, and the cluster's limit of retries
    var heldBack = Duration.zero    // by the rule's `fault`; the route's timeout does not count it

    // The route
    var route = Kept<RouteHandle>()
    var extras: Unretained<RouteExtras>?    // of the route, which is kept
    var destinationIndex = -1    // among the route's destinations; below zero before one is chosen
    var rewrittenPath = Octets.empty    // lives in `request`; empty if the path stays
    private var matchedBy: WorkerSnapshot?    // kept while the request waits between `match` and `choose`
    var copies: Copies?    // for the rule's mirrors
    var destination = Kept<DestinationHandle>()
    var endpoint = PickedEndpoint()    // of the newest try
    var limits: Unretained<PoolLimits>?    // of `destination`; nil for clusters without
    var holdings = LimitHoldings()    // of these limits
    /// What keeps the client with one endpoint: the hash of the request, and a cookie that is to be set.
    var affinity = Affinity()
    var upstreamLocal: String?    // for the access log only
    var upstreamReached: String?    // the same; nil: it is the endpoint's only address
    /// A kept connection of HTTP/1.1 has ended under a try. Others may be about to: further tries take a new one.
    var hasLostKept = false
    var failure = ""    // why the newest try that failed did, in words
    var explanation = ""    // what `grpc-message` says of a local answer

    /// What was counted of it, for the access log and for limits.
    var tally = ExchangeTally()

    // Time
    var started = MonotonicTime(nanoseconds: 0)
    var startedWall = WallTime(seconds: 0, nanoseconds: 0)
    var tryStarted = MonotonicTime(nanoseconds: 0)
    var lastProgress = MonotonicTime(nanoseconds: 0)    // octets came from the client, or went to it
    var deadline: MonotonicTime?
    var timers = ExchangeTimers()

    init(exchanges: Exchanges, services: WorkerServices, upstreams: Upstreams, number: Int) {
        self.exchanges = exchanges
        self.services = services
        self.upstreams = upstreams
        self.number = number
    }

    /// As it asks for a connection.
    var applicant: Applicant { Applicant(exchange: number, wantsNew: hasLostKept) }

    // MARK: streams

    /// The client's stream; nil when there is none any more.
    func serve(_ connection: Connection, _ slot: Int) {
        keptDownstream = connection
        downstream = Stream(connection, slot)
    }

    /// Takes another upstream; `object` is what the upstream's unretained references live by.
    func use(_ next: Upstream, keeping object: AnyObject?) {
        upstream = next
        keptUpstream = object
    }

    /// Whether events of that stream are meant for this exchange.
    @inline(__always)
    func isServing(downstream connection: Connection, _ slot: Int) -> Bool {
        downstream.map { $0.slot == slot && $0.connection === connection } ?? false
    }

    /// Whether the current try's stream is this one.
    @inline(__always)
    func isUsing(upstream connection: Connection, _ slot: Int) -> Bool {
        guard case .stream(let stream) = upstream else { return false }
        return stream.slot == slot && stream.connection === connection
    }

    // MARK: steps

    /// The step `admit`.
    func admit() -> StepEnd {
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

    /// The step `match`.
    func match() -> StepEnd {
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
            explanation = "no host of this listener matches authority \"\(view.authority.string)\""
        case .noRoute:
            FrontEnd.unrouted(block, path, downstream, services)
            explanation = "no route matches authority \"\(view.authority.string)\" and path \"\(path.string)\""
        case .tooCostly:
            services.metrics.reached(.matchWork)
            explanation = "the expressions of authority \"\(view.authority.string)\" take too long on this request"
        }
        return .answer(.noRoute)
    }

    /// A port asks some of its clients for certificates: a request is served only where its connection has shown what
    /// its server asks for now.
    @inline(never)
    private func refuseUnshown(
        _ block: HeaderBlock, _ downstream: Connection, _ snapshot: Unretained<WorkerSnapshot>
    ) -> StepEnd? {
        if downstream.clientDemand == .unfulfilled {
            explanation = "the server asks its clients for another certificate now; connect anew"
            downstream.session.announceShutdown()
            services.markDirty(downstream)
            return .answer(.misdirected)
        }
        let authority = block.first(.authority) ?? block.first(.host) ?? .empty
        guard let tls = downstream.transport.tls, let served = snapshot({ $0.served(downstream.listener) }),
            served.bars(authority: authority, on: tls)
        else { return nil }
        explanation = "the server of authority \"\(authority.string)\" asks its clients for another certificate"
        return .answer(.misdirected)
    }

    /// The TLS server of the port that has an authority, where the connection's own has not.
    @inline(never)
    private func otherServer(
        _ authority: Octets, _ snapshot: WorkerSnapshot, _ downstream: Connection
    ) -> ServedListener.OtherServer {
        guard let tls = downstream.transport.tls, let served = snapshot.served(downstream.listener) else {
            return .none
        }
        return served.otherServer(authority: authority, serverName: tls.serverName)
    }

    /// The step `choose`.
    func choose() -> StepEnd {
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
        if matchedBy != nil { matchedBy = nil }
        return web.map { WebTranslation.begin($0, self) } ?? .next
    }

    private func refuse(_ reason: Unavailable) -> StepEnd {
        if reason == .redirectedToHTTPS { return .answer(.redirectedToHTTPS) }
        explanation = reason.sentence
        return .answer(reason.isWithoutEndpoint ? .noHealthyEndpoint : .unknownCluster)
    }

    /// The configuration that the client's connection uses now.
    var currentSnapshot: Unretained<WorkerSnapshot>? {
        matchedBy.unretained ?? downstream?.connection { $0.snapshot.unretained }
    }

    /// The route is of this configuration, and so are the numbers in it. The connection may have a newer one when the
    /// course goes on.
    func keepSnapshot() { matchedBy = downstream?.connection { $0.snapshot } }

    /// The deadline of a gRPC call runs from its header section: the smaller of the client's `grpc-timeout` and
    /// the route's timeout. Of other requests the route's timeout runs from the end of the request.
    func startClock() -> StepEnd {
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
        return .answer(.deadlineUnmeetable(isRoutes: isDeadlineRoutes))
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

    private func setDeadline(_ time: MonotonicTime) {
        deadline = time
        timers.deadline = services.loop.arm(at: time, .deadline, number)
    }

    /// The step `resolve`.
    func resolve() -> StepEnd {
        destination.unretained?({ $0.isRequested }) ?? false ? Resolving.find(self) : .next
    }

    /// The step `pick`.
    func pick() -> StepEnd {
        guard let destination = destination.unretained else { return .answer(.unknownCluster) }
        let random = services.random.next()
        guard let endpoint = destination({ Connecting.endpoint(of: $0, for: self, random: random) }) else {
            explanation = destination { EndpointReports.absence($0.cluster) }
            return .answer(.noHealthyEndpoint)
        }
        self.endpoint.pick(endpoint)
        // Of the try before, whose connection is not this one's.
        if upstreamLocal != nil { upstreamLocal = nil }
        if upstreamReached != nil { upstreamReached = nil }
        state.tryBegan()
        return .next
    }

    /// The step `send`.
    func send() -> StepEnd {
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
            return .answer(.operationsTooLarge)
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
            upstreams.giveBack(connection)
            return tryFailed(.upstreamProtocolError, keeping: nil)
        }
        upstream = .stream(Stream(connection, slot))    // of the connection that is kept already
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
    func finish() -> StepEnd {
        limits? {
            holdings.giveBackRequest($0)
            holdings.giveBackRetry($0)
        }
        exchanges.release(self)
        return .next
    }

    // MARK: what others ask

    /// Notes the results of the endpoint of this try; nil where there is no outlier detection.
    @inline(__always) var observer: OutlierObserver? { endpoint.unretained?({ $0.observer }) ?? nil }

    /// Whether the destination's port speaks HTTP/2.
    var isHTTP2Port: Bool { destination.unretained?({ $0.isHTTP2 }) ?? false }

    /// What to call it when neither body moves: one of the sides owes octets, or a window. nil where silence is
    /// in order: a gRPC stream may say nothing for days, and an answer may take its time.
    var stuckSituation: Situation? {
        if let downstream, state.answer == .begun, downstream.session.pending(downstream.slot) > 0 {
            return .idleSending
        }
        guard state.request == .receiving, state.answer != .over, !state.isWaiting(for: .delay) else { return nil }
        if heldBody != nil { return .localReset }
        if case .stream(let stream) = upstream, stream.session.pending(stream.slot) > 0 {
            return .localReset
        }
        return traits.isGRPC || (traits.isWebSocket && state.answer == .begun) ? nil : .idleReceiving
    }

    /// Octets that wait here for a side that does not take them: bodies, and the client's header section.
    var waitingOctets: Int {
        var octets = (heldBody?.count ?? 0) + (request.unretained?({ $0.charged }) ?? 0)
        if let downstream { octets += downstream.session.pending(downstream.slot) }
        if case .stream(let stream) = upstream { octets += stream.session.pending(stream.slot) }
        return octets
    }

    /// Makes it as new for the next request. Its streams are detached already.
    func clear() {
        if let block = request.take() { services.letGo(block) }
        if let block = requestTrailers.take() { services.pools.letGo(block) }
        if let body = heldBody.take() { services.pools.give(body) }
        state.clear()
        downstream = nil
        keptDownstream = nil
        use(.none, keeping: nil)
        path = .empty
        traits = RequestTraits()
        tally = ExchangeTally()
        if web != nil { web = nil }
        injected = []
        heldBack = .zero
        route.keep(nil)
        extras = nil
        destinationIndex = -1
        rewrittenPath = .empty
        if matchedBy != nil { matchedBy = nil }
        if let copies = copies.take() { Mirroring.leave(copies, self) }
        destination.keep(nil)
        endpoint.clear()
        limits = nil
        affinity = Affinity()
        if upstreamLocal != nil { upstreamLocal = nil }
        if upstreamReached != nil { upstreamReached = nil }
        if !explanation.isEmpty { explanation = "" }
        if !failure.isEmpty { failure = "" }
        hasLostKept = false
        deadline = nil
    }
}
