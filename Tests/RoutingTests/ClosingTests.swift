import Manifests
import Routing
import Testing

/// What is not in effect yet and must not be served as if it were not there.
@Suite struct `A rule that is closed` {
    private let open = World.to("a")

    private func errors(_ world: World) -> [String] {
        (world.decoded.diagnostics + world.plan.diagnostics).filter { $0.severity == .error }.map(\.message)
    }

    @Test(arguments: [
        "headers: {'@request.auth.claims.sub': {exact: x}}", "withoutHeaders: {'@request.auth.claims.sub': {}}",
    ])
    func `answers 503, takes its requests from the next rule, and is an error`(field: String) {
        let world = World(
            World.virtualService("[{match: [{uri: {prefix: /hidden}, \(field)}], \(open)}, {\(World.to("b"))}]"))
        #expect(world.answer(TestRequest("/hidden/x")) == "503")
        #expect(world.answer(TestRequest("/")) == "b")
        #expect(world.decoded.diagnostics.isEmpty)
        #expect(world.plan.diagnostics.count == 1)
        #expect(world.plan.diagnostics.first?.severity == .error)
        let message = world.plan.diagnostics.first?.message ?? ""
        #expect(message.hasSuffix("is not in effect yet: its requests are answered 503"), "\(message)")
        #expect(world.tree.contains("-> 503: "))
    }

    @Test func `is a warning alone where nothing of it is served`() {
        let field = "match: [{headers: {'@request.auth.claims.sub': {exact: x}}}]"
        let world = World(World.virtualService("[{\(field), \(open)}]", gateways: "[gwns/other]"))
        let found = world.plan.diagnostics.first { $0.code == "not-in-effect" }
        #expect(found?.severity == .warning)
    }

    @Test(arguments: [
        ("{uri: {regex: '(?!x)'}}", "/any"), ("{uri: {prefix: /a}, headers: {x: {regex: '('}}}", "/a"),
        ("{uri: {prefix: /a}, method: {exakt: GET}}", "/a"), ("{uri: {prefix: /a}, gateways: [a/b/c]}", "/a"),
        ("{uri: {prefix: /a}, sourceNamespace: 'A B'}", "/a"), ("{uri: {prefix: /a}, port: 99999}", "/a"),
        ("{uri: {prefix: /a}, sourceLabels: {x: '*'}}", "/a"),
        ("{uri: {prefix: /a}, headers: {'x y': {exact: a}}}", "/a"),
        ("{uri: {exact: /A}, ignoreUriCase: perhaps}", "/a"), ("nonsense", "/a"),
        ("{uri: {prefix: /a}, queryParams: {x: {regex: ''}}}", "/a"), ("{uri: {prefix: /a}, hedders: {}}", "/a"),
    ])
    func `for a faulty condition answers 503 whatever its other conditions hold for`(match: String, path: String) {
        let world = World(World.virtualService("[{match: [\(match)], \(open)}, {\(World.to("b"))}]"))
        #expect(world.answer(TestRequest(path)) == "503")
        #expect(errors(world).allSatisfy { $0.hasSuffix("is answered 503") || $0.hasSuffix("are answered 503") })
        #expect(!errors(world).isEmpty)
        // Nobody is told that the rule behind it is never reached: that is so by the error alone.
        #expect(world.plan.diagnostics.text == "")
        if match.contains("/a}") { #expect(world.answer(TestRequest("/b")) == "b") }
        #expect(world.tree.contains("anything (a condition has an error)"))
    }

    @Test func `for a faulty condition comes before the rules of younger objects`() {
        let world = World(
            World.virtualService("[{match: [{uri: {regex: '('}}], \(open)}]", name: "older", created: "2020")
                + World.virtualService(
                    "[{match: [{uri: {prefix: /x}}], \(World.to("b"))}]", name: "younger", created: "2021"))
        #expect(world.answer(TestRequest("/x")) == "503")
    }

    @Test func `says what RE2 has instead of lookahead`() {
        let world = World(World.virtualService("[{match: [{uri: {regex: '^(?!/in).*$'}}], \(open)}]"))
        #expect(world.decoded.diagnostics.first?.hint?.contains("withoutHeaders") == true)
    }
}

@Suite struct `A policy of access that selects this gateway` {
    private func world(
        _ spec: String, kind: String = "AuthorizationPolicy", namespace: String = "istio-system",
        label: String = "istio: ingressgateway"
    ) -> World {
        World(
            World.virtualService("[{\(World.to("a"))}]") + """
                ---
                apiVersion: security.istio.io/v1
                kind: \(kind)
                metadata: {name: guard, namespace: \(namespace)}
                spec: {selector: {matchLabels: {\(label)}}\(spec)}

                """)
    }

