// Decodes AuthorizationPolicies and RequestAuthentications as far as they close the gateway. Mistakes in them are not
// reported here: a policy that cannot be read counts as one that restricts something.
// Source: docs/istio.md, Which access policies select the gateway.

extension AccessPolicy {
    /// nil for a policy without a selector, which is for every workload of its namespace and perhaps for no gateway,
    /// and for a policy that allows every request.
    init?(_ identity: ObjectReference, _ value: Value) {
        let tree = value.decoder.tree
        guard let spec = tree.value(of: "spec", in: value.node),
            let selector = tree.value(of: "selector", in: spec),
            let labels = tree.value(of: "matchLabels", in: selector), tree[labels].kind == .mapping
        else { return nil }
        var wanted: [String: String] = [:]
        for (key, label) in Value(decoder: value.decoder, node: labels).entries() {
            wanted[key.raw] = label.raw
        }
        guard !wanted.isEmpty, !Self.letsPass(identity.kind, spec, tree) else { return nil }
        self.identity = identity
        place = value.place
        self.selector = wanted
        version = tree.version(of: value.node)
        layout = tree.layout(of: value.node)
    }

    /// A policy that cannot be read counts as one that selects everything and restricts something.
    init(unreadable identity: ObjectReference, at place: SourcePlace, version: UInt64) {
        self.identity = identity
        self.place = place
        selector = [:]
        self.version = version
        layout = version
    }

    private static func letsPass(_ kind: String, _ spec: NodeIndex, _ tree: Tree) -> Bool {
        guard kind == "AuthorizationPolicy" else { return isEmpty(tree.value(of: "jwtRules", in: spec), tree) }
        let rules = tree.value(of: "rules", in: spec)
        let action = tree.value(of: "action", in: spec).map(tree.string) ?? "ALLOW"
        switch action {
        case "AUDIT": return true
        case "DENY", "CUSTOM": return isEmpty(rules, tree)
        // Without rules no request is allowed; a rule without conditions allows every request.
        default:
            guard let rules, tree[rules].kind == .sequence else { return false }
            var rule = tree[rules].start
            while rule != Node.none {
                if tree[rule].kind == .mapping, tree[rule].count == 0 { return true }
                rule = tree[rule].next
            }
            return false
        }
    }

    private static func isEmpty(_ list: NodeIndex?, _ tree: Tree) -> Bool {
        guard let list else { return true }
        return tree[list].kind == .sequence && tree[list].count == 0
    }
}
