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
        let declaration = /^ +(?:@\w+ )*(?:(?:package|private|fileprivate) )*(?:static (?:let|var)|var) (\w+)/
        let further = /, (\w+)(?:: [\w.]+)? =/
        var found: Set<String> = []
        for file in tree.sources where file.module != "portico-echo" {
            let name = file.path.split(separator: "/").last?.dropLast(".swift".count) ?? ""
            for line in file.code.lines where line.has("static ") || line.hasPrefix("    package var") {
                guard let match = line.prefixMatch(of: declaration) else { continue }
                let isStatic = line.has("static ")
                let names = [match.1] + (isStatic ? line.matches(of: further).map(\.1) : [])
                for each in names where Self.isLimit(each, isStatic: isStatic) {
                    found.insert("\(file.module)/\(name).\(each)")
                }
            }
        }
        return found
    }

    /// Whether a name says that something is bounded, in number, size or time.
    private static func isLimit(_ name: Substring, isStatic: Bool) -> Bool {
        let beginnings = ["most", "longest", "maximum", "largest"]
        if beginnings.contains(where: { begins(name, with: $0) }) { return true }
        guard isStatic else { return false }
        let endings = ["Limit", "Octets", "Time", "Pause", "PauseMilliseconds"]
        return ["limit", "pause"].contains(name) || begins(name, with: "shortest") || begins(name, with: "kept")
            || endings.contains(where: { name.hasSuffix($0) }) || name.contains(/Per[A-Z]\w+$/)
    }

    private static func begins(_ name: Substring, with word: String) -> Bool {
        name.hasPrefix(word) && name.dropFirst(word.count).first?.isLowercase != true
    }

    /// What bounds the work for others has a name, and with it a row.
    @Test func `are no numbers in the middle of code`() {
        let modules = ["Admin", "Control", "HTTP", "Kubernetes", "Proxy", "TLS", "Telemetry"]
        let literals = /\bfor _ in 0\.\.<\d|\.prefix\(\d{2,}\)|\b(?:most|limit|upTo|keeping): \d{2,}/
        // What forms have: a name of ALPN, a key, the beginning of a name.
        let known = ["TLSClientContext.swift", "TicketKeyFile.swift", "HTTP1Fields.swift"]
        for file in tree.sources where modules.contains(file.module) && !known.contains(where: file.path.hasSuffix) {
            for (number, line) in file.code.lines.enumerated() {
                #expect(!line.contains(literals), "\(file.path):\(number + 1): give the number a name: \(line)")
            }
        }
    }

    // MARK: how each is counted

    /// What stands in the place of a metric where nothing could be counted.
    /// Source: docs/limits.md, How reaching a limit is counted.
    private static let words: Set<String> = ["next turn", "finding", "protocol", "pace"]

    /// The rows of limits, by their cells.
    private func rows() throws -> [[String]] {
        let page = try #require(tree.files.first { $0.path == "docs/limits.md" })
        return page.lines.prefix { $0 != "## Constants" }.filter { $0.hasPrefix("| ") }.map { line in
            line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false).map { cell in
                String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        }.filter { $0.first != "Limit" }
    }

    /// The cases of `ReachedLimit`, with their labels.
    private func labels() throws -> [String: String] {
        let file = try #require(tree.sources.first { $0.path.hasSuffix("/ReachedLimit.swift") })
        let cases = file.code.lines.filter { $0.hasPrefix("    case ") }
        let names = cases.flatMap { $0.dropFirst(9).split(separator: ", ") }
        let pairs = names.map { name in
            (String(name), name.map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined())
        }
        return Dictionary(pairs) { first, _ in first }
    }

    @Test func `say in each row how reaching it is counted, or why it is not`() throws {
        let (rows, labels) = (try rows(), Set(try labels().values))
        let metrics = try #require(tree.files.first { $0.path == "docs/metrics.md" })
        #expect(rows.count > 150 && labels.count > 60)
        var found: Set<String> = []
        for row in rows {
            #expect(row.count == 6, "docs/limits.md: a row has \(row.count) cells: \(row[0])")
            guard row.count == 6, !Self.words.contains(row[4]) else { continue }
            let named = row[4].matches(of: /`(\w+)(?:\{(\w+)="([^"]*)"\})?`/)
            #expect(!named.isEmpty, "docs/limits.md: neither a metric nor one of the four words: \(row[0])")
            for match in named {
                let name = match.1.hasPrefix("process_") ? "\(match.1)" : "portico_\(match.1)"
                #expect(
                    metrics.lines.contains { $0.has("`\(name)`") }, "docs/metrics.md has no \(name), of: \(row[0])")
                guard match.1 == "limit_reached_total", let label = match.3 else { continue }
                #expect(labels.contains("\(label)"), "no limit of the code has the label \(label), of: \(row[0])")
                found.insert("\(label)")
            }
        }
        #expect(labels.subtracting(found) == [], "docs/limits.md has no row with these labels")
    }

    @Test func `are counted somewhere, each that has a label`() throws {
        let counting = tree.sources.filter { file in
            !file.path.hasSuffix("/ReachedLimit.swift")
                && file.code.lines.contains { $0.has("reached(") || $0.has("ReachedLimit") }
        }
        for name in try labels().keys.sorted() {
            let isCounted = counting.contains { file in
                file.code.lines.contains { Self.names($0, name) }
            }
            #expect(isCounted, "the limit \(name) is counted nowhere")
        }
    }

    /// Whether a line has the case of that name.
    private static func names(_ line: Substring, _ name: String) -> Bool {
        guard line.has(".\(name)") else { return false }
        return line.ranges(of: ".\(name)").contains { range in
            range.upperBound == line.endIndex || !line[range.upperBound].isLetter
        }
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
