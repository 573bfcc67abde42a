import Octets
import Reactor
import Support
import Testing

@testable import Manifests

private func service(_ name: String) -> String {
    "apiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec: {ports: [{port: 80}]}\n"
}

@Suite struct `Loading` {
    @Test func `goes through folders in sorted order and leaves other files alone`() {
        let folder = TemporaryFolder()
        folder.write("b.yml", service("b"))
        folder.write("a.yaml", service("a"))
        folder.makeFolder("a2")
        folder.write(
            "a2/z.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Service\", "
                + "\"metadata\": {\"name\": \"z\"}, \"spec\": {\"ports\": [{\"port\": 80}]}}")
        folder.write("readme.md", "not: [yaml")
        folder.write(".hidden.yaml", "not: [yaml")
        let set = ManifestReader.load(paths: [folder.path])
        #expect(set.inventory.services.map(\.meta.name) == ["a", "z", "b"])
        #expect(set.diagnostics.text == "")
        #expect(set.sources == ["/a.yaml", "/a2/z.json", "/b.yml"].map { folder.path + $0 })
    }

    @Test func `reads a mounted ConfigMap once, through its links`() {
        let folder = TemporaryFolder()
        folder.makeFolder("..2024_01_01")
        folder.write("..2024_01_01/a.yaml", service("a"))
        folder.link("..data", to: "..2024_01_01")
        folder.link("a.yaml", to: "..data/a.yaml")
        folder.link("loop", to: ".")
        folder.link("same.yaml", to: "a.yaml")
        let set = ManifestReader.load(paths: [folder.path, folder.path + "/a.yaml", folder.path])
        #expect(set.sources == [folder.path + "/a.yaml"])
        #expect(set.inventory.services.count == 1)
        #expect(set.diagnostics.filter { $0.severity == .error }.text == "")
    }

    @Test func `says of files of Helm and kustomize what they are, and reads none`() {
        let folder = TemporaryFolder()
        folder.write("a.yaml", service("a"))
        folder.write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")
        folder.write("kustomization.yaml", "resources: [a.yaml]\n---\nresources: []\n")
        folder.write("values.yaml", "kind: Deployment\nhost: a.com\n")
        folder.write("values-prod.yaml", service("of-that-name"))
        let set = ManifestReader.load(paths: [folder.path])
        #expect(set.inventory.services.map(\.meta.name) == ["a", "of-that-name"])
        #expect(set.diagnostics.map(\.code) == ["no-objects", "no-objects", "no-objects"])
        #expect(set.diagnostics.allSatisfy { $0.severity == .note })
        #expect(set.diagnostics.map { $0.hint?.contains("helm template") } == [true, false, true])
        // Who names the file wants it read.
        let named = ManifestReader.load(paths: [folder.path + "/values.yaml"])
        #expect(named.diagnostics.map(\.code) == ["missing-field"])
        #expect(named.diagnostics.first?.hint?.contains("helm template") == true)
    }

    @Test func `reads UTF-16`() {
        for isLittle in [true, false] {
            let units = ("\u{FEFF}" + service("a")).utf16.flatMap { unit in
                let octets = [UInt8(unit >> 8), UInt8(unit & 0xFF)]
                return isLittle ? octets.reversed() : octets
            }
            let set = ManifestReader.load(sources: [("a.yaml", units)])
            #expect(set.inventory.services.map(\.meta.name) == ["a"])
            #expect(set.diagnostics.text == "")
        }
    }

    @Test func `stops at a limit of files and folders, which a link to the root would lead to`() {
        let folder = TemporaryFolder()
        folder.makeFolder("all")
        for number in 0..<20 { folder.write("all/\(number).yaml", service("s\(number)")) }
        folder.link("link", to: "all")
        var (files, problems): ([String], [String]) = ([], [])
        var finder = FileFinder(maximumEntries: 10) { found in
            switch found {
            case .file(let name, _, _): files.append(name.text)
            case .unreadable(_, let message, _): problems.append(message)
            case .emptyFolder: break
            }
        }
        finder.find(folder.path)
        #expect(files.count == 9)    // the folder itself is one of the ten
        #expect(problems == ["more than 10 files and folders in all"])
    }

