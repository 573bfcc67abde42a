/// The one list of fields that are read and checked but have no effect yet. Whoever brings a
/// field into effect removes its line; nothing else needs to know.
///
/// A line is a kind and a path; `[]` is every entry of a list; `= A|B` restricts it to these
/// values, `!= A|B` to all others. `POLICY` stands for every traffic policy of a DestinationRule.
/// A field set to `false` or to an empty text asks for nothing, so it is not reported.
enum NotInEffect {
    private static let lines = [
        "Gateway spec.servers[].name",
        "Gateway spec.servers[].defaultEndpoint",
        "Gateway spec.servers[].port.protocol = TLS|TCP|MONGO|REDIS|MYSQL|UDP",
        "Gateway spec.servers[].tls.mode = "
            + "PASSTHROUGH|MUTUAL|OPTIONAL_MUTUAL|ISTIO_MUTUAL|AUTO_PASSTHROUGH",
        "Gateway spec.servers[].tls.httpsRedirect",
        "Gateway spec.servers[].tls.caCertificates",
        "Gateway spec.servers[].tls.caCrl",
        "Gateway spec.servers[].tls.caCertCredentialName",
        "Gateway spec.servers[].tls.tlsCertificates",
        "Gateway spec.servers[].tls.subjectAltNames",
        "Gateway spec.servers[].tls.verifyCertificateSpki",
        "Gateway spec.servers[].tls.verifyCertificateHash",
        "Gateway spec.servers[].tls.insecureSkipVerify",
        "Gateway spec.servers[].tls.ecdhCurves",

        "VirtualService spec.tls",
        "VirtualService spec.tcp",
        "VirtualService spec.http[].match[].statPrefix",
        "VirtualService spec.http[].route[].headers",
        "VirtualService spec.http[].redirect",
        "VirtualService spec.http[].directResponse",
        "VirtualService spec.http[].delegate",
        "VirtualService spec.http[].rewrite",
        "VirtualService spec.http[].retries",
        "VirtualService spec.http[].fault",
        "VirtualService spec.http[].mirror",
        "VirtualService spec.http[].mirrorPercent",
        "VirtualService spec.http[].mirrorPercentage",
        "VirtualService spec.http[].mirrors",
        "VirtualService spec.http[].corsPolicy",
        "VirtualService spec.http[].headers",

        "DestinationRule POLICY.loadBalancer.consistentHash",
        "DestinationRule POLICY.loadBalancer.localityLbSetting",
        "DestinationRule POLICY.loadBalancer.zoneAwareLbSetting",
        "DestinationRule POLICY.loadBalancer.warmup",
        "DestinationRule POLICY.loadBalancer.warmupDurationSecs",
        "DestinationRule POLICY.connectionPool",
        "DestinationRule POLICY.outlierDetection",
        "DestinationRule POLICY.tls.mode != DISABLE",
        "DestinationRule POLICY.tunnel",
        "DestinationRule POLICY.proxyProtocol",
        "DestinationRule POLICY.retryBudget",

        "ServiceEntry spec.addresses",
        "ServiceEntry spec.location",
        "ServiceEntry spec.subjectAltNames",
        "ServiceEntry spec.resolution = DYNAMIC_DNS",
        "ServiceEntry spec.endpoints[].network",
        "ServiceEntry spec.endpoints[].locality",
        "ServiceEntry spec.endpoints[].serviceAccount",

        "WorkloadEntry spec.network",
        "WorkloadEntry spec.locality",
        "WorkloadEntry spec.serviceAccount",
    ]

    private static let policies = [
        "spec.trafficPolicy", "spec.trafficPolicy.portLevelSettings[]",
        "spec.subsets[].trafficPolicy", "spec.subsets[].trafficPolicy.portLevelSettings[]",
    ]

    /// Whether a field, perhaps with this value, is listed: `VirtualService spec.http[].mirror`.
    static func lists(_ field: String, _ value: String = "") -> Bool {
        guard let condition = index.conditions[field] else { return false }
        return condition.holds(for: value)
    }

