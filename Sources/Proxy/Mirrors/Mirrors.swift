internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// One worker's copies of requests that go to mirrors, with the limits on them: what cannot be sent at once, or is not
/// taken in time, is given up and counted. What follows from what is `MirrorState`'s matter; this has the streams, the
/// timers and the memory.
///
/// Thread: its worker's. Freed by: `Exchanges`.
final class Mirrors {
    private let services: WorkerServices
    private let upstreams: Upstreams
    private var all: [Mirror?] = []    // by `Mirror.number`
    private var free: [Int] = []

    /// Copies of one worker at a time; a further one is not made.
    static let most = 256
    /// How long a mirror may take from the end of the request.
    static let longestTime = Duration.seconds(60)

    init(services: WorkerServices, upstreams: Upstreams) {
        self.services = services
        self.upstreams = upstreams
    }

    /// Copies that are under way.
    var count: Int { all.count - free.count }

    private func with(_ number: Int, _ body: (Mirror) -> Void) {
        guard all.indices.contains(number), let mirror = all[number] else { return }
        body(mirror)
    }

    // MARK: the request

    /// Sends a copy of a request on its way; nil when it is not made.
    /// - Parameters:
    ///   - section: the header section of the try, which stays the caller's.
    ///   - isAlone: no body and no trailers will come.
    func begin(_ section: HeaderBlock, to destination: DestinationHandle, isGRPC: Bool, isAlone: Bool) -> Mirror? {
        let random = services.random.next()
        guard count < Self.most, services.memoryLevel == .ample else { return refused(.dropped) }
        guard destination.unavailable == nil, let endpoint = destination.cluster.next(random: random) else {
            return refused(.failed)
        }
        let number = free.popLast() ?? all.count
        if number == all.count { all.append(nil) }
        let mirror = Mirror(
            number: number, endpoint: endpoint, limits: destination.limits, section: copy(section), isGRPC: isGRPC,
            isAlone: isAlone)
        all[number] = mirror
        let host = RouteTable.host(of: section.first(.authority) ?? .empty)
        switch acquire(endpoint, destination, isHTTP2: isGRPC || destination.isHTTP2, host, for: mirror) {
        case .connection(let connection): connection { submit(mirror, on: $0) }
        case .wait(let pool, let place):
            mirror.place = .queued(pool, place)
            mirror.state.queued()
        case .failed where upstreams.lastSituation == .connectLacking: act(mirror.state.refused(.failed), mirror)
        case .failed: act(mirror.state.broke(), mirror)
        case .overflow, .clusterOverflow: act(mirror.state.refused(.dropped), mirror)
        }
        if isAlone { startClock(mirror) }
        return all[number] === mirror ? mirror : nil
    }

    /// A connection for a copy. In TLS it is one for the host of the request, without `-shadow`.
    private func acquire(
        _ endpoint: Endpoint, _ destination: DestinationHandle, isHTTP2: Bool, _ host: Octets, for mirror: Mirror
    ) -> Upstreams.Acquired {
        let applicant = Applicant(exchange: Self.waitingNumber(mirror.number))
        let limits = destination.limits.unretained
        if let version = destination.proxyVersion {
            return upstreams.acquire(
                endpoint, version, destination.security, isHTTP2: isHTTP2, host: host, limits, of: nil, for: applicant)
        }
        guard let security = destination.security else {
            let transport = UpstreamTransport(isHTTP2: isHTTP2, cluster: destination.limits?.cluster)
            return upstreams.acquire(endpoint, transport, limits, for: applicant)
        }
        return upstreams.acquire(endpoint, security, isHTTP2: isHTTP2, host: host, limits, for: applicant)
    }

    private func refused(_ result: MirrorResult) -> Mirror? {
        services.metrics.mirrored(result)
        return nil
    }

    /// The same fields in memory of their own, for another authority: the mirror's is the request's with `-shadow`
    /// behind the host. Source: envoyproxy/envoy source/common/router/shadow_writer_impl.cc.
    private func copy(_ section: HeaderBlock) -> HeaderBlock {
        let copy = services.pools.takeBlock()
        for field in section.fields {
            guard field.known == .authority else {
                copy.append(copying: field.name, field.value)
                continue
            }
            let authority = services.pools.takeBuffer()
            Self.append(shadowOf: field.value, to: authority)
            copy.append(copying: field.name, authority.octets)
            services.pools.give(authority)
        }
        return copy
    }

    /// `a.com:80` becomes `a.com-shadow:80`. An IPv6 address stays as it is, because nothing may follow its bracket.
    static func append(shadowOf authority: Octets, to output: OctetBuffer) {
        guard authority.count > 0, authority[0] != UInt8(ascii: "[") else { return output.append(authority) }
        var colon = authority.count
        for index in 0..<authority.count where authority[index] == UInt8(ascii: ":") { colon = index }
        output.append(authority.slice(0, colon))
        output.append("-shadow")
        output.append(authority.slice(colon, authority.count))
    }

    /// Octets of the client's body.
    func send(_ mirror: Mirror, _ octets: Octets) {
        let stream = mirror.stream
        switch mirror.state.body(octets.count, pending: stream.map { $0.session.pending($1) } ?? 0) {
        case .hold:
            let body = mirror.body ?? services.pools.takeBuffer()
            body.append(octets)
            mirror.body = body
        case .send:
            guard let (connection, slot) = stream else { return }
            connection.session.send(slot, octets)
            services.markDirty(connection)
        case let action: act(action, mirror)
        }
    }

