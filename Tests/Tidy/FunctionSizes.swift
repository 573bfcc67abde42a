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
    private let words: [(kind: Kind, line: Int)]

    /// What a word is to the count.
    private enum Kind {
        case opening, closing, brace, braceEnd, dot, name
        /// Begins a function.
        case function
        /// Begins something else. A declaration in a protocol has no body: a declaration, or `}`, comes before a brace.
        case declaration
        case statement
    }

    private static let kinds: [Substring: Kind] = {
        var kinds: [Substring: Kind] = [
            "(": .opening, "[": .opening, ")": .closing, "]": .closing, "{": .brace, "}": .braceEnd, ".": .dot,
        ]
        for word: Substring in ["func", "init", "deinit", "subscript"] { kinds[word] = .function }
        for word: Substring in [
            "var", "let", "case", "struct", "class", "enum", "extension", "protocol", "static", "mutating",
            "associatedtype", "typealias", "package", "private", "internal",
        ] { kinds[word] = .declaration }
        for word: Substring in ["if", "else", "guard", "for", "while", "repeat", "switch", "do", "catch"] {
            kinds[word] = .statement
        }
        return kinds
    }()

    init(_ text: SwiftText) {
        words = text.words.map { (Self.kinds[$0.text] ?? .name, $0.line) }
        for place in words.indices where words[place].kind == .function {
            if place > 0, words[place - 1].kind == .dot { continue }    // a call: `self.init(…)`
            if let function = body(after: place) { functions.append(function) }
        }
    }

    private func body(after declaration: Int) -> Function? {
        var depth = 0
        for place in (declaration + 1)..<max(words.count, declaration + 1) {
            switch words[place].kind {
            case .opening: depth += 1
            case .closing: depth -= 1
            case .brace where depth == 0: return measured(from: place, declaration: declaration)
            case .braceEnd where depth == 0: return nil
            case .function where depth == 0 && place > declaration + 1: return nil
            case .declaration where depth == 0 && place > declaration + 1: return nil
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
            switch words[place].kind {
            case .opening: parentheses += 1
            case .closing: parentheses -= 1
            case .brace:
                open.append(statement == parentheses)
                if statement == parentheses { statement = nil }
                nesting = max(nesting, open.count { $0 })
            case .braceEnd:
                open.removeLast()
                if open.isEmpty { return measured(brace, place, declaration, nesting) }
            case .statement where words[place - 1].kind != .dot: statement = parentheses
            default: break
            }
        }
        return nil
    }

    private func measured(_ brace: Int, _ end: Int, _ declaration: Int, _ nesting: Int) -> Function {
        let count = words[end].line - words[brace].line + 1
        return Function(line: words[declaration].line, lineCount: count, nesting: nesting)
    }
}
