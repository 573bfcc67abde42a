internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// One check of one endpoint, on a connection of its own: it finds what a new connection of a request would find. What
/// follows from what is `ProbeState`'s matter; this has the socket and the sessions.
///
/// Thread: the checker's. Freed by: `HealthLoop`, when the check has ended.
final class HealthProbe {
    private let target: HealthTarget
    /// Where it goes.
    let address: EndpointAddress
    private let pools: MessagePools
    private var transport: Transport
    private var state: ProbeState
    private var hasHungUp = false
    private var http1: HTTP1Session?
    private var http2: HTTP2Session?
    private var session = Session.undecided    // one of these
    private let outbox = OctetBuffer(capacity: 256)

    private static let readOctets = 16_384

    /// Begins to connect.
    /// - Parameter socketAddress: `address` for the kernel.
    init(
        _ target: HealthTarget, to address: EndpointAddress, _ socketAddress: SocketAddress, pools: MessagePools
    ) throws(SystemError) {
        self.target = target
        self.address = address
        self.pools = pools
        state = ProbeState(
            target.policy, isSecure: target.security != nil, isHTTP2: target.isHTTP2,
            announces: target.proxyVersion != nil)
        transport = Transport(descriptor: try Socket.connect(socketAddress))
    }

    deinit {
        transport.tls?.shutdown()
        transport.tls = nil
        Socket.close(transport.descriptor)
    }

    var descriptor: CInt { transport.descriptor }
    /// Whether the endpoint was asked, by a connection whose handshakes are done.
    var isConnected: Bool { state.isConnected }

    /// Goes on, after epoll has reported the socket.
    /// - Parameter scratch: is used during the call only.
    /// - Returns: the verdict; nil until it is known.
    func goOn(_ event: Readiness, scratch: OctetBuffer) -> HealthVerdict? {
        if event.isHungUp { hasHungUp = true }
        var step = state.ready(isWritable: event.isWritable, isHungUp: event.isHungUp)
        while true {
            switch step {
            case .wait: return nil
            case .finishConnecting: step = state.connected(failure: connectFailure)
            case .announce: step = state.announced(isTaken: announce())
            case .beginTLS: step = state.tlsBegan(failure: beginTLS())
            case .shakeHands: step = state.shook(shakeHands())
            case .ask(let isHTTP2): step = state.asked(isTaken: ask(http2: isHTTP2))
            case .exchange:
                flush()
                step = read(scratch)
            case .end(let verdict): return verdict
            }
        }
    }

    // MARK: the connection

    private var connectFailure: String? {
        Socket.connectError(descriptor).map { Self.words(SystemError("connect to", code: $0)) }
    }

    private func announce() -> Bool {
        guard let version = target.proxyVersion else { return true }
        let preamble = ProxyHeader.unknown(version)
        return preamble.withOctets { transport.write($0) } == .octets(preamble.count)
    }

    /// - Returns: why there is no session; nil: there is one.
    private func beginTLS() -> String? {
        guard let security = target.security else { return "it is not configured" }
        do throws(TLSError) {
            transport.tls = try TLSSession(
                client: security.context,
                expecting: security.request(
                    host: target.authorityHost, isHTTP2: target.isHTTP2, isRelay: target.policy.method == .tcp),
                descriptor: descriptor)
            return nil
        } catch {
            return error.description
        }
    }

    private func shakeHands() -> ProbeState.Handshake {
        switch transport.handshake(hasHungUp: hasHungUp) {
        case .wantsRead, .wantsWrite: .unfinished
        case .closed: .closed
        case .failed(let error): .failed(words: error.description)
        case .done: .done(http2: transport.tls?.negotiatedHTTP2)
        }
    }

