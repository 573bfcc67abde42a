/// Which declarations of a module other files of it use, as far as names tell.
struct ModuleUses {
    /// Of each file: names before a bracket or a type argument, names behind a dot, and all names.
    private let called: [Set<Substring>]
    private let reached: [Set<Substring>]
    private let named: [Set<Substring>]
    /// How often a name is declared in the module: if several declarations have it, nobody can see which one is used.
    private let declared: [Substring: Int]

    /// - Parameter files: all files of the module.
    init(_ files: [SourceTree.File]) {
        called = files.map { Self.pairs($0.code) { _, next in next == "(" || next == "<" }.first }
        reached = files.map { Self.pairs($0.code) { word, _ in word == "." }.second }
        named = files.map(\.code.names)
        var declared: [Substring: Int] = [:]
        for file in files {
            let words = file.code.words
            for place in words.indices.dropLast() where ["var", "let", "case", "func"].contains(words[place].text) {
                declared[words[place + 1].text, default: 0] += 1
            }
        }
        self.declared = declared
    }

    /// Whether a file but the one in that place uses it. A property counts where no other one has its name.
    func isUsed(_ declaration: Documentation.Declaration, outside index: Int) -> Bool {
        let name = declaration.name[...]
        return switch declaration.kind {
        case "func": Self.isElsewhere(name, called, index)
        case "var", "let": declared[name] == 1 && Self.isElsewhere(name, reached, index)
        case "init", "subscript": false
        default: Self.isElsewhere(name, named, index)
        }
    }

    private static func isElsewhere(_ name: Substring, _ sets: [Set<Substring>], _ index: Int) -> Bool {
        sets.indices.contains { $0 != index && sets[$0].contains(name) }
    }

    /// The first and the second words of all neighbours that are wanted.
    private static func pairs(
        _ code: SwiftText, _ isWanted: (Substring, Substring) -> Bool
    ) -> (first: Set<Substring>, second: Set<Substring>) {
        let words = code.words
        let places = words.indices.dropLast().filter { isWanted(words[$0].text, words[$0 + 1].text) }
        return (Set(places.map { words[$0].text }), Set(places.map { words[$0 + 1].text }))
    }
}

extension SwiftText {
    /// The numbers, from 0, of the lines that begin directly in a type which is not private, or in none.
    var memberLines: Set<Int> {
        var isMemberBrace: [Bool] = []
        var pending: Bool?    // a type is being declared: whether it is not private
        var isPrivate = false
        var found: Set<Int> = []
        var line = 0
        for (place, word) in words.enumerated() {
            while line < word.line {
                if isMemberBrace.allSatisfy({ $0 }) { found.insert(line) }
                line += 1
                isPrivate = false
            }
            switch word.text {
            case "private", "fileprivate": if !isSetter(place) { isPrivate = true }
            case "struct", "class", "enum", "protocol", "extension":
                if place == 0 || words[place - 1].text != "." { pending = !isPrivate }
            case "func", "var", "init": pending = nil
            case "{":
                isMemberBrace.append(pending ?? false)
                pending = nil
            case "}": _ = isMemberBrace.popLast()
            default: break
            }
        }
        return found
    }

    /// `private(set)`
    private func isSetter(_ place: Int) -> Bool { place + 1 < words.count && words[place + 1].text == "(" }
}
