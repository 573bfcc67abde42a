internal import Balancing
internal import Manifests
internal import Proxy
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// From files to a snapshot, again and again: what stays the same over reloads lives here.
/// The control plane's thread only.
struct Configuration {
    private let options: ControlOptions
    private let metrics: Metrics
    private let loader: Loader
    private var directory: ClusterDirectory
    private var requested: RequestedResolver
    private var listeners: ListenerDirectory
    private var served: [ServedListener] = []
    private(set) var loaded = Loaded()
    /// Everything that was found wrong in the last load.
    private(set) var diagnostics: [Diagnostic] = []
    /// A sentence for each port that could not be opened.
    private(set) var bindFailures: [String] = []

    /// - Parameters:
    ///   - inherited: sockets that were open when the process began.
    ///   - source: the cluster whose objects count beside those of the files.
    ///   - wanted: what the plan needs of that cluster, which loads wait for.
    ///   - names: looks up names of the plan, whose first answers later loads wait for.
    ///   - hostsWake: called, on any thread, when `settleHosts` has something to do.
    ///   - wake: called, on any thread, when `settleOutliers` has something to do.
    init(
        options: ControlOptions, metrics: Metrics, inherited: InheritedSockets = InheritedSockets(),
        source: ClusterSource? = nil, wanted: WantedObjects? = nil,
        names: NameDirectory? = nil, hostsWake: @escaping @Sendable () -> Void = {},
        wake: @escaping @Sendable () -> Void = {}
    ) {
        requested = RequestedResolver(wake: hostsWake) { changed throws(SystemError) in
            try NameDirectory(
                reached: { metrics.reached($0 == .nameLookups ? .requestedLookups : $0) }, changed: changed)
        }
        listeners = ListenerDirectory(inherited: inherited)
        self.options = options
        self.metrics = metrics
        loader = Loader(options: options, metrics: metrics, source: source, wanted: wanted, names: names)
        directory = ClusterDirectory(
            limit: options.compile.mostEndpoints, refusal: options.compile.refusedEndpoint,
            refusedRequested: options.compile.refusedRequestedEndpoint,
            countedBefore: { metrics.tries(number: $0) }, wake: wake)
    }

    /// Reads, checks and compiles the definitions, here and now; sockets are open afterwards.
    mutating func load() { _ = apply(loadNow()) }

    /// Reads, checks and compiles the definitions on this thread.
    func loadNow(_ extent: LoadExtent = .everything) -> Loaded { loader.load(extent).loaded }

    /// The same beside this thread: the result is posted, to be applied.
    /// - Parameters:
    ///   - niceness: how far the loader's thread steps back.
    ///   - limit: ends it early.
    func load(_ extent: LoadExtent, into mailbox: Mailbox<Loaded>, niceness: Int32, limit: LoadLimit) {
        loader.loadBeside(mailbox, extent, niceness: niceness, limit: limit)
    }

    /// The last load was given up: what was loaded before stays, and this stands beside its problems.
    mutating func noteGivenUp() {
        let place = SourcePlace(file: options.paths.first ?? "-", line: 1, column: 1)
        diagnostics.removeAll { $0.code == Self.givenUp }
        diagnostics.append(
            Diagnostic(
                .error, Self.givenUp,
                "the definitions were not loaded within \(options.loadLimit): what was loaded before stays in effect",
                hint: "`portico check` tells how long they take and what is large in them; or raise --load-limit",
                at: place))
        countProblems()
    }

    private static let givenUp = "load-given-up"

    /// Further descriptors of all listening sockets; the caller closes them.
    var listeningSockets: [CInt] { listeners.duplicates }

    /// Another process listens from now on; see `ListenerDirectory.handOver`.
    mutating func handOver() { listeners.handOver() }

    /// What came of a load.
    struct Applied {
        /// Routes, listeners or certificates are others: a snapshot has to be published.
        let isNew: Bool
        /// Numbers of endpoints that no cluster has any more.
        let left: [Int]
        /// What is not in use any more, for another thread to free.
        let loaded: Loaded
        let endpoints: EndpointTable?
    }

    /// Takes what was loaded; sockets are open and clusters have their endpoints afterwards.
    /// - Parameter later: changes of endpoints that came while it was loaded.
    mutating func apply(_ next: Loaded, later: EndpointChanges = EndpointChanges()) -> Applied {
        let old = loaded
        let isNew = !next.hasSameRoutes(as: old) || !bindFailures.isEmpty
        loaded = next
        if isNew { bind() }
        Self.retire(old.upstreamTLS, next.upstreamTLS)
        var endpoints = next.takeEndpoints()
        _ = endpoints?.apply(later)
        let (left, table) = directory.replace(plan: next.plan, table: endpoints, tls: next.upstreamTLS)
        diagnostics = next.diagnostics
        countProblems()
        return Applied(isNew: isNew, left: left, loaded: old, endpoints: table)
    }

    /// Takes changed objects of endpoints: the clusters concerned have them at once, for all workers.
    /// - Returns: the numbers of endpoints that no cluster has any more.
    mutating func update(_ changes: EndpointChanges) -> [Int] { directory.update(changes) }

    /// The same with all answers of DNS.
    mutating func update(resolved: [String: [String]]) -> [Int] { directory.update(resolved: resolved) }

    /// Ends ejections whose time is over, and takes endpoints that are ejected out of the choice.
    /// - Returns: what has happened, by cluster, and when the next call is due; nil: when it is woken.
    func settleOutliers(
        at now: MonotonicTime
    ) -> (events: [(cluster: String, event: OutlierEvent)], due: MonotonicTime?) {
        let (events, due) = directory.settle(at: now.nanoseconds)
        return (events, due.map(MonotonicTime.init))
    }

