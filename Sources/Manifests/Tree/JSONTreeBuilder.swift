internal import JSON
internal import Octets

/// Builds the tree of an object that an API server sent as JSON. A node's place is its number in the tree: lines and
/// columns mean nothing to a reader of the object.
///
/// Left out are the fields that the server manages and no gateway reads. Of their values only the brackets are looked
/// at, so that whatever stands in a status keeps no object away; and without them an object whose status alone has
/// changed is the same object.
struct JSONTreeBuilder {
    private var tree = Tree()
    private var open: [OpenNode] = []
    private let leftOut: LeftOutFields
    private var section = Section.other

    /// The field of the object, or of its metadata, that is being read.
    private enum Section { case metadata, annotations, other }

    /// The fields that are not read.
    private struct LeftOutFields {
        let top: [StaticString]
        let metadata: [StaticString]
        static let annotations: [StaticString] = ["kubectl.kubernetes.io/last-applied-configuration"]

        init(kind: String) {
            top = kind == "Pod" ? ["apiVersion", "kind"] : ["apiVersion", "kind", "status"]
            let managed: [StaticString] = [
                "managedFields", "resourceVersion", "generation", "uid", "selfLink", "ownerReferences", "finalizers",
                "generateName", "deletionGracePeriodSeconds",
            ]
            let isAnnotated = ["Gateway", "Service"].contains(kind)
            metadata = isAnnotated ? managed : managed + ["annotations"]
        }
    }

    private init(kind: String, capacity: Int) {
        leftOut = LeftOutFields(kind: kind)
        // The text of the nodes is at most as long as what is read, so it never moves and leaves no copy behind.
        tree.text.reserveCapacity(capacity)
    }

    /// Reads an object.
    /// - Parameter kind: what the object is, which it does not say itself as an item of a list.
    /// - Throws: if it is not JSON, or nested deeper than a document of YAML may be.
    static func tree(of octets: Octets, kind: String) throws(JSONError) -> Tree {
        var reader = JSONReader(octets)
        var builder = JSONTreeBuilder(kind: kind, capacity: octets.count)
        do throws(JSONError) {
            try builder.fill(&reader)
            builder.tree.sortProblems()
            return builder.tree
        } catch {
            builder.tree.text.wipe()
            throw error
        }
    }

    private mutating func fill(_ reader: inout JSONReader) throws(JSONError) {
        while true {
            let start = tree.text.count
            switch try reader.next() {
            case .end: return
            case .objectStart: try begin(.mapping, reader)
            case .arrayStart: try begin(.sequence, reader)
            case .objectEnd:
                if let mapping = open.last?.node { tree.findDuplicates(in: mapping) }
                _ = open.popLast()
            case .arrayEnd: _ = open.popLast()
            case .key(let name):
                if isLeftOut(name, reader) {
                    try reader.pass()    // whatever it has, the object can be read without it
                } else {
                    reader.append(name, to: &tree.text)
                    try add(.quoted, from: start, reader)
                }
            case .string(let text):
                reader.append(text, to: &tree.text)
                try add(.quoted, from: start, reader)
            case .number(let range):
                reader.append(range, to: &tree.text)
                try add(.plain, from: start, reader)
            case .bool(let value): try add(word: value ? "true" : "false", reader)
            case .null: try add(word: "null", reader)
            }
        }
    }

    /// Whether a field is not read, by its name and where it is. Also notes which part of the object begins.
    private mutating func isLeftOut(_ name: JSONString, _ reader: JSONReader) -> Bool {
        let isMetadata = section == .metadata || section == .annotations
        switch open.count {
        case 1:
            section = reader.equals(name, "metadata") ? .metadata : .other
            return leftOut.top.contains { reader.equals(name, $0) }
        case 2 where isMetadata:
            section = reader.equals(name, "annotations") ? .annotations : .metadata
            return leftOut.metadata.contains { reader.equals(name, $0) }
        case 3 where section == .annotations:
            return LeftOutFields.annotations.contains { reader.equals(name, $0) }
        default: return false
        }
    }

    // MARK: nodes

    private mutating func begin(_ kind: Node.Kind, _ reader: JSONReader) throws(JSONError) {
        guard open.count < TreeBuilder.maximumDepth else { throw JSONError(.tooDeep, at: reader.position) }
        let index = try append(Node(kind: kind, line: 0, column: 0), reader)
        open.append(OpenNode(node: index))
    }

    private mutating func add(word: StaticString, _ reader: JSONReader) throws(JSONError) {
        let start = tree.text.count
        tree.text.append(Octets(word))
        try add(.plain, from: start, reader)
    }

    private mutating func add(_ kind: Node.Kind, from start: Int, _ reader: JSONReader) throws(JSONError) {
        let count = Int32(clamping: tree.text.count - start)
        try append(Node(kind: kind, start: Int32(clamping: start), count: count, line: 0, column: 0), reader)
    }

    @discardableResult
    private mutating func append(_ node: Node, _ reader: JSONReader) throws(JSONError) -> NodeIndex {
        // Positions in the text are of 32 bits.
        guard reader.position < Int(Int32.max) / 2 else { throw JSONError(.tooLong, at: reader.position) }
        let index = NodeIndex(clamping: tree.nodes.count)
        var node = node
        node.column = index + 1
        tree.nodes.append(node)
        if let parent = open.indices.last { tree.link(index, to: &open[parent]) } else { tree.root = index }
        return index
    }
}
