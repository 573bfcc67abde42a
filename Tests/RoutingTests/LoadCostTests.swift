import Balancing
import Octets
import Testing

@testable import Manifests
@testable import Routing

/// Definitions that somebody writes to make loads take minutes. The limits of time are those of a test
/// that would hang; where it was possible a test counts instead.
@Suite struct `What definitions cost` {
    @Test func `is bounded for names that are looked for, of which none is proposed beyond`() {
        let problems = Problems(looks: 3)
        #expect(problems.nearest(to: "abc", among: ["xyz", "abd"]) == "abd")
        #expect(problems.nearest(to: "abc", among: ["xyz", "abd"]) == "abd", "a search that has begun ends")
        #expect(problems.nearest(to: "abc", among: ["abd"]) == nil)
    }

    private func rules(_ count: Int) -> String {
        let rules = (0..<count).map { "{match: [{uri: {exact: /\($0)}}], \(World.to("a"))}" }
        return World.virtualService("[\(rules.joined(separator: ", "))]")
    }

    @Test(.timeLimit(.minutes(15))) func `grows with the rules of one VirtualService, not with their square`() {
        let world = World(rules(20_000))
        #expect(world.plan.routes.count == 20_000)
        #expect(world.answer(TestRequest("/19999")) == "a")
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with prefixes times matches on one text`() {
        var reach = Reachability()
        let place = SourcePlace(file: "a.yaml", line: 1, column: 1)
        for length in 1...2000 {
            let prefix = "/" + String(repeating: "p", count: length) + "/"
            let cause = reach.note(RuleMatch(path: .prefix(prefix, ignoringCase: false)), place: place)
            #expect(cause == nil)
        }
        let match = RuleMatch(
            path: .prefix("/" + String(repeating: "p", count: 2003), ignoringCase: false),
            conditions: [Condition(.method, .exact("GET"))])
        for _ in 0..<40_000 where reach.note(match, place: place) != nil { Issue.record("covered by nothing") }
    }

    @Test func `is told of covered paths as before`() {
        var reach = Reachability()
        let place = SourcePlace(file: "a.yaml", line: 1, column: 1)
        func note(_ path: PathTest) -> String? { reach.note(RuleMatch(path: path), place: place)?.description }
        #expect(note(.prefix("/a/b", ignoringCase: false)) == nil)
        #expect(note(.prefix("/a", ignoringCase: false)) == nil)
        #expect(note(.exact("/a/b/c", ignoringCase: false)) == "the prefix '/a'")
        #expect(note(.prefix("/a/b", ignoringCase: false)) == "the prefix '/a'")
        #expect(note(.exact("/b", ignoringCase: false)) == nil)
        #expect(note(.exact("/b", ignoringCase: false)) == "the path /b")
        #expect(note(.exact("/bé", ignoringCase: false)) == nil)
        #expect(note(.prefix("", ignoringCase: false)) == nil)
        #expect(note(.exact("/bé/", ignoringCase: false)) == "the prefix ''")
    }

    /// Keys that share one slot of a table with the seed of before spread over a table of another seed.
    @Test func `cannot be raised by hosts that fall upon each other`() {
        func slot(_ name: String, _ seed: UInt64) -> Int {
            unsafe Array(name.utf8).withUnsafeBytes {
                let octets = unsafe Octets($0)
                return Int(WordHash.hash(octets, scope: 0, folded: false, seed: seed) & 1023)
            }
        }
        let names = (0..<40_000).map { "h\($0).test" }.filter { slot($0, 0x9e37_79b9_7f4a_7c15) == 0 }
        #expect(names.count > 20)
        #expect(Set(names.map { slot($0, 1) }).count * 10 > names.count * 8)
        let tables = (0..<2).map { _ in RouteTable(hosts: [], ruleSets: []) }
        #expect(tables[0].keys.seed != tables[1].keys.seed)
    }

    @Test func `is bounded for rules times ports, with an error`() throws {
        let ports = (1...20).map { "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*']}" }
        let matches = (0..<50).map { "{uri: {exact: /\($0)}}" }.joined(separator: ", ")
        let world = World(
            World.virtualService("[{match: [\(matches)], \(World.to("a"))}]"),
            gateways: World.gateway("gw", ports.joined(separator: ", ")), adjust: { $0.mostMatches = 500 })
        #expect(world.plan.diagnostics.contains { $0.code == "too-many-rules" && $0.severity == .error })
        #expect(world.answer(TestRequest("/49"), port: 1) == "a")
        #expect(world.answer(TestRequest("/49"), port: 20) == "503")
    }

    @Test func `is bounded for rules that are never reached, too`() {
        let ports = (1...20).map { "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*']}" }
        let rules = (0..<50).map { "{match: [{uri: {exact: /\($0)}}], \(World.to("b"))}" }
        let world = World(
            World.virtualService("[{\(World.to("a"))}, \(rules.joined(separator: ", "))]"),
            gateways: World.gateway("gw", ports.joined(separator: ", ")), adjust: { $0.mostMatches = 500 })
        #expect(world.plan.diagnostics.contains { $0.code == "too-many-rules" && $0.severity == .error })
        #expect(world.answer(TestRequest("/49"), port: 1) == "a")
        #expect(world.answer(TestRequest("/49"), port: 20) == "503")
    }

    @Test func `is bounded for rules times hosts that several objects share, with an error`() {
        let hosts = (0..<20).map { "h\($0).com" }
        let matches = (0..<50).map { "{uri: {exact: /\($0)}}" }.joined(separator: ", ")
        let others = hosts.enumerated().map { number, host in
            World.virtualService("[{\(World.to("b"))}]", name: "z\(number)", hosts: "[\(host)]")
        }
        let list = "[\(hosts.joined(separator: ", "))]"
        let world = World(
            World.virtualService("[{match: [\(matches)], \(World.to("a"))}]", hosts: list)
                + World.virtualService("[{\(World.to("b"))}]", name: "wide", hosts: "['*.com']")
                + others.joined(), adjust: { $0.mostMatches = 500 })
        let found = world.plan.diagnostics.filter { $0.code == "too-many-rules" }
        #expect(!found.isEmpty && found.allSatisfy { $0.severity == .error })
        let answers = hosts.map { world.answer(TestRequest("/49", host: $0)) }
        #expect(Set(answers) == ["a", "503"])
        #expect(answers.count { $0 == "503" } == found.count)
        #expect(world.plan.tables[0].ruleSets.reduce(0) { $0 + $1.reduce(0) { $0 + $1.matches.count } } < 800)
    }

    @Test func `is bounded for hosts times ports, with an error`() {
        let ports = (1...20).map { "{port: {number: \($0), name: p\($0), protocol: HTTP}, hosts: ['*']}" }
        let hosts = (0..<50).map { "h\($0).test" }.joined(separator: ", ")
        let world = World(
            World.virtualService("[{\(World.to("a"))}]", hosts: "[\(hosts)]")
                + World.virtualService("[{\(World.to("b"))}]", name: "a", hosts: "['*.test']"),
            gateways: World.gateway("gw", ports.joined(separator: ", ")), adjust: { $0.mostHosts = 500 })
        #expect(world.plan.diagnostics.contains { $0.code == "too-many-hosts" && $0.severity == .error })
        #expect(world.answer(TestRequest("/", host: "h49.test"), port: 1) == "a")
        #expect(world.answer(TestRequest("/", host: "h49.test"), port: 20) == "503")
    }

    @Test func `is bounded for Services times pods, with an error`() {
        let endpoints = (0..<60).map { "{address: 10.0.0.\($0 + 1)}" }.joined(separator: ", ")
        let hosts = (0..<100).map { "h\($0).test" }
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: many, namespace: app}
            spec:
              hosts: [\(hosts.joined(separator: ", "))]
              ports: [{number: 80, name: http, protocol: HTTP}]
              resolution: STATIC
              endpoints: [\(endpoints)]

            """
        let rules = hosts.map { "{match: [{uri: {exact: /\($0)}}], route: [{destination: {host: \($0)}}]}" }
        let world = World(
            entry + World.virtualService("[\(rules.joined(separator: ", "))]"), adjust: { $0.mostEndpoints = 5000 })
        let found = world.plan.diagnostics.filter { $0.code == "too-many-endpoints" }
        #expect(found.count == 17)    // 83 hosts of 60 endpoints are below 5000
        #expect(world.answer(TestRequest("/h0.test")) == "h0")
        #expect(world.plan.clusters.contains { $0.source == .unavailable(.tooManyEndpoints) })
    }

    private func destinationRule(_ number: Int, host: String = "a.app.svc.cluster.local", _ spec: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: d\(number), namespace: app}
        spec: {host: '\(host)', \(spec)}

        """
    }

    @Test(.timeLimit(.minutes(15))) func `grows with DestinationRules of one host, not with their square`() {
        let rules = (0..<8000).map { destinationRule($0, "subsets: [{name: s\($0)}, {name: all}]") }
        let world = World(rules.joined() + World.virtualService("[{\(World.to("a"))}]"))
        #expect(world.plan.diagnostics.count { $0.code == "hidden-by-other" } == 7999)
        #expect(world.plan.diagnostics.count { $0.code == "unused-subset" } == 16_000)
    }

    @Test(.timeLimit(.minutes(15))) func `grows with subsets that close, not with their square`() {
        let subsets = (0..<20_000).map { "{name: s\($0), trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}}" }
        let host = "a.app.svc.cluster.local"
        let rules = (0..<20_000).map {
            "{match: [{uri: {exact: /\($0)}}], route: [{destination: {host: \(host), subset: s\($0)}}]}"
        }
        let world = World(
            destinationRule(0, "subsets: [\(subsets.joined(separator: ", "))]")
                + World.virtualService("[\(rules.joined(separator: ", "))]"))
        #expect(world.answer(TestRequest("/19999")) == "503")
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with wildcards of DestinationRules times hosts`() {
        let hosts = (0..<8000).map { "h\($0).test" }
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: many, namespace: app}
            spec:
              hosts: [\(hosts.joined(separator: ", "))]
              ports: [{number: 80, name: http, protocol: HTTP}]
              resolution: STATIC
              endpoints: [{address: 10.0.0.1}]

            """
        let rules = hosts.map { "{match: [{uri: {exact: /\($0)}}], route: [{destination: {host: \($0)}}]}" }
        let policies = (0..<8000).map { destinationRule($0, host: "*.w\($0).test", "subsets: []") }
        let world = World(
            entry + destinationRule(9000, host: "*.test", "subsets: []") + policies.joined()
                + World.virtualService("[\(rules.joined(separator: ", "))]"))
        #expect(world.plan.diagnostics.count { $0.code == "no-effect" } == 8000)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with DestinationRules that were left out times hosts`() {
        let hosts = (0..<8000).map { "h\($0).test" }
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: many, namespace: app}
            spec:
              hosts: [\(hosts.joined(separator: ", "))]
              ports: [{number: 80, name: http, protocol: HTTP}]
              resolution: STATIC
              endpoints: [{address: 10.0.0.1}]

            """
        let rules = hosts.map { "{match: [{uri: {exact: /\($0)}}], route: [{destination: {host: \($0)}}]}" }
        let policies = (0..<8000).map { number in
            let tls = number == 4000 ? "trafficPolicy: {tls: {mode: SIMPLE}}, " : ""
            return destinationRule(number, host: "*.test", tls + "nonsense: 1")
        }
        let world = World(
            entry + policies.joined() + World.virtualService("[\(rules.joined(separator: ", "))]"))
        #expect(world.answer(TestRequest("/h7999.test")) == "503")    // one of them asked for TLS
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with matches that never hold times Gateways`() {
        let matches = (0..<20_000).map { "{uri: {exact: /\($0)}, gateways: [gwns/other]}" }
        let gateways = (0..<1000).map { "gwns/g\($0)" }
        let world = World(
            World.virtualService(
                "[{match: [\(matches.joined(separator: ", "))], \(World.to("a"))}]",
                gateways: "[gwns/gw, \(gateways.joined(separator: ", "))]"))
        #expect(world.plan.diagnostics.count { $0.code == "never-holds" } == 20_000)
    }

    @Test(.timeLimit(.minutes(15))) func `grows with ServiceEntries of one host, not with their square`() {
        let entries = (1...8000).map { number in
            """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: e\(number), namespace: app, creationTimestamp: '2020-01-01T00:00:00Z'}
            spec:
              hosts: [one.test]
              ports: [{number: \(number), name: http, protocol: HTTP}]
              resolution: STATIC
              endpoints: [{address: 10.0.0.1}]

            """
        }
        let rule = "[{route: [{destination: {host: one.test, port: {number: 8000}}}]}]"
        let world = World(entries.joined() + World.virtualService(rule))
        #expect(world.answer(TestRequest("/")) == "one")
        let endpoint = PlannedEndpoint(address: .ip("10.0.0.1", port: 8000), weight: 1)
        let cluster = world.plan.clusters.first
        #expect(cluster.map { EndpointReader(world.endpoints).endpoints(of: $0.source) } == .endpoints([endpoint]))
    }

    /// One Service with a slice whose endpoints have pods, and a subset for each of them.
    private func subsets(_ count: Int) -> World {
        let pods = (0..<count).map { number in
            """
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: p\(number), namespace: app, labels: {app: many, own: v\(number)}}
            status: {podIP: 10.1.\(number / 250).\(number % 250)}

            """
        }
        let endpoints = (0..<count).map {
            "{addresses: [10.1.\($0 / 250).\($0 % 250)], targetRef: {kind: Pod, name: p\($0)}}"
        }
        let own = (0..<count).map { "{name: s\($0), labels: {app: many, own: v\($0)}}" }
        let none = (0..<count).map { "{name: n\($0), labels: {app: many, own: no\($0)}}" }
        let destinations = (0..<count).map { number in
            "{match: [{uri: {exact: /\(number)}}], route: [{weight: 1, destination: {host: many, subset: s\(number)}}, "
                + "{weight: 1, destination: {host: many, subset: n\(number)}}]}"
        }
        return World(
            pods.joined() + """
                ---
                apiVersion: v1
                kind: Service
                metadata: {name: many, namespace: app}
                spec: {ports: [{name: http, port: 8080}]}
                ---
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata: {name: many-1, namespace: app, labels: {kubernetes.io/service-name: many}}
                addressType: IPv4
                ports: [{name: http, port: 8080}]
                endpoints: [\(endpoints.joined(separator: ", "))]
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: many, namespace: app}
                spec: {host: many, subsets: [\((own + none).joined(separator: ", "))]}

                """ + World.virtualService("[\(destinations.joined(separator: ", "))]"))
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with the subsets of a Service times its endpoints`() {
        let world = subsets(2000)
        let reader = EndpointReader(world.endpoints)
        for cluster in world.plan.clusters {
            let place = Int(cluster.subset.dropFirst()) ?? 0
            let wanted = PlannedEndpoint(address: .ip("10.1.\(place / 250).\(place % 250)", port: 8080), weight: 1)
            let isEmpty = cluster.subset.hasPrefix("n")
            #expect(reader.endpoints(of: cluster.source) == .endpoints(isEmpty ? [] : [wanted]))
        }
        #expect(world.plan.clusters.count == 4000)
        #expect(reader.visits == 4000, "2,000 endpoints are read once, and one for each subset that has one")
        #expect(world.plan.diagnostics.count { $0.code == "empty-subset" } == 2000)
        #expect(
            world.plan.diagnostics.first { $0.code == "empty-subset" }?.hint?.hasPrefix("on the endpoints, ") == true)
    }