    /// The kernel's reason, as a part of a sentence.
    static func words(_ error: SystemError) -> String {
        let text = error.reason
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    // MARK: the question

    /// - Returns: whether the session has taken the question.
    private func ask(http2 isHTTP2: Bool) -> Bool {
        if isHTTP2 {
            let made = HTTP2Session(isServer: false, limits: .upstream, pools: pools)
            (http2, session) = (made, .http2(Unretained(made)))
        } else {
            let scheme = target.security == nil ? HTTP1Parser.Scheme.http : .https
            let made = HTTP1Session(isServer: false, scheme: scheme, pools: pools)
            (http1, session) = (made, .http1(Unretained(made)))
        }
        let block = pools.takeBlock()
        defer { pools.letGo(block) }
        let isCall = target.policy.method == .grpc
        write(to: block, isCall: isCall)
        guard let slot = session.submitRequest(block, isEnd: !isCall, owner: .nobody, keepsBody: false) else {
            return false
        }
        if isCall {
            let message = HealthAnswer.request(service: target.policy.service)
            message.withOctets { session.send(slot, $0) }
            session.finish(slot)
        }
        return true
    }

    private func write(to block: HeaderBlock, isCall: Bool) {
        append(":method", isCall ? "POST" : "GET", to: block)
        append(":scheme", target.security == nil ? "http" : "https", to: block)
        append(":authority", target.authority, to: block)
        append(":path", isCall ? "/grpc.health.v1.Health/Check" : target.policy.path, to: block)
        append("user-agent", "Portico/HC", to: block)
        guard isCall else { return }
        append("content-type", "application/grpc", to: block)
        append("te", "trailers", to: block)
        GRPCTimeout(remaining: target.policy.timeout).append(to: block)
    }

    private func append(_ name: StaticString, _ value: String, to block: HeaderBlock) {
        value.withOctets { block.append(stable: Octets(name), block.copy($0)) }
    }

    // MARK: the answer

    /// Sends what the session has to say, as far as the kernel takes it. What it does not take is no verdict: an answer
    /// may have come before the end of the connection.
    private func flush() {
        while true {
            if outbox.isEmpty {
                guard session.wantsFlush else { return }
                session.flush(into: outbox, limit: Self.readOctets)
                guard !outbox.isEmpty else { return }
            }
            switch transport.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wouldBlock, .closed, .failed: return
            }
        }
    }

    /// Reads until nothing more has come.
    private func read(_ scratch: OctetBuffer) -> ProbeState.Step {
        while true {
            scratch.clear()
            switch transport.read(into: scratch, most: Self.readOctets, hasHungUp: hasHungUp) {
            case .octets(let count):
                var step = receive(scratch.octets)
                if step == .exchange { step = state.came(octets: count) }
                guard step == .exchange else { return step }
                flush()
            case .wouldBlock:
                flush()
                return .wait
            case .closed:
                http1?.inputEnded()
                let step = noteEvents()
                return step == .exchange ? state.inputEnded() : step
            case .failed(let code): return state.inputEnded(failure: Self.words(SystemError("read", code: code)))
            }
        }
    }

    private func receive(_ octets: Octets) -> ProbeState.Step {
        var rest = octets
        repeat {
            let isAlive = session.receive(&rest)
            let step = noteEvents()
            guard step == .exchange else { return step }
            if !isAlive { return state.broke(words: http2?.violation?.sentence) }
        } while !rest.isEmpty
        return .exchange
    }

    private func noteEvents() -> ProbeState.Step {
        var step = ProbeState.Step.exchange
        if let http1 {
            for event in http1.events where step == .exchange { step = note(event) }
            http1.endTurn()
        } else if let http2 {
            var index = 0
            while index < http2.events.count, step == .exchange {
                step = note(http2.events[index])
                index += 1
            }
            http2.endTurn()
        }
        return step
    }

    private func note(_ event: StreamEvent) -> ProbeState.Step {
        switch event.kind {
        case .headers:
            guard let block = session.takeHeaders(event.slot) else { return .exchange }
            defer { pools.letGo(block) }
            return state.headers(block, isEnd: event.isLast)
        case .trailers:
            guard let block = session.takeHeaders(event.slot) else { return .exchange }
            defer { pools.letGo(block) }
            return state.trailers(block)
        case .data:
            session.consume(event.slot, event.data.count)
            return state.data(event.data)
        case .end: return state.trailers(nil)
        case .closed: return state.closed(code: event.errorCode)
        case .violation: return state.violated(words: http1?.violation?.sentence ?? event.violation?.sentence)
        case .goAway: return state.wentAway(code: event.errorCode)
        case .settings, .expectsContinue: return .exchange
        }
    }
}

extension HealthTarget {
    /// The authority without its port.
    fileprivate var authorityHost: String {
        authority.withOctets { RouteTable.host(of: $0).certificateHost.string }
    }
}
