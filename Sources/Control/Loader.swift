package import Manifests
internal import Octets
internal import Proxy
internal import Reactor
internal import Routing
internal import Synchronization
internal import TLS
internal import Telemetry

/// What one load came to: values only, so that any thread may make it and any thread may free it.
final class Loaded: Sendable {
    let plan: RoutingPlan
    /// By route number: the process-wide number under which metrics know the route.
    let routeMetrics: [Int]
    /// Everything that was found wrong.
    let diagnostics: [Diagnostic]
    /// All objects in effect.
    let objects: [LoadedObject]
    let kept: [ObjectReference]
    /// What the load changed of the objects in effect.
    let changes: ObjectChanges.Counts
    let rejected: Int
    let couldNotRead: Bool
    /// By listener and chain of the plan; nil: the chain has no usable certificate.
    let contexts: [[TLSContext?]]
    /// TLS to the plan's clusters, by their numbers.
    let upstreamTLS: [Int: ClusterTLS]
    /// Files that were read besides the definitions, as they were; see `FileWatch`.
    let stamps: [String: FileStamp?]
    private let table: Lock<EndpointTable>
    /// It was ended before it was complete: nothing else of it counts.
    let isGivenUp: Bool

    init(
        plan: RoutingPlan = RoutingPlan(), routeMetrics: [Int] = [], inventory: Inventory = Inventory(),
        set: ManifestSet = ManifestSet(), kept: [ObjectReference] = [],
        changes: ObjectChanges.Counts = ObjectChanges.Counts(), endpoints: EndpointTable = EndpointTable(),
        contexts: [[TLSContext?]] = [], certificates: [Diagnostic] = [], upstreamTLS: [Int: ClusterTLS] = [:],
        stamps: [String: FileStamp?] = [:], isGivenUp: Bool = false
    ) {
        self.upstreamTLS = upstreamTLS
        self.stamps = stamps
        self.contexts = contexts
        table = Lock(endpoints)
        self.isGivenUp = isGivenUp
        self.plan = plan
        self.routeMetrics = routeMetrics
        self.kept = kept
        self.changes = changes
        diagnostics = set.diagnostics + plan.diagnostics(with: endpoints) + certificates
        objects = inventory.all.map { LoadedObject(identity: $0.identity.detached, place: $0.place) }
        rejected = set.rejected.count
        couldNotRead = set.couldNotRead
    }

    /// The endpoints at the time of the load. They are given away: whoever changes them must be the only holder.
    func takeEndpoints() -> EndpointTable {
        table.withLock { table in
            let taken = table
            table = EndpointTable()
            return taken
        }
    }

    /// Whether both serve alike but for their endpoints.
    func hasSameRoutes(as other: Loaded) -> Bool {
        plan === other.plan && contexts.count == other.contexts.count
            && upstreamTLS.count == other.upstreamTLS.count
            && upstreamTLS.allSatisfy { number, tls in
                other.upstreamTLS[number].map { ClusterTLS.isSame(tls, $0) } ?? false
            }
            && zip(contexts, other.contexts).allSatisfy { left, right in
                left.count == right.count && zip(left, right).allSatisfy { $0 === $1 }
            }
    }
}

/// One object in effect, for the admin pages.
package struct LoadedObject: Sendable {
    /// Kind, namespace and name.
    package let identity: ObjectReference
    /// Where the object is written.
    package let place: SourcePlace
}

/// Reads, checks and compiles the definitions, and remembers of one load what the next one needs.
/// One load at a time, on whatever thread; a second caller waits.
final class Loader: Sendable {
    private let options: ControlOptions
    private let metrics: Metrics
    private let memory: Lock<Memory>

    private struct Memory {
        var store = ObjectStore()
        var certificates: CertificateDirectory
        var upstreams: UpstreamTLSDirectory
        var plans = PlanMemory()
        var hasReadOnce = false
    }

    /// What a load read, and the objects that it replaced. Nothing needs them any more, and freeing them takes long.
    struct Remains {
        fileprivate let set: ManifestSet
        fileprivate let store: ObjectStore
    }

    init(options: ControlOptions, metrics: Metrics) {
        self.options = options
        self.metrics = metrics
        memory = Lock(
            Memory(
                certificates: CertificateDirectory(meshFolder: options.meshIdentity),
                upstreams: UpstreamTLSDirectory(meshFolder: options.meshIdentity)))
    }

