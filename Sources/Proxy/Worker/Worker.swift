internal import Balancing
internal import HTTP
internal import Octets
package import Reactor
internal import Routing
package import Synchronization
package import Telemetry

/// What the control plane tells a worker beside publishing snapshots.
package enum WorkerMessage: Sendable {
    /// Look at the published snapshot now.
    case snapshotPublished
    /// No cluster has the endpoints of these numbers any more.
    case endpointsLeft([Int])
    /// First step of a graceful end: tell every client that is connected now. Who connects later is
    /// served as usual.
    case announceShutdown
    /// Second step: take no new streams from those who were told; close them when idle.
    case refuseNewStreams
    /// Stop accepting.
    case closeListeners
    /// End the loop.
    case stop
}

/// What can be settled only once, at start.
package struct WorkerOptions: Sendable {
    package var connectTimeout = Duration.seconds(10)
    package var handshakeTimeout = Duration.seconds(15)
    /// How long the first octets of a TLS connection may wait for the rest of the ClientHello.
    package var helloTimeout = Duration.seconds(5)
    /// TLS handshakes of one worker at a time; one more ends the oldest. Each needs about 45 kB.
    package var handshakesAtOnce = 1000
    /// Octets of header sections that a worker holds for its connections; beyond it new requests are refused.
    package var headerOctets = 64 << 20
    /// How long a connection may say nothing at first. Load balancers open connections ahead; a classic
    /// one gives them up after 60 s.
    package var firstOctetsTimeout = Duration.seconds(75)
    /// How long a connection without requests is kept.
    package var idleTimeout = Duration.seconds(3600)
    package var lingerTimeout = Duration.seconds(1)
    /// Streams that a client may have open at once on a connection, 1 to 1,000,000; a Gateway's annotation wins.
    package var concurrentStreams = HTTP2Limits.usualConcurrentStreams
    package init() {}
}

/// What epoll can wake. An enum of final classes: calls are direct, nothing is boxed.
enum Watcher {
    case vacant
    case mailbox
    case listener(ListenerSockets)
    case connection(Connection)
}