    /// Warns of every field of the object that has no effect yet.
    static func report(_ kind: String, _ object: Value) {
        guard let start = index.roots[kind] else { return }
        walk(object, index.steps[start])
    }

    private static func walk(_ value: Value, _ step: Step) {
        if let condition = step.condition {
            warn(value, condition)
            return
        }
        let tree = value.decoder.tree
        let node = tree[value.node]
        if let child = step.element {
            guard node.kind == .sequence else { return }
            var element = node.start
            while element != Node.none {
                walk(Value(decoder: value.decoder, node: element), index.steps[child])
                element = tree[element].next
            }
        }
        guard node.kind == .mapping, !step.fields.isEmpty else { return }
        var key = node.start
        while key != Node.none {
            let field = tree[key].next
            guard field != Node.none else { return }
            if let child = step.child(tree, key) {
                walk(Value(decoder: value.decoder, node: field), index.steps[child])
            }
            key = tree[field].next
        }
    }

    private static func warn(_ value: Value, _ condition: Condition) {
        let tree = value.decoder.tree
        if tree[value.node].isScalar {
            if value.isNull || value.scalar == .bool(false) || value.raw.isEmpty { return }
            guard condition.holds(for: value.raw) else { return }
        } else if condition != .any {
            return
        }
        let what = condition == .any ? "" : ": \(value.raw)"
        value.warning("not-in-effect", "`\(value.path)\(what)` is not in effect yet")
    }
}

// MARK: The list as a tree

extension NotInEffect {
    private enum Condition: Equatable {
        case any
        case isOne(of: [String])
        case isNone(of: [String])

        func holds(for value: String) -> Bool {
            switch self {
            case .any: true
            // Istio reads names of protocols in any case.
            case .isOne(let names): names.contains(value.uppercased())
            case .isNone(let names): !names.contains(value)
            }
        }
    }

    /// A part of a path, and where it goes on.
    private struct Step {
        var condition: Condition?
        var element: Int?
        var fields: [(name: [UInt8], step: Int)] = []

        func child(_ tree: Tree, _ key: NodeIndex) -> Int? {
            guard tree[key].isScalar else { return nil }
            let name = tree.octets(key)
            return fields.first { $0.name.count == name.count && name.elementsEqual($0.name) }?.step
        }
    }

    private struct Index {
        var steps: [Step] = []
        var roots: [String: Int] = [:]
        var conditions: [String: Condition] = [:]

        mutating func add(_ line: String) {
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 2 else { return }
            let values = words.count == 4 ? words[3].split(separator: "|").map(String.init) : []
            let condition: Condition =
                words.count < 4
                ? .any
                : words[2] == "=" ? .isOne(of: values) : .isNone(of: values)
            let paths =
                words[1].hasPrefix("POLICY")
                ? NotInEffect.policies.map { $0 + words[1].dropFirst(6) } : [words[1]]
            for path in paths {
                conditions["\(words[0]) \(path)"] = condition
                var current = root(words[0])
                for part in path.split(separator: ".") {
                    let isList = part.hasSuffix("[]")
                    current = field(Array((isList ? part.dropLast(2) : part).utf8), of: current)
                    if isList { current = element(of: current) }
                }
                steps[current].condition = condition
            }
        }

        private mutating func root(_ kind: String) -> Int {
            if let known = roots[kind] { return known }
            steps.append(Step())
            roots[kind] = steps.count - 1
            return steps.count - 1
        }

        private mutating func field(_ name: [UInt8], of step: Int) -> Int {
            if let known = steps[step].fields.first(where: { $0.name == name }) {
                return known.step
            }
            steps.append(Step())
            steps[step].fields.append((name, steps.count - 1))
            return steps.count - 1
        }

        private mutating func element(of step: Int) -> Int {
            if let known = steps[step].element { return known }
            steps.append(Step())
            steps[step].element = steps.count - 1
            return steps.count - 1
        }
    }

    private static let index: Index = {
        var index = Index()
        for line in lines { index.add(line) }
        return index
    }()
}
