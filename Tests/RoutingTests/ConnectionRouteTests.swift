import Manifests
import Routing
import Testing

/// Rules for connections: `tls` and `tcp` of VirtualServices, on servers that carry no requests.
@Suite struct `A rule for connections` {
    private static func server(
        _ name: String, _ port: Int, _ protocol: String, hosts: String = "['*']", tls: String = ""
    ) -> String {
        "{port: {number: \(port), name: \(name), protocol: \(`protocol`)}, hosts: \(hosts)"
            + (tls.isEmpty ? "" : ", tls: {\(tls)}") + "}"
    }

    private static func passing(_ name: String = "tls", hosts: String = "['*']", port: Int = 443) -> String {
        server(name, port, "TLS", hosts: hosts, tls: "mode: PASSTHROUGH")
    }

    private static func object(
        _ rules: String, name: String = "vs", hosts: String = "['*']", gateways: String = "[gwns/gw]",
        created: String = ""
    ) -> String {
        let age = created.isEmpty ? "" : ", creationTimestamp: '\(created)-01-01T00:00:00Z'"
        return """
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: \(name), namespace: app\(age)}
            spec: {hosts: \(hosts), gateways: \(gateways), \(rules)}

            """
    }

    private static func tls(_ names: String, to service: String, more: String = "") -> String {
        "{match: [{sniHosts: [\(names)]\(more)}], \(World.to(service))}"
    }

    private func world(_ objects: String, _ servers: String...) -> World {
        World(objects, gateways: World.gateway("gw", servers.joined(separator: ", ")))
    }

    /// Where a connection goes: services, `closed` by a rule, `nowhere`, or `refused` where nothing listens.
    private func target(_ world: World, port: UInt16 = 443, sni: String?) -> String {
        guard let listener = world.plan.listeners.first(where: { $0.port == port }) else { return "refused" }
        guard let number = listener.relay(serverName: sni) else {
            return sni.flatMap(listener.chain(for:)) == nil ? "nowhere" : "HTTP"
        }
        let route = world.plan.routes[number]
        guard route.unavailable == nil else { return "closed" }
        return zip(route.destinations, route.weights).map { destination, share in
            let host = world.plan.clusters[destination.cluster].host.prefix { $0 != "." }
            return route.destinations.count == 1 ? String(host) : "\(share) \(host)"
        }.joined(separator: ", ")
    }

    // MARK: tls

