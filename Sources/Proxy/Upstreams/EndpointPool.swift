internal import Balancing
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// How an endpoint is spoken to. Two clusters that want it differently share its address, but no connection.
struct UpstreamTransport: Equatable {
    let isHTTP2: Bool
    /// The cluster, where it has limits of its own.
    var cluster: ObjectIdentifier?
    /// `UpstreamSecurity.number`; 0 is clear text.
    var security = 0
    /// Whether no session speaks on the connection, and it serves one client alone.
    var isRelay = false
    /// By which version of the PROXY protocol the endpoint gets the client's address first; nil: it does not.
    var proxyVersion: ProxyVersion?

    /// For octets of any protocol.
    static func relay(to destination: DestinationHandle) -> UpstreamTransport {
        UpstreamTransport(
            isHTTP2: false, cluster: destination.limits?.cluster, security: destination.security?.number ?? 0,
            isRelay: true, proxyVersion: destination.proxyVersion)
    }
}

/// One worker's connections to one endpoint by one transport, and the exchanges that wait for one.
///
/// Thread: its worker's. Freed by: `Upstreams`, when its endpoint is gone and nothing runs on it.
final class EndpointPool {
    let endpoint: Endpoint
    let transport: UpstreamTransport
    let address: SocketAddress?
    /// The same by both families; see Racing.swift. nil: there is one address.
    let dual: (ipv6: SocketAddress, ipv4: SocketAddress, memory: FamilyMemory)?
    /// nil is clear text.
    let security: UpstreamSecurity?
    /// Of the requests that share the connections, where TLS depends on it; else empty.
    let host: String
    /// What is spoken: `transport.isHTTP2`, until an endpoint chooses something else by ALPN.
    private(set) var isHTTP2: Bool
    /// Resumes a TLS session: used once, and renewed by the connection that used it. Source: RFC 8446 Appendix C.4.
    var ticket: TLSTicket?
    /// The endpoint's pool for another transport.
    var other: EndpointPool?
    /// The idle ones; the newest is reused first. HTTP/1.1 only.
    private var idle: [Connection] = []
    /// How many connections of HTTP/1.1 are idle, which a limit bounds.
    var idleCount: Int { idle.count }
    /// All that are open, in the order of their making; the first with room takes the next stream. HTTP/2 only.
    private var shared: [Connection] = []
    /// The one of `shared` that took the last stream; most probably it takes the next one too.
    private var newest: Unretained<Connection>?
    /// Connections that are open or being made.
    private(set) var count = 0
    /// Of these: whose TCP or TLS handshake is in progress.
    private(set) var connecting = 0
    /// Of these: second attempts to make one connection, beside the first.
    var doubled = 0
    private var waiting = WaitingQueue()
    /// What the endpoint last said of its limit on streams, for connections that have not heard it yet.
    var learnedStreamLimit = Int.max
    /// How long it takes to begin its answers to gRPC calls.
    var answers = AnswerTimes()
    /// Of its cluster, as the newest configuration has them; nil for most.
    var limits: PoolLimits? {
        didSet { if limits?.streams != oldValue?.streams { learnedStreamLimit = limits?.streams ?? .max } }
    }

    /// The endpoint has left.
    private(set) var isRetired = false

    // MARK: connections of one client each; see ClientPools.swift

    /// Whose connections a pool has.
    struct ClientKey: Hashable {
        /// The client's connection, as long as it is open; nil: nobody's.
        let client: ObjectIdentifier?
        /// As `host`.
        let host: String
    }

    /// The pool to which a client's pool belongs, and its key there.
    struct Kinship {
        let parent: EndpointPool
        let key: ClientKey
    }

    /// What each connection begins with.
    var preamble: [UInt8] = []
    /// nil for pools that serve all clients.
    var kinship: Kinship?
    /// By client: pools of connections that no other client's requests use.
    var children: [ClientKey: EndpointPool] = [:]
    /// The connections of all of these.
    private(set) var familyCount = 0

    /// Connections that count beside this pool's.
    var crowd: Int { kinship?.parent.familyCount ?? count }

    /// Those that are kept for further requests.
    var kept: [Connection] { idle + shared }