    @Test func `reads folders 32 deep, and reports one that is deeper`() {
        let folder = TemporaryFolder()
        // The folder itself is the first.
        let deep = (2...FileFinder.maximumDepth).map { "f\($0)" }.joined(separator: "/")
        #expect(folder.run("mkdir -p '\(deep)/more'"))
        folder.write("\(deep)/a.yaml", service("a"))
        folder.write("\(deep)/more/b.yaml", service("b"))
        let set = ManifestReader.load(paths: [folder.path])
        #expect(set.inventory.services.map(\.meta.name) == ["a"])
        #expect(set.hasErrors && set.diagnostics.text.contains("more than 32 folders deep"), "\(set.diagnostics.text)")
        #expect(folder.run("rm -r '\(deep)/more'"))
        #expect(!ManifestReader.load(paths: [folder.path]).hasErrors)
    }

    @Test func `refuses a file of more than 64 MiB`() {
        let folder = TemporaryFolder()
        let name = folder.write("large.yaml", service("a"))
        folder.write("small.yaml", service("b"))
        #expect(folder.run("truncate -s \(FileFinder.maximumOctets + 1) '\(name)'"))
        let set = ManifestReader.load(paths: [folder.path])
        #expect(set.inventory.services.map(\.meta.name) == ["b"])
        #expect(set.diagnostics.filter { $0.severity == .error }.count == 1)
    }

    @Test func `refuses a body of more than 1 MiB`() {
        let codes = [(100 << 10) + 1, 1 << 20, (1 << 20) + 1].map { count in
            let set = load(
                """
                apiVersion: networking.istio.io/v1
                kind: VirtualService
                metadata: {name: vs}
                spec:
                  hosts: [a]
                  http: [{directResponse: {status: 200, body: {string: \(String(repeating: "a", count: count))}}}]
                """)
            return set.diagnostics.first { $0.code == "too-large" }?.severity
        }
        #expect(codes == [.warning, .warning, .error])
    }

    @Test func `refuses a list that no cluster could hold`() {
        let hosts = String(repeating: "a.com,", count: 100_001)
        let text = """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs}
            spec: {hosts: [\(hosts)], http: [{route: [{destination: {host: a}}]}]}
            """
        let set = load(text)
        #expect(set.diagnostics.map(\.code) == ["too-many-entries"])
        #expect(set.inventory.virtualServices.isEmpty)
    }

    @Test(arguments: [4096, 4097]) func `takes 4,096 ports of a policy`(count: Int) {
        let settings = (1...count).map { "{port: {number: \($0)}, loadBalancer: {simple: RANDOM}}" }
        let set = load(
            """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: dr}
            spec: {host: a, trafficPolicy: {portLevelSettings: [\(settings.joined(separator: ", "))]}}
            """)
        let isTooMany = set.diagnostics.contains { $0.code == "too-many-entries" }
        #expect(isTooMany == (count > 4096))
    }

