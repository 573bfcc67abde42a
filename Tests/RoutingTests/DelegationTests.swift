import Manifests
import Routing
import Testing

/// Source: docs/istio.md, Delegates. The numbers of cases are those of Istio's behaviour as it was observed.
@Suite struct `A rule that delegates` {
    private func delegate(
        _ http: String, name: String = "part", namespace: String = "app", more: String = ""
    ) -> String {
        World.virtualService(http, name: name, namespace: namespace, hosts: "[]", gateways: "", more: more)
    }

    private func root(_ http: String) -> String { World.virtualService(http) }

    private func reports(_ world: World) -> [String] {
        (world.decoded.diagnostics + world.plan.diagnostics).map { "\($0.severity) \($0.code)" }
    }

    private let a = World.to("a")
    private let b = World.to("b")

    @Test func `is replaced by the rules of its delegate, in place and in order`() {
        let world = World(
            root("[{match: [{uri: {prefix: /api}}], delegate: {name: part}}, {\(b)}]")
                + delegate("[{match: [{uri: {exact: /api/x}}], \(b)}, {\(a)}]"))
        #expect(world.answer(TestRequest("/api/x")) == "b")
        #expect(world.answer(TestRequest("/api/y")) == "a")
        #expect(world.answer(TestRequest("/")) == "b")
        #expect(reports(world) == [])
        let names = world.plan.routes.map(\.name)
        #expect(names == ["app/vs/0/app/part/0", "app/vs/0/app/part/1", "app/vs/1"])
    }

    // Case 64
    @Test func `drops a rule of the delegate that asks for more than it allows, with both places`() throws {
        let world = World(
            root("[{match: [{uri: {prefix: /api}}], delegate: {name: part}}]")
                + delegate("[{match: [{uri: {prefix: /api/x}}], \(a)}, {match: [{uri: {prefix: /other}}], \(b)}]"))
        #expect(world.answer(TestRequest("/api/x")) == "a")
        #expect(world.answer(TestRequest("/other")) == "404")
        let report = try #require(world.plan.diagnostics.first)
        #expect(reports(world) == ["warning delegate-conflict"])
        #expect(report.object?.name == "part" && report.related.count == 1)
        #expect(report.message.contains("VirtualService app/vs"))
    }

    // Case 65, 68
    @Test(arguments: [
        ("", "there is no VirtualService app/part"),
        ("[other]", "not exported to namespace app"),
    ])
    func `disappears when its delegate is missing or not visible to it`(exportTo: String, message: String) {
        let part = exportTo.isEmpty ? "" : delegate("[{\(a)}]", more: ", exportTo: \(exportTo)")
        let world = World(
            root("[{match: [{uri: {prefix: /api}}], delegate: {name: part}}, {match: [{uri: {prefix: /api/b}}], \(b)}]")
                + part)
        #expect(world.answer(TestRequest("/api/b")) == "b")
        #expect(world.answer(TestRequest("/api")) == "404")
        let report = world.plan.diagnostics.first { $0.code == "unknown-delegate" }
        #expect(report?.message.contains(message) == true && report?.severity == .error)
    }

    @Test(arguments: ["['*']", "[app]", "['.']"]) func `sees a delegate that is exported to it`(exportTo: String) {
        let world = World(root("[{delegate: {name: part}}]") + delegate("[{\(a)}]", more: ", exportTo: \(exportTo)"))
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(reports(world) == [])
    }

    @Test func `names no VirtualService that has hosts`() {
        let other = World.virtualService("[{\(a)}]", name: "part", hosts: "[b.com]")
        let world = World(root("[{delegate: {name: part}}]") + other)
        #expect(world.answer(TestRequest("/")) == "404")
        #expect(reports(world) == ["error unknown-delegate"])
    }

    @Test func `answers 503 when its delegate has an error, and not by a later rule`() {
        let broken = delegate("[{\(a)}]", more: ", gateways: [gwns/gw]")
        let world = World(root("[{match: [{uri: {prefix: /api}}], delegate: {name: part}}, {\(b)}]") + broken)
        #expect(world.answer(TestRequest("/api")) == "503")
        #expect(world.answer(TestRequest("/")) == "b")
        #expect(reports(world).contains("error unknown-delegate"))
    }

