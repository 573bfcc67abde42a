// What the builders of trees have in common, whatever text they read.
extension Tree {
    /// Makes a new node the next child of an open one.
    mutating func link(_ index: NodeIndex, to parent: inout OpenNode) {
        nodes[Int(index)].parent = parent.node
        if parent.last == Node.none {
            nodes[Int(parent.node)].start = index
        } else {
            nodes[Int(parent.last)].next = index
        }
        parent.last = index
        if self[parent.node].kind == .sequence {
            nodes[Int(index)].ordinal = self[parent.node].count
            nodes[Int(parent.node)].count += 1
        } else if parent.pendingKey == Node.none {
            parent.pendingKey = index
        } else {
            nodes[Int(index)].key = parent.pendingKey
            parent.pendingKey = Node.none
            nodes[Int(parent.node)].count += 1
        }
    }

    /// Notes keys that are not texts, merge keys, and keys that are written twice.
    mutating func findDuplicates(in mapping: NodeIndex) {
        var keys: [NodeIndex] = []
        keys.reserveCapacity(Int(self[mapping].count))
        var key = self[mapping].start
        while key != Node.none {
            if let kind = malformed(key) { problems.append(TreeProblem(kind: kind, node: key)) }
            if self[key].isScalar { keys.append(key) }
            let value = self[key].next
            key = value == Node.none ? Node.none : self[value].next
        }
        if keys.count > 16 { return findDuplicatesByHash(keys) }
        for (position, key) in keys.enumerated() {
            guard let first = keys[..<position].first(where: { sameText($0, key) }) else { continue }
            problems.append(TreeProblem(kind: .duplicateKey(first: first), node: key))
        }
    }

    private mutating func findDuplicatesByHash(_ keys: [NodeIndex]) {
        var seen: [String: NodeIndex] = [:]
        for key in keys {
            let name = string(key)
            if let first = seen[name] {
                problems.append(TreeProblem(kind: .duplicateKey(first: first), node: key))
            } else {
                seen[name] = key
            }
        }
    }

    private func malformed(_ key: NodeIndex) -> TreeProblem.Kind? {
        guard self[key].isScalar else { return .badKey }
        return self[key].kind == .plain && equals(key, "<<") ? .mergeKey : nil
    }

    /// Sorts the problems when the document is complete.
    mutating func sortProblems() {
        if problems.count > 1 { problems.sort { $0.node < $1.node } }
    }
}
