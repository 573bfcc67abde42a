/// Writes Prometheus' text format. Source: https://prometheus.io/docs/instrumenting/exposition_formats.
struct MetricsText {
    enum Kind: String { case counter, gauge, histogram }

    private(set) var text = ""

    /// Appends the head of a family; its series must follow.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// Appends a family with one series without labels.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: some CustomStringConvertible) {
        family(name, kind, help)
        series(name, [], value)
    }

    /// Appends one series of the family.
    mutating func series(_ name: String, _ labels: [(String, String)], _ value: some CustomStringConvertible) {
        text += name
        for (index, label) in labels.enumerated() {
            text += index == 0 ? "{" : ","
            text += label.0
            text += "=\""
            appendEscaped(label.1)
            text += "\""
        }
        text += labels.isEmpty ? " " : "} "
        text += value.description
        text += "\n"
    }

    /// Appends a label's value. Backslash, quote and line feed are escaped; all else is allowed.
    private mutating func appendEscaped(_ value: String) {
        guard value.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) else {
            text += value
            return
        }
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
