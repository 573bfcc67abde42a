// Decodes Pods and Secrets. A Pod has hundreds of fields, of which a gateway reads the address, the readiness and the
// names of the ports. Only those are checked: the rest of `spec` and `status` is not read, not even for unknown names,
// because a cluster writes it and not a person. Source: Kubernetes `Pod`, `Secret`.

internal import Octets

extension Pod {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        let tree = envelope.value.decoder.tree
        if let metadata = tree.value(of: "metadata", in: envelope.value.node),
            let deleted = tree.value(of: "deletionTimestamp", in: metadata)
        {
            isTerminating = !Value(decoder: envelope.value.decoder, node: deleted).isNull
        }
        if var spec = envelope.mapping("spec") { readSpec(&spec) }
        if var status = envelope.mapping("status") { readStatus(&status) }
        envelope.finish(unknown: .harmless)
    }

    private mutating func readSpec(_ spec: inout Mapping) {
        nodeName = spec.string("nodeName")
        for field in ["containers", "initContainers"] as [StaticString] {
            for container in spec.elements(field) {
                guard var container = container.mapping() else { continue }
                ports += container.elements("ports").compactMap(Port.init)
            }
        }
    }

    private mutating func readStatus(_ status: inout Mapping) {
        phase = status.string("phase")
        var known: Set<String> = []
        if let field = status.field("podIP"), let address = field.string(), !address.isEmpty {
            known.insert(address)
            add(address, field)
        }
        for entry in status.elements("podIPs") {
            guard var mapping = entry.mapping(), let field = mapping.field("ip"),
                let address = field.string()
            else { continue }
            if known.insert(address).inserted { add(address, field) }
        }
        for condition in status.elements("conditions") {
            guard var mapping = condition.mapping() else { continue }
            guard mapping.string("type") == "Ready" else { continue }
            isReady = mapping.string("status") == "True"
        }
    }

    private mutating func add(_ address: String, _ value: Value) {
        if !Grammar.isAddress(address) {
            value.error("invalid-address", "`\(address)` is no IP address")
        }
        addresses.append(address)
    }
}

extension Pod.Port {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        name = mapping.string("name") ?? ""
        transport = mapping.name("protocol", of: TransportProtocol.self) ?? .tcp
        guard let number = mapping.require("containerPort")?.int(1...65535) else { return nil }
        self.number = number
    }
}

extension Secret {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        type = envelope.string("type")
        _ = envelope.bool("immutable")
        if let field = envelope.field("data") {
            for (key, value) in field.entries() {
                let octets =
                    value.isNull ? Self.none : value.contained(": this value is left out") { $0.base64() }
                if let octets { add(octets, key, value) } else { damaged.insert(key.raw) }
            }
        }
        // Read last, so that it wins, as in Kubernetes.
        if let field = envelope.field("stringData") {
            for (key, value) in field.entries() {
                let text =
                    value.isNull ? Self.none : value.contained(": this value is left out") { $0.secretText() }
                if let text { add(text, key, value) } else { damaged.insert(key.raw) }
            }
        }
        envelope.finish(unknown: .harmless)
    }

    private static let none = SecretOctets(copying: [])

    private mutating func add(_ octets: SecretOctets, _ key: Value, _ value: Value) {
        damaged.remove(key.raw)
        data[key.raw] = Located(octets, place: value.place, path: value.fieldPath)
    }
}
