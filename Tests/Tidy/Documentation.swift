/// Finds declarations of a module that other files use, and whether they have a comment.
///
/// Such a declaration is `package` or `public`, or an internal one that another file of the module uses, as far as its
/// name shows. It is a type, a function, an initializer or a subscript; a property only if it is a number, because no
/// name and type say the unit of a number and when it is reached. Other properties, and cases, have a comment where
/// there is more to know than their name and type say, which only a reader can judge. Left out are members that a
/// protocol prescribes, a `count`, initializers that only set properties of those names, the properties of
/// `Manifests/Objects`, which have the name and meaning of a field of the object that the comment of their type names,
/// and commands and their options, which say what they are for in a text for users.
struct Documentation {
    struct Finding: Equatable {
        let path: String
        let line: Int
        let text: String
        let group: Group
        let isDocumented: Bool
    }

    /// What is measured by itself. Initializers and subscripts are functions, protocols and aliases are types.
    enum Group: String {
        case types, functions, properties
    }

    /// Modules in which every such declaration has a comment.
    static let finishedModules: Set<String> = [
        "Octets", "JSON", "Patterns", "Reactor", "Telemetry", "Manifests", "Routing", "portico-echo", "Admin", "HTTP",
        "portico", "TLS", "Control", "Balancing", "Proxy", "Kubernetes",
    ]
    private static let prescribed: Set<String> = [
        "description", "hash", "encode", "run", "validate", "testDescription", "wrappedValue", "startIndex", "endIndex",
    ]
    private static let kinds: Set<String> = [
        "func", "var", "let", "struct", "class", "enum", "protocol", "init", "subscript", "typealias",
    ]
    private static let modifiers: Set<String> = [
        "package", "public", "internal", "static", "final", "mutating", "nonmutating", "consuming", "borrowing",
        "indirect", "lazy", "convenience", "required", "override", "nonisolated", "unowned", "private(set)",
        "fileprivate(set)", "package(set)", "nonisolated(unsafe)",
    ]

    /// A declaration that begins on a line.
    struct Declaration: Equatable {
        let kind: String
        let name: String
        /// Whether it is `package` or `public`.
        let isOpen: Bool
    }

    /// The least share of types with a comment, and of functions. Of the others the name and the parameters say all.
    static let leastShare = 0.95

    /// What ought to have a comment and has none.
    static func gaps(in files: [SourceTree.File]) -> [Finding] { findings(in: files).filter { !$0.isDocumented } }

    /// - Parameter files: all files of one module.
    static func findings(in files: [SourceTree.File]) -> [Finding] {
        let uses = ModuleUses(files)
        return files.indices.flatMap { index in findings(in: files[index]) { uses.isUsed($0, outside: index) } }
    }

    private static func findings(in file: SourceTree.File, isUsedElsewhere: (Declaration) -> Bool) -> [Finding] {
        let lines = file.lines
        let code = file.code.lines
        let members = file.code.memberLines
        return code.indices.compactMap { number in
            guard let found = declaration(in: code[number]), !prescribed.contains(found.name) else { return nil }
            let group = Self.group(of: found)
            let isProperty = group == .properties
            if isProperty, file.path.contains("/Objects/") || !isNumber(found, code[number]) { return nil }
            let isUsed = found.isOpen || (members.contains(number) && isUsedElsewhere(found))
            let hasRemark = isProperty && lines[number].has("    // ")
            guard isUsed, !isForUsers(number, file), !isPlainInitializer(found, at: number, code) else { return nil }
            return Finding(
                path: file.path, line: number + 1, text: String(lines[number].drop { $0 == " " }),
                group: group, isDocumented: hasRemark || isDocumented(number, lines))
        }
    }

    private static func group(of found: Declaration) -> Group {
        switch found.kind {
        case "var", "let": return .properties
        case "func", "init", "subscript": return .functions
        default: return .types
        }
    }

    /// Whether a property is a number that is not just a count of what its type holds.
    private static func isNumber(_ found: Declaration, _ line: Substring) -> Bool {
        found.name != "count" && line.contains(/: (U?Int(8|16|32|64)?|Double)\b| = -?\d/)
    }

    /// Whether a comment is above a declaration and its attributes.
    private static func isDocumented(_ number: Int, _ lines: [Substring]) -> Bool {
        var above = number - 1
        while above >= 0, lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
        return above >= 0 && lines[above].drop { $0 == " " }.hasPrefix("///")
    }

    /// Whether it is an initializer whose parameters have the names of properties: a comment could only repeat them.
    private static func isPlainInitializer(_ found: Declaration, at number: Int, _ code: [Substring]) -> Bool {
        guard found.kind == "init" else { return false }
        let end = code[number...].firstIndex { $0.has("{") } ?? number
        let signature = code[number...end].joined(separator: " ").prefix { $0 != "{" }
        let names = signature.matches(of: /[(,]\s*(?:\w+ )?(\w+):/).map(\.1)
        return names.allSatisfy { name in code.contains { $0.contains("let \(name)") || $0.contains("var \(name)") } }
    }

    /// Whether a text for users says what it is for: a command's `abstract`, an option's `help`.
    private static func isForUsers(_ number: Int, _ file: SourceTree.File) -> Bool {
        guard file.module.hasPrefix("portico") else { return false }
        if file.lines[number].has(": ParsableCommand") { return true }
        return file.lines[..<number].reversed().prefix { !$0.isEmpty }.contains { $0.has("help: ") }
    }

    /// The declaration on a line of code; nil if there is none that another file could use.
    static func declaration(in line: Substring) -> Declaration? {
        var isOpen = false
        var words = line.split(separator: " ")[...]
        while let word = words.popFirst() {
            if word.hasPrefix("@") {
                if word.contains("("), !word.contains(")") { words = words.drop { !$0.hasSuffix(")") }.dropFirst() }
                continue
            }
            if word == "package" || word == "public" { isOpen = true }
            if modifiers.contains(String(word)) { continue }
            let kind = String(word.prefix { $0.isLetter })
            guard kinds.contains(kind), word == kind || kind == "init" || kind == "subscript" else { return nil }
            if kind == "init" || kind == "subscript" { return Declaration(kind: kind, name: kind, isOpen: isOpen) }
            let name = (words.first ?? "").prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            guard !name.isEmpty || kind != "func" else { return nil }    // an operator
            return Declaration(kind: kind, name: String(name), isOpen: isOpen)
        }
        return nil
    }
}
