internal import HTTP
internal import Octets
internal import Reactor
internal import TLS
internal import Telemetry

/// What becomes of a connection when the deadline of its phase has passed. `ConnectionState` says which one that is.
///
/// Thread: its worker's. Freed by: `Worker`.
final class ConnectionTimeouts {
    private let services: WorkerServices
    private let connections: Connections
    private let refusals: Refusals
    private let upstreams: Upstreams

    init(services: WorkerServices, connections: Connections, refusals: Refusals, upstreams: Upstreams) {
        self.services = services
        self.connections = connections
        self.refusals = refusals
        self.upstreams = upstreams
    }

    /// The connection's one timer is due: does what its state says, which may be to set the timer again and no more.
    func fired(_ connection: Connection) {
        connection.timer = .none
        let isIdle = connection.session.openStreams == 0
        switch connection.state.expiry(services.limits, isIdle: isIdle, at: services.loop.now) {
        case .nothing: break
        case .notYet(let time): connection.timer = services.loop.arm(at: time, .connection, connection.slot)
        case .connectTimedOut: upstreams.connectTimedOut(connection)
        case .attemptDelayed:
            services.metrics.reached(.connectRace)
            Racing.tryOther(connection, by: upstreams)
        case .handshakeTimedOut: refuse(.handshake(.timedOut), connection)
        case .silent:
            guard !connections.listeners.handshakes.relaysSilent(connection) else { break }
            refuse(.connection(.silent), connection)
        case .prefaceTimedOut: refuse(.connection(.prefaceTimedOut), connection)
        case .proxyHeaderTimedOut: connections.listeners.proxyHeaders.timedOut(connection)
        case .headersTimedOut: headersTimedOut(connection)
        case .silentPeer: askPeer(connection)
        case .unanswered:
            services.metrics.reached(connection.role == .downstream ? .keepalive : .upstreamKeepalive)
            connections.peerClosed(connection)
        case .aged where connection.role == .upstream: upstreams.aged(connection)
        case .aged:
            services.metrics.reached(.connectionAge)
            connections.listeners.aged(connection)
        case .idle: endIdle(connection)
        case .relayIdle: connections.relays.idleTimedOut(connection)
        case .relayAged: connections.relays.aged(connection)
        case .overdue:
            services.metrics.reached(.lingerTimeout)
            connections.peerClosed(connection)
        }
    }

    private func askPeer(_ connection: Connection) {
        guard case .http2(let session) = connection.session else { return }
        services.metrics.reached(connection.role == .downstream ? .keepalivePing : .upstreamKeepalivePing)
        session { $0.ping() }
        connection.state.keepAlive?.ask(at: services.loop.now)
        services.lists.markDirty(connection)
        connections.schedule(connection)
    }

    private func refuse(_ refusal: Refusal, _ connection: Connection) {
        refusals.note(refusal, on: connection)
        connections.close(connection)
    }

    /// A header section did not come to its end in time.
    private func headersTimedOut(_ connection: Connection) {
        services.metrics.reached(.headerTimeout)
        refusals.note(.connection(.headersTimedOut), on: connection)
        switch connection.session {
        case .undecided: break
        case .http1(let session):
            let outcome = Situation.headerTimedOut.outcome
            let date = services.dateText
            outcome.body.withOctets { text in session { $0.answer(status: outcome.status, body: text, date: date) } }
        case .http2(let session): session { $0.refuseNewStreams() }
        }
        let isClient = connection.role == .downstream
        if !isClient {
            let limit = services.limits.headerTimeout
            connection.lostBecause = "a header section or a frame was not complete within \(limit) (--header-timeout)"
        }
        connections.loseStreams(of: connection, isClient ? .headerTimedOut : .upstreamProtocolError)
        connections.fail(connection)
    }

    /// There was no request for too long: announces the end to the peer, and closes soon.
    private func endIdle(_ connection: Connection) {
        services.metrics.reached(connection.role == .downstream ? .idleTimeout : .upstreamIdleTimeout)
        connections.announceShutdown(connection)
        connections.refuseNewStreams(connection)
        guard !connection.isClosed, connection.state.stand(.overdue, at: services.loop.now) else { return }
        connections.schedule(connection)
    }
}