    @Test(arguments: [
        "", ", rules: []", ", action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]",
        ", action: ALLOW, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]", ", action: CUSTOM, rules: [{}]",
    ])
    func `closes all of it, and is an error`(spec: String) {
        let world = world(spec)
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.plan.diagnostics.map(\.severity) == [.error])
        #expect(world.tree.contains("503: AuthorizationPolicy istio-system/guard is not in effect yet"))
    }

    @Test func `closes when it asks for tokens`() {
        #expect(world(", jwtRules: [{issuer: x}]", kind: "RequestAuthentication").answer(TestRequest("/")) == "503")
        #expect(world("", kind: "RequestAuthentication").answer(TestRequest("/")) == "a")
    }

    @Test(arguments: [", action: AUDIT, rules: [{}]", ", rules: [{}]", ", action: DENY", ", action: DENY, rules: []"])
    func `does not when it lets every request pass`(spec: String) {
        #expect(world(spec).answer(TestRequest("/")) == "a")
    }

    @Test func `is not one of another namespace or workload`() {
        #expect(world("", namespace: "app").answer(TestRequest("/")) == "a")
        #expect(world("", label: "app: web").answer(TestRequest("/")) == "a")
        #expect(world("", label: "").answer(TestRequest("/")) == "a")
        #expect(world("", namespace: "gwns").answer(TestRequest("/")) == "503")
    }
}

@Suite struct `A destination that is closed` {
    private func rule(_ spec: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: d, namespace: app}
        spec: {\(spec)}

