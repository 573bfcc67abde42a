/// The number of a node in its `Tree`.
typealias NodeIndex = Int32

/// One node of a YAML document. It takes 40 octets and has no references. Children are a chain of siblings; in a
/// mapping, keys and values alternate.
struct Node {
    /// Quotes make a difference: only a plain scalar may be a number, a Boolean or null.
    enum Kind: UInt8 { case plain, quoted, sequence, mapping }

    /// The index that means "no node".
    static let none: NodeIndex = -1

    var kind: Kind
    /// The key, if the node is a value of a mapping.
    var key: NodeIndex = Node.none
    /// For a scalar: where its text begins in `Tree.text`. Otherwise: the first child, or `none`.
    var start: Int32 = Node.none
    /// For a scalar: the octets of its text. For a sequence: its elements. For a mapping: its fields.
    var count: Int32 = 0
    var next: NodeIndex = Node.none
    var parent: NodeIndex = Node.none
    /// Its position in its sequence.
    var ordinal: Int32 = 0
    var line: Int32
    var column: Int32

    var isScalar: Bool { kind == .plain || kind == .quoted }
}

/// A problem of a document that does not end the reading: it concerns the object that has it. It has facts only,
/// because a file may have millions of problems; the sentence is made when one is reported.
struct TreeProblem {
    /// What is wrong, with what its sentence needs.
    enum Kind {
        case unknownTag(String)
        case duplicateKey(first: NodeIndex)
        case badKey, mergeKey
    }
    let kind: Kind
    let node: NodeIndex
}

/// The nodes of one document.
struct Tree {
    var nodes: [Node] = []
    var text: [UInt8] = []
    var root: NodeIndex = Node.none
    /// Sorted by node when the document is complete.
    var problems: [TreeProblem] = []

    /// The node of a number; traps if there is none.
    subscript(index: NodeIndex) -> Node { nodes[Int(index)] }

    /// The text of a scalar; empty for a list or a mapping.
    func string(_ index: NodeIndex) -> String { String(decoding: octets(index), as: UTF8.self) }

    /// The octets of a scalar's text; empty for a list or a mapping.
    func octets(_ index: NodeIndex) -> ArraySlice<UInt8> {
        let node = self[index]
        guard node.isScalar else { return [] }
        let start = Int(node.start)
        return text[start..<(start + Int(node.count))]
    }

    /// Whether the scalar's text is exactly `name`.
    func equals(_ index: NodeIndex, _ name: StaticString) -> Bool {
        let node = self[index]
        guard node.isScalar, Int(node.count) == name.utf8CodeUnitCount else { return false }
        let start = Int(node.start)
        let wanted = unsafe UnsafeBufferPointer(start: name.utf8Start, count: Int(node.count))
        for position in 0..<Int(node.count) where unsafe text[start + position] != wanted[position] {
            return false
        }
        return true
    }

    /// Whether two scalars have the same text.
    func sameText(_ left: NodeIndex, _ right: NodeIndex) -> Bool {
        self[left].count == self[right].count && octets(left).elementsEqual(octets(right))
    }

    /// The value behind a key; nil if there is no such key, or `mapping` is something else. Of equal keys the first
    /// counts.
    func value(of name: StaticString, in mapping: NodeIndex) -> NodeIndex? {
        guard self[mapping].kind == .mapping else { return nil }
        var key = self[mapping].start
        while key != Node.none {
            let value = self[key].next
            if value == Node.none { return nil }
            if equals(key, name) { return value }
            key = self[value].next
        }
        return nil
    }

    /// The problems of a node and of all nodes below it.
    func problems(in node: NodeIndex) -> ArraySlice<TreeProblem> {
        guard !problems.isEmpty else { return [] }
        return problems[firstProblem(from: node)..<firstProblem(from: end(of: node))]
    }

    /// A hash of a node and of all nodes below it, without their places. Each process has hashes of its own.
    func version(of node: NodeIndex) -> UInt64 {
        var hasher = Hasher()
        for index in Int(node)..<Int(end(of: node)) {
            hasher.combine(nodes[index].kind)
            hasher.combine(nodes[index].count)
            guard nodes[index].isScalar, nodes[index].count > 0 else { continue }
            unsafe octets(NodeIndex(index)).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// A hash of the lines and columns of a node and of all nodes below it. Each process has hashes of its own.
    func layout(of node: NodeIndex) -> UInt64 {
        var hasher = Hasher()
        for index in Int(node)..<Int(end(of: node)) {
            hasher.combine(nodes[index].line)
            hasher.combine(nodes[index].column)
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// The number of the first node after `node` and all nodes below it. Nodes are numbered in the order in which they
    /// are written.
    private func end(of node: NodeIndex) -> NodeIndex {
        var current = node
        while current != Node.none {
            let next = self[current].next
            if next != Node.none { return next }
            current = self[current].parent
        }
        return NodeIndex(nodes.count)
    }

    /// The first problem at or after a node. It is a binary search, because each item of a List asks.
    private func firstProblem(from node: NodeIndex) -> Int {
        var (low, high) = (0, problems.count)
        while low < high {
            let middle = (low + high) / 2
            if problems[middle].node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The path from `top` to a node, such as `spec.http[0].timeout`. A key's path is its field's.
    func path(to node: NodeIndex, from top: NodeIndex) -> String {
        var parts: [NodeIndex] = []
        parts.reserveCapacity(12)
        var current = node
        while current != top, current != Node.none {
            parts.append(current)
            current = self[current].parent
        }
        var path: [UInt8] = []
        path.reserveCapacity(64)
        for part in parts.reversed() { append(part, to: &path) }
        return String(decoding: path, as: UTF8.self)
    }

    /// The last part of a node's path: a field's name or `[3]`.
    func part(to node: NodeIndex) -> String {
        var part: [UInt8] = []
        append(node, to: &part)
        return String(decoding: part, as: UTF8.self)
    }

    private func append(_ node: NodeIndex, to path: inout [UInt8]) {
        let parent = self[node].parent
        guard parent != Node.none, self[parent].kind == .mapping else {
            path.append(contentsOf: "[\(self[node].ordinal)]".utf8)
            return
        }
        let key = self[node].key == Node.none ? node : self[node].key
        guard self[key].isScalar else {
            path.append(contentsOf: ".?".utf8)
            return
        }
        let name = octets(key)
        if !name.isEmpty, name.allSatisfy(Self.isWordOctet) {
            if !path.isEmpty { path.append(UInt8(ascii: ".")) }
            path.append(contentsOf: name)
        } else {
            path.append(contentsOf: "[\"".utf8)
            path.append(contentsOf: name)
            path.append(contentsOf: "\"]".utf8)
        }
    }

    private static func isWordOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
