internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing

/// What the steps `pick` and `connect` do for some requests only: endpoints that are chosen by a hash or by rank,
/// connections with TLS or a header of the PROXY protocol, those that have to be waited for, and limits of the cluster.
/// Source: docs/behaviour.md, Connection pools.
enum Connecting {
    // MARK: the endpoint

    /// The endpoint of the next try, by its hash where the cluster has one; nil if the cluster has none to choose.
    @inline(never)
    static func endpoint(of destination: DestinationHandle, for exchange: Exchange, random: UInt64) -> Endpoint? {
        if exchange.state.tries >= triesOfARank, let found = elsewhere(destination, exchange, random) { return found }
        guard let key = destination.hashKey.unretained else {
            return destination.cluster.next(random: random, excluding: exchange.avoidedEndpoints)
        }
        if let request = exchange.request.unretained, exchange.downstream != nil {
            let peer = ClientTrust.host(of: exchange)
            request { block in
                key { exchange.affinity.find($0, in: block, path: exchange.path, peer: peer, random: random) }
            }
        }
        return exchange.affinity.hash.map {
            destination.cluster.next(hash: $0, excluding: exchange.avoidedEndpoints)
        } ?? destination.cluster.next(random: random, excluding: exchange.avoidedEndpoints)
    }

    /// After so many tries, and as many again, the ranks of those that have failed are left, if the rule wants that.
    /// Source: istio/istio pilot/pkg/networking/core/route/retry/retry.go (buildPreviousPrioritiesConfig).
    static let triesOfARank = 2

    @inline(never)
    private static func elsewhere(
        _ destination: DestinationHandle, _ exchange: Exchange, _ random: UInt64
    ) -> Endpoint? {
        guard exchange.route.unretained?({ $0.retries.leavesRanks }) ?? false else { return nil }
        let count = exchange.state.tries / triesOfARank * triesOfARank
        return destination.cluster.next(random: random, leaving: Array(exchange.state.triedEndpoints.prefix(count)))
    }

    // MARK: the connection

    /// A connection with TLS of ours, or one that begins with the PROXY protocol's header.
    @inline(never)
    static func acquire(_ endpoint: Endpoint, for exchange: Exchange) -> Upstreams.Acquired {
        guard let destination = exchange.destination.unretained, let downstream = exchange.downstream else {
            return .failed
        }
        let (security, version) = destination { ($0.security, $0.proxyVersion) }
        // The endpoint is asked for the host that the request has there.
        let authority =
            Rewriting.authority(exchange)
            ?? exchange.request.unretained?({ $0.first(.authority) ?? $0.first(.host) ?? .empty }) ?? .empty
        let host = RouteTable.host(of: authority)
        let isHTTP2 = speaksHTTP2(exchange)
        if let version {
            return downstream.connection { client in
                exchange.upstreams.acquire(
                    endpoint, version, security, isHTTP2: isHTTP2, host: host, exchange.limits, of: client,
                    for: exchange.applicant)
            }
        }
        guard let security else { return .failed }
        return exchange.upstreams.acquire(
            endpoint, security, isHTTP2: isHTTP2, host: host, exchange.limits, for: exchange.applicant)
    }

    /// Whether this try is sent as HTTP/2.
    static func speaksHTTP2(_ exchange: Exchange) -> Bool {
        if exchange.traits.isGRPC { return true }
        if let limits = exchange.limits, limits({ $0.policy.usesClientProtocol }), let downstream = exchange.downstream
        {
            return downstream.session.isHTTP2
        }
        return exchange.isHTTP2Port
    }

    /// A connection is there that the course has waited for.
    static func connected(_ exchange: Exchange, _ connection: Connection) {
        let (upstreams, loop) = (exchange.upstreams, exchange.services.loop)
        guard exchange.state.hasCome(.connection) else { return upstreams.giveBack(connection) }
        loop.cancel(&exchange.timers.waiting)
        if let deadline = exchange.deadline, deadline <= loop.now {
            // What nobody waits for any more is not sent; its timer is due in this turn.
            upstreams.giveBack(connection)
            exchange.use(.none, keeping: nil)
            return exchange.deadlinePassed()
        }
        if let pool = connection.pool, DeadlineShedding.isHopeless(exchange, in: pool) {
            exchange.upstreams.giveBack(connection)
            exchange.use(.none, keeping: nil)
            return exchange.answer(.deadlineHopeless)
        }
        exchange.use(.reserved(Unretained(connection)), keeping: connection)
        exchange.run()
    }

    /// A limit of the cluster is reached.
    static func overflow(_ exchange: Exchange, _ resource: ClusterUsage.Resource) -> StepEnd {
        let cluster = exchange.destination.unretained?({ $0.cluster.name }) ?? ""
        exchange.explanation = cluster + " " + (exchange.limits?({ $0.words(resource) }) ?? "")
        return .answer(.overflow)
    }
}
