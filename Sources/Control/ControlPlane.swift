package import Balancing
package import Logging
package import Manifests
internal import Octets
package import Proxy
package import Reactor
package import Routing
internal import Synchronization
package import Telemetry

/// The main thread: reads and compiles the configuration, publishes snapshots, starts the workers and
/// ends them, listens to signals.
///
///     starting → (succeeding →) serving → draining → stopped
///
/// Starting: the first load is under way. SIGTERM ends it at once, and health is answered.
/// Succeeding: all is loaded, and another gateway, which has started this one, serves still (`Upgrade.swift`).
/// Draining: readiness is 503, and the workers end in the steps of `DrainState`.
///
/// Thread: the main thread. Freed by: the command, at the end of the process.
package final class ControlPlane {
    enum Phase: Equatable {
        case starting, succeeding, serving
        case draining(DrainState)
        case stopped
    }

    package let options: ControlOptions
    /// What all threads count.
    package let metrics: Metrics
    let log: Logger
    private let writer: LogWriter
    private let messages: MessageLog
    private let heap: HeapTrimmer
    private let budget: ProcessBudget
    let signals: Signals
    let poller: Poller
    let mailbox: Mailbox<Void>
    private let names: NameDirectory
    private let changes: Mailbox<Void>    // of files that the last load has read
    private let watch: FileWatch
    let feed: ClusterFeed?    // nil: files only
    private var problems: ProblemLog
    var configuration: Configuration
    var published: Published<Snapshot>?
    var workers: [(mailbox: Mailbox<WorkerMessage>, status: WorkerStatus)] = []
    var phase = Phase.starting
    private let loads: Mailbox<Loaded>
    private(set) var load = LoadState()
    private var loadLimit = LoadLimit()    // of the load that is under way
    private var waiting: [(load: Int, done: (Bool, String) -> Void)] = []    // for the end of a load
    private var refusedAddresses = RefusedAddressLog()
    var obstacles: [String] = []    // why the first load came to nothing
    private var retirement = Retirement()
    private let ejections: Mailbox<Void>
    private let health: HealthMonitor
    private let tables: Mailbox<BuiltTable>
    let tableBuilder: HashTableBuilder
    private var outliersDue: MonotonicTime?    // when ejections are looked at; nil: when a worker has ejected one
    private var namesDue: MonotonicTime?    // when answers of DNS are published; nil: there is no new one
    private var firstNames = FirstNames()
    let succession: Succession    // one gateway takes the other's place
    var drainNotes = DrainNotes()

    /// What the poller calls the descriptors that the main thread waits for.
    enum Token {
        static let signals: UInt64 = 1, mailbox: UInt64 = 2, loads: UInt64 = 3, ejections: UInt64 = 4,
            tables: UInt64 = 5, changes: UInt64 = 6, cluster: UInt64 = 7, succession: UInt64 = 8,
            health: UInt64 = 9
    }

    /// How long answers of DNS are gathered before they are published.
    private static let namesPause = Duration.milliseconds(50)

    /// - Parameters:
    ///   - succession: what this process has of another gateway, and what it needs to be followed by one.
    ///   - cluster: the API server whose objects count beside those of the files, and its client; nil: none.
    /// - Throws: what the system refuses, as one sentence.
    package init(
        options: ControlOptions, log: Logger, signals: Signals, succession: Succession,
        cluster: (source: ClusterSource, client: any ClusterClient)? = nil
    ) throws(SystemError) {
        self.options = options
        self.log = log
        self.succession = succession
        problems = ProblemLog(log)
        var feed: ClusterFeed?
        if let cluster { feed = try ClusterFeed(source: cluster.source, client: cluster.client) }
        self.feed = feed
        self.signals = signals
        writer = try LogWriter()
        let warnings = log.logLevel <= .warning ? try LogWriter("messages", descriptor: Output.standardError) : nil
        messages = MessageLog(writer: warnings)
        heap = try HeapTrimmer()
        budget = ProcessBudget(
            limits: options.limits, descriptors: Thread.raiseFileLimit(), memory: ContainerMemory.limit(),
            workers: options.workers)
        let metrics = Metrics(version: options.version, logWriter: writer, messageWriter: warnings)
        self.metrics = metrics
        poller = try Poller()
        let mailbox = try Mailbox<Void>()
        self.mailbox = mailbox
        loads = try Mailbox<Loaded>()
        names = try NameDirectory(reached: { metrics.reached($0) }, changed: { mailbox.post(()) })
        tables = try Mailbox<BuiltTable>()
        tableBuilder = HashTableBuilder(done: tables)
        let changes = try Mailbox<Void>()
        self.changes = changes
        watch = try FileWatch { changes.post(()) }
        let ejections = try Mailbox<Void>()
        self.ejections = ejections
        health = try HealthMonitor(log: log, metrics: metrics)
        configuration = Configuration(
            options: options, metrics: metrics, inherited: succession.inherited, source: cluster?.source,
            wanted: feed?.wanted, names: names, hostsWake: { mailbox.post(()) },
            wake: { ejections.post(()) })
        cluster?.source.count { metrics.reached($0) }
        if let feed { try poller.watchReadable(feed.descriptor, token: Token.cluster) }
        try poller.watchReadable(signals.descriptor, token: Token.signals)
        try poller.watchReadable(mailbox.descriptor, token: Token.mailbox)
        try poller.watchReadable(loads.descriptor, token: Token.loads)
        try poller.watchReadable(ejections.descriptor, token: Token.ejections)
        try poller.watchReadable(tables.descriptor, token: Token.tables)
        try poller.watchReadable(changes.descriptor, token: Token.changes)
        try poller.watchReadable(health.descriptor, token: Token.health)
        if let link = succession.predecessor { try poller.watchReadable(link.descriptor, token: Token.succession) }
    }

    /// The first load has ended: opens the sockets and starts the workers, or notes why it cannot.
    private func startServing() throws(SystemError) {
        obstacles = startObstacles
        guard obstacles.isEmpty else {
            phase = .stopped
            return
        }
        HeapMemory.giveBack()
        problems.report(configuration, isRepeated: true)
        metrics.reloadEnded(configuration.diagnostics.contains { $0.severity == .error } ? .failure : .success)
        names.want(configuration.names)
        firstNames.loaded(isSettled: names.isSettled, at: .now())
        _ = configuration.update(resolved: names.addresses)    // nobody has connections to what leaves
        tableBuilder.want(configuration.hashedClusters)
        published = Published(configuration.snapshot())
        if succession.predecessor == nil { try startWorkers() } else { phase = .succeeding }
    }

    /// From now on clients are served.
    func startWorkers() throws(SystemError) {
        guard let published else { return }
        for number in 0..<options.workers { try startWorker(number, published) }
        phase = .serving
        let ports = published.current.listeners.map { "\($0.sockets.name)" }.joined(separator: ", ")
        log.info("serving on \(ports.isEmpty ? "no port: no Gateway selects this gateway's labels" : ports)")
        try hasBegunToServe()
    }

    /// Sentences about what makes serving impossible; empty when all is well.
    private var startObstacles: [String] {
        if configuration.diagnostics.contains(where: { $0.code == "load-given-up" }) {
            return configuration.diagnostics.map(\.description)
        }
        if configuration.couldNotRead {
            return configuration.diagnostics.filter { $0.code == "could-not-read" }.map(\.description)
        }
        guard configuration.bindFailures.isEmpty else { return configuration.bindFailures }
        let errors = configuration.diagnostics.filter { $0.severity == .error }
        guard !configuration.plan.listeners.isEmpty || errors.isEmpty else {
            return errors.map(\.description) + ["nothing is left to serve; correct the errors above"]
        }
        return successionObstacles
    }

    private func startWorker(_ number: Int, _ published: Published<Snapshot>) throws(SystemError) {
        let mailbox = try Mailbox<WorkerMessage>()
        let status = WorkerStatus()
        let counters = metrics.addWorker()
        let (options, budget, writer, messages, heap, log) = (options, budget, writer, messages, heap, log)
        try Thread.start("worker-\(number)", isLasting: true) {
            do throws(SystemError) {
                let worker = try Worker(
                    number: number, options: options.limits, budget: budget, mailbox: mailbox, published: published,
                    status: status, metrics: counters, log: AccessLogger(format: options.accessLog, writer: writer),
                    messages: messages, heap: heap)
                worker.run()
            } catch {
                log.critical("worker \(number) cannot start: \(error)")
            }
        }
        workers.append((mailbox, status))
        budget.add(worker: number, mailbox)
    }

    // MARK: the loop

    /// Loads the configuration, serves it, and runs until the end of a drain. From the first moment on it
    /// answers health checks and obeys signals: loads happen on a thread of their own.
    /// - Parameters:
    ///   - wake: gets the tokens that are not the control plane's.
    ///   - wait: how many milliseconds the caller's own timers allow; -1 is for ever.
    ///   - tick: after every wait, for the caller's timers.
    /// - Returns: sentences about what makes serving impossible; empty when all went well.
    package func run(
        wake: (UInt64) -> Void, wait: () -> Int32, tick: () -> Void
    ) throws(SystemError) -> [String] {
        if let feed { try feed.start() } else { beginLoad() }
        while phase != .stopped {
            let count = poller.wait(milliseconds: shortest(ownWaits + [wait()]))
            for index in 0..<count {
                switch poller[index].token {
                case Token.signals: readSignals()
                case Token.mailbox: namesChanged()
                case Token.loads: try loadEnded()
                case Token.ejections: endpointsEjected()
                case Token.tables: tablesMade()
                case Token.changes: filesChanged()
                case Token.health: endpointsChecked()
                case Token.cluster: clusterChanged()
                case Token.succession: try successionSpoke()
                case let token: wake(token)
                }
            }
            tick()
            health.order(&configuration)
            publishNames()
            settleOutliers()
            health.settle()
            configuration.settleRollouts { log.log(level: $0.isNoticed ? .warning : .info, "\($0.text)") }
            limitLoad()
            if let feed, feed.isDue { beginLoad(.cluster) }
            retirement.look()
            try continueSuccession()
            continueDrain()
        }
        succession.pidFile?.remove()
        feed?.stop()
        writer.finish()
        messages.finish()
        return obstacles
    }

    /// Milliseconds; below zero is for ever.
    private func shortest(_ waits: [Int32]) -> Int32 { waits.filter { $0 >= 0 }.min() ?? -1 }

    private var ownWaits: [Int32] {
        let load = load.deadline(limit: options.loadLimit)
        let times = [
            namesDue, load, outliersDue, health.due, configuration.hostsDue, configuration.rolloutsDue,
        ].compactMap(\.self)
        let waits = times.map { Int32(clamping: $0.nanoseconds(since: .now()) / 1_000_000 + 1) }
        return [isDraining ? 20 : -1, successionWait, retirement.wait, feed?.wait ?? -1] + waits
    }

    /// For others who want to be woken by the same loop.
    package var sharedPoller: Poller { poller }

    private func readSignals() {
        while let signal = signals.next() {
            switch signal {
            case .hangUp: beginLoad()
            case .upgrade: wantUpgrade()
            case .reopenLogs: log.info("SIGUSR1: logs go to standard output, there is no file to reopen")
            case .terminate: terminate()
            }
        }
    }

    private func namesChanged() {
        _ = mailbox.takeAll()
        for (name, reason) in names.takeNewFailures().sorted(by: { $0.key < $1.key }) {
            log.warning("\(name): \(reason); the last answer stays in use")
        }
        namesDue = namesDue ?? .now() + Self.namesPause
    }

    /// Answers come one by one: those of a moment are published together.
    private func publishNames() {
        configuration.settleHosts(tell)
        if firstNames.hasRunOut(at: .now()) { metrics.reached(.firstNames) }
        guard let namesDue, .now() >= namesDue else { return }
        self.namesDue = nil
        let isSettled = names.isSettled
        spread(left: configuration.update(resolved: names.addresses))
        firstNames.published(isSettled: isSettled)
    }

    /// The API server has said something: endpoints change at once, everything else with a load.
    private func clusterChanged() {
        if let changes = feed?.takeChanges() { update(changes) }
    }

    /// Takes changed EndpointSlices and Pods: no route is compiled, and all workers have the new endpoints of the
    /// clusters concerned from their next request on.
    package func update(_ changes: EndpointChanges) { spread(left: configuration.update(changes)) }

    /// Endpoints have changed: tells whoever has to do something about it.
    private func spread(left: [Int]) {
        guard published != nil else { return }    // `startServing` does all of it, for the first plan
        names.want(configuration.names)
        for sentence in refusedAddresses.new(of: configuration.refusedAddresses) { log.error("\(sentence)") }
        if !left.isEmpty { tell(.endpointsLeft(left)) }
        tableBuilder.want(configuration.hashedClusters)
    }

    // MARK: outliers

    /// How long ejections are gathered before those that are left are published.
    private static let ejectionsPause = Duration.milliseconds(10)

    /// Workers do not choose an ejected endpoint any more; the lists of the others are made here.
    private func endpointsEjected() {
        _ = ejections.takeAll()
        let soon = MonotonicTime.now() + Self.ejectionsPause
        outliersDue = outliersDue.map { min($0, soon) } ?? soon
    }

    private func endpointsChecked() {
        health.take(&configuration)
        tableBuilder.want(configuration.hashedClusters)
    }

    private func settleOutliers() {
        guard let outliersDue, .now() >= outliersDue else { return }
        let (events, due) = configuration.settleOutliers(at: .now())
        self.outliersDue = due
        tableBuilder.want(configuration.hashedClusters)
        for line in EjectionText.lines(of: events) { log.warning("\(line)") }
    }

    /// Tables of consistent hashing are made beside this thread.
    private func tablesMade() {
        for built in tables.takeAll() where !built.cluster.isGone {
            if built.isReduced { metrics.reached(.hashTablePlaces) }
            built.cluster.install(built.table)
        }
        tableBuilder.want(configuration.hashedClusters)
    }

    // MARK: reload

    /// Somebody has renewed a certificate.
    private func filesChanged() {
        _ = changes.takeAll()
        guard [.starting, .succeeding, .serving].contains(phase) else { return }
        log.info("a file of a certificate or its authorities has changed: reloading")
        beginLoad()
    }

    /// Reads everything again and publishes it. Nothing of a running connection is touched.
    /// - Parameter done: called by the loop when a load that began after this call has ended: whether all
    ///   of it was good, and a sentence.
    package func reload(done: @escaping (_ isSuccess: Bool, _ text: String) -> Void) {
        beginLoad()
        guard waiting.count < Self.mostWaiting else {
            metrics.reached(.reloadWaits)
            return done(false, "\(waiting.count) callers wait for the load to end: ask again when it has ended")
        }
        waiting.append((load: load.answering, done))
    }

    /// Callers that wait for a load to end: as many as may be connected at a time. One that leaves counts until then.
    private static let mostWaiting = 64

    func beginLoad(_ extent: LoadExtent = .everything) {
        if feed != nil, phase == .starting, extent == .everything { return }    // the cluster's first
        if succession.upgrade.isHandedOver { return }    // the other process has what is new
        let isHeld = succession.upgrade.isUnderWay && extent != .cluster
        guard load.want(extent, isHeld: isHeld, at: .now()) != nil else { return }
        let isOfStorm = feed?.loadBegan() ?? true
        loadLimit = LoadLimit()
        // The first one is waited for by everybody, and there is nobody yet whom it could disturb.
        let isUrgent = phase == .starting || extent == .cluster && !isOfStorm
        configuration.load(extent, into: loads, niceness: isUrgent ? 0 : Loader.niceness, limit: loadLimit)
    }

    /// A load that takes too long is asked to end.
    private func limitLoad() {
        guard load.isOverdue(at: .now(), limit: options.loadLimit) else { return }
        loadLimit.end()
        log.warning("the load takes longer than \(options.loadLimit): it is given up")
    }

    /// Publishes what was loaded.
    private func loadEnded() throws(SystemError) {
        guard let loaded = loads.takeAll().last, let ended = load.end() else { return }
        let later = feed?.loadEnded(work: loaded.work.withLock { $0 }) ?? EndpointChanges()
        // Names that the load has waited for have addresses when its routes take effect.
        spread(left: configuration.update(resolved: names.addresses))
        let applied = loaded.isGivenUp ? nil : configuration.apply(loaded, later: later)
        if loaded.isGivenUp { configuration.noteGivenUp() } else { watch.want(loaded.stamps) }
        if phase == .starting {
            try startServing()
        } else {
            if let applied { publish(applied) }
            problems.report(configuration, isRepeated: ended.extent == .everything)
        }
        feed?.tell(configuration)
        tellEnd(of: ended)
        beginWantedLoad()
        if succession.upgrade.isWanted { wantUpgrade() }
    }

    /// Another load was asked for while one was under way, or an upgrade.
    func beginWantedLoad() {
        if phase != .stopped, load.takeWanted() { beginLoad() }
    }

    /// Another process has what a load would bring.
    func endWaiting(_ text: String) {
        for waiter in waiting { waiter.done(false, text) }
        waiting = []
    }

    private func tellEnd(of ended: LoadState.Load) {
        noteServing()
        let errors = configuration.diagnostics.count { $0.severity == .error } + configuration.bindFailures.count
        let milliseconds = MonotonicTime.now().nanoseconds(since: ended.began) / 1_000_000
        let kept = configuration.kept.count
        let text =
            errors == 0
            ? "reloaded in \(milliseconds) ms: \(configuration.loaded.changes)"
            : "reloaded in \(milliseconds) ms with \(errors) errors; \(kept) objects keep their last good version"
        if ended.extent == .cluster {
            log.debug("\(text)")
        } else if ended.number > 1 {
            metrics.reloadEnded(errors == 0 ? .success : .failure)
            log.info("\(text)")
        }
        let answered = waiting.filter { $0.load <= ended.number }
        waiting.removeAll { $0.load <= ended.number }
        for waiter in answered { waiter.done(errors == 0, text) }
    }

    /// A snapshot where more has changed than endpoints, which clusters have already.
    private func publish(_ applied: Configuration.Applied) {
        guard let published else { return }
        let old = applied.isNew ? published.current : nil
        if applied.isNew {
            published.replace(with: configuration.snapshot())
            tell(.snapshotPublished)
        }
        retirement.add(old, applied.loaded, applied.endpoints)
        refusedAddresses = RefusedAddressLog()
        spread(left: applied.left)
    }

    /// Posts a message to each worker, which reads it when it wakes.
    func tell(_ message: WorkerMessage) {
        for worker in workers { worker.mailbox.post(message) }
    }

    // MARK: what others may know

    /// What each worker has to do now, by its number.
    package var workerStatuses: [WorkerStatus] { workers.map(\.status) }

    /// Whether new connections should be sent here, and if not, why.
    package var readiness: (isReady: Bool, reason: String) {
        if phase == .starting { return (false, feed?.waitingReason ?? "starting") }
        if phase == .succeeding { return (false, "the gateway before this one serves still") }
        // Who asks here still means the address, and there the other process serves.
        if succession.upgrade.isHandedOver { return (true, "the gateway after this one serves") }
        if phase != .serving { return (false, "draining") }
        if workers.isEmpty || !haveBegun { return (false, "starting") }
        return unprepared.map { (false, $0) } ?? (true, "ready")
    }

    /// Whether the workers serve. Those of a successor do in a moment, and until then its clients wait in the kernel's
    /// queue: who asks in that moment must not take the address for one that does not serve.
    private var haveBegun: Bool {
        if case .predecessor = succession.inherited.giver { return true }
        return workers.allSatisfy { $0.status.snapshotsTaken.load(ordering: .acquiring) > 0 }
    }

    /// What requests would still have to wait for; nil: nothing.
    var unprepared: String? {
        guard firstNames.isWaiting(at: .now()) else { return nil }
        if !firstNames.arePublished { return "resolving names" }
        return configuration.hashedClusters.allSatisfy(\.isHashReady) ? nil : "making hash tables"
    }

    /// What workers serve now; nil until the first load has ended.
    package var snapshot: Snapshot? { published?.current }
    /// What is wrong with the definitions in effect.
    package var diagnostics: [Diagnostic] { configuration.diagnostics }
    package var plan: RoutingPlan { configuration.plan }
    /// The endpoints as they are known now.
    package var endpoints: EndpointTable { configuration.endpoints }
    /// What is known of the API server; nil: there is none.
    package var cluster: ClusterStatus? { feed?.source.status }
    /// What the health checks of an endpoint say; nil: it is not checked.
    package func health(of endpoint: EndpointState) -> HealthHistory? { configuration.health(of: endpoint) }
    /// The objects that the last load has read, with their places.
    package var objects: [LoadedObject] { configuration.loaded.objects }
}

@available(*, unavailable) extension ControlPlane: Sendable {}
