import Manifests
import Octets
import Routing
import Testing

/// Which Gateway, which host, which VirtualService.
/// Source: docs/istio.md, Listeners; docs/istio.md, Hosts of a VirtualService.
@Suite struct `Binding to gateways and hosts` {
    typealias Asked = (host: String, path: String, answer: String)

    struct Case: Sendable, CustomTestStringConvertible {
        let number: String
        let objects: String
        var gateways = World.gateway
        let asked: [Asked]
        var testDescription: String { "case \(number)" }
    }

    private static func http(_ hosts: String, name: String = "gw", number: Int = 80) -> String {
        World.gateway(
            name, "{port: {number: \(number), name: http, protocol: HTTP}, hosts: \(hosts)}")
    }

    private static let toA = "[{\(World.to("a"))}]"
    private static let toB = "[{\(World.to("b"))}]"
    private static func path(_ prefix: String, _ service: String) -> String {
        "[{match: [{uri: {prefix: \(prefix)}}], \(World.to(service))}]"
    }
    private static func vs(
        _ http: String, name: String = "vs", namespace: String = "app", hosts: String = "[a.com]",
        gateways: String = "[gwns/gw]", created: String = "", more: String = ""
    ) -> String {
        World.virtualService(
            http, name: name, namespace: namespace, hosts: hosts, gateways: gateways,
            created: created, more: more)
    }

    static let cases: [Case] = [
        Case(number: "1", objects: vs(toA, gateways: ""), asked: [("a.com", "/", "404")]),
        Case(number: "2", objects: vs(toA, gateways: "[gw]"), asked: [("a.com", "/", "404")]),
        Case(
            number: "3", objects: vs(toA, gateways: "[mesh, gwns/gw]"), asked: [("a.com", "/", "a")]
        ),
        Case(
            number: "4", objects: vs(toA, gateways: "[gw.gwns.svc.cluster.local]"),
            asked: [("a.com", "/", "a")]),
        Case(
            number: "5", objects: vs(toA), gateways: http("[app/a.com]"),
            asked: [("a.com", "/", "a")]),
        Case(
            number: "5b", objects: vs(toA, namespace: "other"), gateways: http("[app/a.com]"),
            asked: [("a.com", "/", "404")]),
        Case(
            number: "6", objects: vs(toA), gateways: http("[./a.com]"),
            asked: [("a.com", "/", "404")]),
        Case(
            number: "6b", objects: vs(toA, namespace: "gwns"), gateways: http("[./a.com]"),
            asked: [("a.com", "/", "a")]),
        Case(
            number: "7", objects: vs(toA, hosts: "[b.com]"), gateways: http("['*/*', ns1/b.com]"),
            asked: [("b.com", "/", "a")]),
        Case(
            number: "8", objects: vs(toA, more: ", exportTo: ['.']"), asked: [("a.com", "/", "404")]
        ),
        Case(
            number: "8b", objects: vs(toA, more: ", exportTo: [gwns]"), asked: [("a.com", "/", "a")]
        ),
        Case(
            number: "8c", objects: vs(toA, more: ", exportTo: ['*']"), asked: [("a.com", "/", "a")]),
        Case(
            number: "9", objects: vs(toA, hosts: "['*']"), gateways: http("['*.a.com']"),
            asked: [("x.a.com", "/", "a"), ("b.com", "/", "404")]),
        // Istio answers 404 here: it compares in the case of the files. Portico does not.
        Case(
            number: "10", objects: vs(toA, hosts: "[Foo.com]"), gateways: http("[foo.com]"),
            asked: [("foo.com", "/", "a")]),
        Case(number: "11", objects: vs(toA, hosts: "[Foo.com]"), asked: [("FOO.com", "/", "a")]),
        Case(
            number: "12", objects: vs(toA, hosts: "[shop]"),
            asked: [("shop", "/", "404"), ("shop.app.svc.cluster.local", "/", "a")]),
        Case(
            number: "13",
            objects: vs(toA, name: "v1", gateways: "[gwns/g1]")
                + vs(toB, name: "v2", hosts: "[b.com]", gateways: "[gwns/g2]"),
            gateways: http("['*']", name: "g1") + http("['*']", name: "g2"),
            asked: [("a.com", "/", "a"), ("b.com", "/", "b")]),
        Case(number: "21", objects: "", asked: [("a.com", "/", "404")]),
        // Istio answers 404 to the last one: it keeps the dot.
        Case(
            number: "23", objects: vs(toA),
            asked: [("a.com:8080", "/", "a"), ("A.COM", "/", "a"), ("a.com.", "/", "a")]),
        Case(
            number: "24",
            objects: vs(toA, name: "v1", hosts: "['*.com']")
                + vs(toB, name: "v2", hosts: "['*.a.com']"),
            asked: [("x.a.com", "/", "b"), ("x.y.a.com", "/", "b"), ("a.com", "/", "a")]),
        Case(
            number: "25",
            objects: vs(path("/w", "a"), name: "v1", hosts: "['*.a.com']")
                + vs(path("/e", "b"), name: "v2", hosts: "[x.a.com]"),
            asked: [("x.a.com", "/w", "404"), ("x.a.com", "/e", "b"), ("y.a.com", "/w", "a")]),
        Case(
            number: "26",
            objects: vs(path("/w", "a"), name: "v1", hosts: "['*.a.com']")
                + vs(path("/e", "b"), name: "v2", hosts: "[x.a.com]"),
            gateways: http("[x.a.com]"), asked: [("x.a.com", "/w", "a"), ("x.a.com", "/e", "b")]),
        Case(
            number: "27",
            objects: vs("[{match: [{port: 8080}], \(World.to("b"))}]", name: "v1")
                + vs(toA, name: "v2", hosts: "['*']"), asked: [("a.com:80", "/", "a")]),
        Case(
            number: "28",
            objects: vs(toA, name: "v1", created: "2020")
                + vs(path("/x", "b"), name: "v2", created: "2024"),
            asked: [("a.com", "/x", "b"), ("a.com", "/y", "a")]),
        Case(
            number: "29",
            objects: vs(path("/x", "a"), name: "v2", created: "2020")
                + vs(path("/x", "b"), name: "v1", created: "2024"), asked: [("a.com", "/x", "a")]),
        Case(
            number: "30", objects: vs(toA, name: "z") + vs(toB, name: "c"),
            asked: [("a.com", "/", "b")]),
        Case(
            number: "trap 13",
            objects: vs(toA, name: "pub", created: "2020")
                + vs(
                    toB, name: "priv", namespace: "gwns", created: "2024", more: ", exportTo: ['.']"
                ),
            asked: [("a.com", "/", "b")]),
    ]

