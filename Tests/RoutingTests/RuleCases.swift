import Manifests
import Octets
import Routing
import Testing

/// Rules, conditions and destinations. Source: docs/istio.md, Rules; docs/istio.md, Services.
@Suite struct `Rules and destinations` {
    struct Case: Sendable, CustomTestStringConvertible {
        let number: String
        let http: String
        let asked: [(request: TestRequest, answer: String)]
        var testDescription: String { "case \(number)" }
    }

    private static let toA = World.to("a")
    private static let toB = World.to("b")

    private static func one(_ match: String) -> String { "[{match: [\(match)], \(toA)}]" }

    private static func get(
        _ path: String, _ headers: [(String, String)] = [], host: String = "a.com",
        method: String = "GET"
    )
        -> TestRequest
    { TestRequest(path, host: host, method: method, headers: headers) }

    static let cases: [Case] = [
        Case(
            number: "31", http: "[{match: [{uri: {prefix: /v1}}], \(toA)}, {\(toB)}]",
            asked: [(get("/v1/x"), "a"), (get("/v2"), "b")]),
        Case(
            number: "32",
            http: one("{uri: {prefix: /x}, headers: {k: {exact: '1'}}}, {uri: {prefix: /y}}"),
            asked: [(get("/x"), "404"), (get("/x", [("k", "1")]), "a"), (get("/y"), "a")]),
        Case(
            number: "33", http: one("{uri: {prefix: /foo}}"),
            asked: [(get("/foobar"), "a"), (get("/foo?z=1"), "a"), (get("/fo"), "404")]),
        Case(
            number: "34", http: one("{uri: {exact: /foo}}"),
            asked: [(get("/foo?z=1"), "a"), (get("/foo/"), "404")]),
        Case(
            number: "35", http: one("{uri: {regex: '/a[0-9]'}}"),
            asked: [(get("/a1"), "a"), (get("/a12"), "404")]),
        Case(
            number: "36", http: one("{uri: {prefix: /FOO}, ignoreUriCase: true}"),
            asked: [(get("/foo/x"), "a")]),
        Case(
            number: "37", http: one("{uri: {regex: '/FOO.*'}, ignoreUriCase: true}"),
            asked: [(get("/foo"), "404")]),
        Case(
            number: "38", http: one("{headers: {x: {}}}"),
            asked: [(get("/"), "404"), (get("/", [("x", "")]), "a")]),
        Case(
            number: "39", http: one("{headers: {x: {exact: a}}}"),
            asked: [(get("/", [("x", "a"), ("x", "b")]), "404")]),
        Case(
            number: "39b", http: one("{headers: {x: {exact: 'a,b'}}}"),
            asked: [(get("/", [("x", "a"), ("x", "b")]), "a")]),
        Case(
            number: "39c", http: one("{headers: {x: {exact: ',b'}}}"),
            asked: [(get("/", [("x", ""), ("x", "b")]), "a")]),
        Case(
            number: "39d: HTTP/2 clients send a cookie in several fields",
            http: one("{headers: {cookie: {exact: 'a=1; user=beta'}}}"),
            asked: [(get("/", [("cookie", "a=1"), ("cookie", "user=beta")]), "a")]),
        Case(
            number: "40", http: one("{headers: {X-Y: {prefix: v}}}"),
            asked: [(get("/", [("x-y", "v2")]), "a"), (get("/", [("x-y", "V2")]), "404")]),
        Case(
            number: "41", http: one("{headers: {x: {regex: foo}}}"),
            asked: [(get("/", [("x", "foobar")]), "404")]),
        Case(
            number: "42", http: one("{withoutHeaders: {x: {exact: a}}}"),
            asked: [
                (get("/"), "a"), (get("/", [("x", "a")]), "404"), (get("/", [("x", "b")]), "a"),
            ]),
        Case(
            number: "43", http: one("{withoutHeaders: {x: {}}}"),
            asked: [(get("/"), "a"), (get("/", [("x", "b")]), "404")]),
        Case(
            number: "44", http: one("{queryParams: {k: {exact: v}}}"),
            asked: [(get("/?k=v"), "a"), (get("/?k=w&k=v"), "404"), (get("/?k=%76"), "404")]),
        Case(
            number: "45", http: one("{queryParams: {k: {}}}"),
            asked: [(get("/?k"), "a"), (get("/"), "404")]),
        Case(
            number: "45b", http: one("{queryParams: {k: {exact: ''}}}"),
            asked: [(get("/?k"), "a"), (get("/"), "404")]),
        Case(
            number: "46", http: one("{method: {exact: GET}}"),
            asked: [(get("/", method: "HEAD"), "404"), (get("/"), "a")]),
        Case(
            number: "47", http: one("{authority: {exact: a.com}}"),
            asked: [(get("/", host: "a.com:80"), "404"), (get("/"), "a")]),
        Case(
            number: "48", http: "[{match: [{gateways: [gwns/other]}], \(toB)}, {\(toA)}]",
            asked: [(get("/"), "a")]),
        Case(number: "49", http: one("{sourceLabels: {app: x}}"), asked: [(get("/"), "404")]),
        Case(number: "49b", http: one("{sourceLabels: {app: edge}}"), asked: [(get("/"), "a")]),
        Case(
            number: "50",
            http: "[{match: [{port: 80}], \(toA)}, {match: [{uri: {prefix: /x}}], \(toB)}]",
            asked: [(get("/x"), "a")]),
        Case(
            number: "51",
            http:
                "[{match: [{uri: {prefix: ''}}], \(toA)}, {match: [{uri: {prefix: /x}}], \(toB)}]",
            asked: [(get("/x"), "a")]),
        Case(
            number: "52", http: one("{uri: {prefix: /b}}"),
            asked: [(get("/b"), "a"), (get("//b"), "404")]),
        Case(
            number: "53", http: "[{route: [{destination: {host: nope}}]}]",
            asked: [(get("/"), "503")]),
        Case(
            number: "54", http: "[{route: [{destination: {host: a, subset: v1}}]}]",
            asked: [(get("/"), "503")]),
        Case(
            number: "55", http: "[{route: [{destination: {host: two}}]}]",
            asked: [(get("/"), "two")]),
        Case(
            number: "55b", http: "[{route: [{destination: {host: far}}]}]",
            asked: [(get("/"), "503")]),
        Case(number: "56", http: "[{\(toA)}]", asked: [(get("/"), "a")]),
        Case(
            number: "57", http: "[{route: [{destination: {host: idle}}]}]",
            asked: [(get("/"), "503")]),
        Case(
            number: "58",
            http:
                "[{route: [{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 100}]}]",
            asked: [(get("/"), "b")]),
        Case(
            number: "58b",
            http:
                "[{route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 1}]}]",
            asked: [(get("/"), "a|b")]),
        Case(
            number: "59", http: "[{route: [{destination: {host: a}, weight: 0}]}]",
            asked: [(get("/"), "a")]),
        Case(
            number: "61", http: "[{route: [{destination: {host: a.app}}]}]",
            asked: [(get("/"), "503")]),
        Case(
            number: "62", http: "[{route: [{destination: {host: none.com}}]}]",
            asked: [(get("/"), "503")]),
        Case(
            number: "62b", http: "[{route: [{destination: {host: ext.com}}]}]",
            asked: [(get("/"), "dns ext.com:443")]),
        Case(
            number: "part",
            http:
                "[{route: [{destination: {host: a}, weight: 9}, {destination: {host: nope}, weight: 1}]}]",
            asked: [(get("/"), "a|503")]),
        Case(number: "redirect", http: "[{redirect: {uri: /new}}]", asked: [(get("/"), "")]),
        Case(
            number: "claims",
            http: "[{match: [{headers: {'@request.auth.claims.group': {exact: x}}}], \(toA)}]",
            asked: [(get("/", [("@request.auth.claims.group", "x")]), "503"), (get("/"), "503")]),
    ]