    @Test func `of tls takes exact names first, then the longest wildcard, then any`() {
        let rules = [
            Self.tls("'*'", to: "a"), Self.tls("'*.a.com'", to: "b"), Self.tls("x.a.com", to: "a"),
            Self.tls("'*.deep.a.com'", to: "a"),
        ]
        let world = world(Self.object("tls: [\(rules.joined(separator: ", "))]"), Self.passing())
        #expect(world.decoded.diagnostics.text == "" && world.codes == [])
        for (sni, service) in [
            ("x.a.com", "a"), ("y.a.com", "b"), ("z.y.a.com", "b"), ("q.deep.a.com", "a"), ("a.com", "a"), ("", "a"),
            ("Y.A.com", "b"),
        ] { #expect(target(world, sni: sni.lowercased()) == service, "\(sni)") }
        #expect(target(world, sni: nil) == "nowhere")
    }

    @Test func `of tls takes names as they are written, not as the server has them`() {
        // Case 102 of Istio: the server covers more than the rule.
        let narrow = world(
            Self.object("tls: [\(Self.tls("x.a.com", to: "b"))]", hosts: "[x.a.com]"),
            Self.passing(hosts: "['*.a.com']"))
        #expect(target(narrow, sni: "x.a.com") == "b" && target(narrow, sni: "y.a.com") == "nowhere")
        // The rule covers more than the server, and its names are the ones that count.
        let wide = world(
            Self.object("tls: [\(Self.tls("'*.a.com'", to: "b"))]", hosts: "['*.a.com']"),
            Self.passing(hosts: "[x.a.com]"))
        #expect(target(wide, sni: "y.a.com") == "b")
        let strange = world(
            Self.object("tls: [\(Self.tls("b.com", to: "b"))]", hosts: "[b.com]"), Self.passing(hosts: "[a.com]"))
        #expect(target(strange, sni: "b.com") == "refused")
        #expect(Set(strange.codes) == ["listener-without-routes", "host-not-in-gateway", "never-holds"])
    }

    @Test func `of tls is for its port and gateway only, and its other conditions are not tested`() {
        let rules = [
            Self.tls("a.com", to: "a", more: ", port: 8443"),
            Self.tls(
                "a.com", to: "b",
                more: ", gateways: [gwns/gw], sourceLabels: {x: z}, destinationSubnets: [10.0.0.0/8]"),
            Self.tls("b.com", to: "a", more: ", gateways: [gwns/other]"),
        ]
        let world = world(
            Self.object("tls: [\(rules.joined(separator: ", "))]"), Self.passing(), Self.passing("more", port: 8443))
        #expect(target(world, sni: "a.com") == "b" && target(world, port: 8443, sni: "a.com") == "a")
        #expect(target(world, sni: "b.com") == "nowhere")
        // On port 8443 the second rule finds its name taken, but it is used on the other port.
        #expect(Set(world.codes) == ["no-effect", "never-holds"])
        #expect(world.codes.count { $0 == "no-effect" } == 2)
    }

    @Test func `of tls loses a name that an earlier one has, and all others of its match`() {
        // Case 103 of Istio.
        let world = world(
            Self.object("tls: [\(Self.tls("a.com", to: "a"))]", name: "z", created: "2020")
                + Self.object("tls: [\(Self.tls("b.com, a.com", to: "b"))]", name: "a", created: "2021"), Self.passing()
        )
        #expect(target(world, sni: "a.com") == "a" && target(world, sni: "b.com") == "nowhere")
        #expect(world.codes == ["server-name-taken"])
    }

    @Test func `of tls stands beside servers that end TLS, and takes none of their names`() {
        let secure = Self.server("https", 443, "HTTPS", hosts: "[a.com]", tls: "mode: SIMPLE, credentialName: c")
        let rules =
            "tls: [\(Self.tls("b.com, '*.c.com'", to: "b")), \(Self.tls("a.com", to: "b"))], http: [{\(World.to("a"))}]"
        let world = world(Self.object(rules), secure, Self.passing(hosts: "[b.com, x.c.com]"))
        #expect(target(world, sni: "a.com") == "HTTP")
        #expect(world.answer(TestRequest("/"), port: 443, sni: "a.com") == "a")
        #expect(target(world, sni: "b.com") == "b" && target(world, sni: "x.c.com") == "b")
        #expect(world.codes.contains("server-name-taken"))
    }

    @Test func `of tls with an error closes its names, and no wider rule gets them`() {
        for broken in [
            "{match: [{sniHosts: [x.a.com]}], route: [{destination: {hostt: b}}]}",
            "{match: [{sniHosts: [x.a.com], prot: 1}], \(World.to("b"))}", "{match: [{sniHosts: [x.a.com]}]}",
            "{match: [{sniHosts: [x.a.com]}], route: []}",
        ] {
            let world = world(
                Self.object("tls: [\(Self.tls("'*.a.com'", to: "a")), \(broken)]"), Self.passing())
            #expect(target(world, sni: "x.a.com") == "closed" && target(world, sni: "y.a.com") == "a", "\(broken)")
            #expect(world.decoded.diagnostics.text.contains(": its connections are closed"))
            #expect(world.tree.contains("-> closed: the rule has an error"))
        }
        // Which names are meant is not known: all of the object.
        for names in ["[x.a.com, 'a b']", "[b.com]", "['*x.a.com']", "7"] {
            let world = world(
                Self.object("tls: [\(Self.tls("'*'", to: "a"))]", name: "wide")
                    + Self.object("tls: [{match: [{sniHosts: \(names)}], \(World.to("b"))}]", hosts: "['*.a.com']"),
                Self.passing())
            #expect(target(world, sni: "q.a.com") == "closed" && target(world, sni: "b.org") == "a", "\(names)")
        }
    }

    @Test func `of an object with an error leaves its names to no wider one`() {
        let broken = Self.object(
            "tls: [\(Self.tls("x.a.com", to: "b"))], nonsense: 1", name: "broken", hosts: "[x.a.com]")
        let world = world(Self.object("tls: [\(Self.tls("'*.a.com'", to: "a"))]") + broken, Self.passing())
        #expect(target(world, sni: "x.a.com") == "closed" && target(world, sni: "y.a.com") == "a")
        #expect(world.codes.contains("left-out"))
    }

    @Test(arguments: ["mode: SIMPLE, verify: [x]"])
    func `gets no connections of a server that is not opened`(tls: String) {
        let closed = Self.server("closed", 443, "HTTPS", hosts: "[x.a.com]", tls: tls)
        let world = world(
            Self.object("tls: [\(Self.tls("'*.a.com'", to: "a"))]"), closed, Self.passing(hosts: "['*.a.com']"))
        #expect(target(world, sni: "x.a.com") == "closed" && target(world, sni: "y.a.com") == "a")
    }

    // MARK: tcp

    @Test(arguments: ["TCP", "MONGO", "REDIS", "MySQL"])
    func `of tcp gets all connections of its server, shared by weight`(name: String) {
        let route =
            "route: [{destination: {host: a.app.svc.cluster.local}, weight: 3}, "
            + "{destination: {host: b.app.svc.cluster.local}, weight: 1}]"
        let world = world(Self.object("tcp: [{\(route)}]"), Self.server("db", 9000, name))
        #expect(target(world, port: 9000, sni: nil) == "3 a, 1 b")
        #expect(target(world, port: 9000, sni: "a.com") == "3 a, 1 b")
        #expect(world.decoded.diagnostics.text == "" && world.codes == [])
        #expect(
            world.tree.contains(
                "listener *:9000 TCP\n  rule app/vs/tcp/0\n    -> 3 of 4 a.app.svc.cluster.local:8080, TCP"))
    }

