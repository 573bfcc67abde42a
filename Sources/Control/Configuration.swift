internal import Balancing
internal import Manifests
internal import Proxy
internal import Reactor
internal import Routing
internal import TLS

/// From files to a snapshot, again and again: what stays the same over reloads lives here.
/// The control plane's thread only.
struct Configuration {
    private let options: ControlOptions
    private let metrics: Metrics
    private var lastGood = LastGood()
    private var endpoints = EndpointDirectory()
    private var certificates = CertificateDirectory()
    private var listeners = ListenerDirectory()
    private var bindings: [ListenerBinding] = []
    private var hasReadOnce = false
    private(set) var plan = RoutingPlan()
    private(set) var inventory = Inventory()
    /// Everything that was found wrong in the last load.
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var kept: [ObjectReference] = []
    private(set) var rejected = 0
    private(set) var couldNotRead = false
    private(set) var bindFailures: [String] = []

    init(options: ControlOptions, metrics: Metrics) {
        self.options = options
        self.metrics = metrics
    }

    /// Reads, checks and compiles the definitions; sockets are open afterwards.
    mutating func load() {
        let set = read()
        inventory = lastGood.merge(set)
        kept = lastGood.kept
        rejected = set.rejected.count
        couldNotRead = set.couldNotRead
        plan = RoutingPlan.compile(inventory, options: options.compile)
        certificates.begin()
        bind()
        diagnostics = set.diagnostics + plan.diagnostics + certificates.diagnostics
        countProblems()
    }

    /// Standard input can be read only once: later loads keep what came from it.
    private mutating func read() -> ManifestSet {
        let isFirst = !hasReadOnce
        hasReadOnce = true
        let paths = isFirst ? options.paths : options.paths.filter { $0 != "-" }
        var set = ManifestReader.load(
            paths: paths, defaultNamespace: options.compile.gatewayNamespace)
        if paths.count < options.paths.count { set.brokenFiles.insert("-") }
        return set
    }

    /// Names that DNS has to resolve for the plan.
    var names: Set<String> {
        var names: Set<String> = []
        for cluster in plan.clusters {
            if case .dns(let wanted) = cluster.source { names.formUnion(wanted.map(\.host)) }
        }
        return names
    }

    /// The loaded configuration with the endpoints as they are known now.
    mutating func snapshot(resolved: [String: [String]]) -> Snapshot {
        let clusters = endpoints.clusters(of: plan, resolved: resolved)
        metrics.setClusters(clusters)
        let routeMetrics = plan.routes.map { metrics.routeID(named: $0.name) }
        return Snapshot(plan: plan, clusters: clusters, routeMetrics: routeMetrics, listeners: bindings)
    }

    private mutating func bind() {
        let secrets = CertificateDirectory.byName(inventory.secrets)
        bindings = listeners.sockets(for: plan, options: options).map { listener, sockets in
            var served: [(serverNames: [String], context: TLSContext, tag: Int)] = []
            for (tag, chain) in listener.chains.enumerated() {
                let context = certificates.context(of: chain, port: listener.port, secrets: secrets)
                if let context { served.append((chain.serverNames, context, tag)) }
            }
            return ListenerBinding(
                sockets: sockets, gatewayPort: listener.port, clearTable: listener.clearTable,
                tls: listener.chains.isEmpty ? nil : TLSSelector(chains: served),
                chainTables: listener.chains.map(\.table))
        }
        bindFailures = listeners.failures.map { "port \($0.listener.port): \($0.error)" }
    }

    private func countProblems() {
        let problems = [Diagnostic.Severity.error, .warning, .note].map { severity in
            Metrics.Count(severity.rawValue, diagnostics.count { $0.severity == severity })
        }
        let accepted = inventory.all.count
        metrics.setConfiguration(
            problems: problems,
            objects: [
                .init("accepted", accepted - kept.count), .init("rejected", rejected), .init("kept", kept.count),
            ])
    }
}
