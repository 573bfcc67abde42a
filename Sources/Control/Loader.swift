package import Manifests
internal import Octets
internal import Proxy
internal import Reactor
internal import Routing
internal import Synchronization
internal import TLS
internal import Telemetry

/// What one load came to: values only, so that any thread may make it and any thread may free it.
///
/// Thread: any. Freed by: whoever has it last: the control plane, the status writer or a `Retirement`.
final class Loaded: Sendable {
    let plan: RoutingPlan
    /// By route number: the process-wide number under which metrics know the route.
    let routeMetrics: [Int]
    /// Everything that was found wrong.
    let diagnostics: [Diagnostic]
    /// All objects in effect.
    let objects: [LoadedObject]
    /// Objects whose last good version is in effect, because the newest is invalid.
    let kept: [ObjectReference]
    /// What the load changed of the objects in effect.
    let changes: ObjectChanges.Counts
    /// How many objects of this load are not in effect.
    let rejected: Int
    let couldNotRead: Bool
    /// By listener and chain of the plan; nil: the chain has no usable certificate.
    let contexts: [[TLSContext?]]
    /// TLS to the plan's clusters, by their numbers.
    let upstreamTLS: [Int: ClusterTLS]
    /// Files that were read besides the definitions, as they were; see `FileWatch`.
    let stamps: [String: FileStamp?]
    /// What the status of objects is written by; nil: it is not written.
    let basis: StatusBasis?
    private let table: Lock<EndpointTable?>
    /// Processor time that the load has taken; zero if it was not measured.
    let work: Lock<Duration> = Lock(.zero)
    /// It was ended before it was complete: nothing else of it counts.
    let isGivenUp: Bool

    init(
        plan: RoutingPlan = RoutingPlan(), routeMetrics: [Int] = [], inventory: Inventory = Inventory(),
        set: ManifestSet = ManifestSet(), kept: [ObjectReference] = [],
        changes: ObjectChanges.Counts = ObjectChanges.Counts(), endpoints: EndpointTable = EndpointTable(),
        givesEndpoints: Bool = true, objects: [LoadedObject]? = nil, planProblems: [Diagnostic]? = nil,
        contexts: [[TLSContext?]] = [], certificates: [Diagnostic] = [], upstreamTLS: [Int: ClusterTLS] = [:],
        stamps: [String: FileStamp?] = [:], basis: StatusBasis? = nil, isGivenUp: Bool = false
    ) {
        self.basis = basis
        self.upstreamTLS = upstreamTLS
        self.stamps = stamps
        self.contexts = contexts
        table = Lock(givesEndpoints ? endpoints : nil)
        self.isGivenUp = isGivenUp
        self.plan = plan
        self.routeMetrics = routeMetrics
        self.kept = kept
        self.changes = changes
        diagnostics = set.diagnostics + (planProblems ?? plan.diagnostics(with: endpoints)) + certificates
        self.objects =
            objects ?? inventory.all.map { LoadedObject(identity: $0.identity.detached, place: $0.place) }
        rejected = set.rejected.count
        couldNotRead = set.couldNotRead
    }

    /// The endpoints at the time of the load. They are given away: whoever changes them must be the only holder.
    /// - Returns: nil if those that are in effect are the newest, and the labels that count are the same.
    func takeEndpoints() -> EndpointTable? {
        table.withLock { table in
            let taken = table
            table = nil
            return taken
        }
    }

