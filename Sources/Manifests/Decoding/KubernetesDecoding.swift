// Decodes what a service is made of. Source: Kubernetes `Service`, `EndpointSlice`, `Endpoints`.
//
// For these kinds, the fields that a gateway reads are checked as strictly as those of Istio's kinds. Other fields are
// known by name only. An unknown name is an error after which the object is still used: a newer Kubernetes has fields
// that Portico cannot know, and leaving out a Service because of one would lose traffic.

extension Service {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        guard let value = envelope.require("spec"), var spec = value.mapping() else { return nil }
        type = spec.name("type", of: Kind.self) ?? .clusterIP
        ports = spec.elements("ports").compactMap(Port.init)
        selector = spec.field("selector")?.stringMap()
        clusterIP = spec.string("clusterIP")
        externalName = spec.located("externalName")
        publishNotReadyAddresses = spec.bool("publishNotReadyAddresses") ?? false
        primaryFamily = spec.elements("ipFamilies").map { $0.name(of: Family.self) }.first ?? nil
        spec.ignore(
            "clusterIPs", "externalIPs", "sessionAffinity", "loadBalancerIP",
            "loadBalancerSourceRanges", "externalTrafficPolicy", "healthCheckNodePort",
            "sessionAffinityConfig", "ipFamilyPolicy",
            "allocateLoadBalancerNodePorts", "loadBalancerClass", "internalTrafficPolicy",
            "trafficDistribution")
        spec.finish(unknown: .harmless)
        envelope.finish(unknown: .harmless)
        if type == .externalName, externalName == nil { spec.missing("externalName") }
        checkPortNames(spec.field("ports"))
    }

    private func checkPortNames(_ value: Value?) {
        guard let value, ports.count > 1 else { return }
        var seen: Set<String> = []
        for port in ports where !seen.insert(port.name).inserted {
            value.error(
                "duplicate-name",
                port.name.isEmpty
                    ? "several ports, and not all have a name"
                    : "the port name `\(port.name)` is used twice")
        }
    }
}

extension Service.Port {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        name = mapping.string("name") ?? ""
        let number = mapping.require("port")?.int(1...65535)
        transport = Self.transport(&mapping) ?? .tcp
        appProtocol = mapping.string("appProtocol")
        // Some tools write 0 or an empty text for "not given", and Kubernetes accepts that.
        let target = mapping.field("targetPort").flatMap { field in
            field.isEmptyText || field.scalar == .integer(0) ? nil : field
        }.map(TargetPort.init)
        mapping.ignore("nodePort")
        mapping.finish(unknown: .harmless)
        guard let number else { return nil }
        self.number = number
        switch target {
        case nil: targetPort = .number(number)
        case .some(nil): return nil
        case .some(.some(let target)): targetPort = target
        }
    }

    private static func transport(_ mapping: inout Mapping) -> TransportProtocol? {
        guard let field = mapping.field("protocol"), let text = field.string() else { return nil }
        if let known = TransportProtocol(rawValue: text) { return known }
        guard TransportProtocol(rawValue: text.uppercased()) == nil,
            let spoken = PortProtocol(rawValue: text.uppercased())
        else {
            field.unknownName(text, among: TransportProtocol.allCases.map(\.rawValue))
            return nil
        }
        let name = spoken.rawValue.lowercased()
        field.error(
            "unknown-value", "`\(text)` is none of TCP, UDP, SCTP",
            hint: "write TCP; what is spoken on it says the port's name, \(name) or \(name)-…, or appProtocol")
        return nil
    }
}

extension TargetPort {
    fileprivate init?(_ value: Value) {
        if case .integer = value.scalar {
            guard let number = value.int(1...65535) else { return nil }
            self = .number(number)
            return
        }
        guard let name = value.string() else { return nil }
        if Int(name) != nil {
            value.error(
                "wrong-type", "the quoted number is the name of a port",
                hint: "write it without quotes: \(name)")
            return nil
        }
        guard Grammar.isLabel(name), name.utf8.count <= 15 else {
            value.error("invalid-name", "`\(name)` is no name of a container's port")
            return nil
        }
        self = .name(name)
    }
}

