internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// One check of one endpoint, on a connection of its own: it finds what a new connection of a request would find.
///
/// Thread: the checker's. Freed by: `HealthLoop`, when the check has ended.
final class HealthProbe {
    private enum Phase { case connecting, shakingHands, asking }

    private let target: HealthTarget
    /// Where it goes.
    let address: EndpointAddress
    private let pools: MessagePools
    private var transport: Transport
    private var phase = Phase.connecting
    private var hasHungUp = false
    private var http1: HTTP1Session?
    private var http2: HTTP2Session?
    private var session = Session.undecided    // one of these
    private var answer: HealthAnswer
    private let outbox = OctetBuffer(capacity: 256)
    private var octetsRead = 0

    /// Octets that are read of an answer. Its time bounds it too.
    static let mostOctets = 131_072
    private static let readOctets = 16_384

    /// Begins to connect.
    /// - Parameter socketAddress: `address` for the kernel.
    init(
        _ target: HealthTarget, to address: EndpointAddress, _ socketAddress: SocketAddress, pools: MessagePools
    ) throws(SystemError) {
        self.target = target
        self.address = address
        self.pools = pools
        answer = HealthAnswer(target.policy)
        transport = Transport(descriptor: try Socket.connect(socketAddress))
    }

    deinit {
        transport.tls?.shutdown()
        transport.tls = nil
        Socket.close(transport.descriptor)
    }

    var descriptor: CInt { transport.descriptor }
    /// Whether the endpoint was asked, by a connection whose handshakes are done.
    var isConnected: Bool { phase == .asking }

    /// Goes on, after epoll has reported the socket.
    /// - Parameter scratch: is used during the call only.
    /// - Returns: the verdict; nil until it is known.
    func goOn(_ event: Readiness, scratch: OctetBuffer) -> HealthVerdict? {
        if event.isHungUp { hasHungUp = true }
        if phase == .connecting {
            guard event.isWritable || event.isHungUp else { return nil }
            if let verdict = connected() { return verdict }
        }
        if phase == .shakingHands, let verdict = shakeHands() { return verdict }
        guard phase == .asking else { return nil }
        return flush() ?? read(scratch) ?? flush()
    }

    // MARK: the connection

    private func connected() -> HealthVerdict? {
        if let code = Socket.connectError(descriptor) {
            return .failed(Self.words(SystemError("connect to", code: code)))
        }
        if let version = target.proxyVersion {
            let preamble = ProxyHeader.unknown(version)
            let result = preamble.withOctets { transport.write($0) }
            guard result == .octets(preamble.count) else { return .failed("the PROXY header was not taken") }
        }
        guard let security = target.security else { return ask(http2: target.isHTTP2) }
        do throws(TLSError) {
            transport.tls = try TLSSession(
                client: security.context,
                expecting: security.request(
                    host: target.authorityHost, isHTTP2: target.isHTTP2, isRelay: target.policy.method == .tcp),
                descriptor: descriptor)
        } catch {
            return .failed("TLS: \(error.description)")
        }
        phase = .shakingHands
        return nil
    }

    private func shakeHands() -> HealthVerdict? {
        switch transport.handshake(hasHungUp: hasHungUp) {
        case .wantsRead, .wantsWrite: return nil
        case .closed: return .failed("the endpoint closed the connection during the TLS handshake")
        case .failed(let error): return .failed("the TLS handshake failed: \(error.description)")
        case .done: return ask(http2: transport.tls?.negotiatedHTTP2 ?? target.isHTTP2)
        }
    }

    /// The kernel's reason, as a part of a sentence.
    static func words(_ error: SystemError) -> String {
        let text = error.reason
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    // MARK: the question

    private func ask(http2 isHTTP2: Bool) -> HealthVerdict? {
        phase = .asking
        guard target.policy.method != .tcp else { return .passed }
        guard isHTTP2 || target.policy.method != .grpc else {
            return .failed("the endpoint chose HTTP/1.1 by ALPN, and gRPC needs HTTP/2")
        }
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
            return .failed("the check could not be sent")
        }
        if isCall {
            let message = HealthAnswer.request(service: target.policy.service)
            message.withOctets { session.send(slot, $0) }
            session.finish(slot)
        }
        return nil
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

    private func flush() -> HealthVerdict? {
        while true {
            if outbox.isEmpty {
                guard session.wantsFlush else { return nil }
                session.flush(into: outbox, limit: Self.readOctets)
                guard !outbox.isEmpty else { return nil }
            }
            switch transport.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wouldBlock: return nil
            // An answer may have come before the end of the connection.
            case .closed, .failed: return nil
            }
        }
    }

    private func read(_ scratch: OctetBuffer) -> HealthVerdict? {
        while true {
            scratch.clear()
            switch transport.read(into: scratch, most: Self.readOctets, hasHungUp: hasHungUp) {
            case .octets(let count):
                octetsRead += count
                if let verdict = receive(scratch.octets) { return verdict }
                guard octetsRead < Self.mostOctets else { return .failed("the answer is too long") }
                if let verdict = flush() { return verdict }
            case .wouldBlock: return nil
            case .closed:
                http1?.inputEnded()
                return noteEvents() ?? .failed("the endpoint closed the connection")
            case .failed(let code): return .failed(Self.words(SystemError("read", code: code)))
            }
        }
    }

    private func receive(_ octets: Octets) -> HealthVerdict? {
        var rest = octets
        repeat {
            let isAlive = session.receive(&rest)
            if let verdict = noteEvents() { return verdict }
            if !isAlive {
                return .failed("the answer is no HTTP/2: \(http2?.violation?.sentence ?? "it breaks the protocol")")
            }
        } while !rest.isEmpty
        return nil
    }

    private func noteEvents() -> HealthVerdict? {
        var verdict: HealthVerdict?
        if let http1 {
            for event in http1.events where verdict == nil { verdict = note(event) }
            http1.endTurn()
        } else if let http2 {
            var index = 0
            while index < http2.events.count, verdict == nil {
                verdict = note(http2.events[index])
                index += 1
            }
            http2.endTurn()
        }
        return verdict
    }

    private func note(_ event: StreamEvent) -> HealthVerdict? {
        switch event.kind {
        case .headers:
            guard let block = session.takeHeaders(event.slot) else { return nil }
            defer { pools.letGo(block) }
            return answer.headers(block, isEnd: event.isLast)
        case .trailers:
            guard let block = session.takeHeaders(event.slot) else { return nil }
            defer { pools.letGo(block) }
            return answer.trailers(block)
        case .data:
            session.consume(event.slot, event.data.count)
            return answer.data(event.data)
        case .end: return answer.trailers(nil)
        case .closed where event.errorCode != 0:
            return .failed("the endpoint reset the stream with code \(event.errorCode)")
        case .closed: return .failed("the endpoint ended the stream without an answer")
        case .violation:
            let words = http1?.violation?.sentence ?? event.violation?.sentence
            return .failed(words ?? "the answer breaks the protocol")
        case .goAway where event.errorCode != 0:
            return .failed("the endpoint sent GOAWAY with code \(event.errorCode)")
        case .goAway, .settings, .expectsContinue: return nil
        }
    }
}

extension HealthTarget {
    /// The authority without its port.
    fileprivate var authorityHost: String {
        authority.withOctets { RouteTable.host(of: $0).certificateHost.string }
    }
}
