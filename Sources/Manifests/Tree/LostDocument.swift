/// A document that is not valid YAML. Its identity is guessed from its lines, so that reports on references to it can
/// say so. Nothing else is read from it, and a wrong guess only puts a name into a report.
struct LostDocument {
    private var fields: [String: String] = [:]
    private var section = ""

    /// An object's names are at its beginning: what is read of a document, of a line and of a name.
    private static let mostOctets = 64 << 10, mostLines = 1000, longestLine = 512, longestKey = 64

    init(_ text: ArraySlice<UInt8>) {
        let lines = text.prefix(Self.mostOctets).split(separator: UInt8(ascii: "\n")).prefix(Self.mostLines)
        // No other line becomes a `String`, because it might be a line of a Secret.
        for line in lines
        where line.count <= Self.longestLine && (line.first != UInt8(ascii: " ") || section == "metadata") {
            read(String(decoding: line, as: UTF8.self))
        }
    }

    /// The identity; nil if kind or name are missing or not valid.
    func identity(defaultNamespace: String) -> ObjectReference? {
        guard let kind = fields["kind"], kind.allSatisfy(\.isLetter), let name = fields["metadata.name"],
            Grammar.isSubdomain(name)
        else { return nil }
        let namespace = fields["metadata.namespace"] ?? defaultNamespace
        return Grammar.isLabel(namespace) ? ObjectReference(kind: kind, namespace: namespace, name: name) : nil
    }

    private mutating func read(_ line: String) {
        guard let (key, value) = Self.field(line[...]) else { return }
        if line.first != " " {
            section = key
            fields[key] = fields[key] ?? value
            readFlow(value)
        } else if section == "metadata", line.hasPrefix("  "), !line.hasPrefix("   ") {
            fields["metadata." + key] = fields["metadata." + key] ?? value
        }
    }

    /// Reads `metadata: {name: x, namespace: y}`.
    private mutating func readFlow(_ value: String) {
        guard section == "metadata", value.hasPrefix("{") else { return }
        for part in value.dropFirst().prefix(while: { $0 != "}" }).split(separator: ",") {
            guard let (key, value) = Self.field(part.drop { $0 == " " }) else { continue }
            fields["metadata." + key] = fields["metadata." + key] ?? value
        }
    }

    private static func field(_ text: Substring) -> (key: String, value: String)? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let key = text[..<colon].drop { $0 == " " }
        var value = text[text.index(after: colon)...].drop { $0 == " " }
        if let comment = value.firstRange(of: " #") { value = value[..<comment.lowerBound] }
        while let last = value.last, last.isWhitespace { value.removeLast() }
        if let quote = value.first, quote == "\"" || quote == "'", value.last == quote, value.count > 1 {
            value = value.dropFirst().dropLast()
        }
        return key.isEmpty || key.utf8.count > longestKey ? nil : (String(key), String(value))
    }
}