    @Test func `says what to do about a path that cannot be read`() throws {
        let folder = TemporaryFolder()
        folder.link("gone.yaml", to: "nowhere")
        let set = ManifestReader.load(paths: [folder.path, "/nonexistent/x.yaml"])
        #expect(set.couldNotRead)
        #expect(set.diagnostics.map(\.code) == ["could-not-read", "could-not-read"])
        #expect(set.brokenFiles.contains("/nonexistent/x.yaml"))
        #expect(
            try #require(set.diagnostics.last).description
                == "/nonexistent/x.yaml:1:1: error: there is no such file or folder; "
                + "check the path, and the folder that it starts from")
    }

    @Test func `warns of a folder without definitions`() {
        let folder = TemporaryFolder()
        #expect(
            ManifestReader.load(paths: [folder.path]).diagnostics.map(\.code) == ["empty-folder"])
    }

    @Test(arguments: ["a: [", "a: {\nb: 'x", "a: \"x", "- b\nc", "a:\n\t- b", "*a"])
    func `keeps the documents around a syntax error`(fault: String) throws {
        let set = load(service("a") + "---\n" + service("b") + "---\n\(fault)\n---\n" + service("c"))
        #expect(set.inventory.services.map(\.meta.name) == ["a", "b", "c"])
        let last = try #require(set.inventory.services.last)
        #expect(last.meta.place.line == 12 + fault.split(separator: "\n").count)
        #expect(set.brokenFiles == ["input.yaml"])
        #expect(set.diagnostics.count == 1)
    }

    @Test(arguments: [
        ("kind: Gateway\nmetadata:\n  name: edge # x\n  namespace: 'ns'\n", "Gateway ns/edge"),
        ("kind: \"Gateway\"\r\nmetadata: {labels: 5, name: edge}\r\n", "Gateway default/edge"),
        ("metadata:\n  annotations:\n    name: no\n  name: edge\nkind: Gateway\n", "Gateway default/edge"),
        ("kind: Gateway\nmetadata:\n  name: {{ x }}\n", ""), ("kind: Gateway\nspec:\n  name: x\n", ""), ("a: b\n", ""),
    ])
    func `guesses who a broken document was to be`(head: String, who: String) {
        for fault in ["spec: [\n", "spec:\n  hosts: [*.a.com]\n"] {
            let set = load(service("a") + "---\n" + head + fault + "---\n" + service("b"))
            #expect(set.rejected.map(\.description) == (who.isEmpty ? [] : [who]))
            #expect(set.inventory.services.map(\.meta.name) == (head.contains("{{") ? ["a"] : ["a", "b"]))
        }
    }

    @Test func `gives up on a file of faults only`() {
        let set = load(String(repeating: "a: [\n---\n", count: 1000) + service("never"))
        #expect(set.inventory.services.isEmpty)
        #expect(set.diagnostics.count < 20)
    }

    @Test(arguments: [(3, 0), (4, 1)]) func `reads a limited number of JSON objects`(count: Int, errors: Int) {
        let objects = (0..<count).map { number in
            #"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s\#(number)"}, "#
                + #""spec": {"ports": [{"port": 80}]}}"#
        }
        let text = Array(objects.joined(separator: " ").utf8)
        let set = ManifestReader.load(sources: [("a.json", text[...])], jsonObjects: 3)
        #expect(set.inventory.services.map(\.meta.name) == ["s0", "s1", "s2"])
        #expect(set.diagnostics.count { $0.severity == .error } == errors)
    }

    @Test func `keeps what stands before a last fault`() {
        let set = load(service("a") + "---\n" + service("b") + "---\na: [\n")
        #expect(set.inventory.services.map(\.meta.name) == ["a", "b"])
        #expect(set.brokenFiles == ["input.yaml"])
        #expect(set.diagnostics.map(\.code) == ["syntax"])
    }

    @Test func `gives objects the default namespace`() {
        let set = ManifestReader.load(
            sources: [("a", Array(service("a").utf8))], defaultNamespace: "edge")
        #expect(set.inventory.services.map(\.meta.namespace) == ["edge"])
    }

    @Test func `keeps the first of two equal objects`() throws {
        let set = ManifestReader.load(sources: [
            ("a", Array(service("x").utf8)), ("b", Array(service("x").utf8)),
        ])
        #expect(set.inventory.services.count == 1)
        let problem = try #require(set.diagnostics.first)
        #expect(problem.code == "duplicate-object")
        #expect(problem.place.file == "b")
        #expect(problem.related.first?.place.file == "a")
        #expect(set.rejected.isEmpty)
    }

    @Test func `checks the second of two equal objects too`() {
        let set = ManifestReader.load(sources: [
            ("a", Array(service("x").utf8)),
            ("b", Array(service("x").replacing("{ports:", with: "{type: 5, novelty: 1, ports:").utf8)),
        ])
        #expect(set.diagnostics.map(\.code) == ["duplicate-object", "wrong-type", "unknown-field"])
        #expect(set.diagnostics.allSatisfy { $0.place.file == "b" })
        #expect(set.inventory.services.map(\.meta.place.file) == ["a"])
        #expect(set.rejected.isEmpty && set.impaired.isEmpty)
    }
}

@Suite struct `An error` {
    @Test func `in a rule breaks that rule and keeps its conditions`() throws {
        let set = load(
            """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: x}
            spec:
              hosts: [a.com]
              http:
              - match: [{uri: {prefix: /a}}, {uri: {prefx: /b}}]
                timeout: 5
                route: [{destination: {host: a}}]
              - route: [{destination: {host: b}}]
            """)
        let rules = try #require(set.inventory.virtualServices.first).http
        #expect(rules.map(\.isBroken) == [true, false])
        #expect(rules.map(\.matches.count) == [2, 0])
        #expect(rules[0].matches.map(\.isFaulty) == [false, true])
        #expect(set.rejected.isEmpty)
        #expect(set.impaired.map(\.name) == ["x"])
    }