    // D3
    @Test func `reaches one level and no further`() {
        let world = World(
            root("[{delegate: {name: part}}]")
                + delegate("[{match: [{uri: {prefix: /x}}], delegate: {name: deep}}, {\(a)}]")
                + delegate("[{\(b)}]", name: "deep"))
        #expect(world.answer(TestRequest("/x")) == "503")
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(world.decoded.diagnostics.contains { $0.message.contains("a delegate names no other") })
    }

    // Case 67
    @Test func `has short host names that are of the delegate's namespace`() {
        let short = "route: [{destination: {host: web}}]"
        let world = World(
            root("[{delegate: {name: part, namespace: team}}]") + delegate("[{\(short)}]", namespace: "team"),
            services: World.services
                + World.service("web", "10.0.0.3").replacing("namespace: app", with: "namespace: team"))
        #expect(world.plan.clusters.map(\.host) == ["web.team.svc.cluster.local"])
        #expect(world.answer(TestRequest("/")) == "web")
    }

    // Case 66, D8
    @Test func `lends what the delegate's rule does not say, each field as a whole`() {
        let world = World(
            root("[{timeout: 5s, delegate: {name: part}}]")
                + delegate("[{match: [{uri: {exact: /}}], \(a), timeout: 1s}, {\(a)}]"))
        #expect(world.plan.routes.map(\.timeout) == [.seconds(1), .seconds(5)])
    }

    @Test func `joins the names of both rules`() {
        let world = World(
            root("[{name: r, delegate: {name: part}}]")
                + delegate("[{name: d, match: [{uri: {exact: /}}], \(a)}, {\(a)}]"))
        #expect(world.plan.routes.map(\.name) == ["app/vs/r-d", "app/vs/r"])
    }

    private struct Pair: Sendable {
        let root: String
        let own: String
        let fits: Bool
    }

    // D6
    @Test(arguments: [
        Pair(root: "uri: {exact: /a}", own: "uri: {exact: /a}", fits: true),
        Pair(root: "uri: {exact: /a}", own: "uri: {exact: /b}", fits: false),
        Pair(root: "uri: {exact: /a}", own: "uri: {prefix: /a}", fits: false),
        Pair(root: "uri: {prefix: /a}", own: "uri: {prefix: /a/b}", fits: true),
        Pair(root: "uri: {prefix: /a/b}", own: "uri: {prefix: /a}", fits: false),
        Pair(root: "uri: {prefix: /a}", own: "uri: {exact: /ab}", fits: true),
        Pair(root: "uri: {prefix: /a}", own: "uri: {regex: /a.}", fits: false),
        Pair(root: "uri: {regex: /a.}", own: "uri: {exact: /ab}", fits: false),
        Pair(root: "uri: {regex: /a.}", own: "method: {exact: GET}", fits: true),
        Pair(root: "method: {exact: GET}", own: "method: {exact: GET}", fits: true),
        Pair(root: "method: {exact: POST}", own: "method: {exact: GET}", fits: false),
        Pair(root: "headers: {x: {exact: '1'}}", own: "headers: {x: {exact: '2'}}", fits: false),
        Pair(root: "headers: {x: {exact: '1'}}", own: "headers: {y: {exact: '2'}}", fits: true),
        Pair(root: "headers: {x: {}}", own: "headers: {x: {exact: '2'}}", fits: false),
        Pair(root: "withoutHeaders: {x: {exact: '1'}}", own: "withoutHeaders: {x: {exact: '2'}}", fits: false),
        Pair(root: "queryParams: {q: {prefix: v}}", own: "queryParams: {q: {exact: vw}}", fits: true),
        Pair(root: "uri: {prefix: /a}, ignoreUriCase: true", own: "uri: {prefix: /a}", fits: false),
        Pair(root: "port: 80", own: "uri: {prefix: /a}", fits: true),
        Pair(root: "port: 80", own: "port: 81", fits: false),
        Pair(root: "sourceNamespace: gwns", own: "uri: {prefix: /a}", fits: false),
        Pair(root: "sourceNamespace: gwns", own: "sourceNamespace: gwns", fits: true),
        Pair(root: "sourceLabels: {app: edge}", own: "sourceLabels: {app: other}", fits: false),
        Pair(root: "sourceLabels: {app: edge}", own: "sourceLabels: {istio: ingressgateway}", fits: true),
        Pair(root: "gateways: [gwns/gw]", own: "gateways: [gwns/other]", fits: false),
        Pair(root: "gateways: [gwns/gw, mesh]", own: "gateways: [gwns/gw]", fits: true),
    ])
    private func `allows what is narrower, as Istio compares conditions`(pair: Pair) {
        let world = World(
            root("[{match: [{\(pair.root)}], delegate: {name: part}}]") + delegate("[{match: [{\(pair.own)}], \(a)}]"))
        #expect(!world.codes.contains("delegate-conflict") == pair.fits, "\(pair)")
        #expect(world.plan.routes.isEmpty == !pair.fits)
    }

