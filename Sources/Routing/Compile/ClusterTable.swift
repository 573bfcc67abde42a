internal import Balancing
internal import Manifests

/// Destinations -> clusters, each made once, with what is wrong about them.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class ClusterTable {
    private(set) var clusters: [ClusterPlan] = []
    var directory: ServiceDirectory { frame.directory }
    var checks: [EndpointCheck] = []
    let frame: ServiceFrame
    var finder: SourceFinder { frame.finder }
    let reader: EndpointReader
    let names: Names
    let problems: Problems
    let leftOut: LeftOutObjects
    private let tls: UpstreamTLSCompiler
    /// Of the clusters that the compilation before did not have.
    private(set) var numbers: [Key: Int] = [:]
    /// By number.
    private(set) var keys: [Key] = []
    /// Clusters to which only connections were sent so far, at ports that are not for requests.
    private(set) var onlyRelayed: Set<Int> = []
    var hostNames: [String] { frame.hostNames }
    /// How many endpoints the clusters have so far, against `mostEndpoints`.
    var endpoints = 0
    /// The clusters of the compilation before, if they were made of the same.
    let memory: ClusterMemory?
    /// By number of the compilation before: the number now; -1: it is not there yet.
    private(set) var successors: [Int]
    /// By number: the number of the same cluster in the compilation before; -1: it was made anew.
    var origins: [Int] = []
    /// By number: whether there was nothing to report about it, so that it may be made again.
    var isPlain: [Bool] = []
    /// By number: the destination of a rule that has asked for it first, if that is known.
    var askers: [RuleDestination?] = []

    /// What a cluster is made for.
    struct Key: Hashable, Sendable {
        let host: String
        let port: Int
        let subset: String
        let reason: Unavailable?
    }

    /// Who asks, for messages.
    struct Asker {
        let object: ObjectReference
        let destination: Destination
        /// Whether it is a rule for connections, whose octets may be of any protocol.
        var isRelay = false
        /// Whether only copies of requests go there.
        var isMirror = false

        /// What becomes of its traffic when it cannot be sent there.
        var fate: String {
            if isMirror { return "it gets no copies of requests" }
            return isRelay ? "its connections are closed" : "its requests are answered 503"
        }
    }

    init(
        _ inventory: Inventory, table: EndpointTable, names: Names, problems: Problems, leftOut: LeftOutObjects,
        memory: CompileMemory = CompileMemory()
    ) {
        reader = EndpointReader(table)
        self.leftOut = leftOut
        frame = ServiceFrame.of(inventory, memory.frame, names: names, problems: problems)
        self.memory = frame === memory.frame ? memory.clusters : nil
        successors = Array(repeating: -1, count: self.memory?.clusters.count ?? 0)
        tls = UpstreamTLSCompiler(inventory, names: names, problems: problems, leftOut: leftOut)
        self.names = names
        self.problems = problems
        let expected = self.memory?.clusters.count ?? frame.directory.byHost.count
        if self.memory == nil { numbers.reserveCapacity(expected) }
        clusters.reserveCapacity(expected)
        keys.reserveCapacity(expected)
    }

    /// What is asked of endpoints, now and when they change.
    var questions: EndpointQuestions { EndpointQuestions(checks: checks, services: frame.services) }

    /// The service a destination names, if there is one.
    func service(_ destination: Destination, namespace: String) -> RoutableService? {
        directory.byHost[names.expanded(destination.host.value, namespace: namespace)]
    }

    /// The DestinationRules that apply to a service.
    func policy(of service: RoutableService) -> PolicyDirectory.Policy {
        frame.policies.policy(host: service.host, namespace: service.namespace)
    }

    /// The cluster of a destination; one that answers 503 when it cannot be resolved.
    /// - Parameters:
    ///   - listenerPort: what an omitted port falls back to; nil on the mesh without a port.
    ///   - origin: the destination in its rule, if it is one of a rule.
    func number(of asker: Asker, listenerPort: Int?, origin: RuleDestination? = nil) -> Int {
        let destination = asker.destination
        let host = names.expanded(destination.host.value, namespace: asker.object.namespace)
        let subset = destination.subset?.value ?? ""
        guard let service = directory.byHost[host] else {
            reportUnknownHost(asker, host)
            return unavailable(host, destination.port?.value ?? 0, subset, .unknownHost(host))
        }
        let wanted =
            destination.port?.value
            ?? (service.ports.count == 1 ? service.ports[0].number : listenerPort)
        guard let wanted, let port = service.port(wanted) else {
            let isExplicit = destination.port != nil
            reportPort(asker, service, wanted)
            let reason: Unavailable =
                isExplicit
                ? .unknownPort(host: host, port: wanted ?? 0) : .portNeeded(host: host)
            return unavailable(host, wanted ?? 0, subset, reason)
        }
        let known = clusters.count
        let number = number(asker, service, port, subset)
        if number == known { askers[number] = origin }
        if asker.isMirror { checkMirror(asker, number) }
        return number
    }

    /// A whole service, for the mesh's own routes.
    func number(of service: RoutableService, port: ServicePort) -> Int {
        let key = Key(host: service.host, port: port.number, subset: "", reason: nil)
        if let known = number(of: key) { return known }
        return make(
            key,
            plan(
                nil, service, port, policy(of: service), nil))
    }

    private func number(
        _ asker: Asker, _ service: RoutableService, _ port: ServicePort, _ subset: String
    ) -> Int {
        let key = Key(host: service.host, port: port.number, subset: subset, reason: nil)
        if let known = self.number(of: key) {
            if !asker.isRelay, onlyRelayed.remove(known) != nil {
                let found = policy(of: service).subset(subset)
                warnNotSpoken(asker, service, port, found)
            }
            return known
        }
        if !asker.isRelay, let old = memory?.numbers[key], let same = again(old, asker: { asker }) { return same }
        let policy = policy(of: service)
        let found = policy.subset(subset)
        guard found != nil || subset.isEmpty else {
            reportSubset(asker, service, subset, policy)
            return unavailable(
                service.host, port.number, subset, .unknownSubset(host: service.host, subset: subset))
        }
        let before = problems.attempts
        let number = make(key, plan(asker, service, port, policy, subset.isEmpty ? nil : found))
        isPlain[number] = !asker.isRelay && problems.attempts == before && clusters[number].source.isCounted
        if asker.isRelay, port.notSpoken != nil { onlyRelayed.insert(number) }
        return number
    }

    private func unavailable(_ host: String, _ port: Int, _ subset: String, _ reason: Unavailable)
        -> Int
    {
        let key = Key(host: host, port: port, subset: subset, reason: reason)
        if let known = number(of: key) { return known }
        return make(
            key,
            ClusterPlan(
                name: Self.name(host, port, subset), host: host, port: port, subset: subset,
                isHTTP2: false,
                policy: .leastRequest, source: .unavailable(reason)))
    }

    /// The number of a cluster that is there already.
    private func number(of key: Key) -> Int? {
        guard let old = memory?.numbers[key] else { return numbers[key] }
        return successors[old] < 0 ? nil : successors[old]
    }

    /// Adds a cluster that is made anew.
    private func make(_ key: Key, _ plan: ClusterPlan) -> Int {
        let old = memory?.numbers[key]
        let number = append(key, plan, origin: -1)
        if let old { successors[old] = number } else { numbers[key] = number }
        return number
    }

    /// Adds a cluster.
    /// - Parameter origin: its number in the compilation before, whose cluster it is; -1: it was made anew.
    func append(_ key: Key, _ plan: ClusterPlan, origin: Int) -> Int {
        let number = clusters.count
        clusters.append(plan)
        keys.append(key)
        origins.append(origin)
        isPlain.append(false)
        askers.append(nil)
        if origin >= 0 { successors[origin] = number }
        return number
    }

    /// Istio's name of a cluster.
    static func name(_ host: String, _ port: Int, _ subset: String) -> String {
        "outbound|\(port)|\(subset)|\(host)"
    }

    private func plan(
        _ asker: Asker?, _ service: RoutableService, _ port: ServicePort,
        _ policy: PolicyDirectory.Policy, _ subset: Subset?
    ) -> ClusterPlan {
        let source: EndpointSource
        if let (field, rule) = policy.closing(port: port.number, subset: subset) {
            source = .unavailable(.notInEffect("\(field.name) of \(rule.meta.identity)"))
            problems.add(rule.report(field, names, .error))
        } else if let closed = closed(service) {
            source = .unavailable(closed)
        } else {
            let found =
                endpoints <= names.options.mostEndpoints
                ? self.source(asker, service, port, subset) : .unavailable(.tooManyEndpoints)
            source = counted(found, asker)
            if let asker, !asker.isRelay { warnNotSpoken(asker, service, port, subset) }
        }
        var policies = policy.policies(
            port: port.number, subset: subset, names.options, healthCheck: frame.health.policy(of: service))
        if case .requested = source { policies = usable(policies, service, asker) }
        let name = subset?.name.value ?? ""
        return ClusterPlan(
            name: Self.name(service.host, port.number, name), host: service.host, port: port.number,
            subset: name,
            isHTTP2: port.isHTTP2 || policy.upgrades(port: port.number, subset: subset),
            policy: policy.balancing(port: port.number, subset: subset), source: source,
            policies: policies,
            tls: tls.plan(of: policy, service, port, subset))
    }

    /// Warns about requests to a port of another protocol. Relayed octets may be of any.
    private func warnNotSpoken(_ asker: Asker, _ service: RoutableService, _ port: ServicePort, _ subset: Subset?) {
        guard let what = port.notSpoken, policy(of: service).tls(port: port.number, subset: subset) == nil else {
            return
        }
        reportNotSpoken(asker, service, port, what)
    }

    /// A rule that was left out and asks for TLS, say: without it, requests would be sent in clear text.
    private func closed(_ service: RoutableService) -> Unavailable? {
        guard let rule = leftOutPolicy(of: service), rule.closes else { return nil }
        guard let field = rule.closings.first else { return closed(service, by: rule) }
        problems.add(
            field.diagnostic(.error, "requests to \(service.host) are answered 503", object: rule.identity))
        return .notInEffect("\(field.name) of \(rule.identity)")
    }

    private func closed(_ service: RoutableService, by rule: LeftOut) -> Unavailable? {
        for field in rule.protections.prefix(1) {
            problems.add(
                Diagnostic(
                    .error, "left-out",
                    "\(rule.hint), and it asks for `\(field.written)`: requests to \(service.host) are answered 503",
                    hint: "without it they would be sent in clear text", at: field.place, object: rule.identity,
                    path: field.path, related: rule.related))
        }
        return .leftOut("\(rule.identity)")
    }

    /// Where `PolicyDirectory` looks for rules.
    func leftOutPolicy(of service: RoutableService) -> LeftOut? {
        leftOut.policy(
            of: service.host,
            in: [service.namespace, names.options.gatewayNamespace, names.options.rootNamespace])
    }

    private func source(
        _ asker: Asker?, _ service: RoutableService, _ port: ServicePort, _ subset: Subset?
    ) -> EndpointSource {
        let labels = subset?.labels ?? [:]
        switch finder.source(of: service, port: port, labels: labels, directory: directory) {
        case .none(let reason):
            if let asker { reportUnusable(asker, service, reason) }
            return .unavailable(reason)
        case .ownName(let name):
            addCheck(asker, service, port, subset, ownName: name)
            return .dns(labels.isEmpty ? [name] : [])
        case .source(let source):
            addCheck(asker, service, port, subset, ownName: nil)
            return source
        }
    }

    /// Of the cluster that is made next.
    private func addCheck(
        _ asker: Asker?, _ service: RoutableService, _ port: ServicePort, _ subset: Subset?, ownName: PlannedName?
    ) {
        guard let asker else { return }
        let written = asker.destination.subset
        let ofSubset = subset.flatMap { subset in
            written.map {
                EndpointCheck.SubsetCheck(
                    written: $0.placeOnly, name: subset.name.value.detached, place: subset.place,
                    labels: subset.labels.detached)
            }
        }
        let hint = leftOutEndpoints(of: service).map { EndpointCheck.LeftOutHint(hint: $0.hint, related: $0.related) }
        checks.append(
            EndpointCheck(
                cluster: clusters.count, object: asker.object.detached, host: asker.destination.host.placeOnly,
                subset: ofSubset,
                portName: port.name.detached, isAlias: finder.isAlias(service, directory), ownName: ownName,
                leftOut: hint))
    }

    /// What might have said where a service's endpoints are.
    private func leftOutEndpoints(of service: RoutableService) -> LeftOut? {
        leftOut.some(["EndpointSlice", "Endpoints", "Pod", "WorkloadEntry"], in: service.namespace)
    }

    /// Within the limit of a load.
    private func counted(_ source: EndpointSource, _ asker: Asker?) -> EndpointSource {
        switch source {
        case .unavailable(.tooManyEndpoints): break
        case .unavailable, .requested: return source
        case .dns, .service, .workloads: endpoints += reader.count(of: source)
        }
        guard endpoints > names.options.mostEndpoints else { return source }
        if let asker {
            let written = asker.destination.host
            add(
                .error, "too-many-endpoints",
                "the destinations before this one have \(names.options.mostEndpoints) endpoints, which is the most: "
                    + asker.fate,
                hint: "does a Service select pods that are not its own?", at: written.place, path: written.path,
                asker)
        }
        return .unavailable(.tooManyEndpoints)
    }
}

extension EndpointSource {
    /// Whether its endpoints count for the limit of a load.
    fileprivate var isCounted: Bool {
        switch self {
        case .dns, .service, .workloads: true
        case .requested, .unavailable: false
        }
    }
}

extension Located<String> {
    /// Without the text, which would keep memory of the objects that were read.
    fileprivate var placeOnly: Located<String> {
        var place = self
        place.value = ""
        return place
    }
}
