import Octets
import Testing

@testable import Manifests

/// Builds the trees of a text, or the error that ends them.
private func trees(_ text: String) -> (trees: [Tree], error: SyntaxError?) {
    var builder = TreeBuilder(Array(text.utf8)[...])
    var trees: [Tree] = []
    do throws(SyntaxError) {
        while let tree = try builder.next() { trees.append(tree) }
    } catch {
        return (trees, error)
    }
    return (trees, nil)
}

/// A tree as text: kinds, places and paths.
private func outline(_ tree: Tree, _ node: NodeIndex) -> [String] {
    let found = tree[node]
    let path = tree.path(to: node, from: tree.root)
    var lines = ["\(path) \(found.kind) \(found.line):\(found.column)"]
    if found.isScalar { lines[0] += " " + tree.string(node) }
    if found.isScalar { return lines }
    var child = found.start
    while child != Node.none {
        let isKey = found.kind == .mapping && tree[child].key == Node.none
        if !isKey { lines += outline(tree, child) }
        child = tree[child].next
    }
    return lines
}

@Suite struct `A tree of YAML` {
    @Test func `knows kind, line, column and path of every node`() throws {
        let tree = try #require(trees("a: 1\nb:\n- 'x'\n- {c/d: [y]}\n").trees.first)
        #expect(
            outline(tree, tree.root) == [
                " mapping 1:1", "a plain 1:4 1", "b sequence 3:1", "b[0] quoted 3:3 x",
                "b[1] mapping 4:3", "b[1][\"c/d\"] sequence 4:9", "b[1][\"c/d\"][0] plain 4:10 y",
            ])
    }

    @Test func `is one for each document`() {
        let found = trees("a: 1\n---\nb: 2\n--- \n...\n---\n# nothing\n")
        #expect(found.error == nil)
        #expect(found.trees.count == 4)
    }

    @Test(arguments: [
        "\u{FEFF}a: 1\r\nb:\r\n- x\r\n", "{\"a\": 1,\n\t\"b\": [\"x\"]}", "{\"a\":1,\"b\":[\"x\"]}",
        "%YAML 1.2\n---\na: 1\nb: [x]\n",
    ])
    func `is the same from CRLF, a byte order mark and JSON`(text: String) throws {
        let tree = try #require(trees(text).trees.first)
        let a = try #require(tree.value(of: "a", in: tree.root))
        let b = try #require(tree.value(of: "b", in: tree.root))
        #expect(tree.string(a) == "1")
        #expect(tree[b].count == 1)
        #expect(tree.value(of: "c", in: tree.root) == nil)
    }

    @Test func `unfolds aliases, each with its own path`() throws {
        let tree = try #require(trees("a: &x {k: v}\nb: [*x, *x]\n").trees.first)
        #expect(
            outline(tree, tree.root).suffix(4) == [
                "b[0] mapping 1:4", "b[0].k plain 1:11 v", "b[1] mapping 1:4",
                "b[1].k plain 1:11 v",
            ])
    }

    @Test func `refuses an alias inside its own anchor`() {
        #expect(trees("a: &x [*x]\n").error?.code == "unknown-anchor")
    }

    @Test func `refuses an alias bomb at once`() {
        var text = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let names = Array(repeating: "*l\(level - 1)", count: 10).joined(separator: ", ")
            text += "l\(level): &l\(level) [\(names)]\n"
        }
        let found = trees(text)
        #expect(found.trees.isEmpty)
        #expect(found.error?.code == "alias-bomb")
    }

    @Test(arguments: ["[", "{a: ", "- ", "? "])
    func `refuses deep nesting`(opening: String) {
        let found = trees(String(repeating: opening, count: 100_000))
        #expect(found.trees.isEmpty)
        #expect(["too-deep", "syntax"].contains(found.error?.code))
    }

    @Test func `reports duplicate keys, also in large mappings`() throws {
        let large = (0..<40).map { "k\($0): 1\n" }.joined() + "k7: 2\n"
        for text in ["a: 1\nb: 2\na: 3\n", large] {
            let problem = try #require(trees(text).trees.first?.problems.first)
            guard case .duplicateKey(let first) = problem.kind else {
                Issue.record("\(problem.kind)")
                continue
            }
            #expect(first < problem.node)
        }
    }

    @Test(arguments: ["a: [", "a: 'x", "a: b: c", "\u{1}", "a:\n\t- b", "&a", "*a", "%", "@x"])
    func `is not made of broken text`(text: String) {
        let found = trees(text)
        #expect(found.error != nil || !found.trees.isEmpty)
    }
}

