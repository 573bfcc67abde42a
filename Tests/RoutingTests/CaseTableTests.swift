import Support
import Testing

/// The table of cases, Tests/Fixtures/cases.md, leads to a test for each.
@Suite struct `The table of cases` {
    private static let rows = TestFiles.text(TestFiles.tests + "/Fixtures/cases.md").split(separator: "\n")
        .filter { $0.hasPrefix("| ") && $0.dropFirst(2).first?.isNumber == true }
        .map { $0.split(separator: " | ", maxSplits: 2).map(String.init) }

    @Test func `has every number once`() {
        #expect(Self.rows.compactMap { Int($0[0].dropFirst(2)) } == Array(1...116))
    }

    @Test(arguments: rows) func `names tests that are there`(row: [String]) {
        let tests = row[2].replacing(" |", with: "").split(separator: "<br>").map(String.init)
        #expect(!tests.isEmpty)
        for test in tests {
            let parts = test.split(separator: ": `", maxSplits: 1)
            let text = TestFiles.text("\(TestFiles.tests)/\(parts[0])")
            #expect(!text.isEmpty, "case \(row[0]): no file \(parts[0])")
            #expect(text.contains(parts[1].dropLast()), "case \(row[0]): \(parts[0]) has no \(parts[1])")
        }
    }
}