    @Test func `of tcp is the first in order that is for the server`() {
        // Case 107 of Istio.
        let world = world(
            Self.object("tcp: [{match: [{port: 9001}], \(World.to("a"))}]", name: "v1")
                + Self.object("tcp: [{\(World.to("b"))}, {\(World.to("a"))}]", name: "v2")
                + Self.object("tcp: [{\(World.to("a"))}]", name: "v3"), Self.server("db", 9000, "TCP"))
        #expect(target(world, port: 9000, sni: nil) == "b")
        #expect(world.codes.count { $0 == "unreachable" } == 2 && world.codes.count { $0 == "never-holds" } == 1)
    }

    @Test func `is needed for a server to be opened`() {
        // Cases 22 and 116 of Istio.
        let http = world(World.virtualService("[{\(World.to("a"))}]", hosts: "['*']"), Self.server("db", 9000, "TCP"))
        #expect(target(http, port: 9000, sni: nil) == "refused")
        #expect(http.codes == ["listener-without-routes"])
        let two = World(
            Self.object("tcp: [{\(World.to("a"))}]", gateways: "[gwns/second]"),
            gateways: World.gateway("first", Self.server("db", 80, "TCP"))
                + World.gateway("second", Self.server("db", 80, "TCP")))
        #expect(target(two, port: 80, sni: nil) == "refused")
        #expect(Set(two.codes) == ["listener-without-routes", "server-dropped", "never-holds"])
    }

    @Test func `shares no port with requests in clear text`() {
        // Case 14 of Istio.
        let both = World(
            Self.object("tcp: [{\(World.to("a"))}], http: [{\(World.to("b"))}]", gateways: "[gwns/g1, gwns/g2]"),
            gateways: World.gateway("g1", Self.server("tcp", 9000, "TCP"), created: "2020")
                + World.gateway("g2", Self.server("http", 9000, "HTTP"), created: "2021"))
        #expect(target(both, port: 9000, sni: nil) == "a")
        #expect(both.plan.listeners.allSatisfy { $0.clearTable == nil })
        #expect(both.codes.contains("server-dropped"))
    }

    @Test func `of tcp stands beside older servers with TLS, which clients choose by name`() {
        let world = World(
            Self.object("tcp: [{\(World.to("a"))}]", gateways: "[gwns/g2]")
                + Self.object("tls: [\(Self.tls("b.com", to: "b"))]", name: "tls", gateways: "[gwns/g1]"),
            gateways: World.gateway("g1", Self.passing(port: 9000), created: "2020")
                + World.gateway("g2", Self.server("tcp", 9000, "TCP"), created: "2021"))
        #expect(target(world, port: 9000, sni: nil) == "a" && target(world, port: 9000, sni: "b.com") == "b")
        #expect(target(world, port: 9000, sni: "c.com") == "a")
    }

    @Test func `of tcp is for TLS that is ended here, too`() {
        let server = Self.server("db", 9000, "TLS", hosts: "[db.a.com]", tls: "mode: SIMPLE, credentialName: c")
        let world = world(Self.object("tcp: [{\(World.to("a"))}], tls: [\(Self.tls("db.a.com", to: "b"))]"), server)
        #expect(target(world, port: 9000, sni: "db.a.com") == "a")
        #expect(world.tree.contains("listener *:9000 TLS db.a.com with Secret gwns/c, then TCP"))
        // `tls` rules are for connections that keep their TLS.
        #expect(world.codes.contains("never-holds"))
    }

    @Test func `with an error closes the connections that it is for`() {
        let server = Self.server("db", 9000, "TCP")
        let broken = world(Self.object("tcp: [{route: [{destination: {}}]}, {\(World.to("a"))}]"), server)
        #expect(target(broken, port: 9000, sni: nil) == "closed")
        let elsewhere = world(
            Self.object("tcp: [{match: [{port: 1}], route: [{destination: {}}]}, {\(World.to("a"))}]"), server)
        #expect(target(elsewhere, port: 9000, sni: nil) == "a")
    }

