import Balancing
import Glibc
import HTTP
import Manifests
import Octets
import Reactor
import Synchronization
import TLS
import Telemetry
import Testing

@testable import Proxy
@testable import Routing

/// A worker that is turned by hand and whose clock stands still until it is moved. Clients and endpoints are Unix
/// sockets without a name in the file system; nothing waits, and no other thread takes part.
final class Bench {
    final class Clock {
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        /// How far each look moves it.
        var step = Duration.zero
        /// How often it was looked at: once in a turn that does not sleep.
        private(set) var reads = 0
        /// Happens once, after the next events have been fetched and before they are acted on.
        var meanwhile: (() -> Void)?

        func read() -> MonotonicTime {
            reads += 1
            now = now + step
            meanwhile.take()?()
            return now
        }
    }

    let clock = Clock()
    let worker: Worker
    let metrics: WorkerMetrics
    private(set) var cluster: ClusterState
    let status = WorkerStatus()
    private let published: Published<Snapshot>
    private let mailbox: Mailbox<WorkerMessage>
    private let sockets: ListenerSockets
    private let policy: RoutePolicy
    private let table: RouteTable
    private var served: ServedListener
    private let isHTTP2: Bool
    private let hosts: RequestedHosts?
    private let proxyVersion: ProxyVersion?
    private(set) var endpoints: [EndpointState] = []
    private let numbers = EndpointNumbers()
    // They end with the bench, not when a test does not look at them any more.
    private var servers: [Server] = []
    private var clients: [Peer] = []
    let name: String
    private static let made = Counter()

    /// Gives each bench a name of its own.
    private final class Counter: Sendable {
        private let value = Lock(0)
        func next() -> Int {
            value.withLock {
                $0 += 1
                return $0
            }
        }
    }

    /// - Parameters:
    ///   - servers: how many endpoints the one cluster has.
    ///   - timeout: of the one route, which is for every host and path.
    ///   - rule: what that route's rule says besides `route`, in YAML: `directResponse: {status: 404}`.
    ///   - pool: the cluster's limits.
    ///   - hosts: makes the cluster one of the hosts under `*.test` that requests name.
    ///   - families: makes the one endpoint of two addresses, those of servers 0 (as IPv6) and 1 (as IPv4).
    ///   - proxyVersion: by which endpoints get the client's address first.
    ///   - relays: connections that are relayed by that route, of number 0, also those that `selector` passes on.
    init(
        limits: Limits = Limits(), servers: Int = 1, isHTTP2: Bool = false, timeout: Duration? = nil,
        rule: String = "", pool: PoolPolicy? = nil, tls: ClusterTLS? = nil, relays: ListenerRelays = ListenerRelays(),
        selector: TLSSelector? = nil, hosts: RequestedHosts? = nil, families: FamilyMemory? = nil,
        proxyVersion: ProxyVersion? = nil
    ) throws {
        self.hosts = hosts
        self.proxyVersion = proxyVersion
        name = "@portico-bench-\(getpid())-\(Self.made.next())"
        policy = RoutePolicy(timeout: timeout, extras: try RuleReading.extras(rule))
        let identity = ClusterIdentity(host: "a", port: 80, subset: "", policy: .roundRobin)
        cluster = ClusterState(name: "a", identity: identity)
        let address = try #require(SocketAddress(unixPath: name))
        sockets = try ListenerSockets(address: address, number: 0, workers: 1)
        self.isHTTP2 = isHTTP2
        table = RouteTable(
            hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [[Rule(matches: [], route: 0)]])
        served = ServedListener(
            sockets: sockets, gatewayPort: 80, clearTable: relays.clear == nil && selector == nil ? 0 : nil,
            tls: selector, chainTables: [], relays: relays)
        published = Published(
            Self.snapshot(cluster, policy, table, served, isHTTP2, pool, tls, hosts, proxyVersion))
        mailbox = try Mailbox()
        let log = try LogWriter("test", descriptor: 2)
        metrics = Metrics(version: "1").addWorker()
        let clock = clock
        worker = try Worker(
            number: 0, options: limits,
            budget: ProcessBudget(limits: limits, descriptors: 4096, memory: nil, workers: 1), mailbox: mailbox,
            published: published, status: status, metrics: metrics,
            log: AccessLogger(format: .off, writer: log), messages: MessageLog(writer: nil), heap: HeapTrimmer(),
            clock: { clock.read() })
        worker.takeSnapshot()
        endpoints = (0..<servers).map {
            EndpointState(address: .unix(path: "\(name)-\($0)"), numbers: numbers)
        }
        if let families {
            let dual = DualStack(
                ipv6: .unix(path: "\(name)-0"), ipv4: .unix(path: "\(name)-1"), memory: families)
            endpoints = [EndpointState(address: dual.ipv6, dual: dual, numbers: numbers)]
        }
        cluster.publish(EndpointList(endpoints))
    }

    deinit {
        worker.connections.closeAll()
        worker.takeApart()
        sockets.close(worker: 0)
    }