    /// - Parameter limit: ends it early; it leaves no trace then.
    func load(limit: LoadLimit = LoadLimit()) -> (loaded: Loaded, remains: Remains) {
        memory.withLock { memory in
            var (store, certificates, plans) = (memory.store, memory.certificates, memory.plans)
            var upstreams = memory.upstreams
            var changes = ObjectChanges()
            let set = read(isFirst: !memory.hasReadOnce, limit)
            var plan = RoutingPlan()
            var endpoints = EndpointTable()
            if !limit.isOver {
                changes = store.apply(set.delivery)
                endpoints = EndpointTable(store.inventory, refusal: options.compile.refusedEndpoint)
                plan = plans.plan(
                    of: store.inventory, changes, isWhole: set.isWhole && store.kept.isEmpty,
                    labels: options.compile.labels
                ) {
                    RoutingPlan.compile(store.inventory, endpoints: endpoints, options: compileOptions(limit))
                }
            }
            let contexts = certificates.contexts(of: plan, secrets: store.inventory.secrets, limit: limit)
            let upstreamTLS = upstreams.all(of: plan, secrets: store.inventory.secrets, limit: limit)
            for secret in store.inventory.secrets { secret.forget() }
            guard !limit.isOver else { return (Loaded(isGivenUp: true), Remains(set: set, store: store)) }
            let remains = Remains(set: set, store: memory.store)
            memory.hasReadOnce = true
            memory.store = store
            memory.certificates = certificates
            memory.upstreams = upstreams
            memory.plans = plans
            let loaded = Loaded(
                plan: plan, routeMetrics: plan.routes.map { metrics.routeID(named: $0.name) },
                inventory: store.inventory, set: set, kept: store.kept, changes: changes.counts, endpoints: endpoints,
                contexts: contexts,
                certificates: certificates.diagnostics + upstreams.diagnostics, upstreamTLS: upstreamTLS,
                stamps: upstreams.stamps.merging(certificates.stamps) { first, _ in first })
            return (loaded, remains)
        }
    }

    private func compileOptions(_ limit: LoadLimit) -> CompileOptions {
        var compile = options.compile
        compile.limit = limit
        return compile
    }

    /// Standard input can be read only once: later loads keep what came from it.
    private func read(isFirst: Bool, _ limit: LoadLimit) -> ManifestSet {
        let paths = isFirst ? options.paths : options.paths.filter { $0 != "-" }
        var set = ManifestReader.load(
            paths: paths, defaultNamespace: options.compile.gatewayNamespace, limit: limit)
        if paths.count < options.paths.count { set.brokenFiles.insert("-") }
        return set
    }
}

extension Loader {
    /// Loads on a thread of its own, and posts the result.
    ///
    /// The thread's niceness: loading 100,000 objects takes seconds of processor, and on a machine with as
    /// many workers as cores it takes them from a worker. With 10 a worker that wakes up goes first, and
    /// a worker that never sleeps still leaves a tenth of its core, so that a load always ends: with 19
    /// or SCHED_IDLE it would get a hundredth or less of a busy core, and a new route would wait minutes.
    static let niceness: Int32 = 10

    /// Loads on a thread of its own and posts the result.
    /// - Parameter niceness: 0 to 19, see `nice(2)`.
    func loadBeside(_ mailbox: Mailbox<Loaded>, niceness: Int32, limit: LoadLimit) {
        do throws(SystemError) {
            try Thread.start("loader", niceness: niceness) { [self] in load(into: mailbox, limit) }
        } catch {
            load(into: mailbox, limit)    // no thread is to be had: then here
        }
    }

    private func load(into mailbox: Mailbox<Loaded>, _ limit: LoadLimit) {
        deliver(mailbox, limit)
        HeapMemory.giveBack()
    }

    /// A function of its own: what it leaves behind is freed when it returns, after the delivery.
    private func deliver(_ mailbox: Mailbox<Loaded>, _ limit: LoadLimit) {
        let (loaded, remains) = load(limit: limit)
        mailbox.post(loaded)
        withExtendedLifetime(remains) {}
    }
}