    @Test func `is closed by a policy of access that selects this gateway`() {
        let policy = """
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: guard, namespace: istio-system}
            spec: {selector: {matchLabels: {istio: ingressgateway}}}

            """
        let world = world(Self.object("tcp: [{\(World.to("a"))}]") + policy, Self.server("db", 9000, "TCP"))
        #expect(target(world, port: 9000, sni: nil) == "closed")
    }

    private func ruled(_ policy: String, _ rules: String, _ servers: String...) -> World {
        let object = """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d, namespace: app}
            spec: {host: a, trafficPolicy: {\(policy)}}

            """
        return World(
            Self.object(rules) + object, gateways: World.gateway("gw", servers.joined(separator: ", ")))
    }

    @Test func `has the policies of its destination`() {
        let server = Self.server("db", 9000, "TCP")
        let policies = "outlierDetection: {}, connectionPool: {tcp: {idleTimeout: 5s}}, proxyProtocol: {version: V2}"
        let world = ruled(policies, "tcp: [{\(World.to("a"))}]", server)
        #expect(world.codes == [] && target(world, port: 9000, sni: nil) == "a")
        #expect(world.tree.contains("outlierDetection: ") && world.tree.contains("proxyProtocol: version V2"))
        #expect(world.plan.clusters.first?.policies?.pool?.relayIdleTimeout == .seconds(5))
        let address = ruled("loadBalancer: {consistentHash: {useSourceIp: true}}", "tcp: [{\(World.to("a"))}]", server)
        #expect(address.codes == [])
        let header = ruled("loadBalancer: {consistentHash: {httpHeaderName: x}}", "tcp: [{\(World.to("a"))}]", server)
        #expect(header.codes == ["no-effect"] && target(header, port: 9000, sni: nil) == "a")
    }

    @Test func `has TLS towards its destination where a rule asks for it`() {
        let tcp = ruled("tls: {mode: SIMPLE}", "tcp: [{\(World.to("a"))}]", Self.server("db", 9000, "TCP"))
        #expect(tcp.codes == [] && target(tcp, port: 9000, sni: nil) == "a")
        #expect(tcp.plan.clusters.first?.tls != nil && tcp.tree.contains("TLS"))
        let twice = ruled("tls: {mode: SIMPLE}", "tls: [\(Self.tls("a.com", to: "a"))]", Self.passing())
        #expect(twice.codes == ["no-effect"])
        #expect(twice.plan.diagnostics.text.contains("inside of the TLS that its DestinationRule asks for"))
    }

    @Test func `says that connections are closed where its destination is wrong`() {
        for (destination, code) in [
            ("{host: nowhere.example.org}", "unknown-host"), ("{host: a, subset: v1}", "unknown-subset"),
            ("{host: a, port: {number: 1}}", "unknown-port"),
        ] {
            let world = world(
                Self.object("tcp: [{route: [{destination: \(destination)}]}]"), Self.server("db", 9000, "TCP"))
            #expect(world.codes == [code])
            #expect(world.plan.diagnostics.text.contains("its connections are closed"))
            #expect(world.tree.contains("closed: "))
        }
    }

    @Test func `to a port that speaks TLS is no cause for a warning, and requests to it are`() {
        let services = World.service("a", "10.0.0.1", ports: "{name: https, port: 8080}")
        let rules = "tls: [\(Self.tls("a.com", to: "a"))]"
        func world(_ rules: String, _ servers: String...) -> World {
            World(
                Self.object(rules), gateways: World.gateway("gw", servers.joined(separator: ", ")), services: services)
        }
        #expect(world(rules, Self.passing(port: 80)).codes == [])
        let both = world("\(rules), http: [{\(World.to("a"))}]", Self.passing(port: 80), Self.server("h", 81, "HTTP"))
        #expect(both.codes == ["clear-text-to-tls"])
    }

    @Test func `is told like any other`() {
        let world = world(
            Self.object("tls: [\(Self.tls("a.com", to: "a"))], tcp: [{\(World.to("b"))}]"), Self.passing(),
            Self.server("db", 9000, "TCP"))
        let request = TextRequest(path: "/", authority: "a.com", method: "GET", scheme: "https", headers: [])
        func explain(_ port: UInt16, _ sni: String?) -> String {
            world.plan.explain(request, at: Entrance(port: port, serverName: sni), endpoints: world.endpoints).text
        }
        #expect(explain(443, "a.com").contains("rule app/vs/tls/0 (case.yaml:"))
        #expect(explain(443, "a.com").contains("-> a.app.svc.cluster.local:8080, TCP, LEAST_REQUEST"))
        #expect(explain(443, "b.com").contains("no TLS server for the name 'b.com'"))
        #expect(explain(9000, nil).hasPrefix("listener *:9000 TCP: connections are relayed"))
        #expect(
            world.json.contains(#""tcp": {"route": "app/vs/tcp/0""#) && world.json.contains(#""passthrough": true"#))
    }
}