    /// - Parameters:
    ///   - security: that of `transport`; nil is clear text.
    ///   - host: see `host`.
    init(
        endpoint: Endpoint, transport: UpstreamTransport, security: UpstreamSecurity? = nil, host: String = ""
    ) {
        self.endpoint = endpoint
        self.transport = transport
        self.security = security
        self.host = host
        isHTTP2 = transport.isHTTP2
        address = SocketAddress(endpoint.address)
        if let both = endpoint.state.dual, let ipv6 = SocketAddress(both.ipv6), let ipv4 = SocketAddress(both.ipv4) {
            dual = (ipv6, ipv4, both.memory)
        } else {
            dual = nil
        }
    }

    /// Whether it is of use to one cluster, or to certain TLS settings, alone.
    var belongs: Bool { security != nil || transport.cluster != nil }
    /// Whether no configuration has these any more.
    var isOutdated: Bool { security?.isGone == true || limits?.usage.isGone == true }

    /// Whether its connections are for requests to this host.
    func isFor(host wanted: Octets) -> Bool {
        host.withOctets { $0.equalsIgnoringCase(wanted) }
    }

    // MARK: connections

    /// A connection that the applicant may take at once; nil when there is none, or others have waited for it. Those
    /// that want a new one wait for none that is kept, as long as one is being made for each of them.
    @inline(__always)
    func available(to applicant: Applicant, at now: MonotonicTime) -> Unretained<Connection>? {
        guard !applicant.wantsNew || isHTTP2, waiting.usualCount == 0, waiting.choosyCount <= expected else {
            return nil
        }
        return available(at: now)
    }

    /// A connection that can take a request now; nil when there is none. One that was silent for a while is looked at
    /// first: where the endpoint has ended it, the event that says so is on its way.
    @inline(__always)
    func available(at now: MonotonicTime) -> Unretained<Connection>? {
        if isHTTP2 {
            if let newest, newest({ $0.takesRequests && !Self.isEnded($0, at: now) }) { return newest }
            return sharedWithRoom(at: now)
        }
        while let connection = idle.popLast() {
            // The loop's table of slots has it until the end of the turn in which it is closed.
            if connection.takesRequests, !Self.isEnded(connection, at: now) { return Unretained(connection) }
        }
        return nil
    }

    /// A connection of HTTP/1.1 that has had no request.
    private func unused() -> Unretained<Connection>? {
        guard let index = idle.lastIndex(where: { !$0.hasServed && $0.takesRequests }) else { return nil }
        return Unretained(idle.remove(at: index))
    }

    private func sharedWithRoom(at now: MonotonicTime) -> Unretained<Connection>? {
        for connection in shared where connection.takesRequests && !Self.isEnded(connection, at: now) {
            newest = Unretained(connection)
            return newest
        }
        return nil
    }

    /// Servers end connections that are idle for seconds: one that has said something a moment ago costs no system
    /// call, and a silent one with many new requests one in this time.
    private static let fresh = Duration.seconds(1)

    @inline(__always)
    private static func isEnded(_ connection: Connection, at now: MonotonicTime) -> Bool {
        guard connection.state.lastKnownOpen + fresh <= now else { return false }
        guard !Socket.hasPeerEnded(connection.transport.descriptor) else { return true }
        connection.state.foundOpen(at: now)
        return false
    }

    /// A connection is being made.
    func connectionBegan() {
        count += 1
        if let kinship { kinship.parent.familyCount += 1 }
        limits?.usage.take(.connections)
        connecting += 1
    }

    /// Its handshakes are done, and its session is made.
    /// - Parameter chosen: whether that speaks HTTP/2; nil: what the transport says.
    func connectionOpened(_ connection: Connection, isHTTP2 chosen: Bool? = nil) {
        connecting -= 1
        isHTTP2 = chosen ?? transport.isHTTP2
        if isHTTP2 { shared.append(connection) }
    }

    /// No request has or wants a connection: its connections may be closed.
    var isUnused: Bool {
        waitingCount == 0 && connecting == 0 && idle.count + shared.count == count
            && shared.allSatisfy { $0.session.openStreams == 0 }
    }

