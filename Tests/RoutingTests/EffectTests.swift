import Manifests
import Routing
import Testing

@Suite struct `What has no effect here` {
    private let toA = World.to("a")

    private func reports(_ world: World) -> [String] {
        world.plan.diagnostics.map { "\($0.severity) \($0.code)" }
    }

    private func rule(
        _ spec: String, name: String = "d", namespace: String = "app", created: String = "2024"
    ) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: \(name), namespace: \(namespace), creationTimestamp: '\(created)-01-01T00:00:00Z'}
        spec: {\(spec)}

        """
    }

    @Test func `a VirtualService for Gateways of another gateway is a note`() {
        let other = World.gateway("other", "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}")
            .replacing("istio: ingressgateway", with: "istio: inner")
        let world = World(
            World.virtualService("[{\(toA)}]")
                + World.virtualService("[{\(toA)}]", name: "inner", gateways: "[gwns/other]"),
            gateways: World.gateway + other)
        #expect(reports(world) == ["note selector-of-another", "note for-another-gateway"])
    }

    @Test(arguments: [
        ("port: 81", "warning"), ("gateways: [other]", "warning"), ("gateways: [mesh]", "warning"),
        ("sourceNamespace: elsewhere", "warning"), ("sourceLabels: {app: other}", "warning"),
    ])
    func `a match that never holds is told`(condition: String, severity: String) {
        let world = World(World.virtualService("[{match: [{\(condition)}], \(toA)}, {\(World.to("b"))}]"))
        #expect(reports(world) == ["\(severity) never-holds"])
        #expect(world.answer(TestRequest("/")) == "b")
    }

    @Test(arguments: [
        "port: 80", "gateways: [gwns/gw]", "sourceNamespace: gwns", "sourceLabels: {app: edge}", "uri: {prefix: /}",
    ])
    func `a match that holds is not`(condition: String) {
        #expect(reports(World(World.virtualService("[{match: [{\(condition)}], \(toA)}]"))) == [])
    }

    @Test func `a match for sidecars is a note where the rule is for the mesh too`() {
        let world = World(
            World.virtualService(
                "[{match: [{sourceLabels: {app: web}}], \(toA)}, {\(toA)}]", gateways: "[gwns/gw, mesh]"))
        #expect(reports(world) == ["note never-holds"])
    }

    @Test func `a VirtualService without hosts is told unless a rule delegates to it`() {
        let alone = World.virtualService("[{\(toA)}]", name: "part", hosts: "[]", gateways: "")
        #expect(reports(World(World.virtualService("[{\(toA)}]") + alone)) == ["warning no-hosts"])
        let root = World.virtualService("[{delegate: {name: part}}]")
        #expect(reports(World(root + alone)) == [])
    }

    @Test(arguments: [
        ("host: nobody", "app", "warning no-effect"), ("host: '*.org'", "app", "note no-effect"),
        ("host: b", "app", "note no-effect"),
        ("host: a, workloadSelector: {matchLabels: {x: z}}", "app", "note no-effect"),
        ("host: a.app.svc.cluster.local", "elsewhere", "warning no-effect"),
        ("host: a, exportTo: ['.']", "app", "warning no-effect"),
        ("host: a, subsets: [{name: v1, labels: {version: v1}}]", "app", "note unused-subset"),
    ])
    func `a DestinationRule says why it has none`(spec: String, namespace: String, report: String) {
        let policy = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"
        let world = World(World.virtualService("[{\(toA)}]") + rule("\(spec), \(policy)", namespace: namespace))
        #expect(reports(world) == [report])
    }

    @Test func `a DestinationRule behind another is told, and the parts of one that is merged`() {
        let policy = "host: a.app.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}"
        let routes = World.virtualService("[{\(toA)}]")
        let behind = World(routes + rule(policy, namespace: "gwns") + rule(policy))
        #expect(reports(behind) == ["warning no-effect"])
        let merged = World(routes + rule(policy, name: "older", created: "2020") + rule(policy, name: "newer"))
        #expect(reports(merged) == ["warning hidden-by-other"])
    }

    @Test func `what a port's entry drops is told`() {
        let entry = "portLevelSettings: [{port: {number: 8080}, connectionPool: {tcp: {maxConnections: 0}}}]"
        let settings = [("tls: {mode: SIMPLE}", "clear text"), ("loadBalancer: {simple: RANDOM}", "loadBalancer")]
        for (setting, message) in settings {
            let world = World(
                World.virtualService("[{\(toA)}]") + rule("host: a, trafficPolicy: {\(setting), \(entry)}"))
            #expect(world.plan.diagnostics.contains { $0.code == "dropped-setting" && $0.message.contains(message) })
        }
        let silent = World(
            World.virtualService("[{\(toA)}]") + rule("host: a, trafficPolicy: {tls: {mode: DISABLE}, \(entry)}"))
        #expect(reports(silent) == [])
    }

    @Test func `a DestinationRule that applies says nothing`() {
        let policy = "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}"
        #expect(reports(World(World.virtualService("[{\(toA)}]") + rule(policy))) == [])
    }

    @Test func `a ServiceEntry that is not exported is a note`() {
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: x, namespace: app}
            spec: {hosts: [x.org], exportTo: ['.'], ports: [{number: 80, name: http}], resolution: DNS}

            """
        #expect(reports(World(World.virtualService("[{\(toA)}]") + entry)) == ["note not-exported"])
    }

    @Test func `endpoints of nobody are a note`() {
        let objects = """
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: x-1, namespace: app, labels: {kubernetes.io/service-name: x}}
            addressType: IPv4
            endpoints: []
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: x, namespace: app}
            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: w, namespace: app}
            spec: {address: 10.0.0.9, labels: {app: w}}

            """
        let world = World(World.virtualService("[{\(toA)}]") + objects)
        #expect(reports(world) == ["note no-service", "note no-service", "note not-selected"])
    }

    @Test func `a rule that another object's rules cover is told, and one that is partly reached is not`() {
        let older = World.virtualService("[{match: [{uri: {prefix: /api}}], \(toA)}]", name: "older", created: "2020")
        func younger(_ matches: String) -> World {
            World(
                older + World.virtualService("[{match: [\(matches)], \(toA)}]", name: "younger", created: "2021"))
        }
        #expect(reports(younger("{uri: {prefix: /api/v1}}, {uri: {exact: /api}}")) == ["warning hidden-by-other"])
        #expect(reports(younger("{uri: {prefix: /api/v1}}, {uri: {exact: /ap}}")) == [])
        #expect(reports(younger("{uri: {prefix: /ap}}")) == [])
    }

    @Test func `a rule whose other matches are reached is not told for its catch-all`() {
        let older = World.virtualService("[{\(toA)}]", name: "older", created: "2020")
        let younger = World.virtualService(
            "[{match: [{uri: {exact: /x}}, {uri: {prefix: /}}], \(World.to("b"))}]", name: "younger", created: "2021")
        let world = World(older + younger)
        #expect(world.answer(TestRequest("/x")) == "b")
        #expect(reports(world) == [])
    }
}
