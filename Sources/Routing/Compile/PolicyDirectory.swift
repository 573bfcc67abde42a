internal import Balancing
internal import Manifests

/// Which DestinationRule applies to a service, and what it says.
/// Source: docs/istio.md, Which DestinationRule applies; docs/istio.md, Policy of a port and subset.
struct PolicyDirectory {
    private let rules: [DestinationRule]
    private let names: Names
    /// The rules that are for this gateway, by namespace and completed host; each list is in Istio's order.
    private var exact: [Key: [Int]] = [:]
    private var suffixes: [Key: [Int]] = [:]    // host `.suffix`
    /// Levels with many rules or subsets, by their first rule. They are made once, because every service asks for one.
    private var large: [Int: Policy] = [:]
    /// How many rules and subsets, in sum, a level may have and not be one of the large ones.
    private static let smallLevelSize = 16

    private struct Key: Hashable {
        let namespace: String
        let host: String
    }

    /// The rules of one namespace and host, merged. They are in Istio's order.
    struct Policy {
        let rules: [DestinationRule]
        private let index: Index?

        /// An index for many rules, so that a subset is found without searching them.
        ///
        /// Thread: the compiler's, which is the loader's or a command's. Freed by: `PolicyDirectory`.
        private final class Index {
            private(set) var subsets: [String: (rule: Int, subset: Int)] = [:]
            let rules: Set<ObjectReference>
            let ruling: Int?

            init(_ all: [DestinationRule]) {
                rules = Set(all.map(\.meta.identity))
                ruling = all.firstIndex { $0.trafficPolicy != nil }
                for (rule, entry) in all.enumerated() {
                    for (place, subset) in entry.subsets.enumerated() where subsets[subset.name.value] == nil {
                        subsets[subset.name.value] = (rule, place)
                    }
                }
            }
        }

        fileprivate init(_ rules: [DestinationRule], isLarge: Bool = false) {
            self.rules = rules
            index = isLarge ? Index(rules) : nil
        }

        /// The subset of this name; nil if no rule has one.
        func subset(_ name: String) -> Subset? { find(name).map { rules[$0.rule].subsets[$0.subset] } }

        /// The rule whose subset of this name is in effect.
        func rule(ofSubset name: String) -> DestinationRule? { find(name).map { rules[$0.rule] } }

        /// The rule whose `trafficPolicy` is in effect.
        var ruling: DestinationRule? {
            guard let index else { return rules.first { $0.trafficPolicy != nil } }
            return index.ruling.map { rules[$0] }
        }

        /// Whether this rule is among them.
        func has(_ rule: ObjectReference) -> Bool {
            index?.rules.contains(rule) ?? rules.contains { $0.meta.identity == rule }
        }

        /// Subsets of a rule, and rules, among which a hint is looked for.
        private static let mostSubsets = 100

        /// Some names of subsets, for hints.
        var someSubsets: [String] {
            var found: [String] = []
            for rule in rules where found.count < Self.mostSubsets {
                found += rule.subsets.prefix(Self.mostSubsets).map(\.name.value)
            }
            return found
        }

        private func find(_ name: String) -> (rule: Int, subset: Int)? {
            if let index { return index.subsets[name] }
            for (rule, entry) in rules.enumerated() {
                if let place = entry.subsets.firstIndex(where: { $0.name.value == name }) { return (rule, place) }
            }
            return nil
        }
    }

    init(_ inventory: Inventory, names: Names) {
        rules = inventory.destinationRules
        self.names = names
        let order = rules.indices.sorted { left, right in
            let (one, other) = (
                rules[left].workloadSelector != nil, rules[right].workloadSelector != nil
            )
            return one != other ? one : Names.precedes(rules[left].meta, rules[right].meta)
        }
        for index in order where isForHere(rules[index]) {
            let rule = rules[index]
            let host = names.expanded(rule.host.value, namespace: rule.meta.namespace)
            if host.hasPrefix("*") {
                suffixes[
                    Key(namespace: rule.meta.namespace, host: String(host.dropFirst())), default: []
                ].append(index)
            } else {
                exact[Key(namespace: rule.meta.namespace, host: host), default: []].append(index)
            }
        }
        exact = exact.mapValues(merged)
        suffixes = suffixes.mapValues(merged)
        for level in [exact.values, suffixes.values].joined() {
            let size = level.reduce(level.count) { $0 + rules[$1].subsets.count }
            if size > Self.smallLevelSize { large[level[0]] = Policy(level.map { rules[$0] }, isLarge: true) }
        }
    }

    /// The rules that are merged into the first one: those that are exported to all of its namespaces, by name.
    /// Source: istio/istio pilot/pkg/model/destination_rule.go (mergeDestinationRule).
    private func merged(_ level: [Int]) -> [Int] {
        guard level.count > 1 else { return level }
        let first = exports(of: rules[level[0]])
        return level.filter { exports(of: rules[$0]).isSuperset(of: first) }
    }

    /// `exportTo` with the rule's namespace in the place of `.`.
    private func exports(of rule: DestinationRule) -> Set<String> {
        let written = rule.exportTo.map { $0.value == "." ? rule.meta.namespace : $0.value }
        return written.isEmpty ? ["*"] : Set(written)
    }

