// AuthorizationPolicy and RequestAuthentication, as far as they close: istio-api.md §1.12, §1.13. Nothing is
// said here of what is wrong with one; whoever cannot be read counts as one that asks for something.

extension AccessPolicy {
    /// nil for one without a selector, which is for every workload of its namespace and perhaps for none that
    /// is a gateway, and for one that lets every request pass.
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
    }

    private static func letsPass(_ kind: String, _ spec: NodeIndex, _ tree: Tree) -> Bool {
        guard kind == "AuthorizationPolicy" else { return isEmpty(tree.value(of: "jwtRules", in: spec), tree) }
        let rules = tree.value(of: "rules", in: spec)
        let action = tree.value(of: "action", in: spec).map(tree.string) ?? "ALLOW"
        switch action {
        case "AUDIT": return true
        case "DENY", "CUSTOM": return isEmpty(rules, tree)
        // Without rules nobody is allowed; a rule without conditions allows everybody.
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