    static let more =
        World.services
        + World.service("two", "10.0.0.3", ports: "{name: http, port: 80}, {name: b, port: 9090}")
        + World.service("far", "10.0.0.4", ports: "{name: http, port: 8081}, {name: b, port: 9090}")
            + """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: idle, namespace: app}
            spec: {selector: {app: idle}, ports: [{name: http, port: 80}]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: idle-1, namespace: app, labels: {app: idle}}
            status: {phase: Running, podIP: 10.0.0.9, conditions: [{type: Ready, status: "False"}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: ext, namespace: app}
            spec: {hosts: [ext.com], resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: none, namespace: app}
            spec: {hosts: [none.com], resolution: NONE, ports: [{number: 443, name: https, protocol: HTTPS}]}

            """

    @Test(arguments: cases) func `are as Istio's`(example: Case) {
        let world = World(World.virtualService(example.http), services: Self.more)
        for (request, answer) in example.asked {
            #expect(world.answer(request) == answer, "\(request.path.string) \(request.texts)")
        }
    }

    @Test
    func `two equal weights get about half each, and a share that cannot be served keeps its size`()
        throws
    {
        let world = World(
            World.virtualService(
                "[{route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 3}]}]"
            ))
        let route = try #require(world.plan.routes.first)
        var random = FixedRandom(state: 1)
        let drawn = (0..<10_000).count { _ in
            route.destination(random: random.next()) == route.destinations[0].cluster
        }
        #expect(abs(drawn - 2_500) < 150)
    }

    @Test func `cases 60 and 63 are refused when they are read`() {
        let zero =
            "[{route: [{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 0}]}]"
        #expect(World(World.virtualService(zero)).decoded.hasErrors)
        #expect(World(World.virtualService("[{match: [{uri: {prefix: /}}]}]")).decoded.hasErrors)
        #expect(World(World.virtualService(zero)).answer(TestRequest("/")) == "503")
    }
}
