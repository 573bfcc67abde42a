import Testing

/// A limit that stands in no document is found by those who reach it.
@Suite struct `The documented limits` {
    private let tree = SourceTree.shared

    /// A line of a table, by its cells.
    private static func cells(_ line: Substring) -> [Substring] {
        line.dropFirst(2).split(separator: " | ", omittingEmptySubsequences: false)
    }

    /// The constants of the sources that are named as limits, as `Module/File.name`; those of the test program are its
    /// own matter.
    private func constants() -> Set<String> {
        let declaration = /^ +(?:(?:package|private|fileprivate) )*(?:static (?:let|var)|var) (\w+)/
        let beginnings = ["most", "longest", "maximum", "largest"]
        let endings = ["Limit", "PerTurn"]
        var found: Set<String> = []
        for file in tree.sources where file.module != "portico-echo" {
            let name = file.path.split(separator: "/").last?.dropLast(".swift".count) ?? ""
            for line in file.code.lines where line.has(oneOf: beginnings + endings) {
                guard let match = line.prefixMatch(of: declaration) else { continue }
                let isStatic = line.contains("static ") || line.hasPrefix("    package var")
                let isNamed =
                    beginnings.contains { Self.begins(match.1, with: $0) }
                    || line.contains("static ") && endings.contains { match.1.hasSuffix($0) }
                guard isStatic, isNamed else { continue }
                found.insert("\(file.module)/\(name).\(match.1)")
            }
        }
        return found
    }

    private static func begins(_ name: Substring, with word: String) -> Bool {
        name.hasPrefix(word) && name.dropFirst(word.count).first?.isLowercase != true
    }

    @Test func `have a row for each constant that is named as one`() throws {
        let page = try #require(tree.files.first { $0.path == "docs/limits.md" })
        let lines = page.lines.filter { $0.hasPrefix("| ") }
        let rows = lines.map { Self.cells($0) }.filter { $0.count > 3 }.map { $0[0] }
        let list = lines.map { Self.cells($0) }.filter { $0.count == 2 && $0[0].hasPrefix("`") }
        #expect(rows.count > 100 && list.count > 100)
        let listed = Set(list.map { String($0[0].dropFirst().dropLast()) })
        let known = constants()
        #expect(known.subtracting(listed) == [], "docs/limits.md, Constants: not there")
        #expect(listed.subtracting(known) == [], "docs/limits.md, Constants: no such constant")
        for entry in list {
            let row = entry[1].dropLast(2)
            let isKnown = row.hasPrefix("no limit: ") || rows.contains { $0.hasPrefix(row) }
            #expect(isKnown, "docs/limits.md, Constants: \(entry[0]) has no row that begins with \(row)")
        }
    }
}
