package import Kubernetes

/// A right in the words of a Role's rule: verbs on one resource.
package struct AccessRule: Hashable, Sendable {
    /// The verbs, such as `list`, in order.
    package var verbs: [String]
    /// The group of the API; empty for the core.
    package var group: String
    /// The plural of the kind, with the subresource, such as `gateways/status`.
    package var resource: String
    /// The names of the objects; empty: all.
    package var names: [String] = []
    /// nil: in all namespaces.
    package var namespace: String?

    package init(
        _ verbs: [String], _ resource: String, group: String = "", names: [String] = [], namespace: String? = nil
    ) {
        self.verbs = verbs
        self.group = group
        self.resource = resource
        self.names = names
        self.namespace = namespace
    }
}

/// The rights that a gateway needs, and no others.
package enum NeededRights {
    /// What a gateway needs for how it is started.
    /// - Parameters:
    ///   - kinds: those that it lists and watches.
    ///   - namespaces: those that it watches; empty: all.
    ///   - secrets: those that it reads.
    ///   - lease: the Lease by which its status writer is elected; nil: it writes no status.
    package static func all(
        kinds: [ResourceKind], namespaces: [String], secrets: Set<SecretName>, lease: LeaseName?
    ) -> [AccessRule] {
        let scopes: [String?] = namespaces.isEmpty ? [nil] : namespaces.sorted()
        var rules: [AccessRule] = []
        for scope in scopes {
            for kind in kinds where !kind.isClusterWide {
                rules.append(AccessRule(["list", "watch"], kind.plural, group: kind.group, namespace: scope))
            }
            if lease != nil {
                for plural in ObservedObject.plurals.values.sorted() {
                    rules.append(
                        AccessRule(["patch"], "\(plural)/status", group: "networking.istio.io", namespace: scope))
                }
                rules.append(AccessRule(["create"], "events", namespace: scope))
            }
        }
        for kind in kinds where kind.isClusterWide {
            rules.append(AccessRule(["list", "watch"], kind.plural, group: kind.group))
        }
        for (namespace, names) in Dictionary(grouping: secrets, by: \.namespace).sorted(by: { $0.key < $1.key }) {
            rules.append(
                AccessRule(["get", "watch"], "secrets", names: names.map(\.name).sorted(), namespace: namespace))
        }
        if let lease {
            let group = ResourceKind.leases.group
            // The name of what does not exist yet cannot be granted.
            rules.append(AccessRule(["create"], "leases", group: group, namespace: lease.namespace))
            rules.append(
                AccessRule(["get", "update"], "leases", group: group, names: [lease.name], namespace: lease.namespace))
        }
        return rules
    }
}

/// Roles, and what gives them to a service account, as YAML.
package enum RoleText {
    /// - Parameters:
    ///   - rules: what they grant.
    ///   - serviceAccount: the name of the service account, and of the roles.
    ///   - namespace: the service account's.
    package static func yaml(_ rules: [AccessRule], serviceAccount: String, namespace: String) -> String {
        var text = ""
        // A ClusterRole belongs to no namespace, so its name has the service account's.
        let wide = rules.filter { $0.namespace == nil }
        if !wide.isEmpty { text += role(wide, "\(serviceAccount)-\(namespace)", nil, serviceAccount, namespace) }
        let narrow = Dictionary(grouping: rules.filter { $0.namespace != nil }) { $0.namespace ?? "" }
        for (place, rules) in narrow.sorted(by: { $0.key < $1.key }) {
            text += role(rules, serviceAccount, place, serviceAccount, namespace)
        }
        return text
    }

    private static func role(
        _ rules: [AccessRule], _ name: String, _ place: String?, _ serviceAccount: String, _ namespace: String
    ) -> String {
        let prefix = place == nil ? "Cluster" : ""
        let metadata = "metadata:\n  name: \(quoted(name))\n" + (place.map { "  namespace: \(quoted($0))\n" } ?? "")
        var text = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: \(prefix)Role\n\(metadata)rules:\n"
        for rule in joined(rules) {
            text += "- apiGroups: [\(quoted(rule.group))]\n  resources: [\(list(rule.resources))]\n"
            if !rule.names.isEmpty { text += "  resourceNames: [\(list(rule.names))]\n" }
            text += "  verbs: [\(list(rule.verbs))]\n"
        }
        return text
            + "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: \(prefix)RoleBinding\n\(metadata)"
            + "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: \(prefix)Role\n  name: \(quoted(name))\n"
            + "subjects:\n- kind: ServiceAccount\n  name: \(quoted(serviceAccount))\n"
            + "  namespace: \(quoted(namespace))\n"
    }

    /// Rules that differ in their resource alone are one.
    private static func joined(
        _ rules: [AccessRule]
    ) -> [(group: String, resources: [String], names: [String], verbs: [String])] {
        var found: [(group: String, resources: [String], names: [String], verbs: [String])] = []
        for rule in rules {
            let place = found.firstIndex { $0.group == rule.group && $0.names == rule.names && $0.verbs == rule.verbs }
            if let place {
                found[place].resources.append(rule.resource)
            } else {
                found.append((rule.group, [rule.resource], rule.names, rule.verbs))
            }
        }
        return found.map { ($0.group, $0.resources.sorted(), $0.names, $0.verbs) }
    }

    private static func list(_ texts: [String]) -> String { texts.map(quoted).joined(separator: ", ") }

    /// A text as YAML: in quotes unless it is a plain name.
    /// Source: https://yaml.org/spec/1.2.2/.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { octet in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet) || octet == UInt8(ascii: "-")
                || octet == UInt8(ascii: "/") || octet == UInt8(ascii: ".")
        }
        let words: Set<String> = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        if isPlain, let first = text.first, first.isLetter, !words.contains(text) { return text }
        let escaped = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\"": "\\\""
            case "\\": "\\\\"
            case _ where scalar.value < 0x20: " "
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }
}
