import Octets
import Testing

@testable import JSON

@Suite struct `Texts in quotes` {
    /// What the reader makes of a text in quotes.
    private func read(_ json: String) throws(JSONError) -> String? {
        try JSONReader.read(Array(json.utf8)) { (reader) throws(JSONError) in
            let text = try reader.text()
            try reader.finish()
            return text
        }
    }

    @Test func `are what the reader makes the same text of`() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                let most: UInt32 = Bool.random(using: &random) ? 0x7F : 0x10FFFF
                guard let scalar = Unicode.Scalar(UInt32.random(in: 0...most, using: &random)) else { continue }
                text.unicodeScalars.append(scalar)
            }
            let json = JSONQuotes.quoted(text)
            #expect(try read(json) == text, "\(json)")
            let isPlain = json.unicodeScalars.allSatisfy { !$0.actsOnTerminals }
            #expect(isPlain)
        }
    }

    @Test func `escape what must be escaped`() {
        #expect(JSONQuotes.quoted("a\"b\\c\n\u{1}\u{E0001}é") == #""a\"b\\c\n\u0001\udb40\udc01é""#)
    }
}
