internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// What happens on one worker's connections until their headers of the PROXY protocol are read: they come before TLS
/// and before anything that tells the protocol. What follows a header stays in the kernel.
///
/// Thread: its worker's. Freed by: `Listeners`.
final class ProxyHeaders {
    private let services: WorkerServices
    private let connections: Connections
    private let refusals: Refusals
    private let seen = OctetBuffer(capacity: ProxyHeader.mostOctets)    // all connections are looked at in it

    init(services: WorkerServices, connections: Connections, refusals: Refusals) {
        self.services = services
        self.connections = connections
        self.refusals = refusals
    }

    /// Begins to wait for the header of a connection that was just accepted.
    /// - Returns: false where none is expected.
    func expects(_ connection: Connection, _ served: ServedListener) -> Bool {
        guard let topology = served.topology, topology.proxyProtocol != .off else { return false }
        // Where the endpoint may be the one that speaks first, a client that says nothing must not wait for long.
        let isUrgent = topology.proxyProtocol == .require || served.relays.clear != nil
        connections.enter(.proxyHeader(isUrgent: isUrgent), connection)
        return true
    }

    /// Whether no header has to come any more. If one has to, what has come of it is read.
    func isRead(on connection: Connection) -> Bool {
        guard case .proxyHeader = connection.state.phase else { return true }
        guard let served = services.current?.served(connection.listener) else {
            return refuse(.listenerClosed, connection)
        }
        // It may be expected no longer since the connection was accepted.
        guard let topology = served.topology, topology.proxyProtocol != .off else { return goOn(connection) }
        return read(connection, topology)
    }

    /// A port of TLS got something else: closes the connection if that is a header which nobody expects.
    /// - Returns: whether it was one.
    func refuseUnexpected(on connection: Connection) -> Bool {
        seen.clear()
        guard connection.announcement == nil,
            case .octets = Socket.peek(connection.transport.descriptor, into: seen, most: ProxyHeader.mostOctets)
        else { return false }
        switch ProxyHeader.read(seen.octets) {
        case .absent, .undecided: return false
        case .begun, .whole, .failed:
            refuse(.proxyHeaderUnexpected, connection)
            return true
        }
    }

    private func read(_ connection: Connection, _ topology: GatewayTopology) -> Bool {
        while true {
            seen.clear()
            switch Socket.peek(connection.transport.descriptor, into: seen, most: ProxyHeader.mostOctets) {
            case .octets:
                if let isRead = look(at: seen.octets, connection, topology) { return isRead }
            case .wouldBlock: return false
            case .closed, .failed:
                // Who connects and says nothing checks whether the port is open.
                if connection.headerBegun != nil { return refuse(.proxyHeaderCut, connection) }
                FrontEnd.endedUnused(connection, services)
                connections.close(connection)
                return false
            }
        }
    }

    /// - Parameter seen: what has come and was not taken yet.
    /// - Returns: what `isRead` returns; nil: there may be more to read.
    private func look(at seen: Octets, _ connection: Connection, _ topology: GatewayTopology) -> Bool? {
        let isTrusted = topology.trustsHeader(of: connection.peer?.ipOctets ?? [])
        if !isTrusted, topology.proxyProtocol == .require { return refuse(.proxyHeaderUntrusted, connection) }
        let before = connection.headerBegun?.count ?? 0
        connection.headerBegun?.append(seen)
        let known = connection.headerBegun?.octets ?? seen
        switch ProxyHeader.read(known) {
        case .undecided: return wait(connection, topology)
        case .absent: return goOn(without: topology, connection)
        case _ where !isTrusted: return refuse(.proxyHeaderUntrusted, connection)
        case .begun:
            if connection.headerBegun == nil { keep(seen, connection) }
            return take(seen.count, connection) ? nil : false
        case .failed(let failure): return refuse(failure, connection)
        case .whole(let received, let octets):
            note(received, connection)
            return take(octets - before, connection) ? goOn(connection) : false
        }
    }

    private func keep(_ octets: Octets, _ connection: Connection) {
        let buffer = OctetBuffer(capacity: 128)
        buffer.append(octets)
        connection.headerBegun = buffer
        hurry(connection)
    }

    /// Takes octets out of the kernel that were seen there.
    private func take(_ count: Int, _ connection: Connection) -> Bool {
        seen.clear()
        guard case .octets(count) = Socket.read(connection.transport.descriptor, into: seen, most: count) else {
            return refuse(.proxyHeaderCut, connection)
        }
        services.octetsRead &+= count
        return true
    }

    /// The first octets are too few to say whether they begin a header.
    private func wait(_ connection: Connection, _ topology: GatewayTopology) -> Bool {
        guard connection.state.hasHungUp else {
            hurry(connection)
            return false
        }
        return topology.proxyProtocol == .require ? refuse(.proxyHeaderCut, connection) : goOn(connection)
    }

    private func hurry(_ connection: Connection) {
        guard connection.state.phase == .proxyHeader(isUrgent: false) else { return }
        connections.enter(.proxyHeader(isUrgent: true), connection)
    }

    private func note(_ received: ProxyHeader.Received, _ connection: Connection) {
        services.metrics.began(received.kind)
        // A health check of the balancer's own is the balancer's connection.
        guard !received.isLocal else { return }
        let announcement = Announcement(received, from: connection.peer)
        if announcement.isCut { services.metrics.reached(.proxyHeaderValue) }
        connection.note(announcement)
    }

    private func goOn(without topology: GatewayTopology, _ connection: Connection) -> Bool {
        guard topology.proxyProtocol == .optional else { return refuse(.proxyHeaderMissing, connection) }
        services.metrics.began(.absent)
        return goOn(connection)
    }

    /// What comes now is what any connection begins with.
    private func goOn(_ connection: Connection) -> Bool {
        connection.headerBegun = nil
        connections.enter(.sniffing(hasOctets: false), connection)
        return true
    }

    private func refuse(_ failure: ProxyHeader.Failure, _ connection: Connection) -> Bool {
        switch failure {
        case .malformed(let what): refuse(.proxyHeaderMalformed, connection, because: "\(what)")
        case .tooLong: refuse(.proxyHeaderTooLong, connection)
        case .checksum: refuse(.proxyHeaderChecksum, connection)
        }
    }

    @discardableResult
    private func refuse(_ refusal: ConnectionRefusal, _ connection: Connection, because reason: String = "") -> Bool {
        refusals.note(.connection(refusal), on: connection, because: reason)
        connection.headerBegun = nil
        connections.close(connection)
        return false
    }

    /// The header did not come in time, or is not complete.
    func timedOut(_ connection: Connection) {
        let mode = services.current?.served(connection.listener)?.topology?.proxyProtocol ?? .off
        if connection.state.phase == .proxyHeader(isUrgent: false) {
            refuse(.silent, connection)
        } else if mode == .require || connection.headerBegun != nil
            || Socket.peek(connection.transport.descriptor) != nil
        {
            refuse(.proxyHeaderTimedOut, connection)
        } else if goOn(connection) {
            // It need not send one, and waits for the endpoint to speak.
            connections.read(connection)
        }
    }
}

extension ProxyHeader.Received {
    /// How metrics count it.
    fileprivate var kind: ProxyHeaderKind {
        switch version {
        case .v1: addresses == nil ? .v1Unknown : .v1
        case .v2: isLocal ? .v2Local : addresses == nil ? .v2Unknown : .v2
        }
    }
}
