import Support
import Testing

/// docs/fields.md is written from Tests/Fixtures/fields, and docs/configuration.md names each of these fields.
@Suite struct `The documents of fields` {
    private static let documents = TestFiles.tests + "/../docs/"
    private typealias Row = (names: [String], mark: String)

    /// `PORTICO_GOLDEN=write swift test --filter FieldDocument` writes it.
    @Test func `have a table of all, with the tests`() {
        var text = TestFiles.text(FieldList.folder + "/fields.md.head")
        for kind in FieldList.kinds {
            text += "\n## \(kind)\n\n| Field | | Proved by |\n|---|---|---|\n"
            for field in FieldList.all where field.kind == kind {
                let tests = field.tests.map { $0.split(separator: "/").dropFirst().joined(separator: "/") }
                let mark = `A documented field`.mark(field)?.rawValue ?? "?"
                text += "| `\(field.path)` | \(mark) | \(tests.joined(separator: ", ")) |\n"
            }
        }
        #expect(TestFiles.matches(text, golden: Self.documents + "fields.md"))
    }

    @Test(arguments: FieldList.all) func `name it in the section of its kind`(field: FieldList.Field) {
        let rows = Self.rows(field.kind)
        #expect(!rows.isEmpty, "no section for \(field.kind)")
        let path = field.path.replacing("[]", with: "")
        let named = rows.filter { $0.names.contains { Self.isEnd($0, of: path) } }
        if named.isEmpty {
            let around = Self.ancestors(path, below: field.prefix.replacing("[]", with: ""))
            let isWhole = rows.contains { row in
                row.names.contains { name in around.contains { Self.isEnd(name, of: $0) } }
            }
            #expect(isWhole, "docs/configuration.md does not name \(field.path)")
        }
        guard let mark = `A documented field`.mark(field), mark != .refused else { return }
        let marks = Set(named.map(\.mark)).subtracting([""])
        #expect(marks.isEmpty || marks.contains(mark.rawValue), "\(field.path) is \(mark.rawValue), not \(marks)")
    }

    private static func isEnd(_ name: String, of path: String) -> Bool {
        path == name || path.hasSuffix("." + name) || name.hasPrefix(path + ".")
    }

    /// What a field is part of, below the place that its block is about.
    private static func ancestors(_ path: String, below prefix: String) -> [String] {
        var steps = path.split(separator: ".").dropLast()
        var found: [String] = []
        while steps.count >= max(1, prefix.split(separator: ".").count) {
            found.append(steps.joined(separator: "."))
            steps = steps.dropLast()
        }
        return found
    }

    /// The rows of the tables of a kind: the names in their first cell, with the path that the first of them begins
    /// with, and the mark.
    private static func rows(_ kind: String) -> [Row] {
        let text = TestFiles.text(documents + "configuration.md")
        let sections = text.split(separator: "\n### ")
        let isKubernetes = ["Service", "EndpointSlice", "Endpoints", "Pod", "Node", "Secret"].contains(kind)
        return sections.flatMap { section -> [Row] in
            let title = section.prefix { $0 != "\n" }
            let isOwn = title.contains(kind) || (isKubernetes && title.hasPrefix("Kubernetes"))
            guard isOwn || title.hasPrefix("Not in effect") || title.hasPrefix("Every object") else { return [] }
            return section.split(separator: "\n").filter { $0.hasPrefix("|") }.compactMap { line in
                let cells = line.split(separator: "|", omittingEmptySubsequences: false)
                if title.hasPrefix("Not in effect"), !cells[1].contains("\(kind) `") { return nil }
                if isKubernetes, isOwn { return cells[1].contains(kind) ? (names(in: cells[2...]), "") : nil }
                let mark = cells.count > 2 ? cells[2].first { "●○⊘–".contains($0) } : nil
                return (names(in: cells[1...1]), mark.map { "\($0)" } ?? "")
            }
        }
    }

    private static func names(in cells: ArraySlice<Substring>) -> [String] {
        var names: [String] = []
        for cell in cells {
            var around = ""
            for token in cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where token.offset % 2 == 1 {
                let name = String(token.element).replacing("[]", with: "")
                names.append(name)
                if !around.isEmpty { names.append(around + name) }
                let steps = name.split(separator: ".")
                if steps.count > 1 { around = steps.dropLast().joined(separator: ".") + "." }
            }
        }
        return names
    }
}
