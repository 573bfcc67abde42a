internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import TLS

/// What happens on a client's connection between accept and the octets that show the protocol: TLS, the ClientHello
/// that says who ends it, and the beginning of what is relayed.
///
/// Thread: its worker's. Freed by: `Listeners`.
final class ClientHandshakes {
    private let services: WorkerServices
    private let connections: Connections
    private let refusals: Refusals
    private let proxyHeaders: ProxyHeaders
    private var queue = HandshakeQueue()

    init(services: WorkerServices, connections: Connections, refusals: Refusals, proxyHeaders: ProxyHeaders) {
        self.services = services
        self.connections = connections
        self.refusals = refusals
        self.proxyHeaders = proxyHeaders
    }

    /// Handshakes in progress.
    var count: Int { queue.count }

    /// A connection is about to be closed, whose handshake is over with it if it was in one.
    func closed(_ connection: Connection) {
        endHandshake(connection)
    }

    /// The first octet tells TLS from clear text. A session of OpenSSL's is made only when there is one: it
    /// needs more memory than all the rest of a connection.
    /// - Returns: false when there is nothing to read yet, or a handshake has begun.
    func sniffTLS(_ connection: Connection) -> Bool {
        guard proxyHeaders.isRead(on: connection) else { return false }
        guard !connection.transport.isSecure, connection.sniffed == nil,
            let served = services.current?.served(connection.listener)
        else { return true }
        guard let selector = served.tls else { return served.relays.clear == nil || !relaysSilent(connection) }
        guard let first = Socket.peek(connection.transport.descriptor) else { return connection.state.hasHungUp }
        if first != Self.handshakeRecord {
            guard !relaysSilent(connection) else { return false }
            guard served.clearTable == nil else { return true }
            guard !proxyHeaders.refuseUnexpected(on: connection) else { return false }
            if PlainHTTPAnswer.isLikely(first) {
                answerPlainHTTP(connection)
                return false
            }
        }
        if selector.hasPassed || served.relays.clear != nil {
            startHello(connection)
        } else {
            startTLS(connection, selector)
            if !connection.isClosed { continueHandshake(connection) }
        }
        return false
    }

    /// What a record with a ClientHello begins with. Source: RFC 8446 §5.1.
    private static let handshakeRecord: UInt8 = 0x16

    /// Clear-text HTTP on a port that serves TLS only.
    private func answerPlainHTTP(_ connection: Connection) {
        refusals.note(.handshake(.plainHTTP), on: connection, status: 400)
        let answer = services.pools.takeBuffer()
        PlainHTTPAnswer.write(to: answer, date: services.dateText)
        // Nothing was written before: it has room in the kernel, or the client is gone.
        _ = Socket.write(connection.transport.descriptor, answer.octets)
        services.pools.give(answer)
        connections.linger(connection)
    }

    /// The first octets of a ClientHello are here.
    private func startTLS(_ connection: Connection, _ selector: TLSSelector) {
        if makeTLS(connection, selector) { beginHandshake(connection) }
    }

    /// - Parameter received: what was read of the ClientHello already.
    /// - Returns: false when the connection is closed.
    private func makeTLS(_ connection: Connection, _ selector: TLSSelector, received: Octets = .empty) -> Bool {
        do throws(TLSError) {
            connection.transport.tls = try TLSSession(
                selector: selector, descriptor: connection.transport.descriptor, received: received)
            return true
        } catch {
            refusals.note(.handshake(.other), on: connection, because: error.description)
            connections.close(connection)
            return false
        }
    }

    private func beginHandshake(_ connection: Connection) {
        connections.enter(.handshaking(hasHello: false), connection)
        queue.begin(services.loop.token(of: connection.slot), keeping: { handshaking($0) != nil })
        connection.countsAsHandshake = true
        let most = min(
            services.limits.handshakesAtOnce, services.memoryLevel == .exhausted ? HandshakeQueue.mostWhenShort : .max)
        for _ in 0..<Self.endedPerHandshake where queue.count > most { endOldestHandshake() }
    }

    /// Handshakes that give way for a new one, at most, so that a limit that has shrunk is reached in time.
    private static let endedPerHandshake = 2

    /// A handshake is over, or its connection is; the second time nothing happens.
    private func endHandshake(_ connection: Connection) {
        guard connection.countsAsHandshake else { return }
        connection.countsAsHandshake = false
        queue.ended()
    }

    private func handshaking(_ token: UInt64) -> Connection? {
        guard case .connection(let connection) = services.loop.watcher(token),
            case .handshaking = connection.state.phase
        else { return nil }
        return connection
    }

    /// There are more handshakes than the worker wants to remember: the oldest is the slowest.
    private func endOldestHandshake() {
        while let token = queue.popOldest() {
            guard let oldest = handshaking(token) else { continue }
            refusals.note(.handshake(.tooMany), on: oldest)
            return connections.close(oldest)
        }
    }

