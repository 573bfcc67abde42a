// Decodes DestinationRules. LoadBalancerDecoding.swift decodes load balancing, TrafficPolicyDecoding.swift the rest
// of a policy. Source: Istio `DestinationRule`.

extension DestinationRule {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        guard let value = envelope.require("spec"), var spec = value.mapping() else { return nil }
        self.meta = meta
        let hostField = spec.require("host")
        let host = spec.located("host")
        if let hostField, let host, !Grammar.isWildcardDomain(host.value) {
            hostField.error("invalid-host", "`\(host.value)` is no host name")
        }
        trafficPolicy = spec.field("trafficPolicy").flatMap { TrafficPolicy($0, .policy) }
        subsets = Self.subsets(spec.elements("subsets"))
        exportTo = spec.exportTo()
        workloadSelector = Self.selector(&spec)
        spec.finish()
        envelope.finish()
        guard let host else { return nil }
        self.host = host
    }

    private static func selector(_ spec: inout Mapping) -> [String: String]? {
        guard let field = spec.field("workloadSelector"), var mapping = field.mapping() else {
            return nil
        }
        let labels = mapping.selectorLabels("matchLabels")
        mapping.finish()
        if labels.isEmpty { field.warning("no-effect", "an empty selector selects every workload") }
        return labels
    }

    private static func subsets(_ entries: [Value]) -> [Subset] {
        var seen: Set<String> = []
        return entries.compactMap { entry in
            guard let subset = Subset(entry) else { return nil }
            if !seen.insert(subset.name.value).inserted {
                entry.error("duplicate-name", "the subset `\(subset.name.value)` is written twice")
            }
            return subset
        }
    }
}

extension Subset {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let nameField = mapping.require("name")
        let name = mapping.located("name")
        labels = mapping.selectorLabels("labels")
        trafficPolicy = mapping.field("trafficPolicy").flatMap { TrafficPolicy($0, .policy) }
        mapping.finish()
        guard let nameField, let name else { return nil }
        if !Grammar.isLabel(name.value) {
            nameField.error(
                "invalid-name", "`\(name.value)` cannot be a subset's name",
                hint: "lower-case letters, digits and `-`")
        }
        self.name = name
    }
}

extension TrafficPolicy {
    /// Where a policy is written, which decides the blocks that it may have: a port's policy has only the first four.
    enum Level { case policy, port }

    init?(_ value: Value, _ level: Level) {
        guard var mapping = value.mapping() else { return nil }
        self.init(&mapping, level)
        mapping.finish()
        if value.decoder.tree[value.node].count == 0 {
            value.error("missing-field", "an empty policy", hint: "remove it")
        }
    }

    fileprivate init(_ mapping: inout Mapping, _ level: Level) {
        place = mapping.place
        path = mapping.path
        loadBalancer = mapping.field("loadBalancer").flatMap(LoadBalancer.init)
        connectionPool = mapping.field("connectionPool").flatMap(ConnectionPool.init)
        outlierDetection = mapping.field("outlierDetection").flatMap(OutlierDetection.init)
        tls = mapping.field("tls").flatMap(UpstreamTLS.init)
        closings = mapping.value.closings
        if level == .port { return }
        let ports = mapping.elements("portLevelSettings")
        portLevel = ports.compactMap(PortPolicy.init)
        // The schema has the same limit. Every destination searches them.
        if ports.count > Self.mostPorts {
            ports[Self.mostPorts].error("too-many-entries", "a policy has at most \(Self.mostPorts) ports")
        }
        checkTunnel(&mapping)
        if let field = mapping.field("proxyProtocol"), var inner = field.mapping() {
            proxyProtocol = inner.name("version", of: ProxyProtocolVersion.self) ?? .v1
            inner.finish()
        }
        retryBudget = Self.retryBudget(&mapping)
    }

    private static let mostPorts = 4096

    private func checkTunnel(_ mapping: inout Mapping) {
        guard let field = mapping.field("tunnel"), var tunnel = field.mapping() else { return }
        if let name = tunnel.field("protocol"), let text = name.string() {
            if !["CONNECT", "POST"].contains(text) {
                name.unknownName(text, among: ["CONNECT", "POST"])
            }
        }
        _ = tunnel.require("targetHost")?.string()
        _ = tunnel.require("targetPort")?.int(1...65535)
        tunnel.finish()
        if mapping.field("proxyProtocol") != nil {
            field.error("conflicting-fields", "`tunnel` and `proxyProtocol` exclude each other")
        }
    }

    private static func retryBudget(_ mapping: inout Mapping) -> RetryBudget? {
        guard let field = mapping.field("retryBudget"), var inner = field.mapping() else { return nil }
        let budget = RetryBudget(
            percent: inner.field("percent")?.double(0...100), minRetryConcurrency: inner.count("minRetryConcurrency"))
        if let interval = inner.duration("budgetInterval", orZero: true), interval > .zero {
            inner.field("budgetInterval")?.warning(
                "no-effect", "`budgetInterval` has no effect: the requests of the moment are counted")
        }
        inner.finish()
        return budget
    }
}

extension TrafficPolicy.PortPolicy {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        var port: Located<Int>?
        if let field = mapping.require("port"), var inner = field.mapping() {
            port = inner.locatedPort("number")
            if port == nil, inner.field("number") == nil { inner.missing("number") }
            inner.finish()
        }
        policy = TrafficPolicy(&mapping, .port)
        mapping.finish()
        let blocks = value.decoder.tree[value.node].count
        if blocks <= 1 {
            value.error("missing-field", "a port without any setting", hint: "remove it")
        }
        guard let port else { return nil }
        self.port = port
    }
}
