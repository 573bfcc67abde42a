package import Reactor
package import Synchronization
package import Telemetry
internal import HTTP

/// What the control plane tells a worker beside publishing snapshots.
package enum WorkerMessage: Sendable, Equatable {
    /// Look at the published snapshot now.
    case snapshotPublished
    /// No cluster has the endpoints of these numbers any more.
    case endpointsLeft([Int])
    /// These hosts, which requests have named, are resolved, or are not going to be.
    case hostsSettled([RequestedHost])
    /// All places for clients' connections are taken, and another worker has none to close: those of the process, or
    /// of a listener by its number.
    case connectionsWanted(idleToo: Bool, listener: Int?)
    /// Memory is short, and another worker has too little to give up.
    case memoryWanted
    /// First step of a graceful end: tell every client that is connected now. Clients that connect later are
    /// served as usual.
    case announceShutdown
    /// The same for a share of the clients.
    case announceTo(DrainShare)
    /// Second step: take no new streams from clients to which the end was announced; close them when idle.
    case refuseNewStreams
    /// Stop accepting.
    case closeListeners
    /// End the loop.
    case stop
}

/// One event loop and the parts that hang on it, wired together: listeners, connections, upstreams, exchanges. Made on
/// its own thread. The doors to others are the mailbox, the published snapshot and the metrics.
///
/// Thread: its own. Freed by: the end of that thread.
@safe package final class Worker {
    package let number: Int
    private let mailbox: Mailbox<WorkerMessage>
    private let published: Published<Snapshot>
    private let status: WorkerStatus
    private let heap: HeapTrimmer

    // Tests look at them, and turn the worker by hand.
    let loop: Loop
    let services: WorkerServices
    let upstreams: Upstreams
    let connections: Connections
    let listeners: Listeners
    let exchanges: Exchanges
    let relays: Relays
    private let refusals: Refusals
    private let evictions: Evictions
    private let timeouts: ConnectionTimeouts
    private let memory: MemoryWatch

    private let clusters = ClusterHandles()
    private var seenVersion: UInt64 = 0
    private var isStopping = false
    private var freedOctets = 0    // about, since the heap was last trimmed
    /// How much of freed memory is worth a look.
    private static let noticedOctets = 8 << 20

    /// - Parameter clock: tests move it by hand.
    package init(
        number: Int, options: Limits, budget: ProcessBudget, mailbox: Mailbox<WorkerMessage>,
        published: Published<Snapshot>, status: WorkerStatus, metrics: WorkerMetrics, log: AccessLogger,
        messages: MessageLog, heap: HeapTrimmer, clock: @escaping () -> MonotonicTime = MonotonicTime.now
    ) throws(SystemError) {
        self.number = number
        self.mailbox = mailbox
        self.published = published
        self.status = status
        self.heap = heap
        loop = try Loop(clock: clock)
        services = WorkerServices(
            worker: number, loop: loop, limits: options, budget: budget, metrics: metrics, log: log,
            messages: messages, status: status)
        refusals = Refusals(services: services)
        upstreams = Upstreams(services: services)
        connections = Connections(services: services, refusals: refusals, upstreams: upstreams)
        timeouts = ConnectionTimeouts(
            services: services, connections: connections, refusals: refusals, upstreams: upstreams)
        evictions = Evictions(services: services, connections: connections, refusals: refusals)
        listeners = Listeners(
            services: services, connections: connections, refusals: refusals, evictions: evictions)
        exchanges = Exchanges(services: services, upstreams: upstreams, connections: connections, refusals: refusals)
        relays = Relays(services: services, upstreams: upstreams, connections: connections)
        memory = MemoryWatch(
            services: services,
            hoards: Hoards(services: services, connections: connections, exchanges: exchanges))
        upstreams.exchanges = exchanges
        upstreams.connections = connections
        upstreams.relays = relays
        connections.exchanges = exchanges
        connections.listeners = listeners
        connections.relays = relays
        try loop.watchReadable(mailbox.descriptor, slot: loop.register(.mailbox))
    }

    /// Runs until the message `stop` comes.
    package func run() {
        takeSnapshot()
        status.isRunning.store(true, ordering: .releasing)
        while !isStopping { turn() }
        listeners.cut()
        connections.closeAll()
        services.log.endTurn()
        takeApart()
        status.isRunning.store(false, ordering: .releasing)
    }

    /// The parts refer to each other, and would keep each other for ever.
    func takeApart() {
        loop.clear()
        exchanges.clear()
        services.hostWaits.clear()
        upstreams.exchanges = nil
        upstreams.connections = nil
        upstreams.relays = nil
        connections.exchanges = nil
        connections.listeners = nil
        connections.relays = nil
    }

    /// Whether the turn before has left something: the next one does not wait for events.
    var hasMoreToDo: Bool { services.lists.hasUnread || services.lists.hasUnsent || upstreams.hasUnserved }

    /// One turn, always in this order.
    /// - Parameter isHurried: it does not wait for events.
    func turn(isHurried: Bool = false) {
        let count = loop.wait(
            isHurried: isHurried || hasMoreToDo,
            mayAsk: exchanges.count <= BusyPolling.requestsLimit)
        services.pools.second = UInt32(truncatingIfNeeded: loop.now.nanoseconds / 1_000_000_000)
        services.pools.work = 0
        services.lists.turnBegins()
        memory.turnBegins()
        for index in 0..<count { wake(loop.event(at: index)) }
        services.lists.readLeftOver(isLong: { services.isTurnLong }) { readOn($0) }
        loop.expireTimers { fire($0, $1) }
        upstreams.serveUnserved()
        services.lists.flushAll { connections.flush($0) }
        if services.lists.hasLate { readLate() }
        connections.releaseClosed()
        memory.turnEnds()
        giveBackMemory()
        services.metrics.hold(handshakes: listeners.handshakes.count, headerOctets: services.pools.headerOctets)
        services.turnEnds(cutValues: services.log.endTurn())
    }

    private func readLate() {
        services.lists.readLate(work: { services.pools.work }, readOn) { connections.flush($0) }
    }

    private func readOn(_ connection: Connection) {
        connection.relay == nil ? connections.read(connection) : relays.read(connection)
    }

    private func wake(_ event: Readiness) {
        switch loop.watcher(event.token) {
        case .vacant: break    // closed in this turn
        case .mailbox: readMail()
        case .listener(let sockets): listeners.accept(from: sockets, slot: Loop.slot(event.token))
        case .connection(let connection):
            connections.ready(connection, event)
            memory.octetsCame()
        }
    }

    private func fire(_ kind: TimerKind, _ index: Int) {
        switch kind {
        case .connection, .pause:
            guard case .connection(let connection) = loop.watcher(at: index) else { return }
            if kind == .pause {
                if loop.hasFired(connection.pause) { connections.slowClients.endPause(connection) }
            } else if loop.hasFired(connection.timer) {
                timeouts.fired(connection)
            }
        case .listener: listeners.resumeAccepting(slot: index)
        case .deadline: exchanges.with(index) { if loop.hasFired($0.timers.deadline) { $0.deadlinePassed() } }
        case .backOff: exchanges.with(index) { if loop.hasFired($0.timers.backOff) { $0.backOffPassed() } }
        case .waiting: exchanges.with(index) { if loop.hasFired($0.timers.waiting) { $0.waitedTooLong() } }
        case .mirror: exchanges.mirrors.timedOut(index)
        case .faultDelay:
            exchanges.with(index) { if loop.hasFired($0.timers.faultDelay) { FaultInjection.delayPassed($0) } }
        case .tryTimeout: exchanges.with(index) { if loop.hasFired($0.timers.tryTimeout) { $0.tryTimedOut() } }
        case .summary: refusals.summarize()
        case .sweep: exchanges.sweep()
        }
    }

    private func readMail() {
        for message in mailbox.takeAll() {
            switch message {
            case .snapshotPublished: takeSnapshot()
            case .endpointsLeft(let numbers): upstreams.drop(numbers)
            case .hostsSettled(let hosts): for host in hosts { settled(host) }
            case .connectionsWanted(let idleToo, let listener):
                _ = evictions.makeRoom(upTo: idleToo ? .idle : .silent, of: listener)
            case .memoryWanted: memory.look()
            case .announceShutdown: listeners.announceShutdown()
            case .announceTo(let share): listeners.announceShutdown(to: share)
            case .refuseNewStreams: listeners.refuseNewStreams()
            case .closeListeners:
                listeners.close()
                status.isAccepting.store(false, ordering: .releasing)
            case .stop: isStopping = true
            }
        }
    }

    private func settled(_ host: RequestedHost) {
        let (numbers, waiting) = services.hostWaits.take(host)
        for number in numbers { exchanges.with(number) { $0.hostSettled() } }
        for relay in waiting { relays.hostSettled(relay) }
    }

    func takeSnapshot() {
        guard let next = published.read(ifNewerThan: &seenVersion) else { return }
        clusters.dropUnused()
        let current = WorkerSnapshot(next, clusters: clusters)
        services.current = current
        // Idle connections use the newest configuration from now on and keep no older one alive.
        loop.forEachConnection { if current.served($0.listener) != nil { $0.releaseSnapshot() } }
        listeners.update(next)
        upstreams.dropUnused()
        status.snapshotsTaken.wrappingAdd(1, ordering: .releasing)
    }

    /// What was freed in a peak goes back to the system, not by this thread.
    private func giveBackMemory() {
        freedOctets += connections.takeFreedOctets()
        freedOctets += services.pools.takeFreedBufferOctets()
        freedOctets += services.pools.takeFreedHeaderOctets(above: Self.noticedOctets)
        guard freedOctets >= Self.noticedOctets else { return }
        freedOctets = 0
        heap.request()
    }
}

@available(*, unavailable) extension Worker: Sendable {}

/// What others may know of a worker.
///
/// Thread: its worker's writes, any reads. Freed by: the last of the control plane and the worker.
package final class WorkerStatus: Sendable {
    /// Whether the worker's thread serves requests.
    package let isRunning = Atomic<Bool>(false)
    /// How many snapshots the worker has taken so far; 0 before it serves.
    package let snapshotsTaken = Atomic<Int>(0)
    /// Clients' connections that are open.
    package let downstreamConnections = Atomic<Int>(0)
    /// Requests in progress.
    package let activeExchanges = Atomic<Int>(0)
    /// Whether connections are accepted; false at the end of a drain.
    package let isAccepting = Atomic<Bool>(true)
    /// What the end of the worker has cut: requests without their whole answer, and relayed connections.
    package let cutRequests = Atomic<Int>(0), cutRelays = Atomic<Int>(0)
    /// The status of a worker that has not started.
    package init() {}
}
