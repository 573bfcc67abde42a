internal import ArgumentParser
internal import Control
internal import Manifests
internal import Octets
internal import Reactor
internal import Routing

/// The flags that decide what the definitions mean. All subcommands that read definitions have them.
struct Definitions: ParsableArguments {
    @Option(help: "A label of this gateway, key=value, compared with Gateway.spec.selector (repeatable).")
    var label: [String] = []

    @Option(help: "The cluster's domain.")
    var clusterDomain = "cluster.local"

    @Option(help: "The namespace this gateway works in; also that of objects without one.")
    var namespace = "default"

    @Option(help: "The namespace of mesh-wide DestinationRules.")
    var rootNamespace = "istio-system"

    @Option(
        help: "Where this gateway is, region/zone/subzone, for `localityLbSetting`; the last parts may be missing.")
    var locality: String?

    @Option(
        help: "The Node that this gateway runs on: its labels say where that is, if --locality does not.")
    var node: String?

    @Option(
        help: """
            on: also send to endpoints that are link-local addresses or Unix sockets, and to loopback addresses of \
            names that requests choose (DYNAMIC_DNS).
            """)
    var localEndpoints = Switch.off

    @Option(
        help: """
            Folder of Istio's agent with the certificate of ISTIO_MUTUAL; default: /etc/certs, else \
            /var/run/secrets/workload-spiffe-credentials.
            """)
    var istioIdentity: String?

    @OptionGroup(title: "In front of the gateway") var topology: TopologyOptions

    /// The values of a flag that is on or off.
    enum Switch: String, ExpressibleByArgument, CaseIterable { case on, off }

    /// Which addresses may be endpoints. It learns the listeners of this process when they are open.
    var endpointGuard: EndpointGuard { EndpointGuard(allowsLocal: localEndpoints == .on) }

    /// The options for compiling; throws if a label is not `key=value`.
    func compileOptions() throws -> CompileOptions {
        var options = CompileOptions()
        options.refusedEndpoint = endpointGuard.refusal
        options.clusterDomain = clusterDomain
        options.gatewayNamespace = namespace
        options.rootNamespace = rootNamespace
        options.locality = try place()
        options.node = node
        options.topology = try topology.terms()
        guard !label.isEmpty else { return options }
        options.labels = [:]
        for text in label {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw ValidationError("--label \(text): write key=value, such as istio=ingressgateway")
            }
            options.labels[parts[0]] = parts[1]
        }
        return options
    }

    private func place() throws -> Locality? {
        guard let locality else { return nil }
        let pattern = LocalityPattern(locality)
        guard pattern.problem == nil, !locality.contains("*") else {
            throw ValidationError("--locality \(locality): write region/zone/subzone, such as us-west1/us-west1-a")
        }
        return Locality(locality)
    }

    /// Definitions and what they come to.
    typealias Loaded = ClusterReading.Compiled

    /// Reads and compiles definitions, of files and of a cluster.
    func load(_ paths: [String], _ cluster: ClusterOptions) throws -> Loaded {
        let set = ManifestReader.load(paths: paths, defaultNamespace: namespace)
        return try reading(set, cluster)?.joined() ?? compiled(set)
    }

    /// Reads and compiles two sets of definitions: the two paths; or a cluster, and the cluster with the objects of
    /// the paths.
    func loadBoth(_ paths: [String], _ cluster: ClusterOptions) throws -> (old: Loaded, new: Loaded) {
        let sets = (cluster.isGiven ? [paths] : paths.map { [$0] }).map {
            ManifestReader.load(paths: $0, defaultNamespace: namespace)
        }
        if let reading = try reading(sets[0], cluster) { return (reading.alone(), reading.joined()) }
        return (try compiled(sets[0]), try compiled(sets[1]))
    }

    private func compiled(_ set: ManifestSet) throws -> Loaded {
        let options = try compileOptions()
        let endpoints = EndpointTable(set.inventory, refusal: options.refusedEndpoint)
        return (set, RoutingPlan.compile(set.inventory, endpoints: endpoints, options: options), endpoints)
    }

    /// Reads the cluster; nil if none is given.
    private func reading(_ set: ManifestSet, _ cluster: ClusterOptions) throws -> ClusterReading? {
        let options = try compileOptions()
        guard let (source, client) = try cluster.source(defaultNamespace: namespace, say: Self.say) else { return nil }
        do throws(ClusterReadingError) {
            return try ClusterReading(set, source: source, client: client, options: options)
        } catch {
            Self.say(true, "\(error)")
            throw ExitStatus.couldNotRun
        }
    }

    /// Warnings of the client, to standard error.
    static func say(_ isWarning: Bool, _ text: String) {
        guard isWarning else { return }
        _ = "\(text.printable)\n".withOctets { Output.write(Output.standardError, $0) }
    }
}

/// The form of a subcommand's output.
enum OutputForm: String, ExpressibleByArgument, CaseIterable { case text, json }

/// Exit codes of the commands that read definitions.
enum ExitStatus {
    static let problems = ExitCode(1)
    /// The definitions could not be read at all, or an argument is wrong.
    static let couldNotRun = ExitCode(2)
}
