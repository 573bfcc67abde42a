internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// One TCP connection, to a client (downstream) or to an endpoint (upstream): its state, the transport under it and the
/// session that speaks HTTP on it. It lives and dies on one worker. It owns no buffer while nothing is pending.
///
/// Thread: its worker's. Freed by: `Loop`, at the end of the turn in which it was closed.
final class Connection {
    let slot: Int    // in the worker's loop
    var state: ConnectionState
    var transport: Transport
    /// What is spoken; points to `speaker`.
    private(set) var session = Session.undecided
    private var speaker: AnyObject?

    var isDirty = false    // listed for a flush at the end of the turn
    var isUnread = false    // listed to be read without another event
    // See ConnectionLists.
    var servedTurn: UInt32 = 0    // the last one of which it has had its part of reading
    var writes: (turn: UInt32, count: Int) = (0, 0)    // the last turn that wrote, and how often
    private var workload: Int32 = 0    // of its last readings, the newest half of it
    var pendingOutput: OctetBuffer?    // what the kernel did not take
    var endsSide = false    // our side ends when all is sent; the peer's is still read
    var sniffed: OctetBuffer?    // first octets, too few to tell the protocol
    var timer = TimerWheel.TimerID.none    // the deadline of the phase
    var pause = TimerWheel.TimerID.none    // nothing is read until then
    var relay: Relay?    // what passes its octets on; nil for requests

    // Downstream
    let listener: Int?    // ListenerSockets.number; nil for upstreams
    /// The client's address: the peer's own, or what a header of the PROXY protocol said.
    private(set) var peer: SocketAddress?
    /// What that header said; nil where there is none.
    private(set) var announcement: Announcement?
    var headerBegun: OctetBuffer?    // the first octets of such a header, which is not complete
    var expectsTLS = false    // its listener had TLS when it was accepted
    var countsAsHandshake = false    // among those of its worker; see ClientHandshakes
    var hello: HelloInProgress?    // a ClientHello that is read before it is known whose TLS it begins
    /// The client's address as `x-forwarded-for` wants it.
    let peerHost: OctetBuffer
    private(set) var snapshot: WorkerSnapshot?    // of the newest request
    private(set) var table: Int?    // the route table in that snapshot; nil when none is its
    private(set) var clientDemand = ClientDemandState.none    // of the port, in that snapshot
    private(set) var trust = ClientTrust.none    // the same
    /// `x-forwarded-client-cert`; nil for a client that showed no certificate, or none that was verified.
    private(set) var certificate: OctetBuffer?

    /// Its connections to endpoints that get its address; see ClientPools.swift.
    var ownPools: [EndpointPool] = []

    // Upstream
    var pool: EndpointPool?
    var hasServed = false    // answered a request before
    var requestsLeft = Int.max    // until it ends; counted where its cluster wants that
    /// Streams to an endpoint that we reset before their answer, which endpoints bound.
    var earlyResets = EarlyResets()
    var isWornOut = false    // another connection takes its place as soon as it is open
    var race: ConnectRace?    // of which it is an attempt, until it is ready
    var reached: String?    // its address, where its endpoint has two
    var lostBecause = ""    // the kernel's reason, when a system call has failed, or that of a timer

    /// Why the connection cannot be used any more, in words; empty when it was simply closed.
    var failure: String {
        if !lostBecause.isEmpty { return lostBecause }
        if let breach = transport.tls?.breach { return breach.words }
        switch session {
        case .undecided: return ""
        case .http1(let session): return session { $0.violation.map { "\($0.sentence) (\($0.source))" } ?? "" }
        case .http2(let session):
            return session { session in
                session.violation.map { $0.words(session.violationFrame) } ?? ""
            }
        }
    }

    /// What the end of a client's connection means to its requests: the client went away, or had to be cut off.
    var endOfClient: Situation {
        guard case .http2(let session) = session, let violation = session({ $0.violation }) else {
            return .clientClosed
        }
        return .requestMalformed(violation)
    }

    /// What the end of an upstream's connection means to its requests. An endpoint of TLS 1.3 refuses our certificate
    /// after we may have sent some, and has read none of them.
    var endOfUpstream: Situation {
        transport.tls?.refusedIdentity.map { .handshakeFailed($0) } ?? .upstreamClosed
    }

    /// Notes why the kernel neither takes nor gives octets any more.
    func note(_ end: IOResult) {
        if case .failed(let code) = end { lostBecause = SystemError("read", code: code).reason.lowercased() }
    }

    /// A client's connection.
    init(slot: Int, descriptor: CInt, listener: Int, peer: SocketAddress?, now: MonotonicTime) {
        self.slot = slot
        self.listener = listener
        self.peer = peer
        peerHost = OctetBuffer(capacity: 64)
        peerHost.append(text: peer?.host ?? "unknown")
        state = ConnectionState(role: .downstream, phase: .sniffing(hasOctets: false), now: now)
        transport = Transport(descriptor: descriptor)
    }

    /// An upstream's, which `pool` has begun.
    init(slot: Int, descriptor: CInt, pool: EndpointPool, now: MonotonicTime) {
        self.slot = slot
        self.pool = pool
        listener = nil
        peer = nil
        peerHost = OctetBuffer(capacity: 64)
        state = ConnectionState(role: .upstream, phase: .connecting, now: now)
        transport = Transport(descriptor: descriptor)
    }

