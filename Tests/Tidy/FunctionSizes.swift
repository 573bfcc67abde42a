/// The functions of one source file, how many lines each body has, and how deep its statements nest, by counting
/// braces.
struct FunctionSizes {
    struct Function: Equatable {
        let line: Int
        let lineCount: Int
        /// How many `if`, `else`, `guard`, loops, `switch`, `do` and `catch` stand around the innermost statement.
        let nesting: Int
    }

    private(set) var functions: [Function] = []
    private let words: [(text: Substring, line: Int)]

    private static let declarations: Set<Substring> = ["func", "init", "deinit", "subscript"]
    private static let statements: Set<Substring> = [
        "if", "else", "guard", "for", "while", "repeat", "switch", "do", "catch",
    ]
    /// A declaration in a protocol has no body: one of these, or `}`, comes before a brace.
    private static let others: Set<Substring> = [
        "func", "var", "let", "init", "deinit", "subscript", "case", "struct", "class", "enum", "extension",
        "protocol", "static", "mutating", "associatedtype", "typealias", "package", "private", "internal",
    ]

    init(_ text: SwiftText) {
        words = Self.words(of: text)
        for (place, word) in words.enumerated() where Self.declarations.contains(word.text) {
            let previous = place > 0 ? words[place - 1].text : ""
            if previous == "." { continue }    // a call: `self.init(…)`
            if let function = body(after: place) { functions.append(function) }
        }
    }

    private func body(after declaration: Int) -> Function? {
        var depth = 0
        for place in (declaration + 1)..<max(words.count, declaration + 1) {
            switch words[place].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return measured(from: place, declaration: declaration)
            case "}" where depth == 0: return nil
            case let word where depth == 0 && place > declaration + 1 && Self.others.contains(word): return nil
            default: break
            }
        }
        return nil
    }

    private func measured(from brace: Int, declaration: Int) -> Function? {
        var open: [Bool] = []    // for each brace, whether it is a statement's
        var parentheses = 0
        var statement: Int?    // how many parentheses are open around a statement whose brace is to come
        var nesting = 0
        for place in brace..<words.count {
            switch words[place].text {
            case "(", "[": parentheses += 1
            case ")", "]": parentheses -= 1
            case "{":
                open.append(statement == parentheses)
                if statement == parentheses { statement = nil }
                nesting = max(nesting, open.count { $0 })
            case "}":
                open.removeLast()
                if open.isEmpty { return measured(brace, place, declaration, nesting) }
            case let word where Self.statements.contains(word) && words[place - 1].text != ".":
                statement = parentheses
            default: break
            }
        }
        return nil
    }

    private func measured(_ brace: Int, _ end: Int, _ declaration: Int, _ nesting: Int) -> Function {
        let count = words[end].line - words[brace].line + 1
        return Function(line: words[declaration].line, lineCount: count, nesting: nesting)
    }

    /// Names and single signs, with their line numbers.
    private static func words(of text: SwiftText) -> [(text: Substring, line: Int)] {
        var words: [(text: Substring, line: Int)] = []
        for (number, line) in text.lines.enumerated() {
            var rest = line
            while let first = rest.first {
                let isWord = first.isLetter || first == "_" || first.isNumber
                let word = isWord ? rest.prefix { $0.isLetter || $0 == "_" || $0.isNumber } : rest.prefix(1)
                if !first.isWhitespace { words.append((word, number + 1)) }
                rest = rest.dropFirst(word.count)
            }
        }
        return words
    }
}