@Suite struct `A plain scalar` {
    @Test(arguments: [
        ("", Scalar.null), ("~", .null), ("null", .null), ("yes", .bool(true)),
        ("Off", .bool(false)),
        ("0x1F", .integer(31)), ("017", .integer(15)), ("0o17", .integer(15)), ("-5", .integer(-5)),
        ("1_000", .integer(1000)), ("1.5", .number(1.5)), (".5", .number(0.5)),
        ("1e3", .number(1000)),
        ("99999999999999999999", .number(1e20)), ("1.2.3", .text), ("5s", .text), ("0x", .text),
        ("10.0.0.1", .text), ("-", .text), (".", .text), ("nope", .text), ("1-2", .text),
    ])
    func `means what Kubernetes takes it for`(text: String, meaning: Scalar) {
        #expect(Scalar(plain: Array(text.utf8)[...]) == meaning)
    }
}

@Suite struct `A duration in Go's form` {
    @Test(arguments: [
        ("5000ms", Duration.seconds(5)), ("1.5s", .milliseconds(1500)), ("1h30m", .seconds(5400)),
        ("0", .zero), ("0s", .zero), (".5s", .milliseconds(500)), ("10us", .microseconds(10)),
        ("-1s", .seconds(-1)), ("1h0.5s", .milliseconds(3_600_500)),
    ])
    func `is read`(text: String, duration: Duration) {
        #expect(Duration(goText: text) == duration)
    }

    @Test(arguments: [
        "", "5", "s", "1x", "1s2", "..s", ".s", "1..5s", "-", "+-1s", "1 s", "9999999999999999999s",
        "99999999999h", "1S",
    ])
    func `is refused when malformed or too long`(text: String) {
        #expect(Duration(goText: text) == nil)
    }
}

@Suite struct `Base64` {
    @Test(arguments: [
        ("", ""), ("aA==", "h"), ("aGk=", "hi"), ("aGV5", "hey"), ("aG\nV5\n", "hey"),
    ])
    func `is decoded`(text: String, plain: String) {
        #expect(decodedBase64(text.utf8)?.withOctets(\.array) == Array(plain.utf8))
    }

    @Test(arguments: ["a", "aG", "aGk", "aGk==", "a===", "====", "aGk=aGk=", "a-_b", "aGk= "])
    func `is refused when malformed`(text: String) {
        #expect(decodedBase64(text.utf8) == nil)
    }
}

/// What is guessed of a document that is no YAML.
@Suite struct `The identity of a lost document` {
    private func name(_ text: String) -> String? {
        LostDocument(ArraySlice(text.utf8)).identity(defaultNamespace: "edge")?.name
    }

    @Test func `is looked for in a limited part of it`() {
        let object = "kind: Service\nmetadata:\n  name: a\n"
        #expect(name(object) == "a")
        #expect(name(String(repeating: "#\n", count: 900) + object) == "a")
        #expect(name(String(repeating: "#\n", count: 1001) + object) == nil, "too many lines")
        #expect(name(String(repeating: "#", count: 70_000) + "\n" + object) == nil, "too many octets")
        let padding = String(repeating: " ", count: 600)
        #expect(name("kind: Service\nmetadata:\n  name: \(padding)a\n") == nil, "too long a line")
    }
}
