internal import Balancing
internal import Manifests

/// Which DestinationRule applies to a service, and what it says. Source: istio-api.md §3.2, §3.3.
struct PolicyDirectory {
    private let rules: [DestinationRule]
    private let names: Names
    /// By namespace and host as written, expanded; each oldest first.
    private var exact: [Key: [Int]] = [:]
    private var suffixes: [Key: [Int]] = [:]  // host `.suffix`
    /// Of rules with many subsets: where each is.
    private var subsetPlaces: [ObjectReference: [String: Int]] = [:]
    private static let fewSubsets = 16

    private struct Key: Hashable {
        let namespace: String
        let host: String
    }

    /// The rules of one host level, merged: oldest first.
    struct Policy {
        let rules: [DestinationRule]
        fileprivate var subsetPlaces: [ObjectReference: [String: Int]] = [:]

        func subset(_ name: String) -> Subset? {
            for rule in rules {
                if let places = subsetPlaces[rule.meta.identity] {
                    if let place = places[name] { return rule.subsets[place] }
                    continue
                }
                if let found = rule.subsets.first(where: { $0.name.value == name }) { return found }
            }
            return nil
        }

        var subsetNames: [String] { rules.flatMap { $0.subsets.map(\.name.value) } }
        var traffic: TrafficPolicy? { rules.lazy.compactMap(\.trafficPolicy).first }
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
        for index in order {
            let rule = rules[index]
            if let selector = rule.workloadSelector, !Names.matches(selector, names.options.labels)
            {
                continue
            }
            if rule.subsets.count > Self.fewSubsets {
                let all = rule.subsets.enumerated().map { ($0.element.name.value, $0.offset) }
                subsetPlaces[rule.meta.identity] = Dictionary(all) { first, _ in first }
            }
            let host = names.expanded(rule.host.value, namespace: rule.meta.namespace)
            if host.hasPrefix("*") {
                suffixes[
                    Key(namespace: rule.meta.namespace, host: String(host.dropFirst())), default: []
                ].append(index)
            } else {
                exact[Key(namespace: rule.meta.namespace, host: host), default: []].append(index)
            }
        }
    }

    /// The first of three places with a matching host decides: the gateway's namespace, the
    /// service's, the root namespace.
    func policy(host: String, namespace: String) -> Policy {
        let own = names.options.gatewayNamespace
        if let found = search(own, host, { _ in true }) { return found }
        let isVisible = { (rule: DestinationRule) in
            names.isVisible(rule.exportTo.map(\.value), from: rule.meta.namespace)
        }
        for place in [namespace, names.options.rootNamespace] where place != own {
            if let found = search(place, host, isVisible) { return found }
        }
        return Policy(rules: [])
    }

    private func search(_ namespace: String, _ host: String, _ fits: (DestinationRule) -> Bool)
        -> Policy?
    {
        if let policy = policy(exact[Key(namespace: namespace, host: host)], fits) { return policy }
        guard !suffixes.isEmpty else { return nil }
        var rest = host[...]
        while let dot = rest.firstIndex(of: ".") {
            if let policy = policy(
                suffixes[Key(namespace: namespace, host: String(rest[dot...]))], fits)
            {
                return policy
            }
            rest = rest[rest.index(after: dot)...]
        }
        return policy(suffixes[Key(namespace: namespace, host: "")], fits)
    }

    private func policy(_ indexes: [Int]?, _ fits: (DestinationRule) -> Bool) -> Policy? {
        let found = (indexes ?? []).map { rules[$0] }.filter(fits)
        return found.isEmpty ? nil : Policy(rules: found, subsetPlaces: subsetPlaces)
    }
}

extension PolicyDirectory.Policy {
    /// A port's entry replaces the policy around it; a subset's blocks replace those of the base.
    func balancing(port: Int, subset: Subset?) -> BalancingPolicy {
        let top = Self.level(traffic, port)
        let own = Self.level(subset?.trafficPolicy, port)
        let isWhole = subset?.trafficPolicy?.portLevel.contains { $0.port.value == port } ?? false
        let chosen = isWhole ? own?.loadBalancer : own?.loadBalancer ?? top?.loadBalancer
        return switch chosen?.simple?.value {
        case .roundRobin: .roundRobin
        case .random: .random
        case .leastRequest, .leastConnections, .unspecified, .passthrough, nil: .leastRequest
        }
    }

    /// What is asked of connections and is not in effect yet, and the rule that asks for it: to send without
    /// it would be to send in clear what was to be encrypted. A port's entry drops the PROXY protocol around it.
    func closing(port: Int, subset: Subset?) -> (field: ClosingField, rule: DestinationRule)? {
        let own = Self.level(subset?.trafficPolicy, port)
        if let subset, let field = own?.closings.first,
            let rule = rules.first(where: { $0.subsets.contains { $0.place == subset.place } })
        {
            return (field, rule)
        }
        let isWhole = subset?.trafficPolicy?.portLevel.contains { $0.port.value == port } ?? false
        let replacesTLS = isWhole || own?.tls != nil
        guard let rule = rules.first(where: { $0.trafficPolicy != nil }),
            let field = Self.level(rule.trafficPolicy, port)?.closings.first(where: {
                !(replacesTLS && $0.name.hasPrefix("tls."))
            })
        else { return nil }
        return (field, rule)
    }

    /// Whether TLS is switched off in so many words.
    func disablesTLS(port: Int, subset: Subset?) -> Bool {
        let own = Self.level(subset?.trafficPolicy, port)
        let isWhole = subset?.trafficPolicy?.portLevel.contains { $0.port.value == port } ?? false
        let tls = isWhole ? own?.tls : own?.tls ?? Self.level(traffic, port)?.tls
        return tls?.mode == .disable
    }

    private static func level(_ policy: TrafficPolicy?, _ port: Int) -> TrafficPolicy? {
        policy?.portLevel.first { $0.port.value == port }?.policy ?? policy
    }
}
