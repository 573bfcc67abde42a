internal import Balancing
internal import Manifests

/// What is said of a destination's endpoints. It is kept with the plan, since it is asked again whenever endpoints
/// change and nothing else does. By reference, because plans that follow each other have most of them in common.
///
/// Thread: any. Freed by: the last plan that has it.
final class EndpointCheck: Sendable {
    /// Index into the plan's clusters.
    let cluster: Int
    /// Whose destination it is: the first one that names the cluster.
    let object: ObjectReference
    /// Where the destination is written; the text is not kept.
    let host: Located<String>
    let subset: SubsetCheck?
    let portName: String
    /// Its endpoints are another host's, which says itself what is wrong with them.
    let isAlias: Bool
    /// Of a service that is nothing but a name outside of the definitions.
    let ownName: PlannedName?
    /// An object that was left out and might have said where endpoints are.
    let leftOut: LeftOutHint?

    init(
        cluster: Int, object: ObjectReference, host: Located<String>, subset: SubsetCheck?, portName: String,
        isAlias: Bool, ownName: PlannedName?, leftOut: LeftOutHint?
    ) {
        self.cluster = cluster
        self.object = object
        self.host = host
        self.subset = subset
        self.portName = portName
        self.isAlias = isAlias
        self.ownName = ownName
        self.leftOut = leftOut
    }

    /// The same check of a cluster that has another number now.
    init(_ other: EndpointCheck, cluster: Int) {
        self.cluster = cluster
        object = other.object
        host = other.host
        subset = other.subset
        portName = other.portName
        isAlias = other.isAlias
        ownName = other.ownName
        leftOut = other.leftOut
    }

    /// A subset whose labels no endpoint may have: that is reported when the endpoints are known.
    struct SubsetCheck: Sendable {
        let written: Located<String>
        /// In the DestinationRule.
        let name: String
        let place: SourcePlace
        let labels: [String: String]
    }

    /// What a report adds where an object with an error might have had the endpoints.
    struct LeftOutHint: Sendable {
        let hint: String
        let related: [Diagnostic.Related]
    }
}

/// All that a plan asks of endpoints.
struct EndpointQuestions: Sendable {
    var checks: [EndpointCheck] = []
    /// Services that are defined, or were left out for an error: endpoints of others are of no use.
    var services: Set<ServiceName> = []
}

/// Asks all checks of a plan.
struct EndpointChecks {
    let clusters: [ClusterPlan]
    let table: EndpointTable
    private let reader: EndpointReader
    private let problems = Problems()
    private let known: KnownEndpoints?

    /// - Parameter known: what need not be asked.
    init(clusters: [ClusterPlan], table: EndpointTable, known: KnownEndpoints? = nil) {
        self.clusters = clusters
        self.table = table
        self.known = known
        reader = EndpointReader(table)
    }

    func run(_ questions: EndpointQuestions) -> [Diagnostic] { ask(questions).diagnostics }

    /// Asks all questions. - Returns: what was found, and what the next plan need not ask.
    func ask(_ questions: EndpointQuestions) -> (diagnostics: [Diagnostic], kept: EndpointMemory) {
        var isClean = Array(repeating: false, count: clusters.count)
        for check in questions.checks {
            isClean[check.cluster] = isKnown(check)
            guard !isClean[check.cluster] else { continue }
            let before = problems.attempts
            run(check)
            isClean[check.cluster] = problems.attempts == before
        }
        let strays = known?.strays ?? strays(questions)
        for stray in strays { problems.add(stray) }
        return (problems.sorted, EndpointMemory(isClean: isClean, strays: strays))
    }

    private func isKnown(_ check: EndpointCheck) -> Bool {
        known?.isClean(check.cluster, clusters[check.cluster].source, table) ?? false
    }

    private func strays(_ questions: EndpointQuestions) -> [Diagnostic] {
        var strays: [Diagnostic] = []
        for (service, object, place) in table.objects where !questions.services.contains(service) {
            let field = object.kind == "EndpointSlice" ? "metadata.labels" : "metadata.name"
            strays.append(
                Diagnostic(
                    .note, "no-service",
                    "there is no Service \(service.namespace)/\(service.name): these endpoints are of no use",
                    at: place, object: object, path: field))
        }
        return strays
    }