    @Test func `in a server takes out that server`() throws {
        let set = load(
            """
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: x}
            spec:
              servers:
              - {port: {number: 80, name: a, protocol: HTTP}, hosts: ["*"]}
              - {port: {number: 443, name: b, protocol: HTTPS}, hosts: ["*"]}
              - {port: {number: 9000, name: c, protocol: UDP}, hosts: ["*"]}
            """)
        let servers = try #require(set.inventory.gateways.first).servers
        #expect(servers.map(\.port.name) == ["a", "c"])
        #expect(servers.map { $0.closings.map(\.name) } == [[], ["port.protocol: UDP"]])
        #expect(set.impaired.count == 1)
    }

    @Test func `elsewhere takes out the object and names it`() {
        let set = load(
            """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: x, namespace: app}
            spec: {host: a, subset: []}
            ---
            \(service("good"))
            """)
        #expect(set.inventory.destinationRules.isEmpty)
        #expect(set.inventory.services.count == 1)
        #expect(
            set.rejected == [ObjectReference(kind: "DestinationRule", namespace: "app", name: "x")])
    }

    @Test func `of an unknown field of a Service leaves the Service in use`() {
        let set = load(service("a").replacing("{ports:", with: "{novelty: 1, ports:"))
        #expect(set.diagnostics.map(\.code) == ["unknown-field"])
        #expect(set.inventory.services.count == 1)
    }

    @Test func `is written as JSON with null for what is absent`() {
        let set = load("a: \"\\\"\\u0001\"\n---\n\(service("a"))---\n\(service("a"))")
        #expect(
            set.diagnostics.json.hasPrefix(
                """
                [{"code": "missing-field", "severity": "error", "message": "`kind` is missing", \
                "hint": "every object has `apiVersion` and `kind`", "file": "input.yaml", "line": 1, \
                "column": 1, "object": null, "path": "kind", "related": []}, \
                {"code": "duplicate-object", "severity": "error"
                """))
        #expect(
            set.diagnostics.json.hasSuffix(
                """
                "object": {"kind": "Service", "namespace": "default", "name": "a"}, "path": null, \
                "related": [{"file": "input.yaml", "line": 3, "column": 1, \
                "message": "first defined here"}]}]

                """))
    }
}

