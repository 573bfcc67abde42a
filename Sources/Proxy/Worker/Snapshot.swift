package import Balancing
internal import Octets
package import Reactor
package import Routing
internal import Synchronization
package import TLS

/// The sockets of one listening address, one for each worker. They stay open as long as the address stays
/// configured; each worker closes its own, however long old requests keep the snapshot they began with.
///
/// Thread: any. Freed by: the last of the `ListenerDirectory`, the snapshots and the workers that watch it.
package final class ListenerSockets: Sendable {
    /// The address as text, also the identity.
    package let name: String
    /// Dense and small: an index into the snapshots' listeners. Never used for another address.
    package let number: Int
    /// The port that the sockets listen on.
    package let port: UInt16
    /// Clients' connections of all workers, written once for each connection.
    let connections = Atomic<Int>(0)
    private let descriptors: [Box]

    /// One socket, closed when the last of its workers has closed it.
    ///
    /// Thread: any. Freed by: its `ListenerSockets`.
    private final class Box: Sendable {
        private let descriptor: Lock<Descriptor?>
        private let users: Atomic<Int>
        init(_ descriptor: consuming Descriptor, users: Int) {
            self.descriptor = Lock(descriptor)
            self.users = Atomic(users)
        }
        var number: CInt { descriptor.withLock { $0?.number ?? -1 } }
        /// Under the lock, so that nobody closes it meanwhile.
        func duplicate() -> CInt? { descriptor.withLock { Socket.duplicate($0?.number ?? -1) } }
        /// One worker has closed its socket; the last one closes the descriptor that all share.
        func close() {
            guard users.subtract(1, ordering: .relaxed).newValue == 0 else { return }
            descriptor.withLock { $0 = nil }
        }
    }

    /// - Parameter sharing: `.none` makes sure that no other process has the port.
    /// - Throws: when the address cannot be bound; nothing stays open then.
    package init(
        address: SocketAddress, number: Int, workers: Int, sharing: Socket.Sharing = .none
    ) throws(SystemError) {
        name = address.description
        self.number = number
        port = address.port
        // Workers share the address with each other, but nobody shares it with another process.
        guard !address.isUnix else {
            // A path has one socket only: all workers accept from it.
            descriptors = Array(repeating: Box(try Socket.listen(address), users: workers), count: workers)
            return
        }
        _ = try Socket.listen(address, sharing: sharing)
        var made: [Box] = []
        for _ in 0..<workers { made.append(Box(try Socket.listen(address), users: 1)) }
        descriptors = made
    }

    /// Takes over sockets that listen on the address already: one for each worker, or fewer that workers share.
    /// - Parameter adopted: at least one and at most one for each worker; they belong to this object now.
    package init(address: SocketAddress, number: Int, workers: Int, adopting adopted: [CInt]) {
        name = address.description
        self.number = number
        port = address.port
        let boxes = adopted.enumerated().map { index, number in
            Box(Descriptor(owning: number), users: (workers - index + adopted.count - 1) / adopted.count)
        }
        descriptors = (0..<workers).map { boxes[$0 % boxes.count] }
    }

    /// Further descriptors of the sockets that are open, each once, in the order of the workers.
    /// The caller closes them.
    package func duplicates() -> [CInt] {
        var seen: Set<ObjectIdentifier> = []
        return descriptors.filter { seen.insert(ObjectIdentifier($0)).inserted }.compactMap { $0.duplicate() }
    }

    /// -1 when it was closed. That worker's thread only.
    package func descriptor(worker: Int) -> CInt { descriptors[worker].number }

    /// Stops listening for good: the kernel refuses connections from now on. That worker's thread only.
    package func close(worker: Int) { descriptors[worker].close() }

    /// Whether every worker has closed its socket.
    package var isClosed: Bool { descriptors.allSatisfy { $0.number < 0 } }
}

/// Which connections of one listening address are relayed, by route numbers of the plan. The selector of the address
/// knows those that keep their TLS.
package struct ListenerRelays: Sendable {
    /// All connections in clear text; nil where they are requests, or none are taken.
    package let clear: Int?
    /// By the selector's tags: the octets behind TLS; nil where they are requests. Empty when no chain is relayed.
    package let chains: [Int?]

    package init(clear: Int? = nil, chains: [Int?] = []) {
        self.clear = clear
        self.chains = chains
    }
}

