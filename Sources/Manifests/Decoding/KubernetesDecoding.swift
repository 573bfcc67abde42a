// Decodes what a service is made of. Source: Kubernetes `Service`, `EndpointSlice`, `Endpoints`.
//
// For these kinds, the fields that a gateway reads are checked as strictly as those of Istio's kinds. Other fields are
// known by name only. An unknown name is an error after which the object is still used: a newer Kubernetes has fields
// that Portico cannot know, and leaving out a Service because of one would lose traffic.

extension Service {
    init?(_ meta: ObjectMeta, _ envelope: inout Record) {
        self.meta = meta
        guard let value = envelope.require("spec"), var spec = value.record() else { return nil }
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
        guard var record = value.record() else { return nil }
        place = value.place
        path = record.path
        name = record.string("name") ?? ""
        let number = record.require("port")?.int(1...65535)
        transport = Self.transport(&record) ?? .tcp
        appProtocol = record.string("appProtocol")
        // Some tools write 0 or an empty text for "not given", and Kubernetes accepts that.
        let target = record.field("targetPort").flatMap { field in
            field.isEmptyText || field.scalar == .integer(0) ? nil : field
        }.map(TargetPort.init)
        record.ignore("nodePort")
        record.finish(unknown: .harmless)
        guard let number else { return nil }
        self.number = number
        switch target {
        case nil: targetPort = .number(number)
        case .some(nil): return nil
        case .some(.some(let target)): targetPort = target
        }
    }

    private static func transport(_ record: inout Record) -> TransportProtocol? {
        guard let field = record.field("protocol"), let text = field.string() else { return nil }
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
        guard var record = value.record() else { return nil }
        let kind = record.string("kind") ?? ""
        let name = record.string("name") ?? ""
        let written = record.string("namespace")
        record.ignore("apiVersion", "uid", "resourceVersion", "fieldPath")
        record.finish(unknown: .harmless)
        self.init(kind: kind, namespace: written ?? namespace, name: name)
    }
}

extension EndpointSlice {
    init?(_ meta: ObjectMeta, _ envelope: inout Record) {
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
        guard var record = value.record() else { return nil }
        place = value.place
        name = record.string("name") ?? ""
        number = record.port("port")
        transport = record.name("protocol", of: TransportProtocol.self) ?? .tcp
        appProtocol = record.string("appProtocol")
        record.finish(unknown: .harmless)
    }
}

extension EndpointSlice.Endpoint {
    fileprivate init?(_ value: Value, _ namespace: String, _ type: EndpointSlice.AddressType?) {
        guard var record = value.record() else { return nil }
        place = value.place
        path = record.path
        let field = record.require("addresses")
        addresses = record.locatedStrings("addresses") { type?.check($0, $1) }.map(\.value)
        if let field, addresses.isEmpty {
            field.error("missing-field", "an endpoint needs an address")
        }
        if var conditions = record.record("conditions") {
            isReady = conditions.bool("ready") ?? true
            // An endpoint that is not ready gets no requests, whether it still serves or terminates.
            conditions.ignore("serving", "terminating")
            conditions.finish(unknown: .harmless)
        }
        nodeName = record.string("nodeName")
        zone = record.string("zone")
        target = record.field("targetRef").flatMap { ObjectReference($0, namespace: namespace) }
        record.ignore("hints", "deprecatedTopology", "hostname")
        record.finish(unknown: .harmless)
    }
}

extension Endpoints {
    init?(_ meta: ObjectMeta, _ envelope: inout Record) {
        self.meta = meta
        subsets = envelope.elements("subsets").compactMap { Subset($0, meta.namespace) }
        envelope.finish(unknown: .harmless)
    }
}

extension Endpoints.Subset {
    fileprivate init?(_ value: Value, _ namespace: String) {
        guard var record = value.record() else { return nil }
        place = value.place
        path = record.path
        addresses = record.elements("addresses").compactMap { Endpoints.Address($0, namespace) }
        record.ignore("notReadyAddresses")
        ports = record.elements("ports").compactMap(EndpointSlice.Port.init)
        record.finish(unknown: .harmless)
    }
}

extension Endpoints.Address {
    fileprivate init?(_ value: Value, _ namespace: String) {
        guard var record = value.record() else { return nil }
        place = value.place
        let field = record.require("ip")
        record.ignore("hostname", "nodeName")
        target = record.field("targetRef").flatMap { ObjectReference($0, namespace: namespace) }
        record.finish(unknown: .harmless)
        guard let field, let ip = field.string() else { return nil }
        if !Grammar.isAddress(ip) { field.error("invalid-address", "`\(ip)` is no IP address") }
        self.ip = ip
    }
}
