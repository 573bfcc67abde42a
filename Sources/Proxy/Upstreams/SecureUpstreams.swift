internal import Balancing
internal import Octets
internal import Telemetry
internal import TLS

/// Connections to endpoints in TLS: the handshake between connect and the first request, and pools that are apart by
/// their TLS settings and, where a certificate is compared with it, by the host of the requests.
extension Upstreams {
    /// Hosts for which an endpoint has connections of one worker at a time: a client may name as many as it likes.
    static let mostHosts = 64

    /// A TLS connection to the endpoint for an exchange; see `acquire(_:_:for:)`.
    /// - Parameter host: the request's, without port.
    @inline(never)
    func acquire(
        _ endpoint: Endpoint, _ security: UpstreamSecurity, isHTTP2: Bool, host: Octets,
        _ limits: Unretained<PoolLimits>?, for applicant: Applicant
    ) -> Acquired {
        let transport = UpstreamTransport(
            isHTTP2: isHTTP2, cluster: limits.map { $0 { $0.cluster } }, security: security.number)
        let host = security.dependsOnHost ? host.certificateHost : .empty
        let known = pools(of: endpoint).first { $0.transport == transport && $0.isFor(host: host) }
        guard let pool = known ?? makePool(endpoint, transport, security, host) else {
            reached(.upstreamHosts)
            return .overflow
        }
        if let limits { limits { if pool.limits !== $0 { pool.limits = $0 } } }
        if let connection = pool.available(to: applicant, at: services.loop.now) {
            return .connection(connection)
        }
        return wait(pool, for: applicant)
    }

    /// The endpoint's pools for all transports.
    func pools(of endpoint: Endpoint) -> UnfoldSequence<EndpointPool, EndpointPool?> {
        sequence(state: endpoint.number < pools.count ? pools[endpoint.number] : nil) { next in
            defer { next = next?.other }
            return next
        }
    }

    /// - Returns: nil when the endpoint has connections for as many hosts as it may.
    private func makePool(
        _ endpoint: Endpoint, _ transport: UpstreamTransport, _ security: UpstreamSecurity, _ host: Octets
    ) -> EndpointPool? {
        if security.dependsOnHost {
            let others = pools(of: endpoint).filter { $0.transport.security == security.number }
            if others.count >= Self.mostHosts {
                // The list has the newest first.
                guard let unused = others.last(where: \.isUnused) else { return nil }
                unlink(endpoint.number) { $0 === unused }
            }
        }
        return link(
            EndpointPool(endpoint: endpoint, transport: transport, security: security, host: host.string.lowercased()))
    }

    /// Takes pools out of an endpoint's list, and ends them.
    private func unlink(_ number: Int, _ isUnwanted: (EndpointPool) -> Bool) {
        var kept: [EndpointPool] = []
        var next = pools[number]
        while let pool = next {
            next = pool.other
            if isUnwanted(pool) { end(pool) } else { kept.append(pool) }
        }
        pools[number] = nil
        for pool in kept.reversed() { _ = link(pool) }
    }

    /// Ends pools of which no configuration has the TLS settings, or the cluster that limits them, any more.
    func dropOutdated() {
        guard hasPoolsApart else { return }
        hasPoolsApart = false
        for number in pools.indices {
            var isFound = false
            var next = pools[number]
            while let pool = next {
                if pool.isOutdated { isFound = true } else if pool.belongs { hasPoolsApart = true }
                next = pool.other
            }
            if isFound { unlink(number) { $0.isOutdated } }
        }
    }

    // MARK: handshakes

    /// The TCP handshake is done.
    func beginHandshake(_ connection: Connection, _ pool: EndpointPool, _ security: UpstreamSecurity) {
        do throws(TLSError) {
            connection.transport.tls = try TLSSession(
                client: security.context,
                expecting: security.request(
                    host: pool.host, isHTTP2: pool.transport.isHTTP2, isRelay: pool.transport.isRelay),
                descriptor: connection.transport.descriptor, resuming: pool.ticket.take())
        } catch {
            return handshakeFailed(connection, .other, error.description)
        }
        connections.enter(.handshaking(hasHello: true), connection)
        continueHandshake(connection)
    }

    /// Goes on with a handshake towards an endpoint by the octets that have come.
    func continueHandshake(_ connection: Connection) {
        guard let tls = connection.transport.tls, let pool = connection.pool else { return }
        switch services.shakeHands(on: connection) {
        case .wantsRead, .wantsWrite: break
        case .closed: handshakeFailed(connection, .closed, "the endpoint closed the connection")
        case .failed(let error): handshakeFailed(connection, tls.handshakeFailure(of: error), error.description)
        case .done where connection.relay != nil: beginRelay(connection, pool, mayHaveOctets: true)
        case .done:
            open(connection, pool, http2: tls.negotiatedHTTP2 ?? pool.transport.isHTTP2)
            connections.read(connection)
        }
    }

    private func handshakeFailed(_ connection: Connection, _ failure: HandshakeFailure, _ words: String) {
        if let pool = connection.pool {
            let text = "the TLS handshake failed: \(words)"
            note(.handshake, text, pool, at: connection.reached, advice: failure.advice)
        }
        connectFailed(connection, .handshakeFailed(failure))
    }

    /// A connection has been of use: what it has for resuming its TLS session is for the next one.
    func keepTicket(of connection: Connection) {
        guard let tls = connection.transport.tls, tls.breach == nil, let pool = connection.pool, !pool.isRetired
        else { return }
        if let ticket = tls.ticket() { pool.ticket = ticket }
    }
}
