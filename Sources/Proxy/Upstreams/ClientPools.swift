internal import Balancing
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// Connections to endpoints that begin with a client's address (`proxyProtocol`). What a connection says of its client
/// holds for all that is sent on it, so each client's connection has connections of its own, which end with it.
///
/// All of them that lead to one endpoint by one transport belong to one pool, their *parent*, which counts them
/// together and is found as any other.
/// Source: envoyproxy/envoy source/extensions/transport_sockets/proxy_protocol/proxy_protocol.cc (hashKey).
extension Upstreams {
    /// Pools of one client's connection beyond which those without connections are forgotten.
    private static let mostPools = 32

    /// A connection for an exchange or a copy of a request.
    /// - Parameters:
    ///   - client: whose address is said; nil: nobody's.
    ///   - host: the request's, without port.
    @inline(never)
    func acquire(
        _ endpoint: Endpoint, _ version: ProxyVersion, _ security: UpstreamSecurity?, isHTTP2: Bool, host: Octets,
        _ limits: Unretained<PoolLimits>?, of client: Connection?, for applicant: Applicant
    ) -> Acquired {
        let transport = UpstreamTransport(
            isHTTP2: isHTTP2, cluster: limits.map { $0 { $0.cluster } }, security: security?.number ?? 0,
            proxyVersion: version)
        let host = security?.dependsOnHost == true ? host.certificateHost.string.lowercased() : ""
        let parent = parentPool(endpoint, transport, security)
        let key = EndpointPool.ClientKey(client: client.map { ObjectIdentifier($0) }, host: host)
        let pool = parent.children[key] ?? makeChild(of: parent, key, client)
        if let limits { limits { if pool.limits !== $0 { pool.limits = $0 } } }
        if let connection = pool.available(to: applicant, at: services.loop.now) {
            return .connection(connection)
        }
        guard pool.hasProspect || hasRoom(in: parent) else {
            reached(.upstreamConnections)
            return .overflow
        }
        return wait(pool, for: applicant)
    }

    private func parentPool(
        _ endpoint: Endpoint, _ transport: UpstreamTransport, _ security: UpstreamSecurity?
    ) -> EndpointPool {
        if let known = pools(of: endpoint).first(where: { $0.transport == transport }) { return known }
        return link(EndpointPool(endpoint: endpoint, transport: transport, security: security))
    }

    private func makeChild(of parent: EndpointPool, _ key: EndpointPool.ClientKey, _ client: Connection?)
        -> EndpointPool
    {
        let version = parent.transport.proxyVersion ?? .v1
        let preamble = client.map { client in
            ProxyHeader.octets(version, from: client.peer, to: client.localAddress)
        }
        let pool = EndpointPool(
            endpoint: parent.endpoint, transport: parent.transport, security: parent.security, host: key.host)
        pool.preamble = preamble ?? ProxyHeader.unknown(version)
        pool.kinship = EndpointPool.Kinship(parent: parent, key: key)
        if client == nil { forgetStrays(of: parent) }
        parent.children[key] = pool
        guard let client else { return pool }
        if client.ownPools.count >= Self.mostPools {
            reached(.clientPools)
            for unused in client.ownPools where unused.count == 0 && unused.waitingCount == 0 { forget(unused) }
            client.ownPools.removeAll { $0.count == 0 && $0.waitingCount == 0 }
        }
        client.ownPools.append(pool)
        return pool
    }

    /// Whether one more connection may be made for some client. One that another client does not use makes room.
    private func hasRoom(in parent: EndpointPool) -> Bool {
        guard parent.familyCount >= services.limits.upstreamConnections else { return true }
        guard let unused = parent.children.values.first(where: { $0.count > 0 && $0.isUnused }) else { return false }
        for connection in unused.kept { connections.close(connection) }
        return parent.familyCount < services.limits.upstreamConnections
    }

    /// Pools of nobody are for the hosts that clients name: those without connections are forgotten now and then.
    private func forgetStrays(of parent: EndpointPool) {
        guard parent.children.count > parent.familyCount + Self.mostPools else { return }
        reached(.clientPools)
        parent.children = parent.children.filter { $0.client != nil || $1.count > 0 || $1.waitingCount > 0 }
    }

    private func forget(_ pool: EndpointPool) {
        guard let kinship = pool.kinship else { return }
        kinship.parent.children[kinship.key] = nil
    }

    /// A client's connection is closed, and with it those that say its address, as soon as nothing uses them.
    func leave(_ client: Connection) {
        for pool in client.ownPools {
            forget(pool)
            end(pool)
        }
        client.ownPools = []
    }
}

extension Upstreams {
    /// Sends what a connection begins with. A socket that is new takes some hundred octets.
    /// - Returns: false when the endpoint does not.
    func sendsPreamble(_ connection: Connection, _ pool: EndpointPool) -> Bool {
        guard let version = pool.transport.proxyVersion else { return true }
        let client = connection.relay?.connection(.downstream)
        let preamble = client.map { client in
            ProxyHeader.octets(version, from: client.peer, to: client.localAddress)
        }
        let octets = preamble ?? pool.preamble
        return octets.withOctets { Socket.write(connection.transport.descriptor, $0) } == .octets(octets.count)
    }
}
