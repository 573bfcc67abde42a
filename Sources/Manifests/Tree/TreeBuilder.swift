internal import Octets

/// Builds the trees of one file, document by document. Nesting and the number of nodes from aliases are limited here,
/// the size of the file by `FileFinder`.
struct TreeBuilder {
    static let maximumDepth = 100
    /// Problems of a document beyond which a tag is not named.
    private static let mostNamedTags = 1000
    /// The largest number of nodes from aliases in one file. A few lines can ask for billions ("billion laughs").
    static let maximumAliasedNodes = 1_000_000

    private let parser: YAMLParser
    private var aliasedNodes = 0
    private var anchors: [String: NodeIndex] = [:]
    private var open: [OpenNode] = []
    private var lastSizes = (nodes: 64, octets: 512)

    /// - Parameter start: where in the file these octets begin.
    init(_ octets: ArraySlice<UInt8>, at start: TextStart = TextStart()) {
        parser = YAMLParser(octets, at: start)
    }

    /// Reads the next document; nil at the end of the file.
    mutating func next() throws(SyntaxError) -> Tree? {
        var tree = Tree()
        // The documents of one file are alike, so it would be a waste to grow step by step.
        tree.nodes.reserveCapacity(lastSizes.nodes)
        tree.text.reserveCapacity(lastSizes.octets)
        anchors.removeAll(keepingCapacity: true)
        open.removeAll(keepingCapacity: true)
        do throws(SyntaxError) {
            return try fill(&tree) ? tree : nil
        } catch {
            tree.text.wipe()
            throw error
        }
    }

    /// - Returns: false at the end of the file.
    private mutating func fill(_ tree: inout Tree) throws(SyntaxError) -> Bool {
        while true {
            let start = tree.text.count
            let event = try parser.next(appendingTo: &tree.text)
            switch event.kind {
            case .streamEnd: return false
            case .documentEnd:
                lastSizes = (min(tree.nodes.count, 4096), min(tree.text.count, 65536))
                tree.sortProblems()
                return true
            case .documentStart, .other: continue
            case .scalar(let isPlain):
                try add(scalar(event, isPlain: isPlain, from: start, in: &tree), event, to: &tree)
            case .sequenceStart: try begin(.sequence, event, in: &tree)
            case .mappingStart: try begin(.mapping, event, in: &tree)
            case .sequenceEnd: end(in: &tree)
            case .mappingEnd:
                if let mapping = open.last?.node { tree.findDuplicates(in: mapping) }
                end(in: &tree)
            case .alias: try addAlias(event, to: &tree)
            }
        }
    }

    private func scalar(
        _ event: YAMLEvent, isPlain: Bool, from start: Int, in tree: inout Tree
    ) -> Node {
        var kind: Node.Kind = isPlain ? .plain : .quoted
        if let tag = event.tag {
            kind = tag == "!" || tag == "tag:yaml.org,2002:str" ? .quoted : .plain
        }
        return Node(
            kind: kind, start: Int32(start), count: Int32(tree.text.count - start),
            line: event.line, column: event.column)
    }

    private mutating func begin(
        _ kind: Node.Kind, _ event: YAMLEvent, in tree: inout Tree
    ) throws(SyntaxError) {
        guard open.count < Self.maximumDepth else {
            throw SyntaxError(
                code: "too-deep", message: "nested deeper than \(Self.maximumDepth) levels",
                hint: nil, line: Int(event.line), column: Int(event.column))
        }
        let node = Node(kind: kind, line: event.line, column: event.column)
        let index = try add(node, event, to: &tree)
        open.append(OpenNode(node: index, anchor: event.anchor))
    }

    private mutating func end(in tree: inout Tree) {
        guard let closed = open.popLast() else { return }
        // The anchor is known only now, so that an alias inside it does not find it.
        if let anchor = closed.anchor { anchors[anchor] = closed.node }
    }

    @discardableResult
    private mutating func add(
        _ node: Node, _ event: YAMLEvent, to tree: inout Tree
    ) throws(SyntaxError) -> NodeIndex {
        let index = try append(node, to: &tree, event)
        if let anchor = event.anchor {
            if node.isScalar { anchors[anchor] = index } else { anchors[anchor] = nil }
        }
        if let tag = event.tag, !Self.knownTags.contains(tag) {
            // A short directive can make the tags of millions of nodes long. That many are not listed.
            let shown = tree.problems.count < Self.mostNamedTags ? tag : "…"
            tree.problems.append(TreeProblem(kind: .unknownTag(shown), node: index))
        }
        link(index, in: &tree)
        return index
    }

    private static let knownTags: Set<String> = Set(
        ["str", "int", "float", "bool", "null", "seq", "map"].map { "tag:yaml.org,2002:" + $0 }
            + ["!"])

    private func append(
        _ node: Node, to tree: inout Tree, _ event: YAMLEvent
    ) throws(SyntaxError) -> NodeIndex {
        guard tree.nodes.count < Int(Int32.max) - 1 else {
            throw SyntaxError(
                code: "too-large", message: "a document of too many nodes", hint: "split it",
                line: Int(event.line), column: Int(event.column))
        }
        tree.nodes.append(node)
        return NodeIndex(tree.nodes.count - 1)
    }

    /// Makes a new node the next child of the innermost open node.
    private mutating func link(_ index: NodeIndex, in tree: inout Tree) {
        guard let depth = open.indices.last else {
            tree.root = index
            return
        }
        tree.link(index, to: &open[depth])
    }
}

// MARK: Aliases

extension TreeBuilder {
    /// Copies the node of an anchor in the place of an alias, so that every node has one parent and one path. Copies
    /// keep the place of the original, where the text is written.
    private mutating func addAlias(
        _ event: YAMLEvent, to tree: inout Tree
    ) throws(SyntaxError) {
        let name = event.anchor ?? ""
        guard let original = anchors[name] else {
            throw SyntaxError(
                code: "unknown-anchor", message: "an alias (`*…`) that names no anchor before it",
                hint: "quote it if it is a text",
                line: Int(event.line), column: Int(event.column))
        }
        let copy = try copy(original, depth: open.count, in: &tree, event)
        link(copy, in: &tree)
    }

    private mutating func copy(
        _ original: NodeIndex, depth: Int, in tree: inout Tree, _ event: YAMLEvent
    ) throws(SyntaxError) -> NodeIndex {
        aliasedNodes += 1
        guard aliasedNodes <= Self.maximumAliasedNodes, depth < Self.maximumDepth else {
            throw SyntaxError(
                code: "alias-bomb",
                message: "aliases unfold to more than \(Self.maximumAliasedNodes) nodes, "
                    + "or deeper than \(Self.maximumDepth) levels",
                hint: "write the values out",
                line: Int(event.line), column: Int(event.column))
        }
        var node = tree[original]
        node.next = Node.none
        node.key = Node.none
        let index = try append(node, to: &tree, event)
        guard !node.isScalar else { return index }
        tree.nodes[Int(index)].start = Node.none
        var child = node.start
        var last = Node.none
        while child != Node.none {
            let made = try copy(child, depth: depth + 1, in: &tree, event)
            tree.nodes[Int(made)].parent = index
            if tree[child].key != Node.none { tree.nodes[Int(made)].key = last }
            if last == Node.none {
                tree.nodes[Int(index)].start = made
            } else {
                tree.nodes[Int(last)].next = made
            }
            last = made
            child = tree[child].next
        }
        return index
    }
}