    /// An HTTP/1.1 connection has no request any more.
    func becameIdle(_ connection: Connection) { idle.append(connection) }

    /// The connection is closed.
    func remove(_ connection: Connection) {
        count -= 1
        if let kinship { kinship.parent.familyCount -= 1 }
        limits?.giveBack(.connections)
        if connection.state.isConnecting { connecting -= 1 }
        newest = nil
        idle.removeAll { $0 === connection }
        shared.removeAll { $0 === connection }
    }

    /// The endpoint has left: connections are not kept any more.
    /// - Returns: those that are open and not in use by HTTP/1.1.
    func retire() -> [Connection] {
        isRetired = true
        return idle + shared
    }

    /// Those whose place a new connection takes.
    func wornOut() -> [Connection] { shared.filter { $0.isWornOut && $0.state.isServing } }

    // MARK: the queue

    /// How many requests wait for a connection, which a limit bounds.
    var waitingCount: Int { waiting.count }

    /// Whether the connections that are being made will not do for all that wait.
    var needsConnection: Bool {
        guard isHTTP2 else { return expected < waitingCount }
        return expected * min(learnedStreamLimit, Self.usualStreams) < waitingCount
    }

    /// Connections that may come of those that are being made.
    private var expected: Int { connecting - doubled }

    /// Streams that an endpoint is supposed to allow until it has said its limit.
    private static let usualStreams = 100

    /// How many of those that wait had counted on a connection that could not be made. One of HTTP/2 was for all,
    /// unless another is on its way; one of HTTP/1.1 for one, unless as many are on their way as wait.
    var unservedByFailure: Int {
        if isHTTP2 { return expected > 0 ? 0 : waitingCount }
        return expected < waitingCount ? 1 : 0
    }

    /// Whether a connection that is there, or on its way, can still come to serve those that wait. One that ends with
    /// its streams cannot, however long they last.
    var hasProspect: Bool {
        guard isHTTP2 else { return count > 0 }
        return connecting > 0 || shared.contains { $0.isOpen && $0.state.isServing && !$0.session.isClosing }
    }

    /// Whether some want new connections, and fewer are being made.
    var lacksNew: Bool { !isHTTP2 && waiting.choosyCount > expected }

    /// Puts an exchange at the end of those that wait for a connection.
    func enqueue(_ applicant: Applicant) -> WaitingQueue.Place {
        waiting.join(isHTTP2 ? Applicant(exchange: applicant.exchange) : applicant)
    }

    /// The exchange that has waited longest; those that want a new connection are asked first.
    func dequeue() -> Int? { dequeue(choosy: true) ?? dequeue(choosy: false) }

    private func dequeue(choosy: Bool) -> Int? {
        guard let exchange = waiting.serve(choosy: choosy) else { return nil }
        limits?.giveBack(.pending)
        return exchange
    }

    /// The exchange whose turn it is and its connection; nil when none waits, or no connection has room. Who wants a
    /// new connection gets a kept one only where none is being made for it, and then before those that take any.
    func nextServed(at now: MonotonicTime) -> (exchange: Int, connection: Unretained<Connection>)? {
        guard waitingCount > 0 else { return nil }
        if waiting.choosyCount > 0, !isHTTP2 {
            if let connection = unused(), let exchange = dequeue(choosy: true) { return (exchange, connection) }
            if !lacksNew {
                guard waiting.usualCount > 0, let connection = available(at: now) else { return nil }
                return dequeue(choosy: false).map { ($0, connection) }
            }
        }
        guard let connection = available(at: now) else { return nil }
        return dequeue().map { ($0, connection) }
    }

    /// The exchange waits no more.
    func leave(_ place: WaitingQueue.Place, _ exchange: Int) {
        if waiting.leave(place, exchange) { limits?.giveBack(.pending) }
    }
}

extension SocketAddress {
    /// Where an endpoint listens, for the kernel; nil if it is no address.
    init?(_ endpoint: EndpointAddress) {
        switch endpoint {
        case .ip(let host, let port): self.init(host: host, port: port)
        case .unix(let path): self.init(unixPath: path)
        }
    }
}
