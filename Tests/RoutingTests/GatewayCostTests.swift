import Testing

@testable import Manifests
@testable import Routing

/// What somebody may write many of, twice: the limits of time are those of a test that would hang.
@Suite struct `What many Gateways, servers and ports cost` {
    @Test(.timeLimit(.minutes(15))) func `does not grow with servers of a port times hosts of VirtualServices`() {
        let names = ["h0.test", "*.w.test", "*.u.test"]
        let servers = (0..<2000).map { number in
            let hosts = number < 3 ? names[number] : "h\(number).test', '*.w\(number).test"
            return "{port: {number: 80, name: p\(number), protocol: HTTP}, hosts: ['\(hosts)']}"
        }
        let rule = "[{\(World.to("a"))}]"
        // Many of few hosts, and one of many; half of the hosts are on no server.
        let few = (0..<200).map { number in
            let hosts = (0..<50).map { "h\(number * 50 + $0).test" }.joined(separator: ", ")
            return World.virtualService(rule, name: "v\(number)", hosts: "[\(hosts)]")
        }
        let many = (0..<10_000).map { "x.w\($0).test" }.joined(separator: ", ")
        let world = World(
            few.joined() + World.virtualService(rule, name: "many", hosts: "[\(many)]"),
            gateways: World.gateway("gw", servers.joined(separator: ", ")))
        #expect(world.answer(TestRequest("/", host: "h1999.test")) == "a")
        #expect(world.answer(TestRequest("/", host: "x.w1999.test")) == "a")
        #expect(world.plan.diagnostics.count { $0.code == "host-not-in-gateway" } == 8002 + 8003)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with Gateways times hosts of one VirtualService`() {
        let gateways = (0..<1000).map {
            World.gateway("g\($0)", "{port: {number: 80, name: p, protocol: HTTP}, hosts: [h\($0).test]}")
        }
        let hosts = (0..<10_000).map { "h\($0).test" }.joined(separator: ", ")
        let names = (0..<1000).map { "gwns/g\($0)" }.joined(separator: ", ")
        let world = World(
            World.virtualService("[{\(World.to("a"))}]", hosts: "[\(hosts)]", gateways: "[\(names)]"),
            gateways: gateways.joined())
        #expect(world.answer(TestRequest("/", host: "h999.test")) == "a")
        #expect(world.plan.diagnostics.count { $0.code == "host-not-in-gateway" } == 9000)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with servers that have an error times ports`() {
        let gateways = (0..<2000).map { number in
            let port = "{number: \(number + 1), name: p, protocol: HTTP}"
            let broken = "{port: {number: \(number + 1), name: q, protocol: HTTP}, hosts: [b.test], tls: {mode: NO}}"
            return World.gateway("g\(number)", "{port: \(port), hosts: [h\(number).test]}, \(broken)")
        }
        let world = World("", gateways: gateways.joined())
        #expect(world.plan.diagnostics.count { $0.code == "listener-without-routes" } == 2000)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with servers times hosts that an error took out`() {
        let servers = (0..<1000).map {
            "{port: {number: 80, name: p\($0), protocol: HTTP}, hosts: [h\($0).test]}"
        }
        let services = (0..<1000).map { number in
            World.virtualService(
                "[{\(World.to("a"))}]", name: "v\(number)", hosts: "[h\(number).test, x.test]", more: ", no: 1")
        }
        let world = World(services.joined(), gateways: World.gateway("gw", servers.joined(separator: ", ")))
        #expect(world.answer(TestRequest("/", host: "h999.test")) == "503")
        #expect(world.plan.diagnostics.count { $0.code == "left-out" } == 1000)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with closed servers times open ones`() {
        let tls = { (mode: String) in "tls: {mode: \(mode), credentialName: c}" }
        let port = { (name: String) in "{number: 443, name: \(name), protocol: HTTPS}" }
        let open = (0..<1500).map { "{port: \(port("o\($0)")), hosts: ['*.s\($0).test'], \(tls("SIMPLE"))}" }
        let closed = (0..<1500).map { "{port: \(port("c\($0)")), hosts: [x.s\($0).test], \(tls("AUTO_PASSTHROUGH"))}" }
        let world = World("", gateways: World.gateway("gw", (open + closed).joined(separator: ", ")))
        #expect(world.answer(TestRequest("/", host: "x.s1499.test"), port: 443, sni: "y.s1499.test") == "503")
        #expect(world.answer(TestRequest("/", host: "y.s1499.test"), port: 443, sni: "y.s1499.test") == "404")
    }

