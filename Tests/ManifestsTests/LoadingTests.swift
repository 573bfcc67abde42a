import Glibc
import Manifests
import Testing

/// A folder that goes away with the test.
private final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/portico-manifests-XXXXXX".utf8CString)
        unsafe template.withUnsafeMutableBufferPointer { _ = unsafe mkdtemp($0.baseAddress!) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { remove(path) }

    private func remove(_ path: String) {
        for name in Self.names(path) {
            let child = path + "/" + name
            if unsafe unlink(child) != 0 { remove(child) }
        }
        unsafe rmdir(path)
    }

    private static func names(_ folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    func add(_ name: String, _ text: String) { _ = Fixtures.write(text, to: path + "/" + name) }
    func makeFolder(_ name: String) { _ = unsafe mkdir(path + "/" + name, 0o755) }
    func link(_ name: String, to target: String) { _ = unsafe symlink(target, path + "/" + name) }
}

private func service(_ name: String) -> String {
    "apiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec: {ports: [{port: 80}]}\n"
}

@Suite struct `Loading` {
    @Test func `goes through folders in sorted order and leaves other files alone`() {
        let folder = Folder()
        folder.add("b.yml", service("b"))
        folder.add("a.yaml", service("a"))
        folder.makeFolder("a2")
        folder.add(
            "a2/z.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Service\", "
                + "\"metadata\": {\"name\": \"z\"}, \"spec\": {\"ports\": [{\"port\": 80}]}}")
        folder.add("readme.md", "not: [yaml")
        folder.add(".hidden.yaml", "not: [yaml")
        let set = ManifestReader.load(paths: [folder.path])
        #expect(set.inventory.services.map(\.meta.name) == ["a", "z", "b"])
        #expect(set.diagnostics.text == "")
        #expect(set.sources == ["/a.yaml", "/a2/z.json", "/b.yml"].map { folder.path + $0 })
    }

    @Test func `reads a mounted ConfigMap once, through its links`() {
        let folder = Folder()
        folder.makeFolder("..2024_01_01")
        folder.add("..2024_01_01/a.yaml", service("a"))
        folder.link("..data", to: "..2024_01_01")
        folder.link("a.yaml", to: "..data/a.yaml")
        folder.link("loop", to: ".")
        folder.link("same.yaml", to: "a.yaml")
        let set = ManifestReader.load(paths: [folder.path, folder.path + "/a.yaml", folder.path])
        #expect(set.sources == [folder.path + "/a.yaml"])
        #expect(set.inventory.services.count == 1)
        #expect(set.diagnostics.filter { $0.severity == .error }.text == "")
    }

    @Test func `says what to do about a path that cannot be read`() throws {
        let folder = Folder()
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
        let folder = Folder()
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

    @Test func `gives up on a file of faults only`() {
        let set = load(String(repeating: "a: [\n---\n", count: 1000) + service("never"))
        #expect(set.inventory.services.isEmpty)
        #expect(set.diagnostics.count < 20)
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
              - {port: {number: 9000, name: c, protocol: TCP}, hosts: ["*"]}
            """)
        let servers = try #require(set.inventory.gateways.first).servers
        #expect(servers.map(\.port.name) == ["a", "c"])
        #expect(servers.map { $0.closings.map(\.name) } == [[], ["port.protocol: TCP"]])
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
        #expect(data?["tls.crt"]?.value == Array("hi".utf8))
        #expect(data?["tls.key"]?.value == Array("new".utf8))
        #expect(data?["tls.crt"]?.path == "data[\"tls.crt\"]")
    }
}