    private func run(_ check: EndpointCheck) {
        if let name = check.ownName { return reportName(check, name, unused: []) }
        let source = clusters[check.cluster].source
        if case .dns = source { return }
        if case .requested = source { return }
        if case .unavailable = source { return }
        guard let chosen = reader.chosen(of: source) else {
            guard !check.isAlias, case .service(let lookup) = source else { return }
            return reportName(check, lookup.fallback, unused: table.unusedSlices(of: lookup.service))
        }
        if chosen.isEmpty, !check.isAlias { reportNobody(check, source) }
        reportRefused(check, chosen)
    }

    private func add(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, hint: String?, at written: Located<String>,
        _ check: EndpointCheck, related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                severity, code, message, hint: hint, at: written.place, object: check.object, path: written.path,
                related: related))
    }

    private func reportName(_ check: EndpointCheck, _ name: PlannedName, unused: [SourcePlace]) {
        let host = clusters[check.cluster].host
        if let subset = check.subset, !subset.labels.isEmpty {
            add(
                .error, "subset-without-endpoints",
                "subset '\(subset.name)' of \(host) selects pods by label, "
                    + "and no EndpointSlice, Endpoints or Pod of the service is known",
                hint: check.leftOut?.hint ?? "load its Pods or EndpointSlices", at: check.host, check,
                related: check.leftOut?.related ?? [])
            return
        }
        add(
            .warning, "endpoints-by-dns",
            "no endpoints of \(host) are known: \(name.host):\(name.port) is looked up by DNS",
            hint: check.leftOut?.hint
                ?? (unused.isEmpty
                    ? "if that is a cluster IP, connections are balanced instead of requests; load its "
                        + "EndpointSlices or Pods"
                    : "its EndpointSlice has DNS names and is not used: write a Service of type "
                        + "ExternalName, or a ServiceEntry with resolution DNS"),
            at: check.host, check,
            related: check.leftOut?.related
                ?? unused.map { Diagnostic.Related(place: $0, message: "the EndpointSlice") })
    }

    private func reportNobody(_ check: EndpointCheck, _ source: EndpointSource) {
        let cluster = clusters[check.cluster]
        guard let subset = check.subset, let all = reader.all(of: source), all.count > 0 else {
            add(
                .warning, "no-endpoint",
                "no endpoint of \(cluster.host) port \(cluster.port) is ready: its requests are answered 503",
                hint: check.leftOut?.hint
                    ?? "an endpoint counts when its port is named '\(check.portName)' and it is ready",
                at: check.host, check, related: check.leftOut?.related ?? [])
            return
        }
        let wanted = subset.labels.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ", ")
        let hint =
            all.unknown > 0
            ? "the labels of \(all.unknown) of its \(all.count) endpoints are not known: load their Pods"
            : Self.nearMiss(subset, all)
        add(
            .warning, "empty-subset",
            "subset '\(subset.name)' (\(wanted)) selects none of the \(all.count) endpoints of \(cluster.host)",
            hint: hint, at: subset.written, check,
            related: [Diagnostic.Related(place: subset.place, message: "the subset")])
    }

    /// The values that the endpoints do have for the subset's labels.
    private static func nearMiss(_ subset: EndpointCheck.SubsetCheck, _ all: ByLabel<LabeledEndpoint>) -> String {
        let facts = subset.labels.keys.sorted().map { key in
            let values = all.someValues(of: key)
            return values.isEmpty
                ? "no endpoint has the label \(key)"
                : "\(key) is \(values.joined(separator: " or "))"
        }
        return "on the endpoints, " + facts.joined(separator: ", ")
    }

    /// Endpoints that nobody may send to.
    private func reportRefused(_ check: EndpointCheck, _ chosen: [PlannedEndpoint]) {
        let refused = chosen.lazy.compactMap { endpoint in
            table.refusal(of: endpoint.address).map { (endpoint.address, $0) }
        }
        guard let (address, reason) = refused.first else { return }
        let count = refused.count
        let others = count > 1 ? ", and \(count - 1) more of its endpoints are left out too" : ""
        let effect =
            count == chosen.count ? "its requests are answered 503" : "its other endpoints get the requests"
        add(
            .error, "refused-endpoint",
            "nothing is sent to the endpoint \(address) of \(clusters[check.cluster].host), \(reason)"
                + "\(others): \(effect)",
            hint: "name another endpoint; link-local addresses and Unix sockets are sent to with "
                + "--local-endpoints on", at: check.host, check)
    }
}
