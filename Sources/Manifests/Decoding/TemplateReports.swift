// Template text in places where objects have names, numbers and hosts.

extension Decoder {
    /// The mark of template text, if the node is some: a text that has it, or `{{ … }}` without quotes, which YAML
    /// takes for a mapping whose key is a mapping.
    func templateMark(_ node: NodeIndex) -> String? {
        let found = tree[node]
        if found.isScalar { return TemplateText.mark(in: tree.octets(node)) }
        let isInside = found.parent != Node.none && found.key == Node.none && isDirectlyInside(found, found.parent)
        return isInside || (found.start != Node.none && isDirectlyInside(tree[found.start], node)) ? "{{" : nil
    }

    /// The second brace of `{{`.
    private func isDirectlyInside(_ inner: Node, _ outer: NodeIndex) -> Bool {
        let outer = tree[outer]
        return inner.kind == .mapping && outer.kind == .mapping && inner.line == outer.line
            && inner.column == outer.column + 1
    }

    /// One error for a file: what else is wrong with template text says nothing new.
    func reportTemplate(_ mark: String, at node: NodeIndex) {
        guard state.isFirstTemplate() else { return }
        state.output.diagnostics.append(
            Diagnostic(
                .error, TemplateText.code, TemplateText.message(mark) + "; objects with such text are left out",
                hint: TemplateText.hint, at: place(node)))
    }
}
