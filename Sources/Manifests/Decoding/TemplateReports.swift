// Reports template text where objects have names, numbers and hosts.

extension Decoder {
    /// The mark of the template text in a node; nil if it has none. `{{ … }}` without quotes is one, too, which YAML
    /// reads as a mapping whose key is a mapping.
    func templateMark(_ node: NodeIndex) -> String? {
        let found = tree[node]
        if found.isScalar { return TemplateText.mark(in: tree.octets(node)) }
        let isInside = found.parent != Node.none && found.key == Node.none && isDirectlyInside(found, found.parent)
        return isInside || (found.start != Node.none && isDirectlyInside(tree[found.start], node)) ? "{{" : nil
    }

    /// Whether a node is the second brace of `{{`.
    private func isDirectlyInside(_ inner: Node, _ outer: NodeIndex) -> Bool {
        let outer = tree[outer]
        return inner.kind == .mapping && outer.kind == .mapping && inner.line == outer.line
            && inner.column == outer.column + 1
    }

    /// Reports template text, with one error for a file, because further reports would say nothing new.
    func reportTemplate(_ mark: String, at node: NodeIndex) {
        guard state.isFirstTemplate() else { return }
        state.output.diagnostics.append(
            Diagnostic(
                .error, TemplateText.code, TemplateText.message(mark) + "; objects with such text are left out",
                hint: TemplateText.hint, at: place(node)))
    }
}