    /// The client's request is complete.
    func finish(_ mirror: Mirror, trailers: HeaderBlock?) {
        switch mirror.state.requestEnded() {
        case .holdEnd:
            trailers?.hold()
            mirror.trailers = trailers
        case .finish:
            guard let (connection, slot) = mirror.stream else { return }
            connection.session.finish(slot, trailers: trailers)
            services.markDirty(connection)
        case let action: return act(action, mirror)
        }
        startClock(mirror)
    }

    /// The client's request is over, and not all of it has come: its copy cannot be completed.
    func abandon(_ mirror: Mirror) { act(mirror.state.abandoned(), mirror) }

    private func startClock(_ mirror: Mirror) {
        guard all[mirror.number] === mirror else { return }
        mirror.timer = services.loop.arm(at: services.loop.now + Self.longestTime, .mirror, mirror.number)
    }

    private func submit(_ mirror: Mirror, on connection: Connection) {
        guard mirror.state.connected() == .submit, let section = mirror.section.take() else {
            return upstreams.giveBack(connection)
        }
        if let limits = mirror.limits, !mirror.holdings.takeRequest(limits, services.metrics) {
            services.pools.letGo(section)
            upstreams.giveBack(connection)
            return act(mirror.state.refused(.dropped), mirror)
        }
        let slot = connection.session.submitRequest(
            section, isEnd: mirror.isAlone, owner: .mirror(mirror.number), keepsBody: false)
        services.pools.letGo(section)
        guard let slot else {
            upstreams.giveBack(connection)
            return act(mirror.state.refused(.failed), mirror)
        }
        mirror.place = .stream(connection, slot)
        mirror.state.sent()
        if mirror.limits != nil, connection.isLastRequest() { upstreams.connections.drain(connection) }
        if let body = mirror.body.take() {
            connection.session.send(slot, body.octets)
            services.pools.give(body)
        }
        if mirror.state.isRequestEnded, !mirror.isAlone {
            connection.session.finish(slot, trailers: mirror.trailers)
            if let trailers = mirror.trailers.take() { services.pools.letGo(trailers) }
        }
        services.markDirty(connection)
    }

    // MARK: events

    /// Of exchanges and copies, one kind of number in the queues for connections: those of copies are below -1, which
    /// is the queue's own. The function is its own inverse.
    static func waitingNumber(_ mirror: Int) -> Int { -2 - mirror }

    /// A connection is there that a copy has waited for.
    func connected(_ waiting: Int, _ connection: Connection) {
        let number = Self.waitingNumber(waiting)
        guard all.indices.contains(number), let mirror = all[number], case .queued = mirror.place else {
            return upstreams.giveBack(connection)
        }
        mirror.place = .none    // it waits no more, whatever becomes of the connection
        submit(mirror, on: connection)
    }

    /// There is no connection for a copy that waits: the copy ends. Without effect if it waits no more.
    func connectionFailed(_ waiting: Int, _ situation: Situation) {
        with(Self.waitingNumber(waiting)) { mirror in
            guard case .queued = mirror.place else { return }
            mirror.place = .none
            act(mirror.state.connectionFailed(isOurs: situation == .connectLacking), mirror)
        }
    }

    /// Something has come from the mirror.
    func came(_ event: StreamEvent, _ number: Int, from connection: Connection) {
        with(number) { mirror in
            guard mirror.isUsing(connection, event.slot) else { return }
            switch event.kind {
            case .headers:
                mirror.state.answered()
                MirrorReports.came(event, mirror, from: connection, services)
            case .trailers: MirrorReports.came(event, mirror, from: connection, services)
            case .closed: act(mirror.state.closed(code: event.errorCode), mirror)
            case .end:
                MirrorReports.ended(mirror, services)
                act(mirror.state.answerEnded(), mirror)
            case .violation: act(mirror.state.broke(), mirror)
            default: break
            }
        }
    }

    /// A connection is gone while that copy had a stream on it.
    func lost(_ number: Int, _ connection: Connection, _ slot: Int) {
        with(number) { mirror in if mirror.isUsing(connection, slot) { act(mirror.state.broke(), mirror) } }
    }

    /// The mirror has taken too long.
    func timedOut(_ number: Int) {
        with(number) { mirror in
            if services.loop.hasFired(mirror.timer) { act(mirror.state.timedOut(), mirror) }
        }
    }

    /// Does what the state has decided, where that needs nothing but the copy.
    private func act(_ action: MirrorState.Action, _ mirror: Mirror) {
        switch action {
        case .end(let result): end(mirror, result)
        case .blame(let result):
            MirrorReports.failed(result, mirror, services)
            end(mirror, .failed)
        case .nothing, .hold, .send, .holdEnd, .finish, .submit, .giveBack: break
        }
    }

    /// The copy is over, one way or the other.
    private func end(_ mirror: Mirror, _ result: MirrorResult) {
        guard all[mirror.number] === mirror else { return }
        all[mirror.number] = nil
        free.append(mirror.number)
        services.metrics.mirrored(result)
        mirror.leaveEndpoint()
        if mirror.timer.isArmed { services.loop.cancel(&mirror.timer) }
        switch mirror.place {
        case .none: break
        case .queued(let pool, let place): upstreams.leave(pool, place, Self.waitingNumber(mirror.number))
        case .stream(let connection, let slot):
            connection.session.setOwner(slot, .nobody)
            connection.session.reset(slot, code: ErrorCode.cancel)
            services.markDirty(connection)
        }
        mirror.place = .none
        if let limits = mirror.limits { mirror.holdings.giveBackRequest(limits) }
        if let section = mirror.section.take() { services.pools.letGo(section) }
        if let body = mirror.body.take() { services.pools.give(body) }
        if let trailers = mirror.trailers.take() { services.pools.letGo(trailers) }
    }

    /// They refer to the worker's parts, and those to them.
    func clear() {
        all.removeAll()
        free.removeAll()
    }
}