    /// Whether a rule is for this gateway. In the gateway's own namespace, `exportTo` does not matter.
    private func isForHere(_ rule: DestinationRule) -> Bool {
        if let selector = rule.workloadSelector, !Names.matches(selector, names.options.labels) { return false }
        return rule.meta.namespace == names.options.gatewayNamespace
            || names.isVisible(rule.exportTo.map(\.value), from: rule.meta.namespace)
    }

    /// The rules for a service. The first of three namespaces with a rule for the host decides: the gateway's, the
    /// service's, the root namespace.
    func policy(host: String, namespace: String) -> Policy {
        let own = names.options.gatewayNamespace
        if let found = search(own, host) { return found }
        for place in [namespace, names.options.rootNamespace] where place != own {
            if let found = search(place, host) { return found }
        }
        return Policy([])
    }

    private func search(_ namespace: String, _ host: String) -> Policy? {
        if let level = exact[Key(namespace: namespace, host: host)] { return policy(level) }
        guard !suffixes.isEmpty else { return nil }
        var rest = host[...]
        while let dot = rest.firstIndex(of: ".") {
            if let level = suffixes[Key(namespace: namespace, host: String(rest[dot...]))] { return policy(level) }
            rest = rest[rest.index(after: dot)...]
        }
        return suffixes[Key(namespace: namespace, host: "")].map(policy)
    }

    private func policy(_ level: [Int]) -> Policy { large[level[0]] ?? Policy(level.map { rules[$0] }) }
}

extension PolicyDirectory.Policy {
    /// The balancing policy for a port and subset. An entry for the port replaces the policy around it, and the blocks
    /// of a subset replace those of the rule.
    func balancing(port: Int, subset: Subset?) -> BalancingPolicy {
        guard let block = block(\.loadBalancer, port: port, subset: subset) else { return .usual }
        // Requests without what is hashed are spread at random.
        return block.consistentHash == nil ? block.simple?.value.policy ?? .usual : .random
    }

    /// One block of the policy: the subset's, or else the rule's.
    func block<Block>(_ path: KeyPath<TrafficPolicy, Block?>, port: Int, subset: Subset?) -> Block? {
        let top = Self.level(ruling?.trafficPolicy, port)
        let own = Self.level(subset?.trafficPolicy, port)
        let isWhole = subset?.trafficPolicy?.portLevel.contains { $0.port.value == port } ?? false
        return isWhole ? own?[keyPath: path] : own?[keyPath: path] ?? top?[keyPath: path]
    }

    /// What a cluster has beyond its balancing; nil for nothing.
    func policies(
        port: Int, subset: Subset?, _ options: CompileOptions, healthCheck: HealthCheckPolicy?
    ) -> ClusterPolicies? {
        ClusterPolicies(
            pool: pool(port: port, subset: subset), outliers: outliers(port: port, subset: subset),
            hashing: hashing(port: port, subset: subset), locality: locality(port: port, subset: subset, options),
            warmup: warmup(port: port, subset: subset), proxyVersion: proxyVersion(port: port, subset: subset),
            healthCheck: healthCheck)
    }

    /// A transport setting that is not in effect yet, and the rule that has it; nil if there is none. Requests are then
    /// refused, because the upstream would not understand what is sent without it. An entry for the port drops the
    /// `tunnel` of the policy around it.
    func closing(port: Int, subset: Subset?) -> (field: ClosingField, rule: DestinationRule)? {
        let own = Self.level(subset?.trafficPolicy, port)
        if let subset, let field = own?.closings.first, let rule = rule(ofSubset: subset.name.value) {
            return (field, rule)
        }
        guard let rule = ruling, let field = Self.level(rule.trafficPolicy, port)?.closings.first else { return nil }
        return (field, rule)
    }

    /// The `tls` in effect, and the rule that has it; nil if none is written.
    func tls(port: Int, subset: Subset?) -> (tls: UpstreamTLS, rule: DestinationRule)? {
        let own = Self.level(subset?.trafficPolicy, port)
        if let subset, let tls = own?.tls, let rule = rule(ofSubset: subset.name.value) { return (tls, rule) }
        let isWhole = subset?.trafficPolicy?.portLevel.contains { $0.port.value == port } ?? false
        guard !isWhole, let rule = ruling, let tls = Self.level(rule.trafficPolicy, port)?.tls else { return nil }
        return (tls, rule)
    }

    /// A field that entries of `portLevelSettings` do not have, and which they drop: the subset's, or else the rule's.
    /// Source: docs/istio.md, Policy of a port and subset.
    func whole<Field>(_ path: KeyPath<TrafficPolicy, Field?>, port: Int, subset: Subset?) -> Field? {
        let policies = [subset?.trafficPolicy, ruling?.trafficPolicy].compactMap(\.self)
        let around = policies.lazy.filter { policy in !policy.portLevel.contains { $0.port.value == port } }
        return around.compactMap { $0[keyPath: path] }.first
    }

    /// By which version of the PROXY protocol the endpoints of a port and subset get the client's address.
    private func proxyVersion(port: Int, subset: Subset?) -> ProxyVersion? {
        whole(\.proxyProtocol, port: port, subset: subset).map { $0 == .v1 ? .v1 : .v2 }
    }

    private static func level(_ policy: TrafficPolicy?, _ port: Int) -> TrafficPolicy? {
        policy?.portLevel.first { $0.port.value == port }?.policy ?? policy
    }
}
