// Finds the fields of `NotInEffect` in an object. The list is a tree that is walked together with the document's.

extension NotInEffect {
    /// Warns about every skipped field of the object, and notes every closing field for the reader of its part.
    static func report(_ kind: String, _ object: Value) {
        guard let start = index.roots[kind] else { return }
        walk(object, index.steps[start], part: object)
    }

    private static func walk(_ value: Value, _ step: PathStep, part: Value) {
        let part = step.isPart ? value : part
        if !step.fields.isEmpty {
            for field in step.fields { note(value, field, part) }
            return
        }
        let tree = value.decoder.tree
        let node = tree[value.node]
        if let child = step.element {
            guard node.kind == .sequence else { return }
            var element = node.start
            while element != Node.none {
                walk(Value(decoder: value.decoder, node: element), index.steps[child], part: part)
                element = tree[element].next
            }
        }
        guard node.kind == .mapping, !step.children.isEmpty else { return }
        var key = node.start
        while key != Node.none {
            let field = tree[key].next
            guard field != Node.none else { return }
            if let child = step.child(tree, key) {
                walk(Value(decoder: value.decoder, node: field), index.steps[child], part: part)
            }
            key = tree[field].next
        }
    }

    private static func note(_ value: Value, _ field: Field, _ part: Value) {
        guard !asksForNothing(value, field) else { return }
        let isScalar = value.decoder.tree[value.node].isScalar
        guard field.values == .any || (isScalar && field.values.holds(for: value.raw)) else { return }
        guard let consequence = field.judge.map({ $0(value) }) ?? field.consequence else { return }
        let decidingValue = field.values == .any ? nil : value.raw
        switch consequence {
        case .skipped:
            let written = decidingValue.map { "\(value.path): \($0)" } ?? value.path
            value.warning(code, "`\(written)` is not in effect yet: skipped", hint: field.hint)
        case .noConcern:
            let reason = field.hint ?? "an edge gateway has no use for it"
            value.decoder.note("no-concern", "`\(value.path)` has no effect here: \(reason)", at: value.node)
        case .closes:
            let closing = ClosingField(value, in: part.path, decidingValue: decidingValue)
            value.decoder.closings[part.node, default: []].append(closing)
        }
    }
}

extension NotInEffect.Values {
    fileprivate func holds(for value: String) -> Bool {
        switch self {
        case .any: true
        case .isOne(let names): names.contains(value.uppercased())
        }
    }
}

extension Value {
    /// The fields that are written in this part of the object and close it.
    var closings: [ClosingField] { decoder.closings[node] ?? [] }
}

// MARK: The list as a tree

extension NotInEffect {
    /// One step of a path, and the steps that may follow it.
    private struct PathStep {
        var fields: [Field] = []
        var isPart = false
        var element: Int?
        var children: [(name: [UInt8], step: Int)] = []

        private static let anyClaim = Array("@*".utf8)

        /// The step that a field of the document takes; nil if the list has no such path.
        func child(_ tree: Tree, _ key: NodeIndex) -> Int? {
            guard tree[key].isScalar else { return nil }
            let name = tree.octets(key)
            if let found = children.first(where: { $0.name.count == name.count && name.elementsEqual($0.name) }) {
                return found.step
            }
            return name.first == UInt8(ascii: "@") ? children.first { $0.name == Self.anyClaim }?.step : nil
        }
    }

    private struct Index {
        var steps: [PathStep] = []
        var roots: [String: Int] = [:]

        /// Adds a path of the list; returns the number of its last step.
        mutating func step(_ kind: String, _ path: some StringProtocol) -> Int {
            var current = root(kind)
            for part in path.split(separator: ".") {
                let isList = part.hasSuffix("[]")
                current = child(Array((isList ? part.dropLast(2) : part[...]).utf8), of: current)
                if isList { current = element(of: current) }
            }
            return current
        }

        private mutating func add() -> Int {
            steps.append(PathStep())
            return steps.count - 1
        }

        private mutating func root(_ kind: String) -> Int {
            if let known = roots[kind] { return known }
            let new = add()
            roots[kind] = new
            return new
        }

        private mutating func child(_ name: [UInt8], of step: Int) -> Int {
            if let known = steps[step].children.first(where: { $0.name == name }) { return known.step }
            let new = add()
            steps[step].children.append((name, new))
            return new
        }

        private mutating func element(of step: Int) -> Int {
            if let known = steps[step].element { return known }
            let new = add()
            steps[step].element = new
            return new
        }
    }

    private static let index: Index = {
        var index = Index()
        for field in fields + noConcern {
            let paths =
                field.path.hasPrefix("POLICY")
                ? policies.map { $0 + field.path.dropFirst("POLICY".count) } : [field.path]
            for path in paths { index.steps[index.step(field.kind, path)].fields.append(field) }
        }
        for part in parts { index.steps[index.step(part.kind, part.path)].isPart = true }
        return index
    }()
}
