// Decodes VirtualServices; HTTPRouteDecoding.swift decodes their HTTP rules. Source: Istio `VirtualService`.

extension VirtualService {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        guard let value = envelope.require("spec"), var spec = value.mapping() else { return nil }
        var hostValues: [Value] = []
        hosts = spec.locatedStrings("hosts") { value, _ in hostValues.append(value) }
        gateways = spec.locatedStrings("gateways", check: checkGatewayName)
        exportTo = spec.exportTo()
        let rules = spec.field("http")
        let isDelegate = hosts.isEmpty
        http = (rules?.elements() ?? []).map { HTTPRoute($0, isInDelegate: isDelegate) }
        let tlsRules = spec.field("tls")
        tls = (tlsRules?.elements() ?? []).map { TLSRoute($0, of: hosts.map { $0.value.lowercased() }) }
        let tcpRules = spec.field("tcp")
        tcp = (tcpRules?.elements() ?? []).map(TCPRoute.init)
        if rules == nil, tlsRules == nil, tcpRules == nil {
            spec.missing("http", hint: "a VirtualService has `http`, `tls` or `tcp` rules")
        }
        if isDelegate { Self.checkDelegate(&spec) }
        spec.finish()
        envelope.finish()
        for (host, value) in zip(hosts, hostValues) {
            checkHost(host.value, value, hasServerNames: tlsRules != nil)
        }
        checkMesh(hostValues)
        if hosts.count > 1 { checkOverlap(hostValues) }
    }

    /// Reports what a VirtualService without hosts must not have, as Istio refuses it.
    private static func checkDelegate(_ spec: inout Mapping) {
        for name in ["gateways", "tls", "tcp"] as [StaticString] {
            spec.givenList(name)?.error(
                "conflicting-fields", "without hosts a VirtualService is a delegate, and a delegate has no `\(name)`",
                hint: "add hosts, or remove `\(name)`")
        }
    }

    private func checkHost(_ host: String, _ value: Value, hasServerNames: Bool) {
        if Grammar.isWildcardDomain(host) || Grammar.isAddress(host) { return }
        let isAtGateway = !gateways.isEmpty && !gateways.contains { $0.value == "mesh" }
        if isAtGateway, hasServerNames, Grammar.isGeneratedSNIHost(host) { return }
        let hint =
            host.contains("/")
            ? "a host has no namespace here"
            : host.contains(":") ? "write the host without a port" : nil
        value.error("invalid-host", "`\(host)` is no host name", hint: hint)
    }

    private func checkMesh(_ hostValues: [Value]) {
        guard gateways.isEmpty || gateways.contains(where: { $0.value == "mesh" }),
            let star = hosts.firstIndex(where: { $0.value == "*" })
        else { return }
        hostValues[star].error(
            "invalid-host", "the host `*` is not possible on the gateway `mesh`",
            hint: gateways.isEmpty
                ? "name the gateway in `gateways`; without it the rules are for `mesh` only"
                : "remove `mesh` from `gateways`, or name the hosts")
    }

    /// Reports two hosts of which one covers the other. Istio refuses them, too.
    private func checkOverlap(_ values: [Value]) {
        let known = Set(hosts.map(\.value))
        var seen: Set<String> = []
        for (host, value) in zip(hosts, values) {
            let name = host.value
            if !seen.insert(name).inserted {
                value.error("duplicate-name", "the host `\(name)` is listed twice")
                continue
            }
            guard let cover = Self.cover(of: name, among: known) else { continue }
            value.error(
                "duplicate-name", "the host `\(name)` is covered by `\(cover)`",
                hint: "remove one of the two, or use two VirtualServices")
        }
    }

    private static func cover(of name: String, among known: Set<String>) -> String? {
        if name == "*" { return nil }
        if known.contains("*") { return "*" }
        var rest = name.hasPrefix("*.") ? name.dropFirst(2) : Substring(name)
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if known.contains("*." + rest) { return "*." + rest }
        }
        return nil
    }
}