    @Test(arguments: cases) func `is as Istio's, or differs as noted`(example: Case) {
        let world = World(example.objects, gateways: example.gateways)
        #expect(!world.decoded.hasErrors, "\(world.decoded.diagnostics.text)")
        for (host, path, answer) in example.asked {
            #expect(world.answer(TestRequest(path, host: host)) == answer, "\(host)\(path)")
        }
    }

    @Test func `merges and drops servers of one port by age`() {
        let plain = "{port: {number: 9000, name: http, protocol: HTTP}, hosts: ['*']}"
        let tls =
            "{port: {number: 9000, name: tls, protocol: HTTPS}, hosts: [a.com], tls: {mode: SIMPLE, credentialName: c}}"
        let service = World.virtualService(
            Self.toA, gateways: "[gwns/g1, gwns/g2]")
        func world(_ first: String, _ second: String) -> World {
            World(
                service,
                gateways: World.gateway("g2", first, created: "2020")
                    + World.gateway("g1", second, created: "2024"))
        }
        // Case 15: the older plain server keeps the TLS server out.
        let plainFirst = world(plain, tls)
        #expect(plainFirst.answer(TestRequest("/"), port: 9000) == "a")
        #expect(plainFirst.answer(TestRequest("/"), port: 9000, sni: "a.com") == "closed")
        #expect(plainFirst.codes.contains("server-dropped"))
        // Case 16: the other way round both are served.
        let tlsFirst = world(tls, plain)
        #expect(tlsFirst.answer(TestRequest("/"), port: 9000) == "a")
        #expect(tlsFirst.answer(TestRequest("/"), port: 9000, sni: "a.com") == "a")
        #expect(!tlsFirst.codes.contains("server-dropped"))
    }

    @Test func `gives each TLS server a table of its own`() {
        func tls(_ name: String, _ hosts: String) -> String {
            World.gateway(
                name,
                "{port: {number: 443, name: \(name), protocol: HTTPS}, hosts: \(hosts), "
                    + "tls: {mode: SIMPLE, credentialName: c}}")
        }
        // Case 17: one shared host drops the whole second server.
        let shared = World("", gateways: tls("g1", "[a.com, b.com]") + tls("g2", "[b.com, c.com]"))
        #expect(shared.answer(TestRequest("/"), port: 443, sni: "c.com") == "closed")
        #expect(shared.codes.contains("server-dropped"))
        // Case 18: overlapping names are chosen by SNI.
        let overlapping = World(
            World.virtualService(Self.toA, name: "v1", hosts: "['*.a.com']", gateways: "[gwns/g1]")
                + World.virtualService(
                    Self.toB, name: "v2", hosts: "[x.a.com]", gateways: "[gwns/g2]"),
            gateways: tls("g1", "['*.a.com']") + tls("g2", "[x.a.com]"))
        #expect(
            overlapping.answer(TestRequest("/", host: "x.a.com"), port: 443, sni: "x.a.com") == "b")
        #expect(
            overlapping.answer(TestRequest("/", host: "y.a.com"), port: 443, sni: "y.a.com") == "a")
        // Cases 100 and 101.
        let one = World(World.virtualService(Self.toA), gateways: tls("gw", "[a.com]"))
        #expect(one.answer(TestRequest("/", host: "b.com"), port: 443, sni: "a.com") == "404")
        #expect(one.answer(TestRequest("/"), port: 443, sni: "b.com") == "closed")
        #expect(one.codes.contains("unknown-secret"))
    }

    @Test func `keeps servers of different addresses apart`() {
        // Case 19.
        func bound(_ name: String, _ address: String) -> String {
            World.gateway(
                name,
                "{bind: \(address), port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}")
        }
        let world = World(
            World.virtualService(Self.toA, name: "v1", gateways: "[gwns/g1]")
                + World.virtualService(Self.toB, name: "v2", gateways: "[gwns/g2]"),
            gateways: bound("g1", "10.0.0.1") + bound("g2", "10.0.0.2"))
        #expect(world.answer(TestRequest("/"), bind: "10.0.0.1") == "a")
        #expect(world.answer(TestRequest("/"), bind: "10.0.0.2") == "b")
    }

    @Test func `never opens a server that it cannot serve as something weaker`() {
        let mutual = World.gateway(
            "gw",
            "{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a.com], "
                + "tls: {mode: AUTO_PASSTHROUGH}}")
        #expect(World(World.virtualService(Self.toA), gateways: mutual).plan.listeners.isEmpty)
        let redirect = World.gateway(
            "gw",
            "{port: {number: 80, name: h, protocol: HTTP}, hosts: [a.com], "
                + "tls: {httpsRedirect: true}}")
        #expect(
            World(World.virtualService(Self.toA), gateways: redirect).answer(TestRequest("/"))
                == "301")
    }
}