@Suite struct `A file of many faults` {
    /// Each was quadratic: these took minutes.
    @Test(arguments: [
        ("subsets: [", "{name: a, labels: {a: b}}, ", "DestinationRule"),
        (
            "trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [", "{name: #}, ",
            "DestinationRule"
        ),
    ])
    func `is read in a time that grows with its length`(start: String, entry: String, kind: String) {
        let opened = start.reduce(into: "") { closed, letter in
            if letter == "[" { closed = "]" + closed }
            if letter == "{" { closed = "}" + closed }
        }
        let head = "apiVersion: networking.istio.io/v1\nkind: \(kind)\nmetadata: {name: a}\nspec: {host: a, \(start)"
        expectLinear { count in
            let entries = (0..<count).map { entry.replacing("#", with: "a\($0)") }.joined()
            let text = head + entries + opened + "}"
            return { #expect(!load(text).diagnostics.isEmpty) }
        }
    }

    @Test func `may be a List of faulty objects`() {
        let item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: a, name: b}\n  spec: {}\n"
        expectLinear(from: 12_500) { count in
            let text = "apiVersion: v1\nkind: List\nitems:\n" + String(repeating: item, count: count)
            return { #expect(load(text).diagnostics.count == 10_001) }
        }
    }

    @Test func `may have unknown fields without number`() {
        expectLinear { count in
            let fields = (0..<count).map { "x\($0): 1" }.joined(separator: ", ")
            let text = service("a").replacing("{ports", with: "{\(fields), ports")
            return { #expect(load(text).diagnostics.count > 200) }
        }
    }

    /// Four times as much takes four times the processor time, or somewhat more; what is quadratic takes sixteen times.
    /// - Parameters:
    ///   - few: so many entries at first.
    ///   - work: what is done for so many, all of which is prepared before.
    private func expectLinear(from few: Int = 10_000, _ work: (_ count: Int) -> () -> Void) {
        func cost(_ count: Int) -> Duration {
            let work = work(count)
            let before = ProcessUsage.ofThread()
            work()
            return ProcessUsage.ofThread() - before
        }
        let (one, four) = (cost(few), cost(few * 4))
        #expect(four < one * 9, "\(few): \(one); four times as many: \(four)")
    }

    /// libyaml compares each directive with all before it: 100,000 took 14 seconds, 200,000 a minute.
    @Test(arguments: ["%TAG !a#! b\n", "%TAG !a#! b\r", "%TAG !a#! b\u{85}", "%YAML 1.1\n"])
    func `has few directives`(line: String) throws {
        let text = (0..<100_000).map { line.replacing("#", with: "\($0)") }.joined()
        for prefix in ["", "\u{FEFF}", "a: b\n...\n"] {
            let set = load(prefix + text)
            #expect(set.diagnostics.map(\.code) == ["too-many-directives"])
            #expect(set.brokenFiles == ["input.yaml"])
        }
        let units = ("\u{FEFF}" + text).utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        #expect(ManifestReader.load(sources: [("a", units)]).diagnostics.map(\.code) == ["too-many-directives"])
    }

    @Test func `has short directives`() {
        let long = "%TAG ! " + String(repeating: "x", count: 300) + "\n---\na: !b c\n"
        #expect(load(long).diagnostics.map(\.code) == ["too-many-directives"])
        let documents = String(repeating: "%YAML 1.1\n---\n" + service("a") + "...\n", count: 20)
        #expect(load(documents).inventory.services.count == 1)
        #expect(!load("a: b%\n%c: d\n").diagnostics.map(\.code).contains("too-many-directives"))
    }
}

@Suite struct `A report` {
    @Test func `stays on one line and cannot command a terminal`() {
        let set = load("apiVersion: v1\nkind: \"Service\\n\\e[31m\"\nmetadata: {name: x}\n")
        #expect(
            set.diagnostics.text
                == "input.yaml:1:1: note: Service\\n\\u{1B}[31m (v1): not read; a gateway needs nothing of it\n"
        )
    }

    @Test func `is short, however long the text in the file`() {
        let set = load(
            service("a").replacing(
                "{ports", with: "{type: \(String(repeating: "x", count: 100_000)), ports"))
        #expect(set.diagnostics.count == 1)
        #expect(set.diagnostics.text.utf8.count < 1000)
    }

    @Test func `is short, however many octets a character has in the file`() {
        let character = "x" + String(repeating: "\u{301}", count: 50_000)
        let set = load(service("a").replacing("{ports", with: "{type: \(character), ports"))
        #expect(set.diagnostics.count == 1)
        #expect(set.diagnostics.text.utf8.count < 3000)
    }

    @Test func `lists a limited number of problems of one file`() {
        let set = load(String(repeating: "a: b\n---\n", count: 12_000))
        #expect(set.diagnostics.count == 10_001)
    }

    @Test func `lists a limited number of problems of one object`() {
        let fields = (0..<5000).map { "x\($0): 1" }.joined(separator: ", ")
        let set = load(service("a").replacing("{ports", with: "{\(fields), ports"))
        #expect(set.diagnostics.count == 201)
        #expect(set.diagnostics.contains { $0.code == "too-many-problems" })
    }
}

@Suite struct `A Secret` {
    @Test func `keeps what is good beside a value that cannot be read`() throws {
        let set = load(
            """
            apiVersion: v1
            kind: Secret
            metadata: {name: x}
            data: {tls.crt: "a!", tls.key: aGV5}
            stringData: {pin: 12345678}
            """)
        let secret = try #require(set.inventory.secrets.first)
        #expect(secret.data.keys.sorted() == ["tls.key"])
        #expect(secret.damaged == ["tls.crt", "pin"])
        #expect(set.impaired.map(\.name) == ["x"])
        #expect(!set.diagnostics.text.contains("12345678"))
    }

    @Test func `is decoded, and stringData wins`() {
        let set = load(
            """
            apiVersion: v1
            kind: Secret
            metadata: {name: x}
            data: {tls.crt: aGk=, tls.key: aGV5, n: 1234}
            stringData: {tls.key: new}
            """)
        let data = set.inventory.secrets.first?.data
        #expect(set.diagnostics.text == "")
        #expect(data?["tls.crt"]?.value.withOctets(\.array) == Array("hi".utf8))
        #expect(data?["tls.key"]?.value.withOctets(\.array) == Array("new".utf8))
        #expect(data?["tls.crt"]?.path == "data[\"tls.crt\"]")
    }
}