/// Checks the name of a gateway: `mesh`, `name`, `namespace/name`, or the old form `name.namespace.svc…`.
func checkGatewayName(_ value: Value, _ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count == 1, !text.contains("."), Grammar.isLabel(text) || Grammar.isFQDN(text) { return }
    if parts.count == 1, text.contains("."), Grammar.isFQDN(text) {
        let names = text.split(separator: ".")
        value.warning(
            "deprecated", "a gateway by its DNS name is an old form",
            hint: names.count > 1 ? "write \(names[1])/\(names[0])" : nil)
    } else if parts.count > 2 || !parts.allSatisfy({ Grammar.isLabel($0) }) {
        value.error(
            "invalid-name", "`\(text)` is no name of a gateway", hint: "`name` or `namespace/name`")
    }
}

extension Mapping {
    /// Reads `exportTo`: `.`, `*`, `~` or namespaces.
    mutating func exportTo() -> [Located<String>] {
        let names = locatedStrings("exportTo") { value, text in
            if ["*", ".", "~"].contains(text) || Grammar.isLabel(text) { return }
            value.error(
                "invalid-name", "`\(text)` is no namespace", hint: "a namespace, `.` or `*`")
        }
        if names.count > 1, let alone = names.first(where: { ["*", "~"].contains($0.value) }) {
            field("exportTo")?.error(
                "conflicting-fields", "`\(alone.value)` stands alone in exportTo")
        }
        return names
    }

    /// Reads the labels of a selector: keys and values without `*`.
    mutating func selectorLabels(_ name: StaticString) -> [String: String] {
        guard let field = field(name) else { return [:] }
        let labels = field.stringMap()
        for (key, value) in field.entries() {
            guard let text = labels[key.raw] else { continue }
            if !key.raw.isEmpty, !key.raw.contains("*"), !text.contains("*") { continue }
            value.error("invalid-label", "labels are compared as they are: no `*`, no empty name")
        }
        return labels
    }
}

extension Destination {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.fieldPath
        let host = mapping.require("host")
        let name = mapping.located("host")
        let subset = mapping.located("subset")
        let port = mapping.mapping("port").flatMap(Self.port)
        mapping.finish()
        let subsetName = subset?.value ?? ""
        if !subsetName.isEmpty, !Grammar.isLabel(subsetName) {
            mapping.field("subset")?.error("invalid-name", "`\(subsetName)` is no subset's name")
        }
        guard let host, let name else { return nil }
        if name.value == "*" || !Grammar.isWildcardDomain(name.value) {
            host.error(
                "invalid-host", "`\(name.value)` is no service's host",
                hint: name.value.contains(":") ? "write the port in `port.number`" : nil)
        }
        self.host = name
        self.subset = subsetName.isEmpty ? nil : subset
        self.port = port
    }

    private static func port(_ selector: Mapping) -> Located<Int>? {
        var selector = selector
        let port = selector.locatedPort("number")
        if selector.field("number") == nil {
            selector.missing(
                "number",
                hint: selector.value.decoder.tree.value(of: "name", in: selector.value.node) == nil
                    ? nil : "Istio no longer takes a port's name: write its number")
        }
        selector.forget("name")
        selector.finish()
        return port
    }
}

extension RouteDestination {
    /// - Parameter hasHeaders: whether `headers` is a field here, as in HTTP rules only.
    init?(_ value: Value, hasHeaders: Bool) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.fieldPath
        let destination = mapping.require("destination").flatMap(Destination.init)
        var weight: Located<Int>?
        if let field = mapping.field("weight"), let number = field.int(0...Int(Int32.max)) {
            weight = mapping.located(number, field)
        }
        let changes = hasHeaders ? Self.headers(&mapping) : nil
        mapping.finish()
        guard let destination else { return nil }
        self.destination = destination
        self.weight = weight
        headers = changes
    }

    private static func headers(_ mapping: inout Mapping) -> HeaderOperations? {
        mapping.removedHeaders()
        return mapping.field("headers").flatMap(HeaderOperations.init)
    }

    /// Reads the weighted destinations of a rule.
    static func list(_ value: Value?, hasHeaders: Bool) -> [RouteDestination] {
        guard let value else { return [] }
        let list = value.elements().compactMap { RouteDestination($0, hasHeaders: hasHeaders) }
        let total = list.reduce(0) { $0 &+ ($1.weight?.value ?? 0) }
        if list.count > 1, total == 0 {
            value.error(
                "zero-weights", "several destinations, and all weights are 0",
                hint: "give each its share in `weight`")
        }
        return list
    }
}
