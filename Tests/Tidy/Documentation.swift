/// Finds declarations of a module that other files use and that have no comment.
///
/// Such a declaration is `package` or `public`, or an internal one that another file of the module uses, as far as its
/// name shows. Left out are members that a protocol prescribes, initializers that only set properties of the same names,
/// the properties of `Manifests/Objects`, which have the name and meaning of a field of the object that the comment of
/// their type names, and commands and their options, which say what they are for in a text for users.
struct Documentation {
    struct Gap: Equatable {
        let path: String
        let line: Int
        let text: String
    }

    /// Modules in which every such declaration has a comment.
    static let finishedModules: Set<String> = [
        "Octets", "JSON", "Patterns", "Reactor", "Telemetry", "Manifests", "Routing", "portico-echo", "Admin", "HTTP",
        "portico", "TLS", "Control", "Balancing", "Proxy", "Kubernetes",
    ]
    private static let prescribed: Set<String> = [
        "description", "hash", "encode", "run", "validate", "testDescription", "wrappedValue",
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

    /// - Parameter files: all files of one module.
    static func gaps(in files: [SourceTree.File]) -> [Gap] {
        let uses = ModuleUses(files)
        return files.indices.flatMap { index in gaps(in: files[index]) { uses.isUsed($0, outside: index) } }
    }

    private static func gaps(in file: SourceTree.File, isUsedElsewhere: (Declaration) -> Bool) -> [Gap] {
        let lines = file.lines
        let code = file.code.lines
        let members = file.code.memberLines
        return code.indices.compactMap { number in
            guard let found = declaration(in: code[number]), !prescribed.contains(found.name) else { return nil }
            let isProperty = found.kind == "var" || found.kind == "let"
            if isProperty, file.path.contains("/Objects/") { return nil }
            let isUsed = found.isOpen || (members.contains(number) && isUsedElsewhere(found))
            let hasRemark = isProperty && lines[number].has("    // ")
            guard isUsed, !hasRemark, !isDocumented(number, lines), !isForUsers(number, file),
                !isPlainInitializer(found, at: number, code)
            else { return nil }
            return Gap(path: file.path, line: number + 1, text: String(lines[number].drop { $0 == " " }))
        }
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
