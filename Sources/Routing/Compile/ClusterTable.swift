internal import Balancing
internal import Manifests

/// Destinations -> clusters, each made once, with what is wrong about them.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class ClusterTable {
    private(set) var clusters: [ClusterPlan] = []
    let directory: ServiceDirectory
    private var checks: [EndpointCheck] = []
    private let finder: SourceFinder
    private let reader: EndpointReader
    private let policies: PolicyDirectory
    private let names: Names
    let problems: Problems
    private let leftOut: LeftOutObjects
    private let tls: UpstreamTLSCompiler
    private let health: HealthAnnotations
    private var numbers: [Key: Int] = [:]
    /// Clusters to which only connections were sent so far, at ports that are not for requests.
    private var onlyRelayed: Set<Int> = []
    private(set) lazy var hostNames = directory.records.keys.sorted()
    private var endpoints = 0

    private struct Key: Hashable {
        let host: String
        let port: Int
        let subset: String
        let fault: Unavailable?
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
        _ inventory: Inventory, table: EndpointTable, names: Names, problems: Problems, leftOut: LeftOutObjects
    ) {
        reader = EndpointReader(table)
        self.leftOut = leftOut
        directory = ServiceDirectory(inventory, names: names)
        finder = SourceFinder(inventory)
        policies = PolicyDirectory(inventory, names: names)
        tls = UpstreamTLSCompiler(inventory, names: names, problems: problems, leftOut: leftOut)
        health = HealthAnnotations(inventory, problems)
        self.names = names
        self.problems = problems
        numbers.reserveCapacity(directory.records.count)
        clusters.reserveCapacity(directory.records.count)
    }

    /// What is asked of endpoints, now and when they change.
    func questions(_ inventory: Inventory) -> EndpointQuestions {
        var services = Set(inventory.services.lazy.map { ServiceName($0.meta).detached })
        for object in inventory.leftOut where object.identity.kind == "Service" {
            services.insert(ServiceName(namespace: object.identity.namespace, name: object.identity.name).detached)
        }
        return EndpointQuestions(checks: checks, services: services)
    }

    /// The service a destination names, if there is one.
    func record(_ destination: Destination, namespace: String) -> ServiceRecord? {
        directory.records[names.expanded(destination.host.value, namespace: namespace)]
    }

    /// The DestinationRules that apply to a service.
    func policy(of record: ServiceRecord) -> PolicyDirectory.Policy {
        policies.policy(host: record.host, namespace: record.namespace)
    }

    /// The cluster of a destination; one that answers 503 when it cannot be resolved.
    /// - Parameter listenerPort: what an omitted port falls back to; nil on the mesh without a port.
    func number(of asker: Asker, listenerPort: Int?) -> Int {
        let destination = asker.destination
        let host = names.expanded(destination.host.value, namespace: asker.object.namespace)
        let subset = destination.subset?.value ?? ""
        guard let record = directory.records[host] else {
            reportUnknownHost(asker, host)
            return unavailable(host, destination.port?.value ?? 0, subset, .unknownHost(host))
        }
        let wanted =
            destination.port?.value
            ?? (record.ports.count == 1 ? record.ports[0].number : listenerPort)
        guard let wanted, let port = record.port(wanted) else {
            let isExplicit = destination.port != nil
            reportPort(asker, record, wanted)
            let fault: Unavailable =
                isExplicit
                ? .unknownPort(host: host, port: wanted ?? 0) : .portNeeded(host: host)
            return unavailable(host, wanted ?? 0, subset, fault)
        }
        let number = number(asker, record, port, subset)
        if asker.isMirror { checkMirror(asker, number) }
        return number
    }

    /// A whole service, for the mesh's own routes.
    func number(of record: ServiceRecord, port: ServicePort) -> Int {
        let key = Key(host: record.host, port: port.number, subset: "", fault: nil)
        if let known = numbers[key] { return known }
        return make(
            key,
            plan(
                nil, record, port, policy(of: record), nil))
    }

    private func number(
        _ asker: Asker, _ record: ServiceRecord, _ port: ServicePort, _ subset: String
    ) -> Int {
        let key = Key(host: record.host, port: port.number, subset: subset, fault: nil)
        if let known = numbers[key] {
            if !asker.isRelay, onlyRelayed.remove(known) != nil {
                let found = policy(of: record).subset(subset)
                warnNotSpoken(asker, record, port, found)
            }
            return known
        }
        let policy = policy(of: record)
        let found = policy.subset(subset)
        guard found != nil || subset.isEmpty else {
            reportSubset(asker, record, subset, policy)
            return unavailable(
                record.host, port.number, subset, .unknownSubset(host: record.host, subset: subset))
        }
        let number = make(key, plan(asker, record, port, policy, subset.isEmpty ? nil : found))
        if asker.isRelay, port.notSpoken != nil { onlyRelayed.insert(number) }
        return number
    }

    private func unavailable(_ host: String, _ port: Int, _ subset: String, _ fault: Unavailable)
        -> Int
    {
        let key = Key(host: host, port: port, subset: subset, fault: fault)
        if let known = numbers[key] { return known }
        return make(
            key,
            ClusterPlan(
                name: Self.name(host, port, subset), host: host, port: port, subset: subset,
                isHTTP2: false,
                policy: .leastRequest, source: .unavailable(fault)))
    }

    private func make(_ key: Key, _ plan: ClusterPlan) -> Int {
        clusters.append(plan)
        numbers[key] = clusters.count - 1
        return clusters.count - 1
    }

    /// Istio's name of a cluster.
    static func name(_ host: String, _ port: Int, _ subset: String) -> String {
        "outbound|\(port)|\(subset)|\(host)"
    }

    private func plan(
        _ asker: Asker?, _ record: ServiceRecord, _ port: ServicePort,
        _ policy: PolicyDirectory.Policy, _ subset: Subset?
    ) -> ClusterPlan {
        let source: EndpointSource
        if let (field, rule) = policy.closing(port: port.number, subset: subset) {
            source = .unavailable(.notInEffect("\(field.name) of \(rule.meta.identity)"))
            problems.add(rule.report(field, names, .error))
        } else if let closed = closed(record) {
            source = .unavailable(closed)
        } else {
            let found =
                endpoints <= names.options.mostEndpoints
                ? self.source(asker, record, port, subset) : .unavailable(.tooManyEndpoints)
            source = counted(found, asker)
            if let asker, !asker.isRelay { warnNotSpoken(asker, record, port, subset) }
        }
        var policies = policy.policies(
            port: port.number, subset: subset, names.options, healthCheck: health.policy(of: record))
        if case .requested = source { policies = usable(policies, record, asker) }
        let name = subset?.name.value ?? ""
        return ClusterPlan(
            name: Self.name(record.host, port.number, name), host: record.host, port: port.number,
            subset: name,
            isHTTP2: port.isHTTP2 || policy.upgrades(port: port.number, subset: subset),
            policy: policy.balancing(port: port.number, subset: subset), source: source,
            policies: policies,
            tls: tls.plan(of: policy, record, port, subset))
    }

    /// Warns about requests to a port of another protocol. Relayed octets may be of any.
    private func warnNotSpoken(_ asker: Asker, _ record: ServiceRecord, _ port: ServicePort, _ subset: Subset?) {
        guard let what = port.notSpoken, policy(of: record).tls(port: port.number, subset: subset) == nil else {
            return
        }
        reportNotSpoken(asker, record, port, what)
    }

    /// A rule that was left out and asks for TLS, say: without it, requests would be sent in clear text.
    private func closed(_ record: ServiceRecord) -> Unavailable? {
        guard let rule = leftOutPolicy(of: record), rule.closes else { return nil }
        guard let field = rule.closings.first else { return closed(record, by: rule) }
        problems.add(
            field.diagnostic(.error, "requests to \(record.host) are answered 503", object: rule.identity))
        return .notInEffect("\(field.name) of \(rule.identity)")
    }

    private func closed(_ record: ServiceRecord, by rule: LeftOut) -> Unavailable? {
        for field in rule.protections.prefix(1) {
            problems.add(
                Diagnostic(
                    .error, "left-out",
                    "\(rule.hint), and it asks for `\(field.written)`: requests to \(record.host) are answered 503",
                    hint: "without it they would be sent in clear text", at: field.place, object: rule.identity,
                    path: field.path, related: rule.related))
        }
        return .leftOut("\(rule.identity)")
    }

    /// Where `PolicyDirectory` looks for rules.
    private func leftOutPolicy(of record: ServiceRecord) -> LeftOut? {
        leftOut.policy(
            of: record.host,
            in: [record.namespace, names.options.gatewayNamespace, names.options.rootNamespace])
    }

    private func source(
        _ asker: Asker?, _ record: ServiceRecord, _ port: ServicePort, _ subset: Subset?
    ) -> EndpointSource {
        let labels = subset?.labels ?? [:]
        switch finder.source(of: record, port: port, labels: labels, directory: directory) {
        case .none(let fault):
            if let asker { reportUnusable(asker, record, fault) }
            return .unavailable(fault)
        case .ownName(let name):
            addCheck(asker, record, port, subset, ownName: name)
            return .dns(labels.isEmpty ? [name] : [])
        case .source(let source):
            addCheck(asker, record, port, subset, ownName: nil)
            return source
        }
    }

    /// Of the cluster that is made next.
    private func addCheck(
        _ asker: Asker?, _ record: ServiceRecord, _ port: ServicePort, _ subset: Subset?, ownName: PlannedName?
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
        let hint = leftOutEndpoints(of: record).map { EndpointCheck.LeftOutHint(hint: $0.hint, related: $0.related) }
        checks.append(
            EndpointCheck(
                cluster: clusters.count, object: asker.object.detached, host: asker.destination.host.placeOnly,
                subset: ofSubset,
                portName: port.name.detached, isAlias: finder.isAlias(record, directory), ownName: ownName,
                leftOut: hint))
    }

    /// What might have said where a service's endpoints are.
    private func leftOutEndpoints(of record: ServiceRecord) -> LeftOut? {
        leftOut.some(["EndpointSlice", "Endpoints", "Pod", "WorkloadEntry"], in: record.namespace)
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

// MARK: - What is wrong

extension ClusterTable {
    private func add(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, hint: String?,
        at place: SourcePlace, path: String, _ asker: Asker, related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                severity, code, message, hint: hint, at: place, object: asker.object, path: path,
                related: related))
    }

    private func reportUnknownHost(_ asker: Asker, _ host: String) {
        let written = asker.destination.host
        if let hidden = directory.hidden[host] { return reportHidden(asker, hidden) }
        if let owner = leftOut.owner(of: host) {
            return add(
                .error, "unknown-host",
                "destination host '\(written.value)' is of \(owner.identity), which \(LeftOut.sentence): "
                    + asker.fate, hint: nil, at: written.place, path: written.path, asker,
                related: owner.related)
        }
        let parts = host.split(separator: ".").map(String.init)
        var hint: String?
        if parts.count > 1, directory.records[names.full(parts[0], parts[1])] != nil {
            hint =
                "write the full name \(names.full(parts[0], parts[1])): a name with a dot is never completed"
        } else if let space = directory.namespaces[parts.first ?? ""],
            !written.value.contains(".")
        {
            hint =
                "a Service of this name is in namespace \(space): write \(names.full(written.value, space))"
        } else if let near = problems.nearest(to: host, among: hostNames) {
            hint = "did you mean \(near)?"
        }
        add(
            .error, "unknown-host",
            "destination host '\(written.value)' names no Service or ServiceEntry: "
                + asker.fate, hint: hint, at: written.place,
            path: written.path, asker)
    }

    private func reportHidden(_ asker: Asker, _ hidden: HiddenService) {
        let written = asker.destination.host
        let own = names.options.gatewayNamespace
        let object = hidden.meta.identity
        add(
            .error, "not-exported",
            "\(object) is not exported to namespace \(own), this gateway's (\(hidden.field)): "
                + asker.fate,
            hint: "add \(own) to what it is exported to, or run with --namespace \(object.namespace)",
            at: written.place, path: written.path, asker,
            related: [Diagnostic.Related(place: hidden.meta.place, message: "the \(object.kind)")])
    }

    /// Nothing that is written at the destination could help: the port is missing in the service.
    private func reportNoPorts(_ asker: Asker, _ record: ServiceRecord) {
        let (meta, message, hint) =
            switch record.origin {
            case .service(let index):
                (finder.inventory.services[index].meta, "no TCP port", "add the port to spec.ports")
            case .entries(let indexes):
                (
                    finder.inventory.serviceEntries[indexes.first ?? 0].meta, "no `ports`",
                    "add spec.ports, such as [{number: 443, name: tls, protocol: TLS}]"
                )
            }
        problems.add(
            Diagnostic(
                .error, "no-ports",
                "this \(meta.identity.kind) has \(message): requests to \(record.host) are answered 503",
                hint: hint, at: meta.place, object: meta.identity, path: "spec.ports",
                related: [
                    Diagnostic.Related(
                        place: asker.destination.host.place, message: "\(asker.object) sends requests there")
                ]))
    }

    private func reportPort(_ asker: Asker, _ record: ServiceRecord, _ wanted: Int?) {
        guard !record.ports.isEmpty else { return reportNoPorts(asker, record) }
        let ports = record.ports.prefix(16).map { String($0.number) }.joined(separator: ", ")
        let more = record.ports.count - 16
        let has = "its ports are \(ports)" + (more > 0 ? " and \(more) more" : "")
        if let written = asker.destination.port {
            add(
                .error, "unknown-port",
                "\(record.host) has no port \(written.value): \(asker.fate)",
                hint: has, at: written.place, path: written.path, asker)
            return
        }
        let written = asker.destination.host
        let reason = wanted.map { ", and none is \($0), the listener's" } ?? ""
        add(
            .error, "port-needed",
            "\(record.host) has \(record.ports.count) ports\(reason): \(asker.fate)",
            hint: "say which one in port.number; \(has)", at: written.place, path: written.path, asker)
    }

    private func reportSubset(
        _ asker: Asker, _ record: ServiceRecord, _ subset: String, _ policy: PolicyDirectory.Policy
    ) {
        guard let written = asker.destination.subset else { return }
        if let rule = leftOutPolicy(of: record) {
            return add(
                .error, "unknown-subset",
                "\(record.host) has no subset '\(subset)', for \(rule.hint): \(asker.fate)",
                hint: nil, at: written.place, path: written.path, asker, related: rule.related)
        }
        let known = policy.someSubsets
        let hint: String
        if policy.rules.isEmpty {
            hint = "no DestinationRule applies to \(record.host); subsets are defined there"
        } else {
            let list = known.sorted().prefix(8).joined(separator: ", ")
            hint =
                known.isEmpty ? "its DestinationRule defines no subsets" : "its subsets are \(list)"
        }
        let related = policy.rules.prefix(8).map {
            Diagnostic.Related(place: $0.meta.place, message: "the DestinationRule that applies")
        }
        add(
            .error, "unknown-subset",
            "\(record.host) has no subset '\(subset)': \(asker.fate)",
            hint: hint, at: written.place, path: written.path, asker, related: related)
    }

    private func reportNotSpoken(
        _ asker: Asker, _ record: ServiceRecord, _ port: ServicePort, _ what: NotSpoken
    ) {
        let (place, path) =
            asker.destination.port.map { ($0.place, $0.path) }
            ?? (asker.destination.host.place, asker.destination.host.path)
        switch what {
        case .tls(let saying):
            add(
                .warning, "clear-text-to-tls",
                "port \(port.number) of \(record.host) speaks TLS (\(saying)), and no DestinationRule asks for TLS: "
                    + "its requests are sent in clear text",
                hint: "write tls.mode: SIMPLE in a DestinationRule, or DISABLE if clear text is meant", at: place,
                path: path, asker)
        }
    }

    private func reportUnusable(_ asker: Asker, _ record: ServiceRecord, _ fault: Unavailable) {
        let written = asker.destination.host
        add(
            .error, "no-addresses", "\(fault.sentence): \(asker.fate)",
            hint: "a ServiceEntry needs resolution STATIC, DNS or DYNAMIC_DNS to be reached from a gateway",
            at: written.place, path: written.path, asker)
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
