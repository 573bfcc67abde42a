internal import HTTP
internal import Octets
internal import Reactor
internal import TLS
internal import Telemetry

/// What all parts of one worker use: its loop, memory, clock texts, counters, logs, limits and the newest
/// configuration.
///
/// Thread: its worker's. Freed by: `Worker`.
final class WorkerServices {
    let loop: Loop
    let limits: Limits
    let pools = MessagePools()
    let lists = ConnectionLists()
    let metrics: WorkerMetrics
    /// Writes a line for each request that has ended.
    let log: AccessLogger
    let messages: MessageLog
    let status: WorkerStatus
    /// What all workers share out among themselves.
    let budget: ProcessBudget
    /// The worker's number.
    let worker: Int
    private let authority = RequestAuthority()
    /// Values that several fields of one name make together, kept for the time of a match.
    let joinedHeaders = JoinedHeaders()
    private let ownHeaderScratch = HeaderScratch()
    /// What waits for the host that it has named to be resolved.
    let hostWaits = HostWaits()
    // The same objects, followed without counting on the path of a request: they live as long as this one.
    /// `pools`, likewise.
    let unretainedPools: Unretained<MessagePools>
    /// `metrics`, likewise.
    let unretainedMetrics: Unretained<WorkerMetrics>
    /// Room for the values of header operations, used by one request at a time.
    let headerScratch: Unretained<HeaderScratch>
    /// Whether requests have lines in the access log.
    let isLogging: Bool
    var random = Randomness()
    /// How near the process is to its ceiling of memory; `MemoryWatch` sets it.
    var memoryLevel = MemoryMarks.Level.ample
    /// Octets read from all connections since `MemoryWatch` has last looked.
    var octetsRead = 0
    /// The newest configuration; nil until the first one is there.
    var current: WorkerSnapshot?
    private var date = HTTPDate()
    private let tlsBuffers = TLSBuffers()
    private var turns = 0
    private static let tlsPause = 63    // how many turns TLS is not asked, less than a power of two

    init(
        worker: Int, loop: Loop, limits: Limits, budget: ProcessBudget, metrics: WorkerMetrics, log: AccessLogger,
        messages: MessageLog, status: WorkerStatus
    ) {
        self.worker = worker
        self.budget = budget
        self.loop = loop
        self.limits = limits
        self.metrics = metrics
        self.log = log
        self.messages = messages
        self.status = status
        unretainedPools = Unretained(pools)
        unretainedMetrics = Unretained(metrics)
        headerScratch = Unretained(ownHeaderScratch)
        isLogging = log.isOn
        pools.headerLimit = budget.headerOctets
    }

    /// Counts the limits that were reached where nothing is known of the counters.
    /// - Parameter cutValues: of the access log, in this turn.
    @inline(__always)
    func turnEnds(cutValues: UInt64) {
        turns &+= 1
        let hasReachedLimit = unretainedPools { $0.hasReachedLimit }
        if cutValues > 0 || hasReachedLimit || turns & Self.tlsPause == 0 { countLimits(cutValues) }
    }

    @inline(never)
    private func countLimits(_ cutValues: UInt64) {
        let reached = pools.takeReachedLimits()
        metrics.reached(.heldBodies, reached.fullConnections)
        metrics.reached(.logValue, reached.cutFields &+ cutValues)
        metrics.reached(.tlsBuffers, tlsBuffers.takeDisplaced())
    }

    /// The configuration for the next request of a client's connection: the newest, or the last one that still
    /// had its listener. Sets the connection's route table.
    func snapshot(for connection: Connection) -> Unretained<WorkerSnapshot>? {
        if let current, connection.snapshot !== current, let served = current.served(connection.listener) {
            connection.adopt(current, served)
        }
        return connection.snapshot.unretained
    }

    /// Whether the request says whom it is meant for, and nothing else in that place.
    func hasValidAuthority(_ block: HeaderBlock) -> Bool { authority.isValid(block) }

    /// Whether the turn has lasted so long that those come first who have had little of it.
    @inline(__always) var isTurnLong: Bool { unretainedPools { $0.work >= WorkBudget.quotaPerTurn } }

    /// Ends one hold on a header block.
    @inline(__always) func letGo(_ block: HeaderBlock) { unretainedPools { $0.letGo(block) } }

    /// The connection has something to send, so the turn flushes it.
    @inline(__always) func markDirty(_ connection: Connection) { lists.markDirty(connection) }

    /// The stream's connection has something to send, so the turn flushes it.
    @inline(__always) func markDirty(_ stream: Stream) { stream.connection { lists.markDirty($0) } }

    /// Opens the stream's window again by octets that the other side has taken.
    @inline(__always)
    func consume(_ stream: Stream, _ count: Int) {
        stream.connection { connection in
            guard connection.isOpen else { return }
            connection.session.consume(stream.slot, count)
            lists.markDirty(connection)
            lists.resumeReading(connection)
        }
    }

    /// Who owes it when a header section finds no memory. One connection may hold a quarter of what is left, and that
    /// is its client's affair while much is left.
    var blameForHeaderMemory: Blame { pools.isHeaderMemoryShort ? .gateway : .client }

    /// `date`, as RFC 9110 §5.6.7 writes it; valid until the next call.
    var dateText: Octets { date.octets(at: loop.wallNow) }

    /// Goes on with a connection's TLS handshake, and counts that as work of the turn.
    func shakeHands(on connection: Connection) -> TLSProgress {
        let (progress, time) = loop.nanoseconds {
            connection.transport.handshake(hasHungUp: connection.state.hasHungUp)
        }
        pools.work &+= TurnCost.lasting(nanoseconds: time)
        return progress
    }

    /// Says in an answer's header section who answers, and when.
    func prepareForDownstream(_ block: HeaderBlock) {
        block.setOnly(.server, to: "portico")
        if block.first(.date) == nil { block.append("date", dateText) }
    }
}
