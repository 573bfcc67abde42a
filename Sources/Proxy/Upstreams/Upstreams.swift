internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// One worker's connections to endpoints: kept ones, new ones, and the queues of exchanges that wait for one.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Upstreams {
    let services: WorkerServices
    private var failures = ConnectFailures()
    /// Why the last connection could not be made, for `Acquired.failed`.
    var lastFailure = ""
    private var lastKind = ConnectFailure.other
    /// What that means to a request.
    var lastSituation: Situation { lastKind == .lacking ? .connectLacking : .connectFailed }
    private var unserved: [EndpointPool] = []    // exchanges wait there, and a connection is gone
    /// By `Endpoint.number`; further transports behind `other`.
    var pools: ContiguousArray<EndpointPool?> = []
    var hasPoolsApart = false    // there may be some that belong to TLS settings or to a cluster
    // They refer to each other: set once by the worker, which takes them away when it ends.
    var exchanges: Exchanges!
    var connections: Connections!
    var relays: Relays!

    init(services: WorkerServices) { self.services = services }

    /// What a request for a connection came to.
    enum Acquired {
        /// It takes a stream now; a reserved one of HTTP/1.1 is given back by `giveBack`.
        case connection(Unretained<Connection>)
        /// The exchange has a place in that pool's queue: `Exchange.connected` or `connectionFailed` follows.
        case wait(EndpointPool, WaitingQueue.Place)
        /// No connection can be made; `lastFailure` says why.
        case failed
        /// The queue is full.
        case overflow
        /// As many requests wait as the cluster allows.
        case clusterOverflow
    }

    /// A connection to the endpoint for an exchange.
    /// - Parameter limits: of the transport's cluster.
    @inline(__always)
    func acquire(
        _ endpoint: Endpoint, _ transport: UpstreamTransport, _ limits: Unretained<PoolLimits>? = nil,
        for applicant: Applicant
    ) -> Acquired {
        if let known = knownPool(of: endpoint, transport) {
            if let limits { known { pool in limits { if pool.limits !== $0 { pool.limits = $0 } } } }
            if let connection = known({ $0.available(to: applicant, at: services.loop.now) }) {
                return .connection(connection)
            }
        }
        let pool = pool(of: endpoint, transport)
        if let limits { limits { if pool.limits !== $0 { pool.limits = $0 } } }
        return wait(pool, for: applicant)
    }

    /// What came of asking for a connection for a relay.
    enum RelayConnection {
        /// It is on its way, and the relay's.
        case begun
        /// None can be made; `lastFailure` says why.
        case failed
        /// The endpoint has as many as it may have.
        case overflow
    }

    /// Begins a connection for a relay alone. In TLS, the host of the cluster is what a request's would be.
    func connect(_ endpoint: Endpoint, of destination: DestinationHandle, for relay: Relay) -> RelayConnection {
        let (transport, limits) = (UpstreamTransport.relay(to: destination), destination.limits)
        let known = pools(of: endpoint).first { $0.transport == transport }
        let pool =
            known
            ?? link(
                EndpointPool(
                    endpoint: endpoint, transport: transport, security: destination.security,
                    host: destination.cluster.state.identity.host))
        if pool.limits !== limits { pool.limits = limits }
        guard limits?.hasRoomForConnection ?? true else {
            reached(.clusterConnections)
            return .overflow
        }
        guard pool.count < services.limits.upstreamConnections else {
            reached(.upstreamConnections)
            return .overflow
        }
        return connect(pool, for: relay) ? .begun : .failed
    }

    /// Takes a place in the queue, and makes a connection where those that are being made will not do.
    func wait(_ pool: EndpointPool, for applicant: Applicant) -> Acquired {
        if pool.crowd >= services.limits.upstreamConnections { reached(.upstreamConnections) }
        guard pool.waitingCount < services.limits.waitingRequests else {
            reached(.waitingRequests)
            return .overflow
        }
        if let limits = pool.limits, !limits.take(.pending) {
            reached(.clusterPendingRequests)
            return .clusterOverflow
        }
        let place = pool.enqueue(applicant)
        guard pool.needsConnection, mayConnect(pool), !connect(pool), !pool.hasProspect else {
            // None is being made for who wants a new one: a kept one has to do.
            if pool.lacksNew { unserved.append(pool) }
            return .wait(pool, place)
        }
        pool.leave(place, applicant.exchange)
        return .failed
    }

    /// Whether the pool may have one more connection. Where all that it has take no new requests, one that does is
    /// made in any case, as Envoy does: they may last for as long as their streams do.
    /// That is so for a cluster's limit too, because requests would wait there in vain.
    /// Source: envoyproxy/envoy source/common/conn_pool/conn_pool_base.cc (tryCreateNewConnection).
    private func mayConnect(_ pool: EndpointPool) -> Bool {
        guard pool.hasProspect else { return true }
        guard pool.limits?.hasRoomForConnection ?? true else {
            reached(.clusterConnections)
            return false
        }
        return pool.crowd < services.limits.upstreamConnections
    }

    /// Counts that a limit has kept a request or a connection back.
    func reached(_ limit: ReachedLimit) { services.metrics.reached(limit) }

    @inline(__always)
    private func knownPool(of endpoint: Endpoint, _ transport: UpstreamTransport) -> Unretained<EndpointPool>? {
        guard endpoint.number < pools.count else { return nil }
        var next = pools[endpoint.number].unretained
        while let pool = next {
            if pool({ $0.transport == transport }) { return pool }
            next = pool { $0.other.unretained }
        }
        return nil
    }

    private func pool(of endpoint: Endpoint, _ transport: UpstreamTransport) -> EndpointPool {
        if let known = knownPool(of: endpoint, transport) { return known { $0 } }
        return link(EndpointPool(endpoint: endpoint, transport: transport))
    }

    /// Puts a new pool at the head of those of its endpoint.
    func link(_ pool: EndpointPool) -> EndpointPool {
        let number = pool.endpoint.number
        while pools.count <= number { pools.append(nil) }
        if pool.belongs { hasPoolsApart = true }
        pool.other = pools[number]
        pools[number] = pool
        return pool
    }

    /// Begins a connection.
    /// - Returns: false when that is impossible.
    private func connect(_ pool: EndpointPool, for relay: Relay? = nil) -> Bool {
        guard let address = pool.address else {
            note(.other, "the address is not valid", pool)
            return false
        }
        if pool.dual != nil { return Racing.begin(pool, for: relay, by: self) }
        do throws(SystemError) {
            try connect(pool, to: address, for: relay)
            return true
        } catch {
            note(ConnectFailure(error), error.reason, pool)
            return false
        }
    }

    /// Begins a connection to an address of the pool's endpoint.
    /// - Parameter race: whose attempt it is; nil: it is the only one.
    func connect(
        _ pool: EndpointPool, to address: SocketAddress, for relay: Relay?, in race: ConnectRace? = nil
    ) throws(SystemError) {
        let descriptor = try Socket.connect(address)
        var made: Connection?
        let slot = services.loop.register { slot in
            let began = race?.began ?? services.loop.now
            let connection = Connection(slot: slot, descriptor: descriptor, pool: pool, now: began)
            made = connection
            return .connection(connection)
        }
        do throws(SystemError) {
            try services.loop.watch(descriptor, slot: slot)
        } catch {
            Socket.close(descriptor)
            services.loop.vacate(slot)
            throw error
        }
        guard let connection = made else { return }
        if let relay {
            connection.relay = relay
            relay.upstream = Unretained(connection)
        }
        pool.connectionBegan()
        pool.limits?.prepare(connection)
        if let race { Racing.enter(race, connection, limits: services.limits) }
        services.metrics.connectionOpened(.upstream)
        connections.schedule(connection)
    }

    /// Counts a connection that could not be made, and says why: to those that wait, and on standard error.
    /// - Parameters:
    ///   - address: the one of the endpoint's that it is about; nil where there is one.
    ///   - advice: what to do about it; nil: what the failure itself advises.
    func note(
        _ failure: ConnectFailure, _ words: String, _ pool: EndpointPool, at address: String? = nil,
        advice: String? = nil
    ) {
        services.metrics.upstreamConnectFailed(failure)
        lastKind = failure
        let reason = words.prefix(1).lowercased() + words.dropFirst()
        lastFailure = (address.map { "\($0): " } ?? "") + reason
        let wall = services.loop.wallNow
        let line = failures.line(
            endpoint: address ?? pool.endpoint.name, reason, advice: advice ?? failure.advice, at: wall.seconds)
        if let line { services.messages.warn(line, at: wall) }
    }

    /// The TCP handshake of a connection has ended, one way or the other. In TLS, another one follows.
    func connected(_ connection: Connection, _ event: Readiness) {
        guard event.isWritable || event.isHungUp, let pool = connection.pool else { return }
        if let code = Socket.connectError(connection.transport.descriptor) {
            let error = SystemError("connect to", code: code)
            note(ConnectFailure(error), error.reason, pool, at: connection.reached)
            return connectFailed(connection, .connectFailed)
        }
        guard sendsPreamble(connection, pool) else {
            note(.other, "the endpoint does not take the header of the PROXY protocol", pool, at: connection.reached)
            return connectFailed(connection, .connectFailed)
        }
        if let security = pool.security { return beginHandshake(connection, pool, security) }
        if connection.relay != nil { return beginRelay(connection, pool, mayHaveOctets: event.isReadable) }
        open(connection, pool, http2: pool.transport.isHTTP2)
        if event.isReadable { connections.read(connection) }
    }

    /// All handshakes of a relay's connection are done.
    func beginRelay(_ connection: Connection, _ pool: EndpointPool, mayHaveOctets: Bool) {
        guard let relay = connection.relay else { return }
        Racing.won(connection, pool, by: self)
        pool.connectionOpened(connection, isHTTP2: false)
        relays.connected(relay, connection, mayHaveOctets: mayHaveOctets)
    }

    /// All handshakes of a connection are done.
    func open(_ connection: Connection, _ pool: EndpointPool, http2 isHTTP2: Bool) {
        Racing.won(connection, pool, by: self)
        connections.startSession(connection, http2: isHTTP2)
        pool.connectionOpened(connection, isHTTP2: isHTTP2)
        if isHTTP2 { for old in pool.wornOut() { connections.drain(old) } }
        if !isHTTP2 { pool.becameIdle(connection) }
        serve(pool)
        services.markDirty(connection)
        // The endpoint left while the connection was being made: it ends with the requests that have waited for it.
        if pool.isRetired { connections.drain(connection) }
    }

    private static let silentInTLS =
        "it has accepted the connection and says nothing: look at its log, and whether this port speaks TLS"

    /// The endpoint did not accept a connection in time.
    func connectTimedOut(_ connection: Connection) {
        if let pool = connection.pool {
            let what = connection.transport.isSecure ? "no TLS connection" : "no connection"
            let time = connection.state.terms.connectTimeout(services.limits)
            let advice = connection.transport.isSecure ? Self.silentInTLS : nil
            note(.timedOut, "\(what) within \(time)", pool, at: connection.reached, advice: advice)
        }
        connectFailed(connection, .connectTimedOut)
    }

    /// The connection has taken requests for as long as its cluster wants: it ends with those that it has.
    func aged(_ connection: Connection) {
        connections.drain(connection)
        if !connection.isClosed { connections.schedule(connection) }
        wentAway(connection)
    }

    /// No connection came of it. The exchanges whose turn it was hear of it; others may have a further connection.
    func connectFailed(_ connection: Connection, _ situation: Situation) {
        if Racing.goesOn(without: connection, by: self) { return }
        let reason = lastFailure
        if let relay = connection.relay.take() {
            connections.close(connection)
            return relays.connectFailed(relay, because: reason)
        }
        guard let pool = connection.pool else { return connections.close(connection) }
        connections.close(connection)
        // Who wanted a new connection has a kept one now, if there is one.
        serveWaiting(pool)
        var rest = pool.unservedByFailure
        while rest > 0, let number = pool.dequeue() {
            rest -= 1
            exchanges.connectionFailed(number, situation, because: reason)
        }
    }

    /// Gives connections that have room to the exchanges that have waited longest, and makes further ones.
    func serve(_ pool: EndpointPool) {
        // A connection that was lost has left its place to a new one.
        while pool.lacksNew, mayConnect(pool), connect(pool) {}
        serveWaiting(pool)
        while pool.needsConnection, mayConnect(pool) {
            guard !connect(pool) else { continue }
            // Nothing is on its way: whoever waits would wait for ever.
            guard !pool.hasProspect, let number = pool.dequeue() else { return }
            let reason = lastFailure
            exchanges.connectionFailed(number, lastSituation, because: reason)
        }
    }

    private func serveWaiting(_ pool: EndpointPool) {
        while let served = pool.nextServed(at: services.loop.now) {
            served.connection { exchanges.connected(served.exchange, $0) }
        }
    }

    /// Whether a pool has lost a connection since `serveUnserved` was called last, and exchanges wait there.
    var hasUnserved: Bool { !unserved.isEmpty }

    /// Before the worker sleeps: looks for connections for those whose pool has lost one.
    func serveUnserved() {
        while let pool = unserved.popLast() { serve(pool) }
    }

    /// An exchange waits no more.
    func leave(_ pool: EndpointPool, _ place: WaitingQueue.Place, _ exchange: Int) { pool.leave(place, exchange) }

    /// A connection has room again, or was reserved and is not needed: the next request may use it.
    func giveBack(_ connection: Connection) {
        guard let pool = connection.pool.unretained else { return }
        pool { giveBack(connection, $0) }
    }

    @inline(__always)
    private func giveBack(_ connection: Connection, _ pool: EndpointPool) {
        guard connection.takesRequests else {
            services.markDirty(connection)
            if pool.waitingCount > 0 { unserved.append(pool) }
            return
        }
        // Not at once: a request that gives its connection back while it is served would be served from within, and
        // so would the one behind it.
        if connection.session.isHTTP2 || keepIdle(connection, pool), pool.waitingCount > 0 { unserved.append(pool) }
    }

    /// - Returns: false when so many are idle that this one is closed instead.
    private func keepIdle(_ connection: Connection, _ pool: EndpointPool) -> Bool {
        guard !pool.isRetired else {
            connections.drain(connection)
            return false
        }
        guard pool.idleCount < services.limits.idleUpstreamConnections else {
            reached(.idleUpstreamConnections)
            connections.drain(connection)
            return false
        }
        pool.becameIdle(connection)
        return true
    }

    /// The connection is closed and no connection of its pool.
    func closed(_ connection: Connection) {
        guard let pool = connection.pool else { return }
        if connection.race != nil { Racing.leave(connection, pool, by: self) }
        if connection.hasServed { keepTicket(of: connection) }
        pool.remove(connection)
        connection.pool = nil
        if pool.waitingCount > 0 { unserved.append(pool) }
    }

    /// The connection takes no new requests any more, and may last for as long as its streams do: requests that wait
    /// behind it have another one made.
    func wentAway(_ connection: Connection) {
        if let pool = connection.pool, pool.waitingCount > 0 { unserved.append(pool) }
    }

    /// Connections to endpoints that no cluster has any more end when their streams do.
    /// - Parameter numbers: of endpoints, perhaps of some that are still in use.
    func drop(_ numbers: [Int]) {
        for number in numbers where number < pools.count {
            guard let pool = pools[number], pool.endpoint.isGone else { continue }
            pools[number] = nil
            retire(pool)
        }
    }

    /// Also those that old requests made after their endpoint had left.
    func dropUnused() {
        drop(Array(pools.indices))
        dropOutdated()
    }

    private func retire(_ first: EndpointPool) {
        var next: EndpointPool? = first
        while let pool = next {
            end(pool)
            next = pool.other
        }
    }

    /// The pool makes and keeps no connections any more. One that is in use ends when it is given back.
    func end(_ pool: EndpointPool) {
        for connection in pool.retire() { connections.drain(connection) }
        for child in pool.children.values { end(child) }
        pool.children = [:]
    }

    // MARK: resets

    /// A stream of an endpoint's connection was reset before its answer was complete. Where that has happened too
    /// often, another connection takes over as soon as it is open; streams that are under way end where they are.
    func noteReset(on connection: Connection) {
        guard case .http2(let session) = connection.session, connection.state.isServing, let pool = connection.pool,
            session({
                connection.earlyResets.isReached(
                    resets: $0.resetsFramed, streams: $0.begunStreams, limit: services.limits.upstreamResets,
                    at: services.loop.now)
            })
        else { return }
        if !connection.isWornOut { reached(.upstreamResets) }
        connection.isWornOut = true
        guard !pool.isRetired, pool.connecting == 0 else { return }
        // Without a place for another one, waiting requests get it when no connection takes any.
        guard pool.crowd < services.limits.upstreamConnections, pool.limits?.hasRoomForConnection ?? true else {
            connections.drain(connection)
            return wentAway(connection)
        }
        _ = connect(pool)    // when that fails, this one goes on, and the next reset tries again
    }

    // MARK: what an endpoint says of its limits

    /// Streams beyond the endpoint's limit that wait for their turn move to another connection. Those that
    /// were framed are left to the endpoint, which refuses them: they cannot be taken back.
    func learnSettings(_ connection: Connection) {
        guard case .http2(let session) = connection.session else { return }
        session { learnSettings(connection, $0) }
        if let pool = connection.pool, pool.waitingCount > 0 { serve(pool) }
    }

    private func learnSettings(_ connection: Connection, _ session: HTTP2Session) {
        let limit = session.peerConcurrentStreams
        if limit == 0 { return loseUnsent(of: connection, session) }
        connection.pool?.learnedStreamLimit = min(max(limit, 1), connection.pool?.limits?.streams ?? .max)
        var excess = session.openStreams - limit
        guard excess > 0 else { return }
        var unsent = Self.unsent(session)
        while excess > 0, let stream = unsent.popLast() {
            excess -= 1
            exchanges.with(stream.exchange) { if $0.isUsing(upstream: connection, stream.slot) { $0.moveElsewhere() } }
        }
    }

    /// The endpoint takes no streams at all: what waits is refused, and counts as a try. Another
    /// connection would say the same, and so on without an end.
    private func loseUnsent(of connection: Connection, _ session: HTTP2Session) {
        let unsent = Self.unsent(session)
        connections.drain(connection)
        for (slot, number) in unsent {
            exchanges.with(number) {
                guard $0.isUsing(upstream: connection, slot) else { return }
                $0.upstreamFailed(.upstreamRefused, code: ErrorCode.refusedStream)
                session.reset(slot, code: ErrorCode.cancel)
            }
        }
        services.markDirty(connection)
    }

    private static func unsent(_ session: HTTP2Session) -> [(slot: Int, exchange: Int)] {
        var unsent: [(slot: Int, exchange: Int)] = []
        session.forEachOpen { slot, owner in
            if case .exchange(let number) = owner, session.isWaiting(slot) { unsent.append((slot, number)) }
        }
        return unsent
    }
}
