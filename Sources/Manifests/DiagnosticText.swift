extension Diagnostic: CustomStringConvertible {
    /// `file:line:column: error: path: sentence; hint` on one line, and a line for every related place.
    package var description: String {
        var text = "\(place): \(severity): "
        if let path, !message.hasPrefix("`" + path) { text += path + ": " }
        text += message
        if let hint { text += "; " + hint }
        let lines = [text] + related.map { "    \($0.place): \($0.message)" }
        return lines.map(\.printable).joined(separator: "\n")
    }
}

extension SourcePlace: CustomStringConvertible {
    package var description: String { isInFile ? "\(file):\(line):\(column)" : file }
}

extension Sequence where Element == Diagnostic {
    /// All of them as text, as `portico check` prints them.
    package var text: String { map { "\($0)\n" }.joined() }

    /// All of them as a JSON array, as `portico check --output json` prints it. Absent fields are null.
    package var json: String {
        var writer = JSONText()
        writer.array(self) { diagnostic, writer in
            writer.object {
                $0.field("code", diagnostic.code)
                $0.field("severity", diagnostic.severity.rawValue)
                $0.field("message", diagnostic.message)
                $0.field("hint", diagnostic.hint)
                $0.place(diagnostic.place)
                $0.field("object", of: diagnostic.object) { object, writer in
                    writer.object {
                        $0.field("kind", object.kind)
                        $0.field("namespace", object.namespace)
                        $0.field("name", object.name)
                    }
                }
                $0.field("path", diagnostic.path)
                $0.field("related", of: diagnostic.related) { related, writer in
                    writer.array(related) { other, writer in
                        writer.object {
                            $0.place(other.place)
                            $0.field("message", other.message)
                        }
                    }
                }
            }
        }
        return writer.text + "\n"
    }
}

extension JSONText {
    fileprivate mutating func place(_ place: SourcePlace) {
        field("file", place.file)
        field("line", place.isInFile ? place.line : nil)
        field("column", place.isInFile ? place.column : nil)
    }
}
