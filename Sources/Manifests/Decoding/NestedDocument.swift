/// A text within a document that is YAML itself, such as an annotation. Its nodes have places in the file.
enum NestedDocument {
    /// The longest text that is read.
    static let mostOctets = 65_536

    /// A decoder of the text, which belongs to the same object; nil, with a report, if it is no YAML. Errors that it
    /// reports do not spoil the object around it.
    static func decoder(of value: Value) -> Decoder? {
        let outer = value.decoder
        guard outer.tree[value.node].isScalar else { return nil }
        let text = Array(outer.tree.octets(value.node))
        guard text.count <= mostOctets, Directives.firstExcess(in: text[...]) == nil else {
            outer.harmlessError("too-long", "more than \(mostOctets) octets are not read", at: value.node)
            return nil
        }
        do throws(SyntaxError) {
            let (octets, start) = placed(text, value)
            var builder = TreeBuilder(octets[...], at: start)
            guard var tree = try builder.next() else { return nil }
            guard try builder.next() == nil else {
                outer.harmlessError("syntax", "this text has one document too many", at: value.node)
                return nil
            }
            if !value.place.isInFile { unplace(&tree, outer.tree[value.node]) }
            let decoder = Decoder(file: outer.file, tree: tree, state: outer.state, origin: outer.origin)
            decoder.begin(outer.object, at: tree.root)
            decoder.reportTreeProblems()
            return decoder
        } catch {
            outer.harmlessError(
                "syntax", "\(error.message), in line \(error.line) of the file, column \(error.column)",
                hint: error.hint,
                at: value.node)
            return nil
        }
    }

    /// The text with as many lines and columns before it as in the file. A text of several lines is a block, whose
    /// indentation libyaml does not tell: it is two more than that of its key, as all tools write it.
    private static func placed(_ text: [UInt8], _ value: Value) -> ([UInt8], TextStart) {
        let tree = value.decoder.tree
        let node = tree[value.node]
        guard value.place.isInFile else { return (text, TextStart()) }
        guard text.contains(UInt8(ascii: "\n")) else {
            let quote = node.kind == .quoted ? 1 : 0
            return (text, TextStart(linesBefore: Int(node.line) - 1, columnsBefore: Int(node.column) - 1 + quote))
        }
        let key = node.key == Node.none ? node : tree[node.key]
        let indentation = [UInt8](repeating: UInt8(ascii: " "), count: min(max(Int(key.column), 0), 200) + 1)
        var octets = indentation
        for octet in text.dropLast() {
            octets.append(octet)
            if octet == UInt8(ascii: "\n") { octets += indentation }
        }
        return (octets + text.suffix(1), TextStart(linesBefore: Int(node.line)))
    }

    /// An object of an API server has no lines: everything in the text is where the text is.
    private static func unplace(_ tree: inout Tree, _ node: Node) {
        for index in tree.nodes.indices {
            tree.nodes[index].line = node.line
            tree.nodes[index].column = node.column
        }
    }
}