    /// Whether both serve alike but for their endpoints.
    func hasSameRoutes(as other: Loaded) -> Bool {
        plan === other.plan && contexts.count == other.contexts.count
            && ClusterTLS.isSame(upstreamTLS, other.upstreamTLS)
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

/// What a load reads.
enum LoadExtent: Sendable {
    /// The files again, and what has changed in the cluster.
    case everything
    case cluster
}

/// Reads, checks and compiles the definitions, and remembers of one load what the next one needs.
/// One load at a time, on whatever thread; a second caller waits.
///
/// Thread: any, one at a time. Freed by: the last of the `Configuration` and the thread of a load.
final class Loader: Sendable {
    private let options: ControlOptions
    private let metrics: Metrics
    private let source: ClusterSource?
    private let wanted: WantedObjects?
    private let names: NameDirectory?
    private let memory: Lock<Memory>

    private struct Memory {
        var files = FileObjects()
        var cluster = ClusterObjects()
        var certificates: CertificateDirectory
        var upstreams: UpstreamTLSDirectory
        var plans = PlanMemory()
        /// The routes of the last plan, and the numbers under which metrics know them.
        var routes: (all: [Route], numbers: [Int]) = ([], [])
        var compilation = CompileMemory()
        var hasReadOnce = false
        /// With a cluster: the endpoints at the last load, which the next one changes.
        var table: EndpointTable?
        var objects: [LoadedObject] = []
    }

    /// What a load read, and the objects that it replaced. Nothing needs them any more, and freeing them takes long.
    struct Remains {
        fileprivate let set: ManifestSet
        fileprivate let files: FileObjects
    }

    /// - Parameters:
    ///   - source: the cluster whose objects count, too; nil: none.
    ///   - wanted: what loads wait for; nil: for nothing.
    ///   - names: has names looked up that a later load is the first to want, which it waits for; nil: it does not.
    init(
        options: ControlOptions, metrics: Metrics, source: ClusterSource? = nil, wanted: WantedObjects? = nil,
        names: NameDirectory? = nil
    ) {
        self.wanted = wanted
        self.names = names
        self.options = options
        self.metrics = metrics
        self.source = source
        memory = Lock(
            Memory(
                certificates: CertificateDirectory(meshFolder: options.meshIdentity),
                upstreams: UpstreamTLSDirectory(meshFolder: options.meshIdentity)))
    }

    /// - Parameters:
    ///   - limit: ends it early; it leaves no trace then, but that the cluster's changes wait for the next one.
    ///   - mayWait: for names, and for objects of the cluster that no load has wanted before.
    func load(
        _ extent: LoadExtent = .everything, limit: LoadLimit = LoadLimit(), mayWait: Bool = true
    ) -> (loaded: Loaded, remains: Remains) {
        memory.withLock { memory in
            let readsFiles = extent == .everything || !memory.hasReadOnce
            let set = readsFiles ? read(isFirst: !memory.hasReadOnce, limit) : ManifestSet()
            wanted?.begin(mayWait: mayWait)
            repeat {
                if let source { memory.cluster.take(source.take()) }
                var next = memory
                if readsFiles, !limit.isOver { next.files.apply(set) }
                if !limit.isOver, let loaded = compile(&next, extent, limit) {
                    let remains = Remains(set: set, files: memory.files)
                    if memory.hasReadOnce, mayWait { awaitNames(of: loaded.plan, limit) }
                    settle(&next, loaded.plan)
                    memory = next
                    return (loaded, remains)
                }
            } while isAnotherDue(limit)
            return (Loaded(isGivenUp: true), Remains(set: set, files: FileObjects()))
        }
    }

    /// The load is in effect.
    private func settle(_ next: inout Memory, _ plan: RoutingPlan) {
        wanted?.settle(plan)
        next.hasReadOnce = true
        next.files.settle()
        next.cluster.settle()
        source?.hide(next.files.endpointObjects)
    }

    /// Of the first load, readiness waits for the names.
    private func awaitNames(of plan: RoutingPlan, _ limit: LoadLimit) {
        guard let names, !names.waitForAnswers(of: plan.names, limit: limit), !limit.isOver else { return }
        metrics.reached(.awaitedNames)
    }

    /// Waits for what the plan needs of the cluster, where that is why nothing was loaded.
    /// - Returns: whether the load is to be tried again; if not, it was ended early.
    private func isAnotherDue(_ limit: LoadLimit) -> Bool {
        guard !limit.isOver, let wanted else { return false }
        if !wanted.wait(limit), !limit.isOver { metrics.reached(.awaitedObjects) }
        return !limit.isOver
    }

    /// - Returns: nil if it was ended early, or has to wait for what the plan wants.
    private func compile(_ next: inout Memory, _ extent: LoadExtent, _ limit: LoadLimit) -> Loaded? {
        let objects = JoinedObjects(next.files, next.cluster)
        let (endpoints, isOld) = table(of: objects, &next, extent)
        var isNew = false    // its problems are those of these endpoints
        // What a whole load reads of a file depends on all of them: on limits that hold for a load.
        var compilation = extent == .everything ? CompileMemory() : next.compilation
        let plan = next.plans.plan(
            of: objects.inventory, objects.changes, isWhole: objects.isWhole, labels: options.compile.labels
        ) {
            isNew = true
            return RoutingPlan.compile(
                objects.inventory, endpoints: endpoints, options: compileOptions(limit), memory: &compilation)
        }
        next.compilation = compilation
        // A plan that was cut short names but a part of what it needs.
        guard !limit.isOver, wanted?.has(plan) ?? true else { return nil }
        let secrets = objects.inventory.secrets
        let contexts = next.certificates.contexts(of: plan, secrets: secrets, limit: limit)
        for _ in 0..<next.certificates.namesLeftOut { metrics.reached(.authorityNames) }
        let upstreamTLS = next.upstreams.all(of: plan, secrets: secrets, limit: limit)
        // A server sends a Secret once, and the next load may need it for something else.
        for secret in next.files.store.inventory.secrets { secret.forget() }
        guard !limit.isOver else { return nil }
        let tickets = SharedTicketKeys(options.ticketKeys)
        let isSame = isOld && objects.changes.keepsPlaces
        next.routes = (plan.routes, numbers(of: plan.routes, before: next.routes))
        let loaded = Loaded(
            plan: plan, routeMetrics: next.routes.numbers,
            inventory: objects.inventory, set: objects.problems, kept: objects.kept, changes: objects.changes.counts,
            endpoints: endpoints, givesEndpoints: !isOld, objects: isSame ? next.objects : nil,
            planProblems: isNew ? plan.diagnostics : nil, contexts: contexts,
            certificates: next.certificates.diagnostics + next.upstreams.diagnostics + tickets.diagnostics,
            upstreamTLS: upstreamTLS,
            stamps: next.upstreams.stamps.merging(next.certificates.stamps) { first, _ in first }
                .merging(tickets.stamps) { first, _ in first },
            basis: basis(of: objects, next.cluster))
        if source != nil { next.objects = loaded.objects }
        return loaded
    }

    /// The numbers under which metrics know the routes. Most of them are those of the plan before.
    private func numbers(of routes: [Route], before: (all: [Route], numbers: [Int])) -> [Int] {
        routes.indices.map { place in
            let isSame = before.all.indices.contains(place) && before.all[place] === routes[place]
            return isSame ? before.numbers[place] : metrics.routeID(named: routes[place].metricsName)
        }
    }

    private func basis(of objects: JoinedObjects, _ cluster: ClusterObjects) -> StatusBasis? {
        guard source?.statusWriter != nil else { return nil }
        return StatusBasis(
            objects.inventory, generations: cluster.generations, rejected: cluster.rejected,
            labels: options.compile.labels)
    }

    /// The endpoints of the objects. What a cluster has changed is changed in the table of the last load, because a new
    /// one of 50,000 endpoints takes longer than to compile. The control plane has a table of its own, in which the
    /// same has changed already.
    /// - Returns: whether the control plane's table is as new as this one.
    private func table(
        of objects: JoinedObjects, _ next: inout Memory, _ extent: LoadExtent
    ) -> (table: EndpointTable, isOld: Bool) {
        let changed = next.cluster.changes
        let hasOthers = changed.hasKind("Endpoints")
        // To ask which labels count takes as long as there are Services.
        let mayKeep = !hasOthers && next.table != nil
        let keeps =
            mayKeep
            && (!changed.hasKind(of: EndpointTable.kindsWithLabels)
                || next.table?.keepsLabels(of: objects.inventory) ?? false)
        if extent == .cluster, keeps {
            var changes = next.cluster.endpoints
            let hidden = next.files.endpointObjects
            if !hidden.isEmpty { changes.leaveOut(hidden) }
            if let concern = next.table?.apply(changes) { next.compilation.note(concern) }
            if let table = next.table { return (table, true) }
        }
        let table = EndpointTable(objects.inventory, refusal: options.compile.refusedEndpoint)
        next.compilation.note(nil)
        // Another one, because whoever changes a table must be its only holder.
        next.table = source == nil ? nil : table.separate()
        return (table, false)
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
    func loadBeside(_ mailbox: Mailbox<Loaded>, _ extent: LoadExtent, niceness: Int32, limit: LoadLimit) {
        do throws(SystemError) {
            try Thread.start("loader", niceness: niceness) { [self] in load(extent, into: mailbox, limit) }
        } catch {
            // No thread is to be had: then here, on the main thread, which answers probes and must not wait.
            load(extent, into: mailbox, limit, mayWait: false)
        }
    }

    private func load(
        _ extent: LoadExtent, into mailbox: Mailbox<Loaded>, _ limit: LoadLimit, mayWait: Bool = true
    ) {
        deliver(extent, mailbox, limit, mayWait)
        HeapMemory.giveBack()
    }

    /// A function of its own: what it leaves behind is freed when it returns, after the delivery.
    private func deliver(_ extent: LoadExtent, _ mailbox: Mailbox<Loaded>, _ limit: LoadLimit, _ mayWait: Bool) {
        let before = ProcessUsage.ofThread()
        let (loaded, remains) = load(extent, limit: limit, mayWait: mayWait)
        let work = ProcessUsage.ofThread() - before
        loaded.work.withLock { $0 = work }
        mailbox.post(loaded)
        withExtendedLifetime(remains) {}
    }
}