    /// What the checker of endpoints is to do, since the last call.
    mutating func takeHealthOrders() -> [HealthOrder] { directory.takeHealthOrders() }

    /// Takes what the checker has found; see `ClusterDirectory.take`.
    mutating func take(
        health news: [HealthNews]
    ) -> (changes: [(service: String, news: HealthNews)], panics: [(cluster: ClusterState, isPanicking: Bool)]) {
        directory.take(health: news)
    }

    /// What the checks of an endpoint say; nil: it is not checked.
    func health(of endpoint: EndpointState) -> HealthHistory? { directory.health(of: endpoint) }

    /// Takes hosts that requests have named, and the answers for them.
    /// - Parameter tell: tells all workers what follows.
    mutating func settleHosts(_ tell: (WorkerMessage) -> Void) {
        guard let outcome = requested.settle(at: .now(), in: &directory) else { return }
        if !outcome.settled.isEmpty { tell(.hostsSettled(outcome.settled)) }
        if !outcome.left.isEmpty { tell(.endpointsLeft(outcome.left)) }
        for limit in outcome.limits { metrics.reached(limit) }
    }

    /// Gives the reports of rollouts that are over.
    mutating func settleRollouts(_ tell: (Rollouts.Report) -> Void) {
        for report in directory.rollouts.settle(at: .now()) { tell(report) }
    }

    /// When `settleRollouts` has something to do; nil: never.
    var rolloutsDue: MonotonicTime? { directory.rollouts.due }

    /// When `settleHosts` has something to do without being woken; nil: never.
    var hostsDue: MonotonicTime? { requested.nextLook }

    /// The clusters whose endpoints are found by hash.
    var hashedClusters: [ClusterState] { directory.hashed }

    /// The endpoints as they are known now.
    var endpoints: EndpointTable { directory.endpoints }
    /// What is not sent to, as sentences.
    var refusedAddresses: Set<String> { directory.refused }
    var plan: RoutingPlan { loaded.plan }
    var kept: [ObjectReference] { loaded.kept }
    var rejected: Int { loaded.rejected }
    var couldNotRead: Bool { loaded.couldNotRead }
    /// Names that DNS has to resolve for the plan.
    var names: Set<String> { directory.names }

    /// The loaded configuration, to be published.
    func snapshot() -> Snapshot {
        let clusters = directory.clusters
        metrics.setClusters(clusters)
        return Snapshot(
            plan: plan, clusters: clusters, routeMetrics: loaded.routeMetrics, listeners: served,
            upstreamTLS: loaded.upstreamTLS, requestedHosts: requested.hosts)
    }

    /// By chain: the number of the first one with the same TLS rules.
    private static func terms(of chains: [TLSChain]) -> [Int] {
        var kinds: [Int] = []
        return chains.indices.map { number in
            let isRelayed = chains[number].relay != nil
            let known = kinds.first {
                !isRelayed && chains[$0].relay == nil && chains[$0].hasSameTerms(as: chains[number])
            }
            if let known { return known }
            kinds.append(number)
            return number
        }
    }

    /// Which server name is served how; nil when the listener takes clear text only.
    static func selector(_ listener: ListenerPlan, _ contexts: [TLSContext?]) -> TLSSelector? {
        guard !listener.chains.isEmpty || !listener.passthroughs.isEmpty else { return nil }
        var served: [(serverNames: [String], context: TLSContext, number: Int)] = []
        var closed: [[String]] = []
        for (index, (chain, context)) in zip(listener.chains, contexts).enumerated() {
            if let context {
                served.append((chain.serverNames, context, index))
            } else if chain.clients != nil || !listener.passthroughs.isEmpty || listener.clearRelay != nil
                || listener.chains.contains(where: { $0.relay != nil })
            {
                // A server with a wider name, which asks for less, or sends octets elsewhere, must not stand in.
                closed.append(chain.serverNames)
            }
        }
        let passed = listener.passthroughs.map { (serverNames: $0.serverNames, number: $0.route) }
        return TLSSelector(chains: served, passed: passed, closed: closed)
    }

    /// Connections by TLS settings that are gone end with their streams.
    private static func retire(_ old: [Int: ClusterTLS], _ next: [Int: ClusterTLS]) {
        let used = Set(next.values.compactMap { $0.security.map { ObjectIdentifier($0) } })
        for security in old.values.compactMap(\.security) where !used.contains(ObjectIdentifier(security)) {
            security.leave()
        }
    }

    private mutating func bind() {
        served = listeners.sockets(for: plan, options: options).map { listener, sockets, index in
            ServedListener(
                sockets: sockets, gatewayPort: listener.port, clearTable: listener.clearTable,
                tls: Self.selector(listener, loaded.contexts[index]),
                chainTables: listener.chains.map(\.table), chainTerms: Self.terms(of: listener.chains),
                concurrentStreams: listener.concurrentStreams,
                relays: ListenerRelays(
                    clear: listener.clearRelay,
                    chains: listener.chains.contains { $0.relay != nil } ? listener.chains.map(\.relay) : []),
                topology: listener.topology)
        }
        bindFailures = listeners.failures.map { "port \($0.listener.port): \($0.error)" }
    }

    private func countProblems() {
        let problems = [Diagnostic.Severity.error, .warning, .note].map { severity in
            Metrics.Count(severity.rawValue, diagnostics.count { $0.severity == severity })
        }
        let accepted = loaded.objects.count
        metrics.setConfiguration(
            problems: problems,
            objects: [
                .init("accepted", accepted - kept.count), .init("rejected", rejected), .init("kept", kept.count),
            ])
    }
}
