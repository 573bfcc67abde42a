import Kubernetes
import Manifests
import Octets
import Reactor
import Routing
import Support
import Synchronization
import Telemetry
import Testing

@testable import Control

@Suite struct `What a load says of objects` {
    private static let author = StatusAuthor(namespace: "default", name: "portico")

    /// A load of a cluster's objects.
    private func verdicts(_ yaml: String, files: String = "") throws -> [String: StatusVerdict] {
        let folder = TemporaryFolder()
        folder.write("files.yaml", files)
        let plan = StatusWriter.Plan(namespace: "default", name: "portico", identity: "a", rate: 10)
        let writer = try StatusWriter(plan) { _, _ in }
        defer { writer.stop() }
        let source = ClusterSource(defaultNamespace: "default", statusWriter: writer)
        source.receive(ClusterWorld.lists(yaml))
        var options = ControlOptions()
        options.paths = files.isEmpty ? [] : [folder.path + "/files.yaml"]
        options.compile.labels = ["istio": "ingressgateway"]
        let metrics = Metrics(version: "test", logWriter: try LogWriter())
        let loaded = Loader(options: options, metrics: metrics, source: source).load().loaded
        var found: [String: StatusVerdict] = [:]
        for finding in StatusVerdict.all(of: loaded, loaded.diagnostics) { found[finding.object.name] = finding }
        return found
    }

