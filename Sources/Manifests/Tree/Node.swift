/// A node's number in its `Tree`.
typealias NodeIndex = Int32

/// One node of a YAML document: 40 octets, no references. Children are a chain of siblings; those
/// of a mapping alternate between key and value.
struct Node {
    enum Kind: UInt8 { case plain, quoted, sequence, mapping }

    /// Stands for "no node".
    static let none: NodeIndex = -1

    var kind: Kind
    /// A value of a mapping is a field; its key is the node before it.
    var key: NodeIndex = Node.none
    /// Scalars: where the text lies in `Tree.text`. Else: the first child, or `none`.
    var start: Int32 = Node.none
    /// Scalars: octets of text. Sequences: elements. Mappings: fields.
    var count: Int32 = 0
    var next: NodeIndex = Node.none
    var parent: NodeIndex = Node.none
    /// Its position in its sequence.
    var ordinal: Int32 = 0
    var line: Int32
    var column: Int32

    var isScalar: Bool { kind == .plain || kind == .quoted }
}

/// Something wrong with a document that does not stop the reading: it spoils the object it is in.
struct TreeProblem {
    let code: String
    let message: String
    let hint: String?
    let node: NodeIndex
    var earlier: NodeIndex = Node.none
}

/// The nodes of one document.
struct Tree {
    var nodes: [Node] = []
    var text: [UInt8] = []
    var root: NodeIndex = Node.none
    var problems: [TreeProblem] = []

    subscript(index: NodeIndex) -> Node { nodes[Int(index)] }

    /// The text of a scalar; empty for a list or a mapping.
    func string(_ index: NodeIndex) -> String { String(decoding: octets(index), as: UTF8.self) }

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
        for position in 0..<Int(node.count) where unsafe text[start + position] != wanted[position]
        {
            return false
        }
        return true
    }

    /// Whether two scalars have the same text.
    func sameText(_ left: NodeIndex, _ right: NodeIndex) -> Bool {
        self[left].count == self[right].count && octets(left).elementsEqual(octets(right))
    }

    /// The value of a mapping's field.
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

    /// Whether `node` is `ancestor` or lies below it.
    func contains(_ node: NodeIndex, in ancestor: NodeIndex) -> Bool {
        var current = node
        while current != Node.none {
            if current == ancestor { return true }
            current = self[current].parent
        }
        return false
    }

    /// The path from `top` to a node, such as `spec.http[0].timeout`. A key's path is its field's.
    func path(to node: NodeIndex, from top: NodeIndex) -> String {
        var steps: [NodeIndex] = []
        steps.reserveCapacity(12)
        var current = node
        while current != top, current != Node.none {
            steps.append(current)
            current = self[current].parent
        }
        var path: [UInt8] = []
        path.reserveCapacity(64)
        for step in steps.reversed() { append(step, to: &path) }
        return String(decoding: path, as: UTF8.self)
    }

    /// The last part of a node's path: a field's name or `[3]`.
    func step(to node: NodeIndex) -> String {
        var step: [UInt8] = []
        append(node, to: &step)
        return String(decoding: step, as: UTF8.self)
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