    @Test(.timeLimit(.minutes(15))) func `does not grow with the subsets of a ServiceEntry times its endpoints`() {
        for (resolution, suffix) in [("STATIC", ""), ("DNS", ".test")] {
            let endpoints = (0..<4000).map { number in
                let address = suffix.isEmpty ? "10.1.\(number / 250).\(number % 250)" : "h\(number)\(suffix)"
                return "{address: \(address), labels: {own: v\(number)}}"
            }
            let subsets = (0..<4000).map { "{name: s\($0), labels: {own: v\($0)}}" }
            let rules = (0..<4000).map {
                "{match: [{uri: {exact: /\($0)}}], route: [{destination: {host: one.test, subset: s\($0)}}]}"
            }
            let world = World(
                """
                ---
                apiVersion: networking.istio.io/v1
                kind: ServiceEntry
                metadata: {name: one, namespace: app}
                spec:
                  hosts: [one.test]
                  ports: [{number: 80, name: http, protocol: HTTP}]
                  resolution: \(resolution)
                  endpoints: [\(endpoints.joined(separator: ", "))]
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: one, namespace: app}
                spec: {host: one.test, subsets: [\(subsets.joined(separator: ", "))]}

                """ + World.virtualService("[\(rules.joined(separator: ", "))]"))
            let reader = EndpointReader(world.endpoints)
            let found = world.plan.clusters.map { cluster in
                switch reader.endpoints(of: cluster.source) {
                case .endpoints(let all): all.count
                case .names(let all): all.count
                }
            }
            #expect(found == Array(repeating: 1, count: 4000))
            #expect(reader.visits == (suffix.isEmpty ? 8000 : 0))
        }
    }

    @Test func `is nothing any more once the load is ended`() {
        let limit = LoadLimit()
        limit.end()
        let text = rules(10)
        #expect(ManifestReader.load(sources: [("a.yaml", Array(text.utf8))], limit: limit).inventory.all.isEmpty)
        var options = CompileOptions()
        options.labels = ["istio": "ingressgateway"]
        options.limit = limit
        let whole = ManifestReader.load(sources: [("a.yaml", Array((World.gateway + text).utf8))])
        #expect(RoutingPlan.compile(whole.inventory, options: options).listeners.isEmpty)
    }
}
