import Testing

/// What needs a socket is slow, and fails for reasons of the machine; what is decided can be tested by values.
@Suite struct `The Swift tests` {
    @Test func `need no socket, four of five`() {
        let use = SocketUse(of: SourceTree.shared)
        let share = 100 - 100 * Double(use.opening) / Double(max(use.all, 1))
        print("\(use.all - use.opening) of \(use.all) Swift tests need no socket: \(share) %")
        #expect(use.all > 1_500 && use.opening > 100)
        #expect(
            share >= 80, "test what is decided without the worker: a struct, events in and actions out")
    }
}

/// Which tests open sockets: those that name what does, in their own code or in that of what they use in their module.
/// Names are compared and not meanings, so that a few are counted which open none.
private struct SocketUse {
    /// How many tests there are.
    let all: Int
    /// How many of them open sockets.
    let opening: Int

    /// What opens sockets.
    private static let calls = [
        "Socket.listen(", "Socket.connect(", "Socket.accept(", "socketpair(", "ListenerSockets(", "AdminServer(",
        "ListenerDirectory(", "InheritedSockets(", "ClusterWatch.start(",
    ]

    /// A function, a property or a nested type.
    private struct Member {
        /// With `(` behind it if it is a function's.
        let name: String
        let isTest: Bool
        var hasFunction = false
        /// Whether it makes one of the calls itself.
        var calls = false
        /// Its words, and once more with `(` those that have it behind them.
        var words: Set<String> = []
    }

    /// A type, an extension or a function of a file.
    private struct Declaration {
        let module: String
        let path: String
        let name: String
        /// Whether other files cannot use it.
        let isPrivate: Bool
        var members: [Member] = []
        var isSuite: Bool { members.contains(where: \.isTest) }
    }

    init(of tree: SourceTree) {
        let files = tree.swift.filter { file in
            file.path.hasPrefix("Tests/") && (file.module.hasSuffix("Tests") || file.module == "Tidy")
        }
        let declarations = files.flatMap(Self.declarations)
        let openers = Self.openers(among: declarations.filter { !$0.isSuite })
        let suites = declarations.filter(\.isSuite)
        all = suites.reduce(0) { $0 + $1.members.count(where: \.isTest) }
        opening = suites.reduce(0) { $0 + Self.openingTests(of: $1, Self.names(for: $1, in: openers)) }
    }

    /// The openers that a declaration can use: those of its module, and those of its file alone.
    private static func names(for user: Declaration, in openers: [String: Set<String>]) -> Set<String> {
        openers[user.module, default: []].union(openers[user.path, default: []])
    }

    /// Names of helpers that open sockets, or use others that do, by module, or by file if they are private.
    private static func openers(among helpers: [Declaration]) -> [String: Set<String>] {
        var names: [String: Set<String>] = [:]
        var count = -1
        while names.values.reduce(0, { $0 + $1.count }) != count {
            count = names.values.reduce(0) { $0 + $1.count }
            for helper in helpers {
                let others = Self.names(for: helper, in: names).subtracting([helper.name])
                guard helper.members.contains(where: { opens($0, others) }) else { continue }
                names[helper.isPrivate ? helper.path : helper.module, default: []].insert(helper.name)
            }
        }
        return names
    }

    private static func opens(_ member: Member, _ names: Set<String>) -> Bool {
        member.calls || !member.words.isDisjoint(with: names)
    }

    /// How many tests of a suite open sockets.
    private static func openingTests(of suite: Declaration, _ openers: Set<String>) -> Int {
        var names = openers
        for _ in suite.members {
            let more = suite.members.filter { !$0.isTest && !names.contains($0.name) && opens($0, names) }
            if more.isEmpty { break }
            names.formUnion(more.map(\.name))
        }
        let isOpened = names.contains("init")
        return suite.members.count { $0.isTest && (isOpened || opens($0, names)) }
    }

    // MARK: reading

    private static func declarations(of file: SourceTree.File) -> [Declaration] {
        let words = Dictionary(grouping: file.code.words, by: \.line)
        var found: [Declaration] = []
        for (number, line) in file.code.lines.enumerated() {
            let texts = (words[number + 1] ?? []).map(\.text)
            if let name = name(in: texts, after: ["struct", "class", "enum", "extension", "func"]), line.first != " " {
                found.append(
                    Declaration(
                        module: file.module, path: file.path, name: name, isPrivate: texts.contains("private")))
            }
            guard !found.isEmpty else { continue }
            let last = found.count - 1
            if begins(line, behind: found[last].members.last) || found[last].members.isEmpty {
                let name = name(in: texts, after: ["func", "var", "let", "struct", "class", "enum"]) ?? "init"
                found[last].members.append(Member(name: name, isTest: line.hasPrefix("    @Test")))
            }
            let member = found[last].members.count - 1
            if texts.contains("func") { found[last].members[member].hasFunction = true }
            if line.has(oneOf: calls) { found[last].members[member].calls = true }
            let called = zip(texts, texts.dropFirst()).filter { $1 == "(" }.map { "\($0.0)(" }
            found[last].members[member].words.formUnion(texts.map(String.init) + called)
        }
        return found
    }

    /// Whether a line begins a member, which it does not behind the attribute of a test.
    private static func begins(_ line: Substring, behind last: Member?) -> Bool {
        guard line.hasPrefix("    "), let sign = line.dropFirst(4).first, sign.isLetter || sign == "@" else {
            return false
        }
        return last.map { !$0.isTest || $0.hasFunction } ?? true
    }

    /// The name behind the first of the keywords, with `(` if that is a function's.
    private static func name(in words: [Substring], after keywords: Set<Substring>) -> String? {
        guard let place = words.firstIndex(where: keywords.contains), place + 1 < words.count else { return nil }
        return words[place] == "func" ? "\(words[place + 1])(" : String(words[place + 1])
    }
}