    @Test func `joins every pair of matches that fits`() {
        let world = World(
            root("[{match: [{uri: {prefix: /a}}, {headers: {x: {exact: '1'}}}], delegate: {name: part}}]")
                + delegate("[{match: [{uri: {prefix: /a/b}}], \(a)}]"))
        #expect(world.answer(TestRequest("/a/b")) == "a")
        #expect(world.answer(TestRequest("/b")) == "404")
        let rules = world.plan.tables[0].ruleSets.flatMap(\.self)
        #expect(rules.map(\.matches.count) == [2])
    }

    @Test func `names the gateways of a delegate's match in the delegate's namespace`() {
        let world = World(
            root("[{delegate: {name: part, namespace: gwns}}]")
                + delegate("[{match: [{gateways: [gw]}], \(a)}]", namespace: "gwns"))
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(reports(world) == [])
    }

    @Test func `is warned of with the rule that hides it, when it is never reached`() throws {
        let world = World(
            root("[{\(b)}, {delegate: {name: part}}]") + delegate("[{\(a)}]"))
        let report = try #require(world.plan.diagnostics.first { $0.code == "unreachable" })
        #expect(report.object?.name == "part" && report.related.count == 2)
    }

    @Test func `does not make its delegate's rules count as exported to nobody`() {
        let world = World(root("[{delegate: {name: part}}]") + delegate("[{\(a)}]", more: ", exportTo: [app]"))
        #expect(!world.codes.contains("not-exported"))
    }

    @Test func `is answered 503 beyond the limit of matches`() {
        let many = (0..<20).map { "{match: [{uri: {exact: /x\($0)}}], \(a)}" }.joined(separator: ", ")
        let roots = (0..<20).map { "{match: [{headers: {n: {exact: '\($0)'}}}], delegate: {name: part}}" }
        let world = World(root("[\(roots.joined(separator: ", "))]") + delegate("[\(many)]")) { $0.mostMatches = 100 }
        #expect(world.codes.contains("too-many-rules"))
        #expect(world.plan.routes.count < 200)
    }

    @Test func `may have a direct response for the delegate's rules, and no redirect`() {
        let template = World(
            root("[{directResponse: {status: 200}, delegate: {name: part}}]") + delegate("[{\(a)}]"))
        #expect(template.decoded.diagnostics.isEmpty)
        let redirect = World(root("[{redirect: {uri: /x}, delegate: {name: part}}]") + delegate("[{\(a)}]"))
        #expect(redirect.decoded.diagnostics.map(\.code) == ["conflicting-fields"])
    }

    @Test func `is closed by a field of its own that is not in effect yet, unless the delegate has one`() {
        let world = World(
            root("[{match: [{headers: {'@request.auth.claims.sub': {exact: x}}}], delegate: {name: part}}]")
                + delegate("[{\(a)}]"))
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.plan.diagnostics.first { $0.code == "not-in-effect" }?.object?.name == "vs")
    }
}
