import Balancing
import Manifests
import Routing
import Testing

@testable import Control

/// Endpoints that change without a load, as a watch of Kubernetes would tell.
@Suite struct `A change of endpoints` {
    private var directory = ClusterDirectory(limit: 1000)
    private let plan: RoutingPlan

    /// Services `a` and `b` with slices `a-1` and `b-1`, and a subset `v1` of `a`.
    init() {
        let set = Self.read(
            Self.base + Self.slice("a-1", of: "a", "10.0.0.1", "10.0.0.2") + Self.slice("b-1", of: "b", "10.0.0.9")
                + Self.pod("p1", "10.0.0.1", "v1"))
        #expect(!set.hasErrors, "\(set.diagnostics.text)")
        let table = EndpointTable(set.inventory)
        plan = RoutingPlan.compile(set.inventory, endpoints: table, options: CompileOptions())
        _ = directory.replace(plan: plan, table: table)
    }

    private static let base = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: vs}
        spec:
          hosts: ['*']
          gateways: [gw]
          http:
          - match: [{uri: {prefix: /v1}}]
            route: [{destination: {host: a, subset: v1}}]
          - match: [{uri: {prefix: /b}}]
            route: [{destination: {host: b}}]
          - route: [{destination: {host: a}}]
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: a}
        spec: {host: a, subsets: [{name: v1, labels: {version: v1}}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: a}
        spec: {selector: {app: a}, ports: [{name: http, port: 80}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: b}
        spec: {ports: [{name: http, port: 80}]}

        """

    private static func slice(_ name: String, of service: String, _ addresses: String...) -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name), labels: {kubernetes.io/service-name: \(service)}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        endpoints: [\(addresses.map { "{addresses: [\($0)]}" }.joined(separator: ", "))]

        """
    }

    private static func pod(_ name: String, _ address: String, _ version: String) -> String {
        """
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: \(name), labels: {app: a, version: \(version)}}
        status: {phase: Running, podIP: \(address), conditions: [{type: Ready, status: "True"}]}

        """
    }

    private static func read(_ text: String) -> ManifestSet {
        ManifestReader.load(sources: [("case.yaml", Array(text.utf8))])
    }

    /// Objects that are new or others now.
    private static func changes(_ text: String, removed: String...) -> EndpointChanges {
        var changes = EndpointChanges()
        let inventory = read(text).inventory
        for slice in inventory.endpointSlices { changes.slices[ServiceName(slice.meta)] = slice }
        for pod in inventory.pods { changes.pods[ServiceName(pod.meta)] = pod }
        for name in removed {
            let name = ServiceName(namespace: "default", name: name)
            if name.name.hasPrefix("p") { changes.pods[name] = .some(nil) } else { changes.slices[name] = .some(nil) }
        }
        return changes
    }

    private func state(_ service: String, _ subset: String = "") -> ClusterState? {
        directory.clusters.first { $0.name == "outbound|80|\(subset)|\(service).default.svc.cluster.local" }
    }

    private func names(_ service: String, _ subset: String = "") -> [String] {
        (state(service, subset)?.endpoints ?? []).map(\.name)
    }

    @Test mutating func `reaches the clusters concerned, and workers that hold them, at once`() throws {
        let (a, b) = (try #require(state("a")), try #require(state("b")))
        let worker = Cluster(a)
        let others = b.endpoints
        #expect(names("a") == ["10.0.0.1:8080", "10.0.0.2:8080"] && names("a", "v1") == ["10.0.0.1:8080"])
        let left = directory.update(Self.changes(Self.slice("a-1", of: "a", "10.0.0.3", "10.0.0.2")))
        #expect(left.count == 1 && state("a") === a)
        #expect(Set((0..<4).map { _ in worker.next(random: 0)?.name }) == ["10.0.0.3:8080", "10.0.0.2:8080"])
        #expect(names("a", "v1") == [])    // the labels of 10.0.0.3 are not known
        #expect(zip(b.endpoints, others).allSatisfy { $0 === $1 })
    }

    /// Two endpoints of a ServiceEntry, and a rule that may prefer those of a zone.
    private static func zones(_ loadBalancer: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: vs}
        spec: {hosts: ['*'], gateways: [gw], http: [{route: [{destination: {host: far.test}}]}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: far}
        spec:
          hosts: [far.test]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: STATIC
          endpoints: [{address: 10.0.0.1, locality: r/near}, {address: 10.0.0.2, locality: r/far}]
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: far}
        spec: {host: far.test, trafficPolicy: {loadBalancer: {\(loadBalancer)}}}

        """
    }

    @Test func `is not needed for a setting of localities to come into effect, and to go`() throws {
        let share = "simple: ROUND_ROBIN, localityLbSetting: {distribute: [{from: r/near/*, to: {'r/near/*': 100}}]}"
        var options = CompileOptions()
        options.locality = Locality(region: "r", zone: "near")
        var directory = ClusterDirectory(limit: 1000)
        var table: EndpointTable?
        for (setting, count) in [("simple: ROUND_ROBIN", 2), (share, 1), ("simple: ROUND_ROBIN", 2)] {
            let inventory = Self.read(Self.zones(setting)).inventory
            let isFirst = table == nil
            let known = table ?? EndpointTable(inventory)
            table = known
            let plan = RoutingPlan.compile(inventory, endpoints: known, options: options)
            _ = directory.replace(plan: plan, table: isFirst ? known : nil)
            let state = try #require(directory.clusters.first)
            #expect(state.endpoints.count == count, "\(setting): \(state.endpoints.map(\.name))")
        }
    }

    @Test mutating func `may be a slice more, or one less, or one that goes to another service`() {
        _ = directory.update(Self.changes(Self.slice("a-2", of: "a", "10.0.0.7")))
        #expect(names("a") == ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.7:8080"])
        _ = directory.update(Self.changes(Self.slice("a-2", of: "b", "10.0.0.7")))
        #expect(names("a").count == 2 && names("b") == ["10.0.0.9:8080", "10.0.0.7:8080"])
        #expect(directory.update(Self.changes("", removed: "b-1")).count == 1)
        #expect(names("b") == ["10.0.0.7:8080"])
        #expect(directory.update(Self.changes("", removed: "none")) == [])
    }

    @Test mutating func `may be a pod's labels`() {
        _ = directory.update(Self.changes(Self.pod("p2", "10.0.0.2", "v1")))
        #expect(names("a", "v1") == ["10.0.0.1:8080", "10.0.0.2:8080"])
        _ = directory.update(Self.changes(Self.pod("p1", "10.0.0.1", "v2")))
        #expect(names("a", "v1") == ["10.0.0.2:8080"] && names("a").count == 2)
        _ = directory.update(Self.changes("", removed: "p2"))
        #expect(names("a", "v1") == [])
    }

    @Test mutating func `leaves pods where there is no slice any more, and DNS where there is nothing`() {
        _ = directory.update(Self.changes("", removed: "a-1"))
        #expect(names("a") == ["10.0.0.1:80"] && directory.names == [])
        _ = directory.update(Self.changes("", removed: "p1"))
        #expect(names("a") == [] && directory.names == ["a.default.svc.cluster.local"])
        _ = directory.update(resolved: ["a.default.svc.cluster.local": ["10.1.1.1"]])
        #expect(names("a") == ["10.1.1.1:80"])
        _ = directory.update(Self.changes(Self.slice("a-1", of: "a", "10.0.0.1")))
        #expect(names("a") == ["10.0.0.1:8080"] && directory.names == [])
    }

    @Test mutating func `that changes nothing publishes nothing`() throws {
        let before = try #require(state("a")).endpoints
        #expect(directory.update(Self.changes(Self.slice("a-1", of: "a", "10.0.0.1", "10.0.0.2"))) == [])
        #expect(zip(before, try #require(state("a")).endpoints).allSatisfy { $0 === $1 })
    }

    /// A rule leads to other Services, one after the other, and endpoints change in between.
    @Test func `finds the clusters that have taken the places of others, as after a whole replacement`() throws {
        func world(_ services: [String]) -> Inventory {
            let rules = services.enumerated().map {
                "{match: [{uri: {prefix: /\($0)/}}], route: [{destination: {host: \($1)}}]}"
            }
            return Self.read(Self.linked(rules)).inventory
        }
        let first = world(["a", "b", "c"])
        var table = EndpointTable(first)
        var (one, other) = (ClusterDirectory(limit: 1000), ClusterDirectory(limit: 1000))
        _ = one.replace(plan: RoutingPlan.compile(first, endpoints: table, options: CompileOptions()), table: table)
        let kept = one.clusters[0]
        for (round, services) in [["a", "d", "c"], ["a", "d", "b"], ["a", "c", "b"], ["a", "b"], ["a", "b", "e"]]
            .enumerated()
        {
            let plan = RoutingPlan.compile(world(services), endpoints: table, options: CompileOptions())
            let gone = one.replace(plan: plan, table: nil).left
            other = ClusterDirectory(limit: 1000)
            _ = other.replace(plan: plan, table: table)
            #expect(one.clusters[0] === kept && !kept.isGone)
            #expect(round == 3 || gone.count == (round == 4 ? 0 : 1), "\(round): \(gone)")
            let changes = Self.changes(Self.slice("\(services[1])-1", of: services[1], "10.1.\(round).1"))
            _ = (one.update(changes), other.update(changes), table.apply(changes))
            let (got, wanted) = (one.clusters, other.clusters)
            #expect(got.map(\.name) == wanted.map(\.name), "\(services)")
            #expect(got.map { $0.endpoints.map(\.name) } == wanted.map { $0.endpoints.map(\.name) }, "\(services)")
            #expect(one.names == other.names)
        }
    }

    private static func linked(_ rules: [String]) -> String {
        let services = ["a", "b", "c", "d", "e"].enumerated().map { number, name in
            """
            apiVersion: v1
            kind: Service
            metadata: {name: \(name)}
            spec: {ports: [{port: 80, name: http}]}
            ---
            \(name == "e" ? "{}" : slice("\(name)-1", of: name, "10.0.0.\(number + 1)"))
            ---

            """
        }
        return services.joined() + """
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: gw}
            spec:
              selector: {istio: ingressgateway}
              servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs}
            spec: {hosts: ['*'], gateways: [gw], http: [\(rules.joined(separator: ", "))]}

            """
    }
}
