internal import ArgumentParser
internal import Control
internal import FoundationEssentials
internal import Kubernetes
internal import Octets
internal import Reactor
internal import Synchronization

/// The flags that name a cluster as a source of objects. All subcommands that read definitions have them.
struct ClusterOptions: ParsableArguments {
    @Flag(help: "Read the objects of the cluster in which this runs, with the service account of its pod.")
    var kubernetes = false

    @Option(help: "Read the objects of the cluster that this kubeconfig names.")
    var kubeconfig: String?

    @Option(help: "The context of the kubeconfig; default: its current one.")
    var context: String?

    @Option(help: "Read the objects of this namespace only (repeatable); default: all namespaces.")
    var watchNamespace: [String] = []

    /// Whether a cluster is a source of objects.
    var isGiven: Bool { kubernetes || kubeconfig != nil }

    /// Refuses flags that mean nothing together.
    func validate() throws {
        if kubernetes, kubeconfig != nil {
            throw ValidationError("--kubernetes and --kubeconfig: give one of the two")
        }
        if context != nil, kubeconfig == nil {
            throw ValidationError("--context names a context of --kubeconfig FILE, which is not given")
        }
        if !watchNamespace.isEmpty, !isGiven {
            throw ValidationError("--watch-namespace needs --kubernetes or --kubeconfig FILE")
        }
    }

    /// Where the cluster's API server is, and who asks.
    func access() throws -> ClusterAccess {
        let environment = ProcessInfo.processInfo.environment
        do throws(AccessError) {
            let source =
                kubernetes
                ? ClusterAccessSource.pod
                : .kubeconfig(path: kubeconfig, context: context, environment: environment)
            return try source.access(environment: environment)
        } catch {
            throw ValidationError("\(kubernetes ? "--kubernetes" : "--kubeconfig"): \(error)")
        }
    }

    /// The source of the cluster's objects, and the client that fills it; nil if no cluster is given.
    /// - Parameters:
    ///   - status: the plan by which the status of the objects is written; nil: it is not.
    ///   - say: gets the client's messages, on its thread, and whether somebody should act on them.
    func source(
        defaultNamespace: String, status: StatusWriter.Plan? = nil,
        say: @escaping @Sendable (_ isWarning: Bool, _ text: String) -> Void
    ) throws -> (source: ClusterSource, client: any ClusterClient)? {
        guard isGiven else { return nil }
        let writer: StatusWriter? = try status.map { try StatusWriter($0, say: say) }
        let source = ClusterSource(
            defaultNamespace: defaultNamespace, namespaces: watchNamespace, statusWriter: writer)
        let plan = ClusterWatch.Plan(
            access: try access(), kinds: ClusterSource.kinds.filter { $0 != .endpoints },
            standIns: [ClusterWatch.StandIn(.endpoints, for: .endpointSlices)], namespaces: watchNamespace)
        return (source, WatchedCluster(plan, source) { say($0.isWarning, $0.text) })
    }
}

/// The client as the control plane uses it.
///
/// Thread: any. Freed by: `ClusterFeed` and its `WantedObjects`.
private final class WatchedCluster: ClusterClient, Sendable {
    private let plan: ClusterWatch.Plan
    private let source: ClusterSource
    private let say: @Sendable (ClusterMessage) -> Void
    private let watch = Lock<ClusterWatch?>(nil)

    init(
        _ plan: ClusterWatch.Plan, _ source: ClusterSource, _ say: @escaping @Sendable (ClusterMessage) -> Void
    ) {
        self.plan = plan
        self.source = source
        self.say = say
    }

    /// Starts the thread that watches, and the one that writes status, if there is to be one.
    func start() throws(SystemError) {
        let watch = try ClusterWatch.start(plan, sink: source, log: say)
        self.watch.withLock { $0 = watch }
        try source.statusWriter?.begin(watch)
    }

    /// From now on these Secrets are read and no others; without effect before `start`.
    func watchSecrets(_ names: Set<SecretName>) { watch.withLock(\.self)?.watchSecrets(names) }
    /// From now on the cluster's Nodes are watched, too; without effect before `start`.
    func watchNodes() { watch.withLock(\.self)?.watch(.nodes) }
    /// Ends the client's thread.
    func stop() { watch.withLock(\.self)?.stop() }
}