    /// Addresses as the access log writes them, made when they are first wanted.
    private(set) lazy var localText = localAddress?.description
    /// The peer's address, likewise.
    private(set) lazy var peerText = peer?.description

    /// The address to which the client has connected, as far as that is known.
    var localAddress: SocketAddress? { announcement?.destination ?? Socket.localAddress(transport.descriptor) }

    /// Address and port of the TCP peer itself.
    var directText: String? { announcement?.direct ?? peerText }

    /// A header of the PROXY protocol says whose connection it is.
    func note(_ announcement: Announcement) {
        self.announcement = announcement
        localText = localAddress?.description
        guard let client = announcement.client else { return }
        peer = client
        peerText = client.description
        peerHost.clear()
        peerHost.append(text: client.host)
    }

    /// From now on HTTP/1.1 is spoken; the connection owns the session.
    func speak(_ session: HTTP1Session) {
        speaker = session
        self.session = .http1(Unretained(session))
    }

    /// From now on HTTP/2 is spoken; the connection owns the session.
    func speak(_ session: HTTP2Session) {
        speaker = session
        self.session = .http2(Unretained(session))
    }

    /// Uses that configuration from now on.
    func adopt(_ snapshot: WorkerSnapshot, _ served: ServedListener) {
        self.snapshot = snapshot
        trust = served.topology.map { ClientTrust($0, of: peer) } ?? .none
        guard let tls = transport.tls else { return table = served.clearTable }
        table = served.table(serverName: tls.serverName)
        clientDemand = served.clientDemand(on: tls)
    }

    /// The handshake is complete: what upstreams get to know of the client's certificate.
    /// - Returns: whether a part of it is left out for its length.
    func noteCertificate() -> Bool {
        guard let forwarded = transport.tls?.forwardedCertificate else { return false }
        let text = forwarded.value
        let buffer = OctetBuffer(capacity: text.count)
        text.withOctets { buffer.append($0) }
        certificate = buffer
        return forwarded.isShortened
    }

    /// All is sent: our side ends.
    func endSide() {
        endsSide = false
        transport.finish()
    }

    /// Keeps no configuration alive while no request needs it.
    func releaseSnapshot() { snapshot = nil }

    /// The TLS server name that the client asked for, as far as it is known.
    var serverName: String? { transport.tls?.serverName ?? hello?.serverName ?? relay?.serverName }

    /// A request was sent, of which the cluster allows a number.
    /// - Returns: whether it is the last one.
    func isLastRequest() -> Bool {
        requestsLeft -= 1
        return requestsLeft == 0
    }

    var role: ConnectionRole { state.role }
    /// Whether its endpoint listens on a Unix socket.
    var isToUnixSocket: Bool { pool?.address?.isUnix ?? false }
    var isClosed: Bool { state.isClosed }
    var isOpen: Bool { state.isOpen }
    var scheme: HTTP1Parser.Scheme { transport.isSecure ? .https : .http }
    /// The same as text, for `:scheme` and `x-forwarded-proto`.
    var schemeText: Octets { transport.isSecure ? "https" : "http" }

    /// Whether its readings lately took much of a turn: one half of the quota, or several less.
    var isHeavy: Bool { workload >= WorkBudget.quotaPerTurn / 4 }

    /// Whether its next octets may be a handshake's, which may be as much work as a turn has room for.
    var mayShakeHands: Bool {
        switch state.phase {
        case .proxyHeader, .sniffing(hasOctets: false): expectsTLS && !transport.isSecure
        case .handshaking: true
        default: false
        }
    }

    /// What it may take of a turn, in units of `WorkBudget`: an endpoint's connection more, by its open streams. Many
    /// clients wait for these answers, and what is read at once is sent at once.
    /// - Parameter used: units that the turn has taken.
    func fullQuota(used: Int32) -> Int32 {
        role == .upstream ? WorkBudget.quota(ofAnswers: session.openStreams, used: used) : WorkBudget.quotaPerTurn
    }

    /// What it may take of a turn that is long already: twice what its readings took lately, so that steady traffic
    /// is not cut into pieces.
    var crowdedQuota: Int32 { min(max(WorkBudget.leastQuota, 2 * workload), WorkBudget.quotaPerTurn) }

    /// What was long ago says nothing of what comes now.
    func forgetOldWork(at now: MonotonicTime) { if state.lastActive + .seconds(1) <= now { workload = 0 } }

    /// - Parameter units: of work that one reading took. Work counts for some readings that follow, so that heavy ones
    ///   between light ones do not pass as light.
    func noteWork(_ units: Int32) { workload = workload / 2 + min(units, WorkBudget.quotaPerTurn) / 2 }

    /// Whether a new request can be sent here now.
    var takesRequests: Bool {
        guard state.isServing, state.isOpen, !state.hasHungUp else { return false }
        switch session {
        case .undecided: return false
        case .http1(let session): return session { $0.takesRequests }
        case .http2(let session):
            let learned = pool.unretained.map { $0 { $0.learnedStreamLimit } } ?? .max
            return session { $0.openStreams < min($0.peerConcurrentStreams, learned) && $0.takesRequests }
        }
    }
}
