import Testing

/// The house rules that a program can check. Each failure names the file and the line.
@Suite struct Tidy {
    private let tree = SourceTree.shared

    static let documents = [
        "README.md", "docs/architecture.md", "docs/glossary.md", "docs/dependencies.md", "docs/configuration.md",
        "docs/istio.md", "docs/behaviour.md", "docs/limits.md", "docs/fields.md", "docs/kubernetes.md",
        "docs/differences.md", "docs/metrics.md", "docs/admin.md", "docs/performance.md", "certs/README.md",
        "docs/tutorial.md", "docs/tutorial.zh.md", "docs/from-istio.md", "docs/from-ingress-nginx.md",
        "docs/threat-model.md", "SECURITY.md",
    ]

    @Test func `git lists the sources`() {
        #expect(tree.sources.count > 10)
    }

    @Test func `no file is longer than 500 lines`() {
        for file in tree.files where Self.isCode(file.path) {
            #expect(file.lines.count <= 501, "\(file.path): \(file.lines.count) lines")
        }
    }

    @Test func `no function is longer than 60 lines`() {
        for file in tree.swift {
            for function in file.functions where function.lineCount > 60 {
                Issue.record("\(file.path):\(function.line): \(function.lineCount) lines")
            }
        }
    }

    @Test func `no statement of the program has more than three others around it`() {
        for file in tree.sources {
            for function in file.functions where function.nesting > 3 {
                Issue.record("\(file.path):\(function.line): nests \(function.nesting) deep")
            }
        }
    }

    @Test func `no line of code is longer than 120 columns`() {
        for file in tree.files where Self.isCode(file.path) {
            for (number, line) in file.lines.enumerated() where line.utf8.count > 120 && line.count > 120 {
                Issue.record("\(file.path):\(number + 1): \(line.count) columns")
            }
        }
    }