    private static func snapshot(
        _ cluster: ClusterState, _ policy: RoutePolicy, _ table: RouteTable, _ served: ServedListener,
        _ isHTTP2: Bool, _ pool: PoolPolicy?, _ tls: ClusterTLS?, _ hosts: RequestedHosts?,
        _ proxyVersion: ProxyVersion?
    ) -> Snapshot {
        let names = hosts == nil ? nil : RequestedNames(host: "*.test", port: 80)
        let plan = ClusterPlan(
            name: "a", host: "a", port: 80, subset: "", isHTTP2: isHTTP2, policy: .roundRobin,
            source: names.map { .requested($0) } ?? .dns([]),
            policies: ClusterPolicies(pool: pool, proxyVersion: proxyVersion))
        let route = Route(
            number: 0, name: "r", clusters: [(cluster: 0, weight: 1)], policy: policy, unavailable: nil,
            object: ObjectReference(kind: "VirtualService", namespace: "default", name: "vs"),
            place: SourcePlace(file: "a.yaml", line: 1, column: 1))
        return Snapshot(
            plan: RoutingPlan(tables: [table], clusters: [plan], routes: [route]), clusters: [cluster],
            routeMetrics: [0], listeners: [served], upstreamTLS: tls.map { [0: $0] } ?? [:], requestedHosts: hosts)
    }

    /// Some turns, more than any chain of events needs.
    func settle() { for _ in 0..<12 { worker.turn(isHurried: true) } }

    /// Moves the clock, and lets the worker notice.
    func pass(_ time: Duration) {
        clock.now = clock.now + time
        settle()
    }

    /// Publishes a configuration without any host.
    func publishEmpty() {
        published.replace(
            with: Snapshot(
                plan: RoutingPlan(tables: [RouteTable(hosts: [], ruleSets: [])]), clusters: [], routeMetrics: [],
                listeners: [
                    ServedListener(sockets: sockets, gatewayPort: 80, clearTable: 0, tls: nil, chainTables: [])
                ]))
        mailbox.post(.snapshotPublished)
        settle()
    }

    /// Publishes the configuration with another TLS of its listener.
    func publish(selector: TLSSelector) {
        served = ServedListener(
            sockets: sockets, gatewayPort: 80, clearTable: nil, tls: selector, chainTables: [], relays: served.relays)
        publish(pool: nil)
    }

    /// Publishes the configuration with a cluster of another identity, which has the same endpoints.
    func replaceCluster(pool: PoolPolicy?) {
        cluster.leave()
        let identity = ClusterIdentity(host: "a", port: 80, subset: "", policy: .roundRobin)
        cluster = ClusterState(name: "a", identity: identity)
        cluster.publish(EndpointList(endpoints))
        publish(pool: pool)
    }

    /// Publishes the configuration with other limits.
    func publish(pool: PoolPolicy?) {
        published.replace(
            with: Self.snapshot(cluster, policy, table, served, isHTTP2, pool, nil, hosts, proxyVersion))
        post(.snapshotPublished)
    }

    func post(_ message: WorkerMessage) {
        mailbox.post(message)
        settle()
    }

    var active: Int { status.activeExchanges.load(ordering: .relaxed) }

    /// An endpoint that listens.
    func server(_ number: Int = 0) throws -> Server {
        let server = try Server("\(name)-\(number)")
        servers.append(server)
        return server
    }

    /// A client's new connection, accepted.
    func client() throws -> Peer {
        let address = try #require(SocketAddress(unixPath: name))
        let peer = Peer(try Socket.connect(address))
        clients.append(peer)
        settle()
        return peer
    }

    /// Clients that have connected, which the worker has not accepted yet.
    func crowd(_ count: Int) throws -> [Peer] {
        let address = try #require(SocketAddress(unixPath: name))
        let crowd = try (0..<count).map { _ in Peer(try Socket.connect(address)) }
        clients += crowd
        return crowd
    }

    /// A client that has sent that much of a request in HTTP/1.1.
    func client(sending text: String) throws -> Peer {
        let peer = try client()
        peer.send(text)
        settle()
        return peer
    }
}

/// The other end of a connection. After `close` it does nothing: its descriptor may be another test's socket by then.
final class Peer {
    let descriptor: CInt
    private(set) var isEnded = false
    private var isClosed = false

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close() }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        Socket.close(descriptor)
    }

    func send(_ text: String) {
        var text = text
        text.withUTF8 { octets in _ = offer(unsafe Octets(UnsafeRawBufferPointer(octets))) }
    }

    func send(_ octets: Octets) { _ = offer(octets) }

    /// Sends as much as the kernel takes.
    /// - Returns: how many octets that is.
    func offer(_ octets: Octets) -> Int {
        guard !isClosed, case .octets(let count) = Socket.write(descriptor, octets) else { return 0 }
        return count
    }

    /// The same with an array.
    func push(_ octets: ArraySlice<UInt8>) -> Int { unsafe octets.withUnsafeBytes { unsafe offer(Octets($0)) } }

    /// Ends our side; what comes is still read.
    func finish() { if !isClosed { Socket.finish(descriptor) } }

    /// What has come.
    func octets() -> [UInt8] {
        let all = OctetBuffer(capacity: 65_536)
        while !isEnded, !isClosed {
            switch Socket.read(descriptor, into: all, most: 65_536) {
            case .octets: break
            case .wouldBlock: return all.octets.array
            case .closed, .failed: isEnded = true
            }
        }
        return all.octets.array
    }

    func text() -> String { String(decoding: octets(), as: UTF8.self) }
}

/// An endpoint's listening socket.
final class Server {
    private var listener: Descriptor?    // nil when it listens no more
    private var peers: [Peer] = []

    init(_ path: String) throws {
        listener = try Socket.listen(try #require(SocketAddress(unixPath: path)))
    }

    /// Refuses connections from now on.
    func close() { listener = nil }

    /// The next connection; nil when none has come.
    func accept() throws -> Peer? {
        guard let number = listener?.number, let accepted = try Socket.accept(number) else { return nil }
        let peer = Peer(accepted.descriptor)
        peers.append(peer)
        return peer
    }
}
