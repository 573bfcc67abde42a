import Manifests
import Support
import Testing

/// Each file of `Golden`: input, a line `-----`, the diagnostics it must give.
/// `PORTICO_GOLDEN=write swift test --filter Golden` rewrites what follows the line.
@Suite struct `Diagnostics of a bad file` {
    static let names = TestFiles.names(in: Fixtures.golden).filter { $0.hasSuffix(".txt") }

    @Test(arguments: names)
    func `are as its golden file says`(name: String) {
        let path = Fixtures.golden + "/" + name
        let text = String(decoding: TestFiles.octets(path), as: UTF8.self)
        let input: String
        let expected: String
        if let line = text.range(of: "\n-----\n") {
            input = String(text[..<line.lowerBound]) + "\n"
            expected = String(text[line.upperBound...])
        } else {
            (input, expected) = (text, "")
        }
        let found = load(input).diagnostics.text
        if TestFiles.environment("PORTICO_GOLDEN") == "write" {
            #expect(TestFiles.write(input + "-----\n" + found, to: path))
            return
        }
        #expect(found == expected)
    }
}

extension String {
    /// The first place of a text; the standard library has this for characters only.
    fileprivate func range(of text: String) -> Range<String.Index>? { ranges(of: text).first }
}