/// One event loop with all that it owns: listeners, connections, pools, exchanges, timers. Made on its
/// own thread and touched by that thread only; the doors to others are the mailbox, the published
/// snapshot and the metrics.
///
/// One turn, always in this order: wait · readiness (accept, read, act on events) · reading left over
/// from the last turn · timers · mail · flush every connection that has something to say · close what
/// is done.
@safe package final class Worker {
    package let number: Int
    let options: WorkerOptions
    let poller: Poller
    let mailbox: Mailbox<WorkerMessage>
    let published: Published<Snapshot>
    let status: WorkerStatus
    let pools = MessagePools()
    let joinedHeaders = JoinedHeaders()
    let metrics: WorkerMetrics
    let log: AccessLogger
    let messages: MessageLog
    private let heap: HeapTrimmer
    private var freedOctets = 0    // about, since the heap was last trimmed

    var current: WorkerSnapshot?
    private var seenVersion: UInt64 = 0
    private let clusterHandles = ClusterHandles()
    var now = MonotonicTime.now()
    var wallNow = WallTime.now()
    var date = HTTPDate()
    var random = Randomness()
    let authority = RequestAuthority()
    var nextStreamHint = 0    // wall seconds; see `reachedStreamLimit`
    var timers: TimerWheel
    private var polling = BusyPolling()
    private var due: ContiguousArray<UInt64> = []
    var sampler = RefusalSampler()
    var isSummaryDue = false
    var handshakes = HandshakeQueue()
    var roomMadeAt: MonotonicTime?    // the turn in which a hoarder of headers was last ended

    // By slot; the only strong references to connections.
    var watchers: ContiguousArray<Watcher> = []
    var generations: ContiguousArray<UInt32> = []
    private var freeSlots: [Int] = []
    /// Never freed, only used again; `ownedExchanges` has the references.
    var exchanges: ContiguousArray<Unretained<Exchange>> = []
    var ownedExchanges: ContiguousArray<Exchange> = []
    var freeExchanges: [Int] = []
    var endpointPools: [EndpointPool?] = []    // by Endpoint.number
    var listening: [Int: (sockets: ListenerSockets, slot: Int)] = [:]

    /// Connections live until `releaseClosed`, behind the flushes.
    private var dirty: ContiguousArray<Unretained<Connection>> = []
    var unread: ContiguousArray<Connection> = []
    private var reading: ContiguousArray<Connection> = []
    var closed: ContiguousArray<Connection> = []
    let input: UnsafeMutableRawBufferPointer    // owned; all connections read into it
    let output = OctetBuffer(capacity: 2 * Worker.flushOctets)

    private var isStopping = false
    var isListeningOver = false    // the end of a drain: no listener is opened any more

    /// Octets taken from one socket at a time, and how often in one turn. A stream's window of 64 KiB comes
    /// at once, with its frame headers.
    static let inputOctets = 65_536 + 1024
    static let readsPerTurn = 4
    /// Octets given to one socket at a time, and how often in one turn.
    static let flushOctets = 131_072
    static let flushesPerTurn = 8
    static let acceptsPerTurn = 64

    package init(
        number: Int, options: WorkerOptions, mailbox: Mailbox<WorkerMessage>, published: Published<Snapshot>,
        status: WorkerStatus, metrics: WorkerMetrics, log: AccessLogger, messages: MessageLog,
        heap: HeapTrimmer
    ) throws(SystemError) {
        self.number = number
        self.options = options
        self.mailbox = mailbox
        self.published = published
        self.status = status
        self.metrics = metrics
        self.log = log
        self.messages = messages
        self.heap = heap
        poller = try Poller()
        timers = TimerWheel(now: now)
        pools.headerLimit = options.headerOctets
        unsafe input = .allocate(byteCount: Self.inputOctets, alignment: 16)
        try poller.watchReadable(mailbox.descriptor, token: register(.mailbox))
    }

    deinit { unsafe input.deallocate() }

    /// Runs until told to stop.
    package func run() {
        takeSnapshot()
        status.isRunning.store(true, ordering: .releasing)
        while !isStopping { turn() }
        closeAll()
        status.isRunning.store(false, ordering: .releasing)
    }

    private func turn() {
        let count = waitForEvents()
        wallNow = .now()
        pools.second = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        for index in 0..<count { wake(poller[index]) }
        readLeftOver()
        expireTimers()
        flushAll()
        releaseClosed()
        giveBackMemory()
        metrics.hold(handshakes: handshakes.count, headerOctets: pools.headerOctets)
        log.endTurn()
    }

    /// - Returns: how many events the poller has. `now` is the time of their arrival.
    private func waitForEvents() -> Int {
        let wait = unread.isEmpty ? timers.wait(now: now) : 0
        let mayAsk = wait != 0 && exchanges.count - freeExchanges.count <= BusyPolling.requestsLimit
        guard mayAsk else { return poll(wait) }
        let start = MonotonicTime.now()
        guard polling.isWorthwhile else {
            let count = poll(wait)
            polling.slept(now.nanoseconds(since: start))
            return count
        }
        repeat {
            let count = poll(0)
            if count > 0 {
                polling.hit()
                return count
            }
        } while now.nanoseconds(since: start) < BusyPolling.window
        polling.miss()
        return poll(wait)
    }

    private func poll(_ milliseconds: Int32) -> Int {
        defer { now = .now() }
        return poller.wait(milliseconds: milliseconds)
    }

    private func wake(_ event: Readiness) {
        let slot = Int(truncatingIfNeeded: event.token & 0xffff_ffff)
        let generation = UInt32(truncatingIfNeeded: event.token >> 32)
        guard slot < generations.count, generations[slot] == generation else { return }    // closed in this turn
        switch watchers[slot] {
        case .vacant: break
        case .mailbox: readMail()
        case .listener(let sockets): accept(from: sockets, slot: slot)
        case .connection(let connection): ready(connection, event)
        }
    }

    private func readLeftOver() {
        guard !unread.isEmpty else { return }
        swap(&reading, &unread)
        for connection in reading {
            connection.isListedForReading = false
            if !connection.isClosed { read(connection) }
        }
        reading.removeAll(keepingCapacity: true)
    }

    // MARK: mail

    private func readMail() {
        for message in mailbox.takeAll() {
            switch message {
            case .snapshotPublished: takeSnapshot()
            case .endpointsLeft(let numbers): dropPools(numbers)
            case .announceShutdown: announceShutdown()
            case .refuseNewStreams: refuseNewStreams()
            case .closeListeners: closeListeners()
            case .stop: isStopping = true
            }
        }
    }

    private func takeSnapshot() {
        guard let next = published.read(ifNewerThan: &seenVersion) else { return }
        clusterHandles.dropUnused()
        current = WorkerSnapshot(next, clusters: clusterHandles)
        releaseSnapshots()
        updateListeners(next)
        dropPools(Array(endpointPools.indices))    // also those that old requests made after their endpoint left
        status.snapshots.wrappingAdd(1, ordering: .releasing)
    }

    // MARK: slots and timers

    /// Registers something that epoll can wake; returns its token.
    func register(_ watcher: Watcher) -> UInt64 {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            watchers[slot] = watcher
        } else {
            slot = watchers.count
            watchers.append(watcher)
            generations.append(1)
        }
        return token(of: slot)
    }

    func token(of slot: Int) -> UInt64 { UInt64(generations[slot]) << 32 | UInt64(slot) }

    /// The slot the next `register` will use.
    var nextSlot: Int { freeSlots.last ?? watchers.count }

    func vacate(_ slot: Int) {
        watchers[slot] = .vacant
        generations[slot] &+= 1
        freeSlots.append(slot)
    }

    enum TimerKind: UInt64 {
        case connection = 0
        case exchange = 1
        case listener = 2
        case summary = 3
        case pause = 4
    }

    func arm(at time: MonotonicTime, _ kind: TimerKind, _ index: Int) -> TimerWheel.Handle {
        timers.arm(at: time, token: kind.rawValue << 32 | UInt64(index))
    }

    func cancel(_ timer: inout TimerWheel.Handle) { timers.cancel(&timer) }

    private func expireTimers() {
        timers.expire(now: now, into: &due)
        for token in due {
            let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
            // Disarmed meanwhile, or armed anew: by what another timer of this turn did, or because the place is
            // somebody else's now.
            switch TimerKind(rawValue: token >> 32) {
            case .exchange where timers.hasFired(ownedExchanges[index].timer):
                ownedExchanges[index].timer = .none
                ownedExchanges[index].timedOut()
            case .connection:
                guard case .connection(let connection) = watchers[index], timers.hasFired(connection.timer)
                else { continue }
                connection.timer = .none
                timedOut(connection)
            case .pause:
                guard case .connection(let connection) = watchers[index], timers.hasFired(connection.pause)
                else { continue }
                endPause(connection)
            case .listener: resumeAccepting(slot: index)
            case .summary: summarizeRefusals()
            default: continue
            }
        }
        due.removeAll(keepingCapacity: true)
    }

    // MARK: the end of a turn

    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(Unretained(connection))
    }

    /// A flush may make other connections dirty (windows open again): they are flushed in this turn too.
    private func flushAll() {
        var index = 0
        while index < dirty.count {
            let next = dirty[index]
            next { connection in
                connection.isDirty = false
                flush(connection)
            }
            index += 1
        }
        dirty.removeAll(keepingCapacity: true)
    }

    private func releaseClosed() {
        guard !closed.isEmpty else { return }
        for connection in closed {
            freedOctets += connection.tls == nil ? Self.connectionOctets : Self.sessionOctets
            poller.forget(connection.descriptor)
            connection.tls = nil
            Socket.close(connection.descriptor)
            vacate(connection.slot)
        }
        closed.removeAll(keepingCapacity: true)
    }

    /// What was freed in a peak goes back to the system, not by this thread.
    private func giveBackMemory() {
        freedOctets += pools.takeFreedHeaderOctets(above: Self.noticedOctets)
        guard freedOctets >= Self.noticedOctets else { return }
        freedOctets = 0
        heap.request()
    }

    /// What a connection has, in clear text and with a session of OpenSSL's; and how much is worth a look.
    private static let connectionOctets = 4096, sessionOctets = 46_080
    private static let noticedOctets = 8 << 20

    private func closeAll() {
        for watcher in watchers {
            if case .connection(let connection) = watcher { close(connection) }
        }
        releaseClosed()
        log.endTurn()
        // They refer to the worker, and the worker to them.
        watchers.removeAll()
        exchanges.removeAll()
        ownedExchanges.removeAll()
    }
}

@available(*, unavailable) extension Worker: Sendable {}

/// What others may know of a worker.
package final class WorkerStatus: Sendable {
    package let isRunning = Atomic<Bool>(false)
    /// Snapshots taken so far.
    package let snapshots = Atomic<Int>(0)
    package let downstreamConnections = Atomic<Int>(0)
    package let activeExchanges = Atomic<Int>(0)
    package init() {}
}
