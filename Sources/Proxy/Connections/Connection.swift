internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// One TCP connection, to a client (downstream) or to an endpoint (upstream): the socket, TLS if any,
/// and the session that speaks HTTP on it. It lives and dies on one worker; its thread only.
/// It owns no buffer while nothing is pending.
final class Connection {
    enum Role { case downstream, upstream }

    enum Phase {
        case connecting    // upstream: TCP handshake in progress
        case handshaking    // TLS
        case sniffing    // the first octets will tell the protocol
        case open
        case lingering    // all is sent; the peer's late octets are thrown away until it closes
        case closed
    }

    let worker: Worker
    let role: Role
    let descriptor: CInt    // owned; closed by the worker at the end of the turn
    let slot: Int    // in the worker's table
    var phase: Phase
    /// What is spoken; points to `session`.
    private(set) var codec = Codec.undecided
    private var session: AnyObject?
    var tls: TLSSession?

    var isDirty = false    // listed for a flush at the end of the turn
    var isListedForReading = false    // more to read than one turn wants to take
    var isReadingPaused = false    // octets may wait in the kernel without another event
    var isSlow = false    // little is read at a time
    var isWriteBlocked = false    // the kernel takes nothing more
    var hasHungUp = false    // read until the end, short reads notwithstanding
    var isFailing = false    // flush what there is, then close
    var isOverdue = false    // was idle for too long, and told so
    var isShutdownAnnounced = false
    var pendingOutput: OctetBuffer?    // what the kernel did not take
    var sniffed: OctetBuffer?    // first octets, too few to tell
    var timer = TimerWheel.Handle.none    // handshake, linger, connect or idleness
    var pause = TimerWheel.Handle.none    // nothing is read until then: the client asks for too much
    var lastActive: MonotonicTime

    // Downstream
    var listener = -1    // ListenerSockets.number
    var chainTag = -1    // which TLS chain, -1 in clear text
    var peer: SocketAddress?
    /// As `x-forwarded-for` wants it.
    let peerHost = OctetBuffer(capacity: 64)
    var snapshot: WorkerSnapshot?    // of the newest request
    var table = -1    // in that snapshot

    // Upstream
    var hasServed = false    // answered a request before
    var pool: EndpointPool?
    var isDraining = false    // no new streams

    init(worker: Worker, role: Role, descriptor: CInt, slot: Int, phase: Phase, now: MonotonicTime) {
        self.worker = worker
        self.role = role
        self.descriptor = descriptor
        self.slot = slot
        self.phase = phase
        lastActive = now
    }

    /// Addresses as the access log writes them, made when they are first wanted.
    private(set) lazy var localText = Socket.localAddress(descriptor)?.description
    private(set) lazy var peerText = peer?.description

    func speak(_ session: HTTP1Session) {
        self.session = session
        codec = .http1(Unretained(session))
    }

    func speak(_ session: HTTP2Session) {
        self.session = session
        codec = .http2(Unretained(session))
    }

    var isClosed: Bool { phase == .closed }
    var isHeld: Bool { pause.isArmed }
    var scheme: HTTP1Parser.Scheme { tls == nil ? .http : .https }
    var schemeText: Octets { tls == nil ? "http" : "https" }

    /// Reads what waits; TLS or clear.
    func read(into room: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let tls = tls.unretained else { return unsafe Socket.read(descriptor, into: room) }
        for _ in 0..<Self.readsToTheEnd {
            switch tls({ unsafe $0.read(into: room) }) {
            case .octets(let count): return .octets(count)
            // The end of a peer that has hung up waits behind a part of a record, and is no event of its own
            // any more. It comes: each call takes what is there.
            case .wantsRead where hasHungUp: continue
            case .wantsWrite where hasHungUp: return .closed
            case .wantsRead, .wantsWrite: return .wouldBlock
            case .closed, .failed: return .closed
            }
        }
        return .closed
    }

    /// More than a kernel keeps for a connection.
    static let readsToTheEnd = 1000

    /// Writes as much as the kernel takes.
    func write(_ octets: Octets) -> IOResult {
        guard let tls = tls.unretained else { return Socket.write(descriptor, octets) }
        switch tls({ unsafe $0.write(octets.buffer) }) {
        case .octets(let count): return .octets(count)
        case .wantsRead, .wantsWrite: return .wouldBlock
        case .closed, .failed: return .closed
        }
    }

    /// Whether a new request can be sent here now. HTTP/2 may be asked while still connecting.
    var takesRequests: Bool {
        guard !isDraining, !isFailing, phase != .closed, phase != .lingering else { return false }
        switch codec {
        case .undecided: return false
        case .http1(let session): return session { $0.takesRequests }
        case .http2(let session):
            let learned = pool.unretained.map { $0 { $0.learnedStreams } } ?? .max
            return session { $0.openStreams < min($0.peerConcurrentStreams, learned) && $0.takesRequests }
        }
    }
}
