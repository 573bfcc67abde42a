internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// WebSockets over HTTP/1.1 and HTTP/2, from either to either. Inside, the request is one of HTTP/1.1 on both: a GET
/// with `:protocol: websocket`. Source: RFC 6455 §4, RFC 8441; docs/behaviour.md, WebSockets.
enum Tunneling {
    /// Whether a CONNECT is served; what is not a WebSocket ends here.
    static func admit(_ exchange: Exchange, _ block: HeaderBlock) -> StepEnd {
        guard let name = block.first(.protocol) else { return .answer(.connectMethod) }
        guard name.equalsIgnoringCase("websocket") else { return .answer(.protocolUnknown) }
        guard exchange.state.request == .receiving else { return .answer(.upgradeRefused) }
        block.replaceFirst(.method, with: "GET")
        exchange.traits.isWebSocket = true
        exchange.traits.isSafe = true
        return .next
    }

    /// Makes a try's header section that of a handshake in the upstream's version of HTTP.
    static func edit(_ section: HeaderBlock, isHTTP2: Bool, _ exchange: Exchange) {
        let isHTTP2Client = exchange.downstream?.session.isHTTP2 == true
        guard isHTTP2 || isHTTP2Client else { return }
        section.remove(KnownHeaders(.contentLength) | .protocol)
        section.edit { $0.name == Self.key ? .remove : .keep }
        section.prepend(stable: ":protocol", "websocket")
        if section.first(named: version) == nil { section.append(stable: version, "13") }
        guard !isHTTP2 else { return section.replaceFirst(.method, with: "CONNECT") }
        let services = exchange.services
        let key = services.pools.takeBuffer()
        WebSocketKey.write(random: (services.random.next(), services.random.next()), to: key)
        section.append(stable: Self.key, section.copy(key.octets))
        services.pools.give(key)
    }

    /// Whether the upstream's answer opens the WebSocket.
    static func isOpened(by code: Int, _ exchange: Exchange) -> Bool {
        guard exchange.traits.isWebSocket, case .stream(let stream) = exchange.upstream else { return false }
        return stream.session.isHTTP2 ? (200..<300).contains(code) : code == 101
    }

    /// The handshake was given to the upstream's session. It waits there until an endpoint of HTTP/2 has announced
    /// whether it takes WebSockets, but not for ever.
    static func sent(_ exchange: Exchange) {
        guard awaitsSettings(exchange) else { return }
        let services = exchange.services
        let time = services.loop.now + services.limits.waitingTimeout
        exchange.timers.waiting = services.loop.arm(at: time, .waiting, exchange.number)
    }

    private static func awaitsSettings(_ exchange: Exchange) -> Bool {
        guard exchange.traits.isWebSocket, case .stream(let stream) = exchange.upstream,
            case .http2(let session) = stream.session
        else { return false }
        return session { $0.awaitsSettings(stream.slot) }
    }

    /// The endpoint has not said in time whether it takes WebSockets: it breaks HTTP/2 (RFC 9113 §3.4), and gets no new
    /// requests on this connection.
    static func waitedTooLong(_ exchange: Exchange) {
        guard awaitsSettings(exchange), case .stream(let stream) = exchange.upstream else { return }
        exchange.services.metrics.reached(.waitingTimeout)
        let limit = exchange.services.limits.waitingTimeout
        stream.connection { exchange.upstreams.connections.drain($0) }
        exchange.upstreamFailed(
            .connectTimedOut, code: ErrorCode.cancel,
            because: "the endpoint has sent no SETTINGS within \(limit) (--waiting-timeout)")
        stream.session.reset(stream.slot, code: ErrorCode.cancel)
        exchange.services.markDirty(stream)
    }

    /// Makes the answer that opens the WebSocket one in the client's version of HTTP.
    /// - Returns: its status.
    static func edit(opening block: HeaderBlock, _ exchange: Exchange) -> Int {
        let isHTTP2 = exchange.downstream?.session.isHTTP2 == true
        guard case .stream(let stream) = exchange.upstream, stream.session.isHTTP2 || isHTTP2 else { return 101 }
        block.remove(KnownHeaders(.contentLength))
        block.edit { $0.name == accept ? .remove : .keep }
        block.replaceFirst(.status, with: isHTTP2 ? "200" : "101")
        if !isHTTP2, let key = exchange.request.unretained?({ $0.first(named: Self.key) }) ?? nil {
            let accept = exchange.services.pools.takeBuffer()
            WebSocketKey.writeAccept(to: key, accept)
            block.append(stable: Self.accept, block.copy(accept.octets))
            exchange.services.pools.give(accept)
        }
        return isHTTP2 ? 200 : 101
    }

    /// The WebSocket is open: the upstream gets what has come of the client meanwhile.
    static func opened(_ exchange: Exchange) {
        guard case .stream(let stream) = exchange.upstream else { return }
        if let body = exchange.heldBody.take() {
            stream.session.send(stream.slot, body.octets)
            exchange.services.pools.give(body)
        }
        if exchange.state.isRequestEnded { finish(stream, exchange) }
        exchange.services.markDirty(stream)
    }

    /// The client has ended its side of the WebSocket: so does the upstream's connection, when all is sent.
    static func finish(_ stream: Stream, _ exchange: Exchange) {
        stream.session.finish(stream.slot)
        if !stream.session.isHTTP2 { stream.connection { $0.endsSide = true } }
        exchange.services.markDirty(stream)
    }

    /// The endpoint speaks HTTP/2 and serves no WebSockets on it. Everybody may ask: it is no failure of the endpoint.
    /// - Parameter isAsked: it has had the handshake, and reset it; else our session has kept the handshake back.
    static func refused(_ exchange: Exchange, isAsked: Bool) {
        let reason =
            isAsked
            ? "the endpoint has reset the handshake with HTTP_1_1_REQUIRED (RFC 9113 §7)"
            : "the endpoint has not announced SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3)"
        exchange.failure = "\(reason); with appProtocol: http of the Service's port it is asked by HTTP/1.1"
        exchange.explanation = exchange.failure
        exchange.answer(.upgradeUnsupported)
    }

    private static let key: Octets = "sec-websocket-key"
    private static let accept: Octets = "sec-websocket-accept"
    private static let version: Octets = "sec-websocket-version"
}
