import Testing

/// What one object keeps is understood by reading one place, and what can happen is raised somewhere.
@Suite struct `Classes and situations` {
    private let tree = SourceTree.shared

    /// Classes that were divided by verbs before the rule; they may not be spread further.
    private static let known = ["HTTP2Session": 8, "Exchange": 4]
    private static let most = 3

    private var beginning: Regex<(Substring, Substring)> {
        /(?:@\w+(?:\([^)]*\))? |package |private |fileprivate )*extension (\w+)/
    }

    private struct Key: Hashable {
        let module: Substring
        let name: Substring
    }

    /// Classes that no two threads share: what they keep changes. Immutable ones may be looked at from everywhere.
    private func classes() -> [Key: String] {
        var found: [Key: String] = [:]
        for file in tree.sources {
            for line in file.lines where line.has("final class ") {
                guard let match = line.wholeMatch(of: /(?:@\w+ |package |public )*final class (\w+)(.*)/),
                    !match.2.contains("Sendable")
                else { continue }
                found[Key(module: file.module[...], name: match.1)] = file.path
            }
        }
        return found
    }

    private func folder(_ path: String) -> Substring { path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }

    @Test func `a class and its extensions lie in one folder, in at most three files`() {
        let classes = classes()
        #expect(classes.count > 20)
        var files: [Key: Set<String>] = [:]
        for file in tree.sources {
            for line in file.lines where line.has("extension ") {
                guard let match = line.prefixMatch(of: beginning),
                    let home = classes[Key(module: file.module[...], name: match.1)]
                else { continue }
                #expect(folder(home) == folder(file.path), "\(file.path) extends \(match.1) of \(home)")
                files[Key(module: file.module[...], name: match.1), default: [home]].insert(file.path)
            }
        }
        for (key, paths) in files {
            let most = Self.known[String(key.name)] ?? Self.most
            #expect(paths.count <= most, "\(key.name) is spread over \(paths.sorted().joined(separator: ", "))")
        }
    }

    /// Exchanges are used again: what the last request left must not be the next one's.
    @Test func `all that an exchange keeps is made as new for the next request`() throws {
        let folder = "Sources/Proxy/Exchange/"
        let exchange = try #require(tree.sources.first { $0.path == folder + "Exchange.swift" })
        let owner = try #require(tree.sources.first { $0.path == folder + "Exchanges.swift" })
        let renewed = Self.body(of: "func clear()", in: exchange) + Self.body(of: "private func enter(", in: owner)
        let property = /\s{4}(?:private(?:\(set\))? )?var (\w+)(?:: [^{]*| = .*)/
        let names = exchange.lines.compactMap { $0.wholeMatch(of: property)?.1 }
        #expect(names.count > 25)
        for name in names where !Self.setByTry.contains(name) {
            let isRenewed = renewed.contains { line in
                [".keep(", ".take()", ".clear()", " = "].contains { line.contains("\(name)\($0)") }
            }
            #expect(isRenewed, "neither `clear` nor `enter` makes \(name) as new")
        }
    }

    /// Set when a try is sent, and asked for behind that only; given back at the end of each request; the stream, which
    /// `serve` and `use` set.
    private static let setByTry: Set<Substring> = ["tryStarted", "timers", "holdings", "upstream", "keptUpstream"]

    private static func body(of declaration: String, in file: SourceTree.File) -> [Substring] {
        let begin = file.lines.drop { !$0.contains(declaration) }.dropFirst()
        return Array(begin.prefix { $0 != "    }" })
    }

    @Test func `each situation is raised outside of its table`() throws {
        let list = try #require(tree.sources.first { $0.path == "Sources/Proxy/Answers/Situation.swift" })
        let body = list.lines.drop { !$0.contains("enum Situation") }.dropFirst().prefix { $0 != "}" }
        let cases = body.compactMap { $0.prefixMatch(of: /\s+case (\w+)/)?.1 }
        #expect(cases.count > 20)
        let files = tree.sources.filter {
            $0.module == "Proxy" && !$0.path.hasPrefix("Sources/Proxy/Answers/Situation")
        }
        let raised = Set(files.flatMap { Self.namesAfterDot($0.code.words) })
        for name in cases { #expect(raised.contains(name), "\(name) is raised nowhere") }
    }

    private static func namesAfterDot(_ words: [SwiftText.Word]) -> [Substring] {
        words.indices.dropFirst().filter { words[$0 - 1].text == "." }.map { words[$0].text }
    }
}
