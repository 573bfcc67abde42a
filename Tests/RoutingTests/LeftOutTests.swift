import Manifests
import Routing
import Testing

@Suite struct `An object that was left out because of an error` {
    private let rules = World.virtualService("[{\(World.to("a"))}]")

    /// The report of a code, with what it refers to.
    private func report(_ world: World, _ code: String) -> Diagnostic? {
        world.plan.diagnostics.first { $0.code == code }
    }

    private func expectNamed(_ report: Diagnostic?, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let text = [report].compactMap(\.self).text
        #expect(text.contains("\(name)"), sourceLocation: sourceLocation)
        #expect(text.contains("left out because of an error"), sourceLocation: sourceLocation)
        #expect(!text.contains("did you mean"), sourceLocation: sourceLocation)
        #expect(report?.related.first?.message == "its error", sourceLocation: sourceLocation)
    }

    @Test func `is named where a destination leads to it, and no other name is`() {
        let services =
            World.service("a", "10.0.0.1", ports: "{name: http, port: 80000}") + World.service("aa", "10.0.0.2")
        let world = World(rules, services: services)
        expectNamed(report(world, "unknown-host"), "Service app/a")
        #expect(world.answer(TestRequest("/")) == "503")
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: ext, namespace: app}
            spec: {hosts: [ext.org], ports: [{number: 0, name: p}], resolution: DNS}

            """
        let external = World.virtualService("[{route: [{destination: {host: ext.org}}]}]")
        expectNamed(report(World(external + entry), "unknown-host"), "ServiceEntry app/ext")
    }

    @Test func `is named too where its document is no YAML`() {
        let broken = """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: a, namespace: app}
            spec: {ports: [{name: http, port: 80}

            """
        let world = World(rules, services: broken + World.service("aa", "10.0.0.2"))
        expectNamed(report(world, "unknown-host"), "Service app/a")
    }

    @Test func `is named where a subset of it is asked for`() {
        let rule = """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d, namespace: app}
            spec: {host: a, subsets: [{name: v1, label: {version: v1}}]}

            """
        let world = World(
            World.virtualService("[{route: [{destination: {host: a, subset: v1}}]}]") + rule)
        expectNamed(report(world, "unknown-subset"), "DestinationRule app/d")
    }

    @Test func `is named where a VirtualService is bound to it`() {
        let server = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"
        let broken = World.gateway("gw", server).replacing("selector:", with: "selektor:")
        let world = World(rules, gateways: broken + World.gateway("gx", server))
        expectNamed(report(world, "unknown-gateway"), "Gateway gwns/gw")
    }

    @Test func `is named where a server wants its certificate`() {
        let server =
            "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.com], "
            + "tls: {mode: SIMPLE, credentialName: c}}"
        let secret = """
            ---
            apiVersion: v1
            kind: Secret
            metadata: {name: c, namespace: gwns}
            type: [tls]

            """
        let world = World(rules + secret, gateways: World.gateway("gw", server))
        expectNamed(report(world, "unknown-secret"), "Secret gwns/c")
    }

    @Test func `is named where its endpoints are missed, and where its rules are`() {
        let services = """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: a, namespace: app}
            spec: {ports: [{name: http, port: 80}]}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: a-1, namespace: app, labels: {kubernetes.io/service-name: a}}
            addressType: IPv4
            endpoints: [{addresses: [nonsense]}]

            """
        expectNamed(report(World(rules, services: services), "endpoints-by-dns"), "EndpointSlice app/a-1")
        let broken = rules.replacing("{hosts: [a.com]", with: "{hots: [a.com]")
        expectNamed(report(World(broken), "listener-without-routes"), "VirtualService app/vs")
    }

    @Test func `keeps its destination closed when its policy would`() {
        let rule = """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d, namespace: app}
            spec: {host: '*.app.svc.cluster.local', trafficPolicy: {tls: {mode: SIMPLE}, outlier: {}}}

            """
        let world = World(rules + rule)
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.plan.diagnostics.map(\.code) == ["left-out"])
        #expect(world.plan.diagnostics[0].message.contains("it asks for `spec.trafficPolicy.tls.mode: SIMPLE`"))
        #expect(World(rules + rule.replacing("SIMPLE", with: "SIMPEL")).answer(TestRequest("/")) == "503")
        #expect(World(rules + rule.replacing("app}", with: "x}")).answer(TestRequest("/")) == "a")
        #expect(World(rules + rule.replacing("SIMPLE", with: "DISABLE")).answer(TestRequest("/")) == "a")
    }

    @Test func `keeps its hosts from a wider one when it is a VirtualService`() {
        let wide = World.virtualService("[{\(World.to("b"))}]", name: "wide", hosts: "['*']")
        let world = World(rules.replacing("http:", with: "htp: 1, http:") + wide)
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.answer(TestRequest("/", host: "other.com")) == "b")
        #expect(world.tree.contains("503: VirtualService app/vs was left out because of an error"))
        #expect(world.codes == ["left-out"])
        let shared = World.virtualService("[{match: [{uri: {prefix: /x}}], \(World.to("b"))}]", name: "shared")
        let both = World(rules.replacing("http:", with: "htp: 1, http:") + shared)
        #expect(both.answer(TestRequest("/x")) == "b")
        #expect(both.answer(TestRequest("/y")) == "503")
        let whole = World(rules.replacing("http:", with: "htp: 1, http:") + wide.replacing("'*'", with: "a.com"))
        #expect(whole.answer(TestRequest("/y")) == "b")
        #expect(whole.codes == ["left-out"])
    }

    @Test func `is not a server that covers nothing`() {
        let gateways = World.gateway(
            "gw",
            "{port: {number: 80, name: http, protocol: HTTP}, hosts: [b.com]}, "
                + "{port: {number: 81, name: broken, protocol: HTTP}, hosts: [a.com], bnd: x}")
        #expect(!World(rules, gateways: gateways).codes.contains("host-not-in-gateway"))
    }
}
