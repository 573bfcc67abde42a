internal import Manifests

/// Reports DestinationRules that have no effect here, and why.
/// Source: docs/istio.md, Which DestinationRule applies.
struct PolicyChecks {
    let inventory: Inventory
    let names: Names
    let problems: Problems
    let clusters: ClusterTable
    let leftOut: LeftOutObjects
    /// The hosts that rules send to, and those with a subset as `host subset`.
    private let routed: Set<String>
    /// The same hosts, searched by DestinationRules with a wildcard.
    private let routedHosts: BackwardNames

    init(_ inventory: Inventory, names: Names, problems: Problems, clusters: ClusterTable, leftOut: LeftOutObjects) {
        self.inventory = inventory
        self.names = names
        self.problems = problems
        self.clusters = clusters
        self.leftOut = leftOut
        // Each cluster costs two texts.
        let plans = inventory.destinationRules.isEmpty ? [] : clusters.clusters
        routed = Set(plans.flatMap { [$0.host, "\($0.host) \($0.subset)"] })
        let hasWildcards = inventory.destinationRules.contains { $0.host.value.hasPrefix("*") }
        routedHosts = BackwardNames(hasWildcards ? plans.map { ($0.host, 0) } : [])
    }

    /// Checks all DestinationRules.
    func run() {
        for rule in inventory.destinationRules {
            checkPorts(rule)
            let host = names.expanded(rule.host.value, namespace: rule.meta.namespace)
            if let selector = rule.workloadSelector, !Names.matches(selector, names.options.labels) {
                note(rule, "its workloadSelector selects other workloads")
            } else if host.hasPrefix("*") {
                checkWildcard(rule, host)
            } else if let service = clusters.directory.byHost[host] {
                check(rule, service)
            } else if clusters.directory.hidden[host] == nil, leftOut.definition(of: host) == nil {
                // Files without any Service are a part of a larger set.
                let isPart = clusters.directory.byHost.isEmpty
                add(
                    isPart ? .note : .warning, rule, "host '\(rule.host.value)' names no Service or ServiceEntry",
                    hint: problems.nearest(to: host, among: clusters.hostNames).map { "did you mean \($0)?" })
            }
        }
    }

    private func checkWildcard(_ rule: DestinationRule, _ host: String) {
        guard routedHosts.hasName(endingWith: host.dropFirst()) else {
            return note(rule, "no rule leads to a host of \(host)")
        }
        LocalityChecks(options: names.options, problems: problems).run(rule)
    }

    private func check(_ rule: DestinationRule, _ service: RoutableService) {
        let isRouted = routed.contains(service.host)
        let applied = clusters.policy(of: service)
        guard applied.has(rule.meta.identity) else {
            return add(isRouted ? .warning : .note, rule, reason(rule, service), related: applied.rules.first)
        }
        guard isRouted else { return note(rule, "no rule leads to \(service.host)") }
        checkMerged(rule, applied)
        LocalityChecks(options: names.options, problems: problems).run(rule)
        for subset in rule.subsets where !routed.contains("\(service.host) \(subset.name.value)") {
            problems.add(
                Diagnostic(
                    .note, "unused-subset", "no rule leads to the subset '\(subset.name.value)' of \(service.host)",
                    at: subset.place, object: rule.meta.identity, path: subset.path))
        }
    }

    /// Why a rule for a host does not apply to it.
    private func reason(_ rule: DestinationRule, _ service: RoutableService) -> String {
        let options = names.options
        let isVisible =
            rule.meta.namespace == options.gatewayNamespace
            || names.isVisible(rule.exportTo.map(\.value), from: rule.meta.namespace)
        if !isVisible { return "it is not exported to namespace \(options.gatewayNamespace), this gateway's" }
        let places = [options.gatewayNamespace, service.namespace, options.rootNamespace]
        guard places.contains(rule.meta.namespace) else {
            return "it is looked for in the namespaces \(Set(places).sorted().joined(separator: ", ")) only: "
                + "this gateway's, the service's and the root"
        }
        if let first = clusters.policy(of: service).rules.first, first.meta.namespace == rule.meta.namespace,
            first.host.value == rule.host.value
        {
            return "another DestinationRule for the host comes first, and only rules that are exported to at least the "
                + "same namespaces are merged into it"
        }
        return "another DestinationRule comes before it"
    }

    /// Reports settings that an entry of `portLevelSettings` drops, because it replaces the whole policy around it.
    private func checkPorts(_ rule: DestinationRule) {
        for policy in [rule.trafficPolicy].compactMap(\.self) + rule.subsets.compactMap(\.trafficPolicy) {
            for entry in policy.portLevel {
                let port = entry.port.value
                if let tls = policy.tls, tls.mode != .disable, entry.policy.tls == nil {
                    addDropped(
                        "`tls` of the policy around it, so that requests to port \(port) are sent in clear text", entry,
                        rule, tls.place)
                }
                if let balancer = policy.loadBalancer, entry.policy.loadBalancer == nil {
                    addDropped("`loadBalancer` of the policy around it for port \(port)", entry, rule, balancer.place)
                }
            }
        }
    }

    private func addDropped(
        _ what: String, _ entry: TrafficPolicy.PortPolicy, _ rule: DestinationRule, _ place: SourcePlace
    ) {
        problems.add(
            Diagnostic(
                .warning, "dropped-setting", "this entry drops \(what)", hint: "write it in the entry too",
                at: entry.policy.place, object: rule.meta.identity, path: entry.policy.path,
                related: [Diagnostic.Related(place: place, message: "the setting")]))
    }

    /// Reports what an earlier rule for the same host hides: the first policy counts, and the first subset of a name.
    private func checkMerged(_ rule: DestinationRule, _ applied: PolicyDirectory.Policy) {
        if let policy = rule.trafficPolicy, let first = applied.ruling, first.meta.identity != rule.meta.identity {
            problems.add(
                Diagnostic(
                    .warning, "hidden-by-other",
                    "this policy has no effect: \(first.meta.identity) has one for the host and comes first",
                    at: policy.place, object: rule.meta.identity, path: policy.path,
                    related: [Diagnostic.Related(place: first.meta.place, message: "comes first")]))
        }
        for subset in rule.subsets {
            guard let first = applied.rule(ofSubset: subset.name.value), first.meta.identity != rule.meta.identity
            else { continue }
            problems.add(
                Diagnostic(
                    .warning, "hidden-by-other",
                    "this subset has no effect: \(first.meta.identity) has one of this name and comes first",
                    at: subset.place, object: rule.meta.identity, path: subset.path,
                    related: [Diagnostic.Related(place: first.meta.place, message: "comes first")]))
        }
    }

    private func note(_ rule: DestinationRule, _ reason: String) { add(.note, rule, reason) }

    private func add(
        _ severity: Diagnostic.Severity, _ rule: DestinationRule, _ reason: String, hint: String? = nil,
        related first: DestinationRule? = nil
    ) {
        var report = Diagnostic(
            severity, "no-effect", "this DestinationRule has no effect here: \(reason)", hint: hint,
            at: rule.host.place, object: rule.meta.identity, path: rule.host.path)
        if let first {
            report.related = [Diagnostic.Related(place: first.meta.place, message: "the DestinationRule that applies")]
        }
        problems.add(report)
    }
}