    @Test func `no marker stands for work left undone`() {
        let words = ["TO" + "DO", "FIX" + "ME"]
        for file in tree.files where Self.isCode(file.path) {
            for (number, line) in file.lines.enumerated() {
                for word in words where line.has(word) {
                    Issue.record("\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    /// A value of an existential type is boxed, counted, and called through a table.
    @Test func `no type is existential in the modules that requests pass`() {
        let modules = ["Balancing", "HTTP", "Octets", "Proxy", "Reactor", "Routing", "TLS", "Telemetry"]
        for file in tree.sources where modules.contains(file.module) {
            for (number, line) in file.code.lines.enumerated() where line.contains(/\bany [A-Z]/) {
                Issue.record("\(file.path):\(number + 1): name the type, or make the function generic")
            }
        }
    }

    @Test func `no source can trap by a shortcut`() {
        let words = ["try!", "as!", "fatalError(", "preconditionFailure(", "unsafeBitCast("]
        for file in tree.sources {
            for (number, line) in file.code.lines.enumerated() {
                for word in words where line.has(word) {
                    Issue.record("\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    /// `Int32(x)` ends the process when a peer's number does not fit: `exactly:`, `clamping:` or
    /// `truncatingIfNeeded:` says what is to become of it.
    @Test func `what peers send is narrowed knowingly`() {
        let modules: Set<String> = ["HTTP", "TLS", "JSON", "Kubernetes", "Proxy", "Admin", "Telemetry", "Balancing"]
        for file in tree.sources where modules.contains(file.module) {
            for (number, line) in file.code.lines.enumerated() where NarrowedNumbers.areIn(line) {
                Issue.record("\(file.path):\(number + 1): a conversion that can trap: \(line)")
            }
        }
    }

    /// Whoever remembers a place in a header section points to another field when the section is edited.
    @Test func `only the HTTP module goes through header fields by their place`() {
        let words = [".field(at:", ".fields[", "in 0..<block.count"]
        for file in tree.sources where file.module != "HTTP" {
            for (number, line) in file.code.lines.enumerated() {
                for word in words where line.has(word) {
                    Issue.record("\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    @Test func `nothing needs a folder beside the project`() {
        let outside = "../" + "shared"
        for file in tree.files where file.text.has(outside) {
            Issue.record("\(file.path) names \(outside)")
        }
    }

    /// Without it, `Lock` is the standard library's and the file compiles, but not under ThreadSanitizer.
    @Test func `what uses a Lock imports Octets`() {
        for file in tree.sources where !file.path.hasPrefix("Sources/Octets/") {
            guard file.lines.contains(where: { $0.has(".withLock") }) else { continue }
            #expect(file.lines.contains { $0.hasSuffix("import Octets") }, "\(file.path): import Octets")
        }
    }

    /// ThreadSanitizer does not see `Mutex`: `Lock` is what it can follow.
    @Test func `threads share by Lock, which a sanitizer sees`() {
        for file in tree.sources where file.module != "Octets" && file.module != "portico-echo" {
            for (number, line) in file.code.lines.enumerated() where line.has("Mutex") {
                Issue.record("\(file.path):\(number + 1): write Lock")
            }
        }
    }

    /// A wait for a fixed time is too short on a slow machine and too long on every other.
    @Test func `tests wait for a condition and accept connections in one place each`() {
        let places = [
            "time.sleep(": ["Tests/Gateway/peers/waiting.py", "Tests/Benchmarks/measure/machine.py"],
            // The sink is a process of its own, which the benchmark starts.
            ".accept()": ["Tests/Gateway/peers/listening.py", "Tests/Benchmarks/measure/sink.py"],
        ]
        for file in tree.files where file.path.hasPrefix("Tests/") && file.path.hasSuffix(".py") {
            for (number, line) in file.lines.enumerated() {
                for (word, allowed) in places where line.has(word) && !allowed.contains(file.path) {
                    Issue.record("\(file.path):\(number + 1): \(word) belongs in \(allowed[0])")
                }
            }
        }
    }

    @Test func `no private key is committed`() {
        for file in tree.files {
            for (number, line) in file.lines.enumerated()
            where line.has("-----BEGIN ") && line.has("PRIVATE" + " KEY-----") {
                Issue.record("\(file.path):\(number + 1): a private key")
            }
        }
    }

    @Test func `each source is a public document, or a heading of ours`() {
        for file in tree.swift where file.path != "Tests/Tidy/TidyTests.swift" {
            let references = SourceReferences(file.lines)
            for reference in references.unknown {
                Issue.record("\(file.path):\(reference.line): nobody can look up \(reference.text)")
            }
            for reference in references.headings where !isHeading(reference.text) {
                Issue.record("\(file.path):\(reference.line): there is no heading \(reference.text)")
            }
        }
    }

    @Test func `no document of another project is cited by its name alone`() {
        let names = ["istio-" + "api", "gateway-" + "behaviour"]
        for file in tree.files {
            for name in names where file.text.has(name) { Issue.record("\(file.path) names \(name)") }
        }
    }

    @Test func `95 % of the types and of the functions that other files use, and each number, have a comment`() {
        let found = Documentation.finishedModules.sorted().flatMap { module in
            let files = tree.sources.filter { $0.module == module }
            #expect(!files.isEmpty)
            return Documentation.findings(in: files)
        }
        let shares: [(Documentation.Group, Double)] = [
            (.types, Documentation.leastShare), (.functions, Documentation.leastShare), (.properties, 1),
        ]
        for (group, least) in shares {
            let all = found.filter { $0.group == group }
            let gaps = all.filter { !$0.isDocumented }
            if Double(all.count - gaps.count) >= least * Double(all.count) { continue }
            Issue.record("\(gaps.count) of \(all.count) \(group.rawValue) have no comment")
            for gap in gaps { Issue.record("\(gap.path):\(gap.line): no comment: \(gap.text)") }
        }
    }

    @Test func `no comment only repeats the words that it stands above`() {
        for file in tree.sources {
            for line in RepeatedComments.lines(of: file) {
                Issue.record("\(file.path):\(line): says no more than the name: say why, or nothing")
            }
        }
    }

    /// Who looks for a type finds its file; a file of extensions alone has the name of what they add.
    @Test func `a file that declares types has the name of one of them`() {
        for file in tree.sources {
            let types = file.topTypes
            let name = file.path.split(separator: "/").last?.dropLast(".swift".count) ?? ""
            #expect(types.isEmpty || types.contains(name), "\(file.path) declares \(types), and none of that name")
        }
    }

    @Test func `the types of a file are found, without those that others cannot use`() {
        let text = """
            import A
            @safe package final class One<T> {
                struct Inner {}
            }
            private struct Two {}
            extension Three {}
            indirect enum Four: Int { case one }
            typealias Five = Int
            """
        let file = SourceTree.File(path: "Sources/M/One.swift", text: text)
        #expect(file.topTypes == ["One", "Four", "Five"])
    }

    /// Source: docs/glossary.md, Running (number, index).
    @Test func `a number is a name, and no place in a list and no descriptor`() {
        for file in tree.sources where file.path != "Sources/Reactor/Descriptor.swift" {
            for (index, line) in file.code.lines.enumerated() where VagueNames.haveNumber(line) {
                Issue.record("\(file.path):\(index + 1): write index, or descriptor")
            }
        }
    }

    @Test func `constants say what they count`() {
        for file in tree.sources {
            for (index, line) in file.code.lines.enumerated() where VagueNames.haveConstant(line) {
                Issue.record("\(file.path):\(index + 1): what is it a count of?")
            }
        }
    }

    @Test func `retired words stay retired`() {
        for file in tree.sources where Documentation.finishedModules.contains(file.module) {
            for retired in RetiredWord.all where !retired.exceptIn.contains(file.module) {
                for number in retired.lines(of: file) {
                    Issue.record("\(file.path):\(number): \(retired.word): \(retired.why); write \(retired.instead)")
                }
            }
        }
    }

    /// `docs/NAME.md, Heading`
    private func isHeading(_ reference: String) -> Bool {
        guard let comma = reference.firstIndex(of: ",") else { return false }
        let heading = reference[comma...].dropFirst(2)
        let document = tree.files.first { $0.path == reference[..<comma] }
        return document?.lines.contains { $0.hasPrefix("#") && $0.drop { $0 == "#" }.dropFirst() == heading } ?? false
    }

    @Test(arguments: documents) func `each document of the house is there`(path: String) {
        #expect(tree.files.contains { $0.path == path && $0.lines.count > 5 })
    }

    private static func isCode(_ path: String) -> Bool {
        [".swift", ".py", ".h", ".cpp"].contains { path.hasSuffix($0) }
    }
}

/// The checks themselves, on text made for them.
@Suite struct `The tidy checks` {
    @Test(arguments: [
        ("let a = 1 // try!", "let a = 1        "), ("a /* x /* y */ z */ b", "a                   b"),
        (##"f("}")"##, "f(   )"), (##"f("\(g("x")) }") }"##, "f(             ) }"),
        (###"f(#"a"b"#)"###, "f(       )"), ("func `try! {`()", "func         ()"),
    ])
    func `see code only`(text: String, left: String) {
        #expect(SwiftText(text).lines.joined(separator: "\n") == left)
    }

    @Test(arguments: [
        ("for (number, rule) in rules.enumerated() {", true), ("func close(_ number: CInt) {", true),
        ("let number: CInt", true), ("for (index, rule) in rules.enumerated() {", false),
        ("for (number, call) in calls {", false), ("func call(_ number: CallNumber) {", false),
    ])
    func `find numbers that are something else`(line: String, isFound: Bool) {
        #expect(VagueNames.haveNumber(line[...]) == isFound)
    }

    @Test(arguments: [
        ("    private static let few = 16", true), ("    static let batch: Int = 2", true),
        ("    static let fewest = 1", false), ("    let few = 3", false), ("    static let linearHosts = 64", false),
    ])
    func `find constants that do not say what they count`(line: String, isFound: Bool) {
        #expect(VagueNames.haveConstant(line[...]) == isFound)
    }

    @Test(arguments: [
        ("x = Int32(count)", true), ("UInt16(a.b)", true), ("f(UInt8(value))", true), ("Int32(clamping: x)", false),
        ("UInt8(truncatingIfNeeded: x)", false), ("UInt16(exactly: x)", false), ("UInt16(0x0d0a)", false),
        ("UInt8(ascii: x)", false), ("UInt16(", false), ("load(as: UInt8.self)", false), ("MyInt32(x)", false),
        ("Int64(x)", false), ("UInt32(Int32.max)", false), ("CInt(octets.count)", true), ("CInt(SSL_AD_X)", false),
        ("CInt(SSL_count)", true), ("UInt16(text, radix: 10)", false), ("UInt16(text) ?? (1, radix: 10)", true),
    ])
    func `find conversions that can trap`(line: String, isFound: Bool) {
        #expect(NarrowedNumbers.areIn(line[...]) == isFound)
    }

    @Test(arguments: [
        ("RFC 9113 §8.3 (pseudo-header fields), RFC 9110 §5", true), ("RFC 7541 §2.3.2, §4", true),
        ("CVE-2023-44487, CVE-2025-8671", true), ("Istio `DestinationRule.trafficPolicy`", true),
        ("Istio `Headers`, `CorsPolicy`", true), ("Kubernetes `Service`", true), ("core(5)", true),
        ("grpc/grpc doc/PROTOCOL-HTTP2.md, Requests", true), ("https://protobuf.dev", true),
        ("RFC nine", false), ("Istio `Nothing`", false), ("Istio", false), ("Envoy's guide", false),
        ("notes.md §2", false), ("", false),
    ])
    func `know public documents`(text: String, isPublic: Bool) {
        #expect(SourceReferences.isPublic(text) == isPublic)
    }

    @Test(arguments: [
        ("    package let count: Int", Documentation.Declaration(kind: "let", name: "count", isOpen: true)),
        ("@inlinable @inline(__always) package init(", .init(kind: "init", name: "init", isOpen: true)),
        ("    mutating func add<T>(_ x: T) {", .init(kind: "func", name: "add", isOpen: false)),
        ("package private(set) var x = 0", .init(kind: "var", name: "x", isOpen: true)),
        ("@available(*, unavailable) package struct S {", .init(kind: "struct", name: "S", isOpen: true)),
        ("    private func f() {", nil), ("    static func == (left: S, right: S)", nil),
        ("    init(x)", .init(kind: "init", name: "init", isOpen: false)),
        ("    let x = y", .init(kind: "let", name: "x", isOpen: false)), ("    return f()", nil), ("", nil),
    ])
    func `know declarations`(line: String, declaration: Documentation.Declaration?) {
        #expect(Documentation.declaration(in: line[...]) == declaration)
    }

    @Test func `find what has no comment`() {
        let one = SourceTree.File(
            path: "Sources/M/One.swift",
            text: """
                /// A type.
                package struct S {
                    package let x: Int    // octets
                    package let y: Int
                    func used() {}
                    func unused() {}
                    /// Documented.
                    @inlinable
                    func known() {}
                }
                """)
        let two = SourceTree.File(path: "Sources/M/Two.swift", text: "let z = S().used() + known()")
        #expect(Documentation.gaps(in: [one, two]).map(\.line) == [4, 5])
    }

    @Test func `ask for no comment of a property that is no number, nor of a count`() {
        let one = SourceTree.File(
            path: "Sources/M/One.swift",
            text: """
                /// A type.
                package struct S {
                    package let name: String
                    package var count: Int { 0 }
                    package var isReady = false
                    package var limit = 10
                    package var octets: [UInt8] = []
                    package var rate: Double?
                }
                """)
        #expect(Documentation.gaps(in: [one]).map(\.line) == [6, 8])
    }

    @Test(arguments: [
        ("/// The largest limits.", "let largestLimit: Int", [1]),
        ("/// The largest limit, in octets.", "let largestLimit: Int", []),
        ("/// `limit`", "let limit: Int", []), ("/// Ends it", "func end()", [1]),
        ("/// Whether the endpoint is closed.", "var isClosed: Bool", []),
        ("/// Closes the endpoint's connection,\n/// which", "func close(_ endpoint: Endpoint)", []),
    ])
    func `find comments that repeat the name`(comment: String, declaration: String, lines: [Int]) {
        let file = SourceTree.File(path: "Sources/M/One.swift", text: comment + "\n" + declaration)
        #expect(RepeatedComments.lines(of: file) == lines)
    }

    @Test func `leave initializers out that only set properties of the same names`() {
        let one = SourceTree.File(
            path: "Sources/M/One.swift",
            text: """
                /// A type.
                package struct S {
                    private let x: Int    // octets
                    private var y: Int
                    package init() {}
                    package init(
                        _ x: Int, of y: Int
                    ) {}
                    package init(x: Int, z: Int) {}
                }
                """)
        #expect(Documentation.gaps(in: [one]).map(\.line) == [9])
    }

    @Test func `find what other files use by its name`() {
        let one = SourceTree.File(
            path: "Sources/M/One.swift",
            text: """
                struct S {
                    let used = 1
                    let unused = 1
                    let common = 1    // Another type has one, too.
                    private(set) var shown = 1
                    func run() { let local = 1 }
                }
                private struct P { let hidden = 1 }
                """)
        let two = SourceTree.File(
            path: "Sources/M/Two.swift",
            text: """
                /// Used.
                struct T { let common = 1 }
                let z = S()
                func f() { z.used + z.shown + z.local + z.hidden + T().common }
                """)
        #expect(Documentation.gaps(in: [one, two]).map(\.line) == [1, 2, 5])
    }

    @Test(arguments: [
        ("let mostAttempts = 1", "attempt", true), ("// one attempt", "attempt", true), ("tempted()", "attempt", false),
        ("closedPrograms", "closed program", true), ("closed", "closed program", false), ("CODECS", "codec", true),
    ])
    func `find retired words`(line: String, word: String, isFound: Bool) {
        #expect(RetiredWord(word: word, why: "", instead: "").isIn(line[...]) == isFound)
    }

    @Test func `read a reference over several lines`() {
        let text = """
            /// Text. Source: RFC 9110 §5; docs/a.md,
            /// Some heading; notes. More text.
            let source = "Source: x"    // Source: y
            """
        let found = SourceReferences(text.split(separator: "\n"))
        #expect(found.headings == [.init(line: 1, text: "docs/a.md, Some heading")])
        #expect(found.unknown == [.init(line: 1, text: "notes"), .init(line: 3, text: "y")])
    }

    @Test func `measure each body`() {
        let text = """
            protocol P { func a(); init(x: Int)
                func b() }
            struct S: P {
                init(x: Int = { 1 }()) {
                    self.init()
                }
                func a() -> [Int] where X: Y {
                    if x { y() }
                    "}"
                }
            }
            """
        let functions = FunctionSizes(SwiftText(text)).functions
        #expect(
            functions == [.init(line: 4, lineCount: 3, nesting: 0), .init(line: 7, lineCount: 4, nesting: 1)])
    }

    @Test func `counts the statements around a statement, and no closures`() {
        let text = """
            func a() {
                for x in y where z.contains(where: { $0 }) {
                    guard x else { return }
                    b.map { x in
                        if x.do { self.if() } else { c() }
                    }
                }
                switch x { case .for: do { try d() } catch { if e { while f { g() } } } }
            }
            """
        #expect(FunctionSizes(SwiftText(text)).functions == [.init(line: 1, lineCount: 9, nesting: 4)])
    }
}