/// What is served on one listening address.
package struct ServedListener: Sendable {
    /// The listener's sockets, which outlive a plan.
    package let sockets: ListenerSockets
    /// The Gateway's port number, for messages.
    package let gatewayPort: UInt16
    /// The table for connections in clear text; nil when only TLS is served.
    package let clearTable: Int?
    /// nil when only clear text is served.
    package let tls: TLSSelector?
    /// Route tables by the selector's tags.
    package let chainTables: [Int]
    /// By the selector's tags: chains with one number have the same TLS rules, but for their certificates.
    package let chainTerms: [Int]
    /// Streams at once on a client's connection; nil is the worker's own limit.
    package let concurrentStreams: UInt32?
    /// What is relayed instead of served.
    package let relays: ListenerRelays
    /// What stands in front; nil: clients themselves.
    package let topology: GatewayTopology?

    /// Joins a listener's sockets with its tables; see the properties of the same names.
    package init(
        sockets: ListenerSockets, gatewayPort: UInt16, clearTable: Int?, tls: TLSSelector?, chainTables: [Int],
        chainTerms: [Int] = [], concurrentStreams: UInt32? = nil, relays: ListenerRelays = ListenerRelays(),
        topology: GatewayTopology? = nil
    ) {
        self.sockets = sockets
        self.gatewayPort = gatewayPort
        self.clearTable = clearTable
        self.tls = tls
        self.chainTables = chainTables
        self.chainTerms = chainTerms
        self.concurrentStreams = concurrentStreams
        self.relays = relays
        self.topology = topology
    }

    /// The table of a TLS connection that may be older than this configuration; nil when no chain has its server
    /// name any more.
    func table(serverName: String?) -> Int? {
        guard let selected = tls?.chainNumber(serverName: serverName), chainTables.indices.contains(selected) else {
            return nil
        }
        return chainTables[selected]
    }

    /// The route to which the octets of a TLS connection are relayed; nil where they are requests.
    func relay(serverName: String?) -> Int? {
        guard !relays.chains.isEmpty, let selected = tls?.chainNumber(serverName: serverName),
            relays.chains.indices.contains(selected)
        else { return nil }
        return relays.chains[selected]
    }

    /// Whether the authority of a request belongs to another server of the port than that of its connection.
    package enum OtherServer: Equatable {
        case none
        /// Its routes, which a client of this connection may use: it would have got the same TLS from that server.
        case sameTerms(table: Int)
        /// That server has other TLS rules, which this connection need not fulfil.
        case otherTerms
    }

    /// Looks for the server that has an authority. Clients use one connection for all names of its certificate.
    /// Source: RFC 9113 §9.1.1 (reuse), RFC 9110 §15.5.20 (421).
    /// - Parameters:
    ///   - authority: of the request, perhaps with a port.
    ///   - serverName: of the connection.
    func otherServer(authority: Octets, serverName: String?) -> OtherServer {
        guard let tls, let own = tls.chainNumber(serverName: serverName) else { return .none }
        let host = RouteTable.host(of: authority).string.lowercased()
        guard let other = tls.chainNumber(serverName: host), other != own,
            chainTables.indices.contains(other), chainTerms.indices.contains(max(own, other))
        else { return .none }
        return chainTerms[own] == chainTerms[other] ? .sameTerms(table: chainTables[other]) : .otherTerms
    }
}

/// What a listener asks of its clients' certificates, as far as a connection is concerned.
enum ClientDemandState {
    case none
    /// The connection's server asks for nothing that was not shown; another one of the port may.
    case fulfilled
    /// The connection is older than what its server asks for now.
    case unfulfilled
}

extension ServedListener {
    /// What the server asks of the client's certificate, and whether the client's connection has fulfilled it.
    func clientDemand(on session: TLSSession) -> ClientDemandState {
        guard let tls, tls.asksClients else { return .none }
        return tls.accepts(session) ? .fulfilled : .unfulfilled
    }

    /// Whether a request has to come on another connection, because the server of its authority asks clients for what
    /// this one did not show.
    func bars(authority: Octets, on session: TLSSession) -> Bool {
        guard let tls else { return false }
        let host = RouteTable.host(of: authority)
        if let name = session.serverName, name.withOctets({ $0 == host }) { return false }
        return tls.bars(host: host.string.lowercased(), from: session)
    }
}

/// Everything that a worker needs to serve: one configuration, compiled, with its sockets and clusters.
/// Immutable; published to all workers at once. Which endpoints a cluster has is published with the cluster.
///
/// Thread: any. Freed by: the `Retirement`, when no worker has it any more.
package final class Snapshot: Sendable {
    package let plan: RoutingPlan
    /// By cluster number.
    package let clusters: [ClusterState]
    /// By route number: the process-wide number under which metrics know the route.
    package let routeMetrics: [Int]
    /// The listeners that workers serve, each with the tables of its connections.
    package let listeners: [ServedListener]
    /// By cluster number, for clusters that are spoken to in TLS.
    package let upstreamTLS: [Int: ClusterTLS]
    /// The hosts that requests have named; nil where none may be named.
    package let requestedHosts: RequestedHosts?

    /// Makes a snapshot, which nobody changes afterwards.
    package init(
        plan: RoutingPlan, clusters: [ClusterState], routeMetrics: [Int], listeners: [ServedListener],
        upstreamTLS: [Int: ClusterTLS] = [:], requestedHosts: RequestedHosts? = nil
    ) {
        self.requestedHosts = requestedHosts
        self.upstreamTLS = upstreamTLS
        self.plan = plan
        self.clusters = clusters
        self.routeMetrics = routeMetrics
        self.listeners = listeners
    }
}
