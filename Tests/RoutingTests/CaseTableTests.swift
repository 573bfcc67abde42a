import Support
import Testing

/// The tables of cases, Tests/Fixtures/cases.md and edge-cases.md, lead to a test for each.
@Suite struct `A table of cases` {
    private static func rows(_ file: String) -> [[String]] {
        TestFiles.text(TestFiles.tests + "/Fixtures/" + file).split(separator: "\n")
            .filter { $0.hasPrefix("| ") && $0.dropFirst(2).first?.isNumber == true }
            .map { row in row.dropFirst(2).split(separator: " |").map { $0.trimmingPrefix(" ") }.map(String.init) }
    }

    @Test(arguments: [("cases.md", 116), ("edge-cases.md", 128)])
    func `has every number once`(file: String, count: Int) {
        #expect(Self.rows(file).compactMap { Int($0[0]) } == Array(1...count))
    }

    @Test(arguments: rows("cases.md") + rows("edge-cases.md")) func `names tests that are there`(row: [String]) {
        let tests = row[2].split(separator: "<br>").map(String.init)
        #expect(!tests.isEmpty)
        for test in tests {
            let parts = test.split(separator: ": `", maxSplits: 1)
            let text = TestFiles.text("\(TestFiles.tests)/\(parts[0])")
            #expect(!text.isEmpty, "case \(row[0]): no file \(parts[0])")
            #expect(text.contains(parts[1].dropLast()), "case \(row[0]): \(parts[0]) has no \(parts[1])")
        }
    }

    @Test(arguments: rows("edge-cases.md").filter { $0.count > 3 })
    func `names differences that are told`(row: [String]) {
        let page = TestFiles.text(TestFiles.tests + "/../docs/differences.md")
        #expect(page.contains("| " + row[3]), "case \(row[0]): docs/differences.md has no row \(row[3])")
    }
}
