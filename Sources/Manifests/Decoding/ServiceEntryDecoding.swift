// Decodes ServiceEntries and WorkloadEntries. Source: Istio `ServiceEntry`, `WorkloadEntry`.

extension ServiceEntry {
    private enum Location: String, CaseIterable {
        case external = "MESH_EXTERNAL"
        case `internal` = "MESH_INTERNAL"
    }

    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        guard let value = envelope.require("spec"), var spec = value.mapping() else { return nil }
        let hostsField = spec.require("hosts")
        hosts = spec.locatedStrings("hosts", check: Self.checkHost)
        if let hostsField, hosts.isEmpty {
            hostsField.error("missing-field", "a ServiceEntry needs at least one host")
        }
        addresses = spec.locatedStrings("addresses") { value, text in
            if Grammar.isAddressOrNetwork(text) { return }
            value.error("invalid-address", "`\(text)` is no address or network")
        }
        ports = Self.ports(spec.elements("ports"))
        isMeshInternal = spec.name("location", of: Location.self) == .internal
        if let field = spec.field("resolution"), let name = field.name(of: Resolution.self) {
            resolution = spec.located(name, field)
        }
        let endpointsField = spec.givenList("endpoints")
        let names = Set(ports.map(\.name))
        let kind = resolution?.value ?? .none
        endpoints = (endpointsField?.elements() ?? []).compactMap {
            Self.endpoint($0, names, kind)
        }
        exportTo = spec.exportTo()
        subjectAltNames = spec.strings("subjectAltNames")
        workloadSelector = Self.selector(&spec)
        spec.finish()
        envelope.finish()
        closings = envelope.value.closings
        if let endpointsField { checkEndpoints(endpointsField, kind) }
        checkResolution(spec.field("resolution") ?? value)
    }

    private static func checkHost(_ value: Value, _ host: String) {
        if host == "*" || !Grammar.isWildcardDomain(host) {
            value.error("invalid-host", "`\(host)` is no host of a ServiceEntry")
        }
    }

    private static func selector(_ spec: inout Mapping) -> [String: String]? {
        guard let field = spec.field("workloadSelector"), var mapping = field.mapping() else {
            return nil
        }
        let labels = mapping.selectorLabels("labels")
        mapping.finish()
        if labels.isEmpty {
            field.warning("no-effect", "an empty selector selects every workload of the namespace")
        }
        if let endpoints = spec.givenList("endpoints") {
            endpoints.error(
                "conflicting-fields", "`endpoints` and `workloadSelector` exclude each other")
        }
        return labels
    }

    private static func ports(_ entries: [Value]) -> [Port] {
        var names: Set<String> = []
        var numbers: Set<Int> = []
        return entries.compactMap { entry in
            guard let port = Port(entry) else { return nil }
            if !names.insert(port.name).inserted {
                entry.error("duplicate-name", "the port name `\(port.name)` is used twice")
            }
            if !numbers.insert(port.number).inserted {
                entry.error("duplicate-name", "the port \(port.number) is written twice")
            }
            return port
        }
    }

    private static func endpoint(
        _ value: Value, _ portNames: Set<String>, _ kind: Resolution
    ) -> Workload? {
        guard let endpoint = Workload(value) else { return nil }
        for name in endpoint.ports.keys.sorted() where !portNames.contains(name) {
            value.error("unknown-port", "`\(name)` is no port of this ServiceEntry")
        }
        let address = endpoint.address.value
        let isLiteral = Grammar.isAddress(address) || Grammar.isUnixAddress(address)
        if kind == .static, !address.isEmpty, !isLiteral {
            value.error(
                "invalid-address", "`\(address)` is no IP address, and the resolution is STATIC",
                hint: "write resolution: DNS")
        }
        return endpoint
    }

    private func checkEndpoints(_ value: Value, _ kind: Resolution) {
        switch kind {
        case .none:
            value.error(
                "conflicting-fields", "endpoints have no effect with the resolution NONE",
                hint: "write resolution: STATIC, or DNS for names")
        case .dnsRoundRobin where endpoints.count > 1:
            value.error("conflicting-fields", "DNS_ROUND_ROBIN takes one endpoint")
        case .dynamicDNS:
            value.error("conflicting-fields", "DYNAMIC_DNS takes no endpoints")
        case .static, .dns, .dnsRoundRobin: break
        }
    }

    /// Source: istio/istio pkg/config/validation/validation.go (ValidateServiceEntry).
    private func checkDynamic(_ value: Value) {
        if let plain = hosts.first(where: { !$0.value.hasPrefix("*") }) {
            value.error(
                "invalid-host", "`\(plain.value)` is no wildcard, and DYNAMIC_DNS is for wildcards alone",
                hint: "write resolution: DNS for it, in another ServiceEntry")
        }
        if !addresses.isEmpty { value.error("conflicting-fields", "DYNAMIC_DNS takes no `addresses`") }
        if workloadSelector != nil { value.error("conflicting-fields", "DYNAMIC_DNS takes no `workloadSelector`") }
        for port in ports {
            switch port.protocol {
            case nil, .http, .http2, .grpc, .tls: break
            case let other?:
                value.error(
                    "conflicting-fields",
                    "the protocol of port \(port.number) is \(other.rawValue), and DYNAMIC_DNS is for HTTP, HTTP2, "
                        + "GRPC and TLS")
            }
        }
    }

    private func checkResolution(_ value: Value) {
        let networks = addresses.contains { $0.value.contains("/") }
        switch resolution?.value ?? .none {
        case .none:
            if workloadSelector != nil {
                value.warning("no-effect", "a selector has no effect with the resolution NONE")
            } else if endpoints.isEmpty {
                value.warning(
                    "no-effect", "with the resolution NONE a gateway has nothing to send to",
                    hint: "write resolution: STATIC or DNS")
            }
        case .dns, .dnsRoundRobin:
            if endpoints.isEmpty, let wild = hosts.first(where: { $0.value.hasPrefix("*") }) {
                value.error(
                    "invalid-host",
                    "`\(wild.value)` cannot be looked up, and there are no endpoints")
            }
            if networks {
                value.error("conflicting-fields", "networks in `addresses` need NONE or STATIC")
            }
        case .dynamicDNS: checkDynamic(value)
        case .static: break
        }
    }
}