        """
    }

    private func world(_ spec: String, _ destination: String = "host: a", services: String = World.services) -> World {
        World(
            World.virtualService("[{route: [{destination: {\(destination)}}]}]") + rule(spec), services: services)
    }

    @Test(arguments: [
        "trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}",
        "trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}, "
            + "portLevelSettings: [{port: {number: 9}, tls: {mode: DISABLE}}]}",
    ])
    func `answers 503 and is an error at the policy`(spec: String) {
        let world = world("host: a, \(spec)")
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.plan.diagnostics.map(\.severity) == [.error])
        #expect(world.plan.diagnostics.first?.object?.name == "d")
        #expect(
            world.plan.diagnostics.first?.message.hasSuffix(
                "is not in effect yet: requests to a.app.svc.cluster.local are answered 503") == true)
    }

    @Test func `is closed by its subset's policy`() {
        let labels = "name: v1, labels: {version: v1}"
        let closed = world(
            "host: a, subsets: [{\(labels), trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}}]",
            "host: a, subset: v1")
        #expect(closed.answer(TestRequest("/")) == "503")
    }

    @Test func `is a warning alone when no rule leads there`() {
        let world = world("host: b, trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}")
        #expect(world.plan.diagnostics.first { $0.code == "not-in-effect" }?.severity == .warning)
    }

    @Test func `is not said to be looked up by DNS`() {
        let service = """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: a, namespace: app}
            spec: {ports: [{name: http, port: 80}]}

            """
        let world = world("host: a, trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}", services: service)
        #expect(world.codes == ["not-in-effect"])
    }
}

@Suite struct `An encrypted server that is not opened` {
    private static func server(_ hosts: String, _ tls: String, name: String) -> String {
        "{port: {number: 443, name: \(name), protocol: HTTPS}, hosts: \(hosts), tls: {\(tls), credentialName: c}}"
    }

    private let rules =
        World.virtualService("[{\(World.to("a"))}]", hosts: "[api.a.com]")
        + World.virtualService("[{\(World.to("b"))}]", name: "wide", hosts: "['*']")

    /// Its clients find a wider server of the port, which asks for no certificate.
    @Test(arguments: [
        "mode: AUTO_PASSTHROUGH", "mode: SIMPLE, verify: [x]", "mode: MUTUAL, mutual: true",
    ])
    func `leaves its hosts to no wider one`(tls: String) {
        for (closed, wide) in [("[api.a.com]", "['*.a.com']"), ("['*.a.com']", "['*']"), ("[api.a.com]", "['*']")] {
            let world = World(
                rules,
                gateways: World.gateway(
                    "gw",
                    Self.server(wide, "mode: SIMPLE", name: "wide") + ", " + Self.server(closed, tls, name: "closed")))
            let asked = TestRequest("/", host: "api.a.com")
            #expect(world.answer(asked, port: 443, sni: "api.a.com") == "503")
            #expect(world.answer(asked, port: 443, sni: "other.a.com") == "503")
            let other = wide == "['*']" ? "b.com" : "other.a.com"
            #expect(world.answer(TestRequest("/", host: other), port: 443, sni: other) == "b")
        }
    }

    @Test func `takes nothing from a narrower one`() {
        let servers =
            Self.server("[api.a.com]", "mode: SIMPLE", name: "narrow") + ", "
            + Self.server("['*']", "mode: AUTO_PASSTHROUGH", name: "closed")
        let world = World(rules, gateways: World.gateway("gw", servers))
        #expect(world.answer(TestRequest("/", host: "api.a.com"), port: 443, sni: "api.a.com") == "a")
        #expect(world.answer(TestRequest("/", host: "b.com"), port: 443, sni: "b.com") == "closed")
    }

    @Test func `redirects all the same when it has an error`() {
        let servers =
            "{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}, "
            + "{port: {number: 80, name: b, protocol: HTTP}, hosts: [api.a.com], tls: {httpsRedirect: true}, typo: 1}"
        let world = World(rules, gateways: World.gateway("gw", servers))
        #expect(world.answer(TestRequest("/", host: "api.a.com")) == "301")
        #expect(world.answer(TestRequest("/", host: "b.com")) == "b")
    }
}

@Suite struct `A server that redirects to HTTPS` {
    private let rules = World.virtualService("[{\(World.to("a"))}]", gateways: "[gwns/a-plain, gwns/b-redirect]")

    private static func plain(_ created: String, hosts: String = "[a.com]") -> String {
        World.gateway(
            "a-plain", "{port: {number: 80, name: http, protocol: HTTP}, hosts: \(hosts)}", created: created)
    }

    private static func redirecting(_ created: String, hosts: String = "[a.com]") -> String {
        World.gateway(
            "b-redirect",
            "{port: {number: 80, name: http, protocol: HTTP}, hosts: \(hosts), tls: {httpsRedirect: true}}",
            created: created)
    }

    @Test(arguments: [
        plain("2020") + redirecting("2021"), plain("2021") + redirecting("2020"),
        plain("2020") + redirecting("2021", hosts: "['*']"), plain("2020", hosts: "['*']") + redirecting("2021"),
    ])
    func `keeps its hosts from every Gateway of the port`(gateways: String) {
        let world = World(rules, gateways: gateways)
        #expect(world.answer(TestRequest("/")) == "301")
        #expect(world.plan.diagnostics.allSatisfy { $0.severity != .error })
        #expect(world.tree.contains("-> 301: redirected to HTTPS\n"))
        #expect(world.json.contains("\"redirect\""))
        #expect(world.codes.contains("redirected-by-another"))
        #expect(!world.codes.contains("hidden-by-other") && !world.codes.contains("unreachable"))
    }

    @Test func `leaves other hosts of the port alone`() {
        let world = World(
            World.virtualService("[{\(World.to("a"))}]", hosts: "[b.com]", gateways: "[gwns/a-plain]"),
            gateways: Self.plain("2020", hosts: "['*.com', b.com]") + Self.redirecting("2021"))
        #expect(world.answer(TestRequest("/", host: "b.com")) == "a")
        #expect(world.answer(TestRequest("/", host: "a.com")) == "301")
    }

    /// Cases 82, 83: redirects come before all rules, also where a host has none.
    @Test func `redirects hosts without a rule of the port, and no others`() {
        let server = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com, app/c.com], "
        let world = World(
            World.virtualService("[{match: [{port: 443}], \(World.to("a"))}]"),
            gateways: World.gateway("gw", server + "tls: {httpsRedirect: true}}"))
        #expect(world.answer(TestRequest("/x")) == "301")
        #expect(world.answer(TestRequest("/", host: "c.com")) == "301")
        #expect(world.answer(TestRequest("/", host: "b.com")) == "404")
        #expect(!world.codes.contains("redirected-by-another"))
    }

    @Test func `has nothing to redirect when it is encrypted`() {
        let server =
            "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.com], "
            + "tls: {mode: SIMPLE, credentialName: c, httpsRedirect: true}}"
        let world = World(World.virtualService("[{\(World.to("a"))}]"), gateways: World.gateway("gw", server))
        #expect(world.answer(TestRequest("/"), port: 443, sni: "a.com") == "a")
        #expect(!world.codes.contains("not-in-effect"))
    }
}
