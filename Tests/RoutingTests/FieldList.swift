import Manifests
import Support
import Testing

/// The fields of the data files in Tests/Fixtures/fields; the file README.md there says how they are written.
struct FieldList {
    /// A field, and two values that differ in what they cause.
    struct Field: Sendable, CustomTestStringConvertible {
        let kind: String
        /// The whole path. `POLICY` is every traffic policy of a DestinationRule.
        let path: String
        /// The path of the object or list entry that the field is in.
        let prefix: String
        let isRefused: Bool
        let isProvedElsewhere: Bool
        /// The files of the tests that show what it does.
        let tests: [String]
        /// Pairs of configurations: the two values, in each text of the block.
        let pairs: [(first: String, second: String)]
        var testDescription: String { "\(kind) \(path)" }
    }

    static let folder = TestFiles.tests + "/Fixtures/fields"
    static let kinds = [
        "Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Service", "EndpointSlice",
        "Endpoints", "Pod", "Node", "Secret",
    ]
    static let all = kinds.flatMap { FieldList($0).fields }

    private(set) var fields: [Field] = []
    private let kind: String
    private let parts: [String: String]

    private init(_ kind: String) {
        self.kind = kind
        let blocks = Self.blocks("common") + Self.blocks(kind)
        var parts: [String: String] = [:]
        for block in blocks where block[0].hasPrefix("part ") {
            parts[String(block[0].dropFirst(5))] = block.dropFirst().joined(separator: "\n")
        }
        self.parts = parts
        for block in blocks where block[0].hasPrefix("fields ") { read(block) }
    }

    private static func blocks(_ name: String) -> [[String]] {
        TestFiles.text("\(folder)/\(name).txt").split(separator: "\n", omittingEmptySubsequences: false)
            .split(separator: "").map { $0.map(String.init) }
    }

    private mutating func read(_ block: [String]) {
        var lines = block.dropFirst()[...]
        let prefix = String(block[0].dropFirst(7))
        var with: [String] = []
        var by: [String] = []
        while let line = lines.first, line.hasPrefix("with ") || line.hasPrefix("by ") {
            let names = line.split(separator: " ").dropFirst().map(String.init)
            if line.hasPrefix("with ") { with = names } else { by = names }
            lines = lines.dropFirst()
        }
        let texts = lines.prefix { $0 != "--" }.split(separator: "or").map { $0.joined(separator: "\n") }
        let around = with.map { "---\n\(parts[$0, default: "no such part"])\n" }.joined() + "---\n"
        for line in lines.drop(while: { $0 != "--" }).dropFirst() {
            fields.append(field(line, prefix, texts.map { around + $0 }, by))
        }
    }

    private func field(_ line: String, _ prefix: String, _ texts: [String], _ by: [String]) -> Field {
        let cells = line.split(separator: "|").map { $0.trimmed }
        let mark = cells[0].first.flatMap { "!~".contains($0) ? $0 : nil }
        let name = mark == nil ? cells[0] : String(cells[0].dropFirst())
        let tests = cells.count > 3 ? cells[3].split(separator: " ").map(String.init) : by
        return Field(
            kind: kind, path: prefix == "top" ? name : "\(prefix).\(name)", prefix: prefix == "top" ? "" : prefix,
            isRefused: mark == "!", isProvedElsewhere: mark == "~", tests: tests,
            pairs: texts.map { (Self.put(name, cells[1], into: $0), Self.put(name, cells[2], into: $0)) })
    }

    /// Replaces `@` in a text by the field.
    private static func put(_ name: String, _ value: String, into text: String) -> String {
        let written = name.split(separator: "[", maxSplits: 1)[0]
        let steps = written.contains("/") ? [written] : written.split(separator: ".")
        var made = steps.dropLast().map { "\($0): {" }.joined()
        if value == "-" || value.hasPrefix("-,") || value.hasPrefix("-}") {
            made += value.dropFirst(value.hasPrefix("-,") ? 2 : 1)
        } else {
            made += "\(steps.last ?? ""): \(value)"
        }
        let open = made.count { $0 == "{" } - made.count { $0 == "}" }
        return text.replacing("@", with: made + String(repeating: "}", count: max(0, open)))
    }
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
