/// Swift source with comments, string literals and backticked names blanked out, so that a
/// simple scan for words and braces is right. Line breaks stay, so line numbers stay too.
/// Leaves out regex literals, which this project does not use.
struct SwiftText {
    private let source: [UInt8]
    private var code: [UInt8]
    private var index = 0

    /// What is left: code, with blanks where text was.
    var lines: [Substring] {
        String(decoding: code, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    init(_ text: String) {
        source = Array(text.utf8)
        code = source
        while index < source.count { step() }
    }

    private func at(_ offset: Int, _ word: StaticString) -> Bool {
        let word = Array("\(word)".utf8)
        return offset + word.count <= source.count && source[offset..<offset + word.count].elementsEqual(word)
    }

    private mutating func blank(_ count: Int) {
        for place in index..<min(index + count, source.count) where source[place] != UInt8(ascii: "\n") {
            code[place] = UInt8(ascii: " ")
        }
        index += count
    }

    /// Passes one thing at `index`: a comment, a literal, a quoted name, or one octet of code.
    private mutating func step() {
        if at(index, "//") {
            while index < source.count, source[index] != UInt8(ascii: "\n") { blank(1) }
        } else if at(index, "/*") {
            blockComment()
        } else if at(index, "`") {
            blank(1)
            while index < source.count, !at(index, "`") { blank(1) }
            blank(1)
        } else if let hashes = stringStart() {
            string(hashes: hashes)
        } else {
            index += 1
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if at(index, "/*") {
                depth += 1
                blank(2)
            } else if at(index, "*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && index < source.count
    }

    /// The number of `#` before a quote that starts here.
    private func stringStart() -> Int? {
        var place = index
        while place < source.count, source[place] == UInt8(ascii: "#") { place += 1 }
        return at(place, "\"") ? place - index : nil
    }

    private mutating func string(hashes: Int) {
        blank(hashes)
        let quotes = at(index, "\"\"\"") ? 3 : 1
        blank(quotes)
        let closing =
            [UInt8](repeating: UInt8(ascii: "\""), count: quotes)
            + [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        let escape = [UInt8(ascii: "\\")] + [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        while index < source.count {
            if source[index...].starts(with: closing) { return blank(closing.count) }
            if source[index...].starts(with: escape) {
                blank(escape.count)
                if at(index, "(") { interpolation() } else { blank(1) }
            } else {
                blank(1)
            }
        }
    }

    /// Blanks `( … )` of an interpolation, whatever literals stand inside.
    private mutating func interpolation() {
        var depth = 0
        repeat {
            if at(index, "(") { depth += 1 }
            if at(index, ")") { depth -= 1 }
            if stringStart() != nil || at(index, "/*") { step() } else { blank(1) }
        } while depth > 0 && index < source.count
    }
}
