internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// One request and its answer: a stream of a client's connection, a stream of an upstream connection, and the route
/// between them. This is what is kept of it: `Course.swift` runs its steps in their order, `ExchangeEvents.swift` has
/// what happens meanwhile, and `ExchangeState` decides what follows. It lives as long as the client's stream; several
/// upstream streams may follow each other when one fails provably unprocessed.
///
/// Thread: its worker's. Freed by: `Exchanges`, when the worker ends; until then it is used again.
final class Exchange {
    /// What the newest try has of its upstream. Plain data: copying it counts no references.
    enum Upstream: BitwiseCopyable {
        case none
        /// The look-up of the host that the request names.
        case resolving(Unretained<RequestedHost>)
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
    var explanation = ""    // what `grpc-message` and the access log say of a local answer

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

    /// The try has a stream of the connection that it had reserved, which stays kept.
    @inline(__always)
    func use(_ stream: Stream) { upstream = .stream(stream) }

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

    // MARK: the configuration and the time that the steps use

    /// A port asks some of its clients for certificates: a request is served only where its connection has shown what
    /// its server asks for now.
    @inline(never)
    func refuseUnshown(
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
    func otherServer(
        _ authority: Octets, _ snapshot: WorkerSnapshot, _ downstream: Connection
    ) -> ServedListener.OtherServer {
        guard let tls = downstream.transport.tls, let served = snapshot.served(downstream.listener) else {
            return .none
        }
        return served.otherServer(authority: authority, serverName: tls.serverName)
    }

    /// The configuration that the client's connection uses now.
    var currentSnapshot: Unretained<WorkerSnapshot>? {
        matchedBy.unretained ?? downstream?.connection { $0.snapshot.unretained }
    }

    /// The route is of this configuration, and so are the numbers in it. The connection may have a newer one when the
    /// course goes on.
    func keepSnapshot() { matchedBy = downstream?.connection { $0.snapshot } }

    /// A destination was chosen: the configuration is not needed any more.
    @inline(__always)
    func letGoOfSnapshot() { if matchedBy != nil { matchedBy = nil } }

    /// The exchange is given up at that time.
    func setDeadline(_ time: MonotonicTime) {
        deadline = time
        timers.deadline = services.loop.arm(at: time, .deadline, number)
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
        if heldBody != nil { return .upstreamStalled }
        if case .stream(let stream) = upstream, stream.session.pending(stream.slot) > 0 { return .upstreamStalled }
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
        injected = EarlierFlags()
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
