// Keeps the contents of Secrets out of reports, which go to the log, to terminals and to the admin listener.

extension Decoder {
    /// Whether a node's text must not be quoted: anything in a Secret outside its `metadata`.
    func isConfidential(_ node: NodeIndex) -> Bool {
        guard isSecret else { return false }
        var field = node
        while field != Node.none, tree[field].parent != top { field = tree[field].parent }
        guard field != Node.none else { return false }
        let key = tree[field].key == Node.none ? field : tree[field].key
        return !(["metadata", "kind", "apiVersion"] as [StaticString]).contains { tree.equals(key, $0) }
    }

    /// Whether a kind is `Secret`, or so near to it that it was probably meant: `secret`, `Secrets`.
    func isNameOfSecrets(_ kind: NodeIndex) -> Bool {
        guard tree[kind].isScalar, let first = tree.octets(kind).first, first | 0x20 == UInt8(ascii: "s") else {
            return false
        }
        return tree.string(kind).lowercased().hasPrefix("secret")
    }

    /// Removes quoted values of a Secret from a diagnostic, in case a message quotes one by mistake.
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
