// What reports must not show: the contents of Secrets. Reports go to the log, to terminals and to the admin
// listener.

extension Decoder {
    /// Whether a node's text may be quoted: of a Secret, `metadata` alone.
    func isConfidential(_ node: NodeIndex) -> Bool {
        guard isSecret else { return false }
        var field = node
        while field != Node.none, tree[field].parent != top { field = tree[field].parent }
        guard field != Node.none else { return false }
        let key = tree[field].key == Node.none ? field : tree[field].key
        return !(["metadata", "kind", "apiVersion"] as [StaticString]).contains { tree.equals(key, $0) }
    }

    /// `Secret`, and what is near enough to have been meant: `secret`, `Secrets`.
    func isNameOfSecrets(_ kind: NodeIndex) -> Bool {
        guard tree[kind].isScalar, let first = tree.octets(kind).first, first | 0x20 == UInt8(ascii: "s") else {
            return false
        }
        return tree.string(kind).lowercased().hasPrefix("secret")
    }

    /// A net below those who make sentences: whoever quotes a value by mistake quotes none of a Secret.
    func withoutSecrets(_ diagnostic: Diagnostic, _ node: NodeIndex) -> Diagnostic {
        guard tree[node].isScalar, tree[node].key != Node.none, tree[node].count >= 4, isConfidential(node) else {
            return diagnostic
        }
        let text = tree.string(node)
        guard diagnostic.message.contains(text) || diagnostic.hint?.contains(text) == true else { return diagnostic }
        return Diagnostic(
            diagnostic.severity, diagnostic.code, "a faulty value (not shown: it belongs to a Secret)",
            at: diagnostic.place, object: diagnostic.object, path: diagnostic.path)
    }
}