    @Test func `is bounded for redirects of many hosts on many ports`() {
        let ports = (1...20).map {
            "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}"
        }
        let hosts = (0..<50).map { "h\($0).test" }.joined(separator: ", ")
        let open = World.gateway("open", "{port: {number: 20, name: p, protocol: HTTP}, hosts: ['h49.test']}")
        let world = World(
            World.virtualService("[{\(World.to("a"))}]", hosts: "[\(hosts)]", gateways: "[gwns/gw, gwns/open]"),
            gateways: World.gateway("gw", ports.joined(separator: ", ")) + open, adjust: { $0.mostHosts = 500 })
        #expect(world.answer(TestRequest("/", host: "h49.test"), port: 1) == "301")
        #expect(world.answer(TestRequest("/", host: "h49.test"), port: 20) == "503")
        #expect(world.plan.tables.reduce(0) { $0 + $1.hosts.count } < 700)
    }

    @Test func `is bounded for wildcards times hosts of one server, with an error`() {
        let hosts = (0..<50).map { "h\($0).test" }.joined(separator: ", ")
        let wild = (0..<50).map { World.virtualService("[{\(World.to("a"))}]", name: "v\($0)", hosts: "['*']") }
        let server = "{port: {number: 80, name: p, protocol: HTTP}, hosts: [\(hosts)]}"
        let world = World(wild.joined(), gateways: World.gateway("gw", server), adjust: { $0.mostHosts = 500 })
        #expect(world.plan.diagnostics.contains { $0.code == "too-many-hosts" && $0.severity == .error })
        #expect(world.answer(TestRequest("/", host: "h0.test")) == "a")
    }

    @Test func `is bounded for destinations times ports, with an error`() {
        let ports = (1...20).map { "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*']}" }
        let destination = "{destination: {host: a.app.svc.cluster.local}, weight: 1}"
        let list = Array(repeating: destination, count: 50).joined(separator: ", ")
        let world = World(
            World.virtualService("[{route: [\(list)]}]"), gateways: World.gateway("gw", ports.joined(separator: ", ")),
            adjust: { $0.mostMatches = 500 })
        #expect(world.plan.diagnostics.contains { $0.code == "too-many-rules" && $0.severity == .error })
        #expect(world.answer(TestRequest("/"), port: 20) == "503")
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with ports times rules times ports`() {
        let ports = (1...500).map { "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*']}" }
        let rules = (0..<60).map { "{match: [{uri: {exact: /\($0)}}], \(World.to("a"))}" }
        let services = World.service("a", "10.0.0.1", ports: "{name: http, port: 8080}, {name: other, port: 9}")
        let world = World(
            World.virtualService("[\(rules.joined(separator: ", "))]"),
            gateways: World.gateway("gw", ports.joined(separator: ", ")), services: services)
        #expect(world.answer(TestRequest("/59"), port: 9) == "a")
        #expect(world.answer(TestRequest("/59"), port: 10) == "503")
        // A destination is told of a hundred of its ports.
        #expect(world.plan.diagnostics.count { $0.code == "port-needed" } == 60 * 100)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with workloads times selectors`() {
        let port = "ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC"
        let entries = (0..<3000).map { number in
            """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: e\(number), namespace: app}
            spec: {hosts: [e\(number).test], \(port), workloadSelector: {labels: {all: yes-1, app: w\(number)}}}
            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: w\(number), namespace: app}
            spec: {address: 10.0.0.1, labels: {all: yes-1, app: w\(number * 2)}}

            """
        }
        let world = World(entries.joined())
        #expect(world.plan.diagnostics.count { $0.code == "not-selected" } == 1500)
    }
}