    private func gateway(_ name: String = "edge", label: String = "ingressgateway", rest: String = "") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: \(name), namespace: default, generation: 4}
        spec:
          selector: {istio: \(label)}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
          \(rest)

        """
    }

    private func routes(_ name: String, gateways: String = "edge", host: String = "a", rest: String = "") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: \(name), namespace: default, generation: 2}
        spec:
          gateways: [\(gateways)]
          hosts: ["\(name).test"]
          http:
          - route: [{destination: {host: \(host)}}]
          \(rest)

        """
    }

    private let service = """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: a, namespace: default}
        spec: {ports: [{name: http, port: 80}]}

        """

    @Test func `tells the objects that concern this gateway from others`() throws {
        let found = try verdicts(
            gateway() + gateway("other", label: "another") + routes("mine") + routes("others", gateways: "other")
                + routes("inside", gateways: "mesh") + routes("lost", gateways: "missing") + service)
        let wanted = found.values.filter(\.isWanted).map(\.object.name).sorted()
        #expect(wanted == ["edge", "lost", "mine"])
        #expect(found["mine"]?.own.reason.hasPrefix("InEffect") == true && found["mine"]?.own.generation == 2)
        #expect(found["edge"]?.own.status == "True" && found["edge"]?.own.generation == 4)
        #expect(found["a"] == nil, "a Service has no status of this kind")
    }

    @Test func `tells errors, objects without effect and those of files apart`() throws {
        let found = try verdicts(
            gateway() + routes("partly", host: "nobody") + routes("none", rest: "hosts: 7") + routes("file") + service,
            files: routes("file"))
        #expect(found["partly"]?.own.reason == "PartlyInEffect")
        #expect(found["partly"]?.own.message.contains("spec.http[0].route[0]") == true)
        #expect(found["none"]?.own.reason == "NotInEffect" && found["none"]?.isWanted == true)
        #expect(found["file"]?.own.reason == "DefinedInAFile" && found["file"]?.own.status == "False")
        #expect(found["partly"]?.own.messages.map(\.level) == ["ERROR"])
    }

    private func delegate(_ name: String, host: String = "a", more: String = "") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: \(name), namespace: default, generation: 3}
        spec: {\(more)http: [{match: [{uri: {prefix: /\(name)/}}], route: [{destination: {host: \(host)}}]}]}

        """
    }

    private func parent(_ name: String, of delegate: String, gateways: String = "edge", space: String = "default")
        -> String
    {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: \(name), namespace: \(space), generation: 2}
        spec:
          gateways: [\(gateways)]
          hosts: ["\(name).test"]
          http: [{delegate: {name: \(delegate), namespace: default}}]

        """
    }

    @Test func `says through whom a delegate is served`() throws {
        let found = try verdicts(
            gateway() + gateway("other", label: "another") + delegate("used") + delegate("partly", host: "nobody")
                + delegate("lonely") + delegate("foreign") + delegate("kept", more: "exportTo: [default], ")
                + delegate("own", more: "exportTo: [default], ")
                + parent("one", of: "used") + parent("two", of: "used") + parent("three", of: "partly")
                + parent("four", of: "foreign", gateways: "other")
                + parent("five", of: "kept", gateways: "default/edge", space: "app")
                + parent("six", of: "own", gateways: "default/edge", space: "app") + parent("seven", of: "own")
                + service)
        func own(_ name: String) throws -> OwnStatus { try #require(found[name]?.own) }
        #expect(try own("used").reason.hasPrefix("InEffect"))
        #expect(try own("used").status == "True")
        #expect(try own("used").message.contains("Its rules are served through default/one, default/two."))
        #expect(try own("partly").reason == "PartlyInEffect")
        #expect(try own("partly").message.contains("through default/three.\nspec.http[0].route[0]"))
        #expect(try own("lonely").reason == "NotNamed")
        #expect(try own("lonely").status == "False")
        #expect(try own("kept").reason == "NotExported")
        #expect(try own("kept").message.contains("It is not exported to the namespace of app/five."))
        let both = try own("own").message
        #expect(both.contains("through default/seven.\nIt is not exported to the namespace of app/six."))
        let wanted = found.values.filter { $0.isWanted && $0.own.generation == 3 }.map(\.object.name).sorted()
        #expect(wanted == ["kept", "lonely", "own", "partly", "used"])
    }

    @Test func `says of a delegate with an error that it is not in effect`() throws {
        let found = try verdicts(
            gateway() + delegate("bad", more: "exportTo: 7, ") + parent("one", of: "bad") + service)
        #expect(found["bad"]?.own.reason == "NotInEffect" && found["bad"]?.isWanted == true)
        #expect(found["one"]?.own.status == "False")
    }

    @Test func `says of many problems some and how many there are`() throws {
        let rules = (0..<60).map { "- {match: [{uri: {exact: /\($0)}}], route: [{destination: {host: n\($0)}}]}" }
        let found = try verdicts(gateway() + routes("many", host: "nobody", rest: rules.joined(separator: "\n  ")))
        let own = try #require(found["many"]?.own)
        #expect(own.message.unicodeScalars.count <= 2_000)
        #expect(own.message.split(separator: "\n").count == 7)
        #expect(own.message.hasSuffix("There are 56 more."), "\(own.message)")
        #expect(own.messages.count <= 20)
    }

    @Test(arguments: [(64, false), (65, true)])
    func `sees an object with too many messages of others as crowded`(count: Int, isCrowded: Bool) {
        let messages = (0..<count).map { #"{"type":{"name":"n\#($0)"}}"# }.joined(separator: ",")
        let text = #"{"metadata":{"name":"a"},"status":{"validationMessages":[\#(messages)]}}"#
        let sight = ObservedObject.look(kind: "Gateway", Array(text.utf8), author: Self.author)
        if case .crowded = sight { #expect(isCrowded) } else { #expect(!isCrowded) }
    }

    @Test func `sees nothing in kinds whose status is not written, and in what is no object`() {
        for (kind, text) in [("Service", #"{"metadata":{"name":"a"}}"#), ("Gateway", "{"), ("Gateway", "{}")] {
            let sight = ObservedObject.look(kind: kind, Array(text.utf8), author: Self.author)
            if case .nothing = sight {} else { Issue.record("\(kind) \(text): \(sight)") }
        }
    }

    @Test func `leaves an object alone whose status is too large`() throws {
        for (count, isRead) in [(64, true), (65, false)] {
            let conditions = (0..<count).map { #"{"type":"t\#($0)"}"# }.joined(separator: ",")
            let text = #"{"metadata":{"name":"a"},"status":{"conditions":[\#(conditions)]}}"#
            let object = ObservedObject(kind: "Gateway", Array(text.utf8), author: Self.author)
            #expect((object != nil) == isRead)
            let reached = Lock<[ReachedLimit]>([])
            let plan = StatusWriter.Plan(namespace: "edge", name: "gw", identity: "one", rate: 10)
            let source = ClusterSource(
                defaultNamespace: "edge", statusWriter: try StatusWriter(plan, say: { _, _ in }))
            source.count { limit in reached.withLock { $0.append(limit) } }
            source.receive([.changed(.gateways, Array(text.utf8))])
            #expect(reached.withLock { $0 } == (isRead ? [] : [.statusOthers]))
        }
    }
}