    /// Goes on with a client's handshake, or with reading its ClientHello, by the octets that have come.
    func continueHandshake(_ connection: Connection) {
        guard let tls = connection.transport.tls else { return readHello(connection) }
        switch services.shakeHands(on: connection) {
        case .wantsRead, .wantsWrite:
            guard tls.isHelloRead, connection.state.phase == .handshaking(hasHello: false) else { return }
            connections.enter(.handshaking(hasHello: true), connection)
        case .closed:
            refusals.note(.handshake(.closed), on: connection)
            connections.close(connection)
        case .failed(let error):
            refusals.note(
                .handshake(error.handshakeReason ?? tls.handshakeReason), on: connection, because: error.words)
            connections.close(connection)
        case .done: handshakeDone(connection, isHTTP2: tls.negotiatedHTTP2)
        }
    }

    private func handshakeDone(_ connection: Connection, isHTTP2: Bool?) {
        endHandshake(connection)
        if connection.noteCertificate() { services.metrics.reached(.clientCertificate) }
        if let served = services.current?.served(connection.listener),
            let route = served.relay(serverName: connection.serverName)
        {
            // The server may ask for a certificate only since the handshake began; requests are asked one by one.
            if let tls = connection.transport.tls, served.clientDemand(on: tls) == .unfulfilled {
                refusals.note(
                    .handshake(.noClientCertificate), on: connection, because: "the port asks for one only now")
                return connections.close(connection)
            }
            return startRelay(connection, route)
        }
        if let isHTTP2 {
            connections.listeners.startSession(connection, http2: isHTTP2)
        } else {
            connections.enter(.sniffing(hasOctets: false), connection)
        }
        connections.read(connection)
    }

    // MARK: what is relayed

    /// Passes the connection's octets to an endpoint of the route. Closes it if there is no configuration yet.
    func startRelay(_ connection: Connection, _ route: Int) {
        guard let snapshot = services.current else { return connections.close(connection) }
        connections.relays.start(connection, route: route, in: snapshot, serverName: connection.serverName)
    }

    /// Has a connection in clear text relayed, also one on which the client waits for the endpoint to speak first.
    /// - Returns: false when such connections are not relayed.
    func relaysSilent(_ connection: Connection) -> Bool {
        guard let route = services.current?.served(connection.listener)?.relays.clear else { return false }
        startRelay(connection, route)
        return true
    }

    /// A ClientHello begins, and the server name in it will say who ends its TLS. Source: docs/istio.md, TLS routes.
    private func startHello(_ connection: Connection) {
        connection.hello = HelloInProgress(octets: services.pools.takeBuffer())
        beginHandshake(connection)
        if !connection.isClosed { readHello(connection) }
    }

    private func readHello(_ connection: Connection) {
        guard let hello = connection.hello else { return }
        while true {
            let before = hello.octets.count
            let result = Socket.read(connection.transport.descriptor, into: hello.octets, most: Self.helloOctets)
            guard case .octets(let count) = result else { return endHello(connection) }
            services.octetsRead &+= count
            switch hello.reader.read(hello.octets.octets.dropFirst(before)) {
            case .incomplete: continue
            case .hello(let name):
                hello.serverName = name
                return choose(connection, hello)
            case .failed(let failure): return refuseHello(connection, failure)
            }
        }
    }

    /// Octets of a ClientHello that are read at a time.
    private static let helloOctets = 4096

    /// Nothing more is to be read now; perhaps the client is gone.
    private func endHello(_ connection: Connection) {
        guard connection.state.hasHungUp else { return }
        refusals.note(.handshake(.closed), on: connection)
        connections.close(connection)
    }

    private func refuseHello(_ connection: Connection, _ failure: ClientHelloReader.Failure) {
        switch failure {
        case .notTLS: refusals.note(.handshake(.notTLS), on: connection)
        case .malformed: refusals.note(.handshake(.other), on: connection, because: "malformed ClientHello")
        case .tooLong:
            refusals.note(
                .handshake(.other), on: connection,
                because: "ClientHello of more than \(ClientHelloReader.octetLimit) octets")
        }
        connections.close(connection)
    }

    /// The server name is known. The exact name decides, else the longest wildcard, else `*`, whether it is of a server
    /// that ends TLS or of one that passes it on.
    private func choose(_ connection: Connection, _ hello: HelloInProgress) {
        guard let served = services.current?.served(connection.listener), let selector = served.tls else {
            refusals.note(.connection(.listenerClosed), on: connection)
            return connections.close(connection)
        }
        switch selector.choice(serverName: hello.serverName) {
        case .terminate:
            guard makeTLS(connection, selector, received: hello.octets.octets) else { return }
            connection.hello = nil
            services.pools.give(hello.octets)
            continueHandshake(connection)
        case .pass(let route): pass(connection, hello, route)
        case .none:
            guard let route = served.relays.clear else { return refuseName(connection, hello) }
            pass(connection, hello, route)
        case .close: refuseName(connection, hello)
        }
    }

    private func pass(_ connection: Connection, _ hello: HelloInProgress, _ route: Int) {
        guard let snapshot = services.current else { return connections.close(connection) }
        endHandshake(connection)
        connection.hello = nil    // the relay has its octets
        connections.relays.start(
            connection, route: route, in: snapshot, serverName: hello.serverName, after: hello.octets)
    }

    private func refuseName(_ connection: Connection, _ hello: HelloInProgress) {
        refusals.note(.handshake(hello.serverName == nil ? .noServerName : .unknownServerName), on: connection)
        connections.close(connection)
    }
}
