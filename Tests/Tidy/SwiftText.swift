/// Swift source with comments, string literals and backticked names blanked out, so that a
/// simple scan for words and braces is right. Line breaks stay, so line numbers stay too.
/// Leaves out regex literals that contain a quote or `//`, which this project does not write.
///
/// It goes by octets, once per file: most rules read all of the project.
struct SwiftText {
    /// A name, a number or a single sign.
    struct Word {
        let text: Substring
        /// From 1.
        let line: Int
    }

    /// What is left: code, with blanks where text was.
    let lines: [Substring]
    /// The words of the code, in their order.
    let words: [Word]
    /// The different names and numbers of the code.
    let names: Set<Substring>

    init(_ text: String) {
        lines = Blanking(text).code.linesOfText
        words = Self.words(of: lines)
        names = Set(words.lazy.map(\.text).filter { $0.utf8.first.map(Self.isInName) ?? false })
    }

    private static func words(of lines: [Substring]) -> [Word] {
        var words: [Word] = []
        for (number, line) in lines.enumerated() {
            let octets = Array(line.utf8)
            var place = 0
            var index = line.startIndex
            while place < octets.count {
                let start = place
                repeat { place += 1 } while isInName(octets[start]) && place < octets.count && isInName(octets[place])
                let end = line.utf8.index(index, offsetBy: place - start)
                if octets[start] != UInt8(ascii: " ") { words.append(Word(text: line[index..<end], line: number + 1)) }
                index = end
            }
        }
        return words
    }

    private static func isInName(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...: true
        default: false
        }
    }
}

/// Blanks out what is not code.
private struct Blanking {
    private let source: [UInt8]
    private var octets: [UInt8]
    private var index = 0

    var code: String { String(decoding: octets, as: UTF8.self) }

    init(_ text: String) {
        source = Array(text.utf8)
        octets = source
        while index < source.count { step() }
    }

    private func at(_ place: Int, _ octet: UInt8) -> Bool { place < source.count && source[place] == octet }

    private mutating func blank(_ count: Int) {
        for place in index..<min(index + count, source.count) where source[place] != Self.newline {
            octets[place] = Self.blank
        }
        index += count
    }

    /// Blanks everything before the next such octet.
    private mutating func blank(until octet: UInt8) {
        var end = index
        while end < source.count, source[end] != octet { end += 1 }
        blank(end - index)
    }

    /// Passes one thing at `index`: a comment, a literal, a quoted name, or one octet of code.
    private mutating func step() {
        switch source[index] {
        case Self.slash where at(index + 1, Self.slash): blank(until: Self.newline)
        case Self.slash where at(index + 1, Self.star): blockComment()
        case Self.backtick:
            blank(1)
            blank(until: Self.backtick)
            blank(1)
        case Self.quote, Self.hash:
            if let hashes = stringStart() { string(hashes: hashes) } else { index += 1 }
        default: index += 1
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if at(index, Self.slash), at(index + 1, Self.star) {
                depth += 1
                blank(2)
            } else if at(index, Self.star), at(index + 1, Self.slash) {
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
        while at(place, Self.hash) { place += 1 }
        return at(place, Self.quote) ? place - index : nil
    }

    private mutating func string(hashes: Int) {
        blank(hashes)
        let quotes = at(index + 1, Self.quote) && at(index + 2, Self.quote) ? 3 : 1
        blank(quotes)
        let closing = [UInt8](repeating: Self.quote, count: quotes) + [UInt8](repeating: Self.hash, count: hashes)
        let escape = [Self.backslash] + [UInt8](repeating: Self.hash, count: hashes)
        while index < source.count {
            if isHere(closing) { return blank(closing.count) }
            if isHere(escape) {
                blank(escape.count)
                if at(index, Self.parenthesis) { interpolation() } else { blank(1) }
            } else {
                blank(1)
            }
        }
    }

    private func isHere(_ mark: [UInt8]) -> Bool {
        guard source[index] == mark[0] else { return false }
        return mark.indices.allSatisfy { at(index + $0, mark[$0]) }
    }

    /// Blanks `( … )` of an interpolation, whatever literals stand inside.
    private mutating func interpolation() {
        var depth = 0
        repeat {
            if at(index, Self.parenthesis) { depth += 1 }
            if at(index, Self.parenthesisEnd) { depth -= 1 }
            let isComment = at(index, Self.slash) && at(index + 1, Self.star)
            if stringStart() != nil || isComment { step() } else { blank(1) }
        } while depth > 0 && index < source.count
    }

    private static let newline = UInt8(ascii: "\n")
    private static let blank = UInt8(ascii: " ")
    private static let slash = UInt8(ascii: "/")
    private static let star = UInt8(ascii: "*")
    private static let backtick = UInt8(ascii: "`")
    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")
    private static let backslash = UInt8(ascii: "\\")
    private static let parenthesis = UInt8(ascii: "(")
    private static let parenthesisEnd = UInt8(ascii: ")")
}