extension ObjectReference {
    /// Reads a `targetRef`.
    fileprivate init?(_ value: Value, namespace: String) {
        guard var mapping = value.mapping() else { return nil }
        let kind = mapping.string("kind") ?? ""
        let name = mapping.string("name") ?? ""
        let written = mapping.string("namespace")
        mapping.ignore("apiVersion", "uid", "resourceVersion", "fieldPath")
        mapping.finish(unknown: .harmless)
        self.init(kind: kind, namespace: written ?? namespace, name: name)
    }
}

extension EndpointSlice {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        let typeField = envelope.require("addressType")
        let type = typeField?.name(of: AddressType.self)
        if type == .fqdn {
            typeField?.warning(
                "no-effect", "an EndpointSlice of DNS names (addressType FQDN) is not used, as Istio does not",
                hint: "write a Service of type ExternalName, or a ServiceEntry with resolution DNS")
        }
        ports = envelope.elements("ports").compactMap(Port.init)
        endpoints = envelope.elements("endpoints").exactMap {
            Endpoint($0, meta.namespace, type)
        }
        envelope.finish(unknown: .harmless)
        if meta.labels["kubernetes.io/service-name"] == nil {
            envelope.value.warning(
                "no-effect", "an EndpointSlice of no Service",
                hint: "set the label kubernetes.io/service-name")
        }
        guard let type else { return nil }
        addressType = type
    }
}

extension EndpointSlice.AddressType {
    fileprivate func check(_ value: Value, _ address: String) {
        let isRight =
            switch self {
            case .ipv4: Grammar.isIPv4(address)
            case .ipv6: Grammar.isIPv6(address)
            case .fqdn: Grammar.isFQDN(address)
            }
        if isRight { return }
        value.error("invalid-address", "`\(address)` is no address of type \(rawValue)")
    }
}

extension EndpointSlice.Port {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        name = mapping.string("name") ?? ""
        number = mapping.port("port")
        transport = mapping.name("protocol", of: TransportProtocol.self) ?? .tcp
        appProtocol = mapping.string("appProtocol")
        mapping.finish(unknown: .harmless)
    }
}

extension EndpointSlice.Endpoint {
    fileprivate init?(_ value: Value, _ namespace: String, _ type: EndpointSlice.AddressType?) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let field = mapping.require("addresses")
        addresses = mapping.locatedStrings("addresses") { type?.check($0, $1) }.map(\.value)
        if let field, addresses.isEmpty {
            field.error("missing-field", "an endpoint needs an address")
        }
        if var conditions = mapping.mapping("conditions") {
            isReady = conditions.bool("ready") ?? true
            // An endpoint that is not ready gets no requests, whether it still serves or terminates.
            conditions.ignore("serving", "terminating")
            conditions.finish(unknown: .harmless)
        }
        nodeName = mapping.string("nodeName")
        zone = mapping.string("zone")
        target = mapping.field("targetRef").flatMap { ObjectReference($0, namespace: namespace) }
        mapping.ignore("hints", "deprecatedTopology", "hostname")
        mapping.finish(unknown: .harmless)
    }
}

extension Endpoints {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        subsets = envelope.elements("subsets").compactMap { Subset($0, meta.namespace) }
        envelope.finish(unknown: .harmless)
    }
}

extension Endpoints.Subset {
    fileprivate init?(_ value: Value, _ namespace: String) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        addresses = mapping.elements("addresses").compactMap { Endpoints.Address($0, namespace) }
        mapping.ignore("notReadyAddresses")
        ports = mapping.elements("ports").compactMap(EndpointSlice.Port.init)
        mapping.finish(unknown: .harmless)
    }
}

extension Endpoints.Address {
    fileprivate init?(_ value: Value, _ namespace: String) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        let field = mapping.require("ip")
        mapping.ignore("hostname", "nodeName")
        target = mapping.field("targetRef").flatMap { ObjectReference($0, namespace: namespace) }
        mapping.finish(unknown: .harmless)
        guard let field, let ip = field.string() else { return nil }
        if !Grammar.isAddress(ip) { field.error("invalid-address", "`\(ip)` is no IP address") }
        self.ip = ip
    }
}