extension ServiceEntry.Port {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let number = mapping.require("number")?.int(1...65535)
        let name = mapping.require("name")
        if let field = mapping.field("protocol"), field.string() != "" {
            `protocol` = Gateway.Port.protocolName(field)
        }
        targetPort = mapping.givenPort("targetPort")?.value
        mapping.finish()
        guard let number, let name, let text = name.string() else { return nil }
        if !Grammar.isLabel(text) {
            name.error("invalid-name", "`\(text)` cannot be a port's name")
        }
        self.number = number
        self.name = text
    }
}

extension WorkloadEntry {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        guard let value = envelope.require("spec"), let workload = Workload(value) else {
            return nil
        }
        envelope.finish()
        self.workload = workload
        self.workload.labels.merge(meta.labels) { $1 }
    }
}

extension Workload {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let addressField = mapping.field("address")
        let text = addressField?.string() ?? ""
        address = mapping.located(text, addressField ?? value)
        network = mapping.string("network")
        for (key, port) in mapping.field("ports")?.entries() ?? [] {
            if !Grammar.isLabel(key.raw) {
                port.error("invalid-name", "`\(key.raw)` cannot be a port's name")
            }
            if let number = port.int(1...65535) { ports[key.raw] = number }
        }
        labels = mapping.selectorLabels("labels")
        locality = mapping.string("locality")
        weight = max(1, mapping.count("weight") ?? 1)
        serviceAccount = mapping.string("serviceAccount")
        mapping.finish()
        check(addressField ?? value)
    }

    private func check(_ value: Value) {
        let text = address.value
        if text.isEmpty {
            if network ?? "" == "" {
                value.error("missing-field", "`address` is missing")
            } else {
                value.warning("no-effect", "an endpoint without `address` gets no requests")
            }
        } else if text.hasPrefix("unix:") {
            if !Grammar.isUnixAddress(text) {
                value.error(
                    "invalid-address", "`\(text)` is no path", hint: "unix:///absolute/path")
            } else if !ports.isEmpty {
                value.error("conflicting-fields", "a unix: address has no `ports`")
            }
        } else if !Grammar.isAddress(text), !Grammar.isFQDN(text) {
            value.error(
                "invalid-address", "`\(text)` is neither an IP address nor a DNS name",
                hint: text.contains(":") ? "write the port in `ports`" : nil)
        }
    }
}
