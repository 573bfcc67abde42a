import Balancing
import Manifests
import Octets
import Routing
import Testing

/// Source: docs/istio.md, Locality.
@Suite struct `The locality of an endpoint` {
    /// A ServiceEntry `out.example.com` with endpoints 10.9.0.1, .2, … at these places, and its DestinationRule.
    private func world(
        _ places: [String], rule: String, own: String? = "west/w1/a", labels: [String] = []
    ) -> World {
        let endpoints = places.enumerated().map { number, place in
            let label = number < labels.count ? ", labels: {\(labels[number])}" : ""
            return "{address: 10.9.0.\(number + 1), locality: '\(place)'\(label)}"
        }
        let objects = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: out, namespace: app}
            spec:
              hosts: [out.example.com]
              resolution: STATIC
              ports: [{number: 80, name: http, protocol: HTTP}]
              endpoints: [\(endpoints.joined(separator: ", "))]
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: out, namespace: app}
            spec: {host: out.example.com, \(rule)}

            """
        return World(World.virtualService("[{route: [{destination: {host: out.example.com}}]}]") + objects) {
            $0.locality = own.map { Locality($0) }
            $0.labels["tier"] = "gold"
        }
    }

    /// By endpoint: its rank, or -1.
    private func ranks(_ world: World) -> [Int] {
        guard let cluster = world.plan.clusters.first(where: { $0.host == "out.example.com" }),
            case .endpoints(let found) = EndpointReader(world.endpoints).endpoints(
                of: cluster.source, by: cluster.policies?.locality)
        else { return [] }
        return (1...5).compactMap { number in
            found.first { $0.address == .ip("10.9.0.\(number)", port: 80) }?.rank ?? (number <= 5 ? -1 : nil)
        }
    }

    private static let places = ["west/w1/a", "west/w1/b", "west/w2/a", "east/e1", "south/s1/a"]

    private func policy(_ setting: String, outliers: String = ", outlierDetection: {}") -> String {
        "trafficPolicy: {loadBalancer: {localityLbSetting: {\(setting)}}\(outliers)}"
    }

    @Test func `decides its level once outliers are detected`() {
        #expect(ranks(world(Self.places, rule: "trafficPolicy: {outlierDetection: {}}")) == [0, 1, 2, 3, 3])
        #expect(ranks(world(Self.places, rule: policy("enabled: true"))) == [0, 1, 2, 3, 3])
        #expect(ranks(world(Self.places, rule: policy("enabled: false"))) == [0, 0, 0, 0, 0])
        let next = policy("failover: [{from: east, to: west}, {from: west, to: south}]")
        #expect(ranks(world(Self.places, rule: next)) == [0, 1, 2, 4, 3])
    }

    @Test func `counts for nothing without outliers, or without a place of the gateway, and that is said`() {
        let written = policy("failover: [{from: west, to: south}]", outliers: "")
        let without = world(Self.places, rule: written)
        #expect(ranks(without) == [0, 0, 0, 0, 0])
        #expect(without.plan.diagnostics.text.contains("without `outlierDetection` no endpoint is found unhealthy"))
        let lost = world(Self.places, rule: policy("failover: [{from: west, to: south}]"), own: nil)
        #expect(ranks(lost) == [0, 0, 0, 0, 0])
        #expect(lost.plan.diagnostics.text.contains("nothing says where this gateway is"))
        #expect(ranks(world(Self.places, rule: "trafficPolicy: {outlierDetection: {}}", own: nil)) == [0, 0, 0, 0, 0])
    }

    @Test func `gets the share of distribute, and elsewhere nothing`() {
        let to = "to: {'west/w1/*': 80, 'east': 20}"
        #expect(
            ranks(world(Self.places, rule: policy("distribute: [{from: west/w1/a, \(to)}]", outliers: ""))) == [
                0, 0, -1, 1, -1,
            ])
        #expect(
            ranks(world(Self.places, rule: policy("distribute: [{from: '*', \(to)}]"), own: nil)) == [0, 0, -1, 1, -1])
        let other = world(Self.places, rule: policy("distribute: [{from: north/*, \(to)}]"))
        #expect(ranks(other) == [0, 0, 0, 0, 0])
        #expect(other.plan.diagnostics.text.contains("no entry of `distribute` is for west/w1/a"))
    }

    @Test func `comes behind the labels of failoverPriority`() {
        let labels = ["tier: gold, rack: r1", "tier: gold, rack: r2", "tier: tin, rack: r1", "", "rack: r1"]
        let rule = policy("failoverPriority: [tier, 'rack=r1']")
        #expect(ranks(world(Self.places, rule: rule, labels: labels)) == [0, 1, 2, 2, 2])
        #expect(ranks(world(Self.places, rule: rule, own: nil, labels: labels)) == [0, 1, 2, 2, 2])
        let topology = policy("failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]")
        #expect(ranks(world(Self.places, rule: topology)) == [0, 0, 1, 2, 2])
        let both = policy("failoverPriority: [tier], failover: [{from: west, to: south}]")
        #expect(ranks(world(Self.places, rule: both, labels: labels)) == [0, 1, 7, 9, 8])
    }

    @Test(arguments: [
        "distribute: [{from: west, to: {west: 50, east: 40}}]",
        "distribute: [{from: west, to: {'west/*': 50, 'west/w1': 50}}]",
        "distribute: [{from: 'west*', to: {west: 100}}]", "distribute: [{from: '*/w1', to: {west: 100}}]",
        "distribute: [{from: west//a, to: {west: 100}}]",
        "distribute: [{from: west, to: {a: 100}}, {from: west/w1, to: {a: 100}}]",
        "distribute: [{from: west, to: {a: 100}}], failover: [{from: a, to: b}]",
        "failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]",
        "failover: [{from: a, to: a}]", "failover: [{from: a/b, to: c}]",
    ])
    func `is not guessed from a setting with an error`(setting: String) {
        #expect(world(Self.places, rule: policy(setting)).decoded.hasErrors)
    }

    @Test func `is in the output of routes`() {
        let shown = world(Self.places, rule: policy("failover: [{from: west, to: south}]"))
        #expect(shown.tree.contains("localityLbSetting: nearest to west/w1/a, then south"))
        #expect(shown.tree.contains("10.9.0.5:80 priority 3") && shown.json.contains("\"priority\": 4"))
        let shares = world(Self.places, rule: policy("distribute: [{from: '*', to: {west: 90, east: 10}}]"))
        #expect(shares.tree.contains("localityLbSetting: distribute west 90% east 10%"))
        #expect(shares.tree.contains("10.9.0.4:80 of 10%"))
    }
}

@Suite struct `The topology of a pod` {
    private static let slice = """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: s-1, namespace: app, labels: {kubernetes.io/service-name: s}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        endpoints:
        - {addresses: [10.8.0.1], zone: w1, targetRef: {kind: Pod, name: p1, namespace: app}}
        - {addresses: [10.8.0.2], zone: w2}
        - {addresses: [10.8.0.3], targetRef: {kind: Pod, name: p3, namespace: app}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: s, namespace: app}, spec: {ports: [{name: http, port: 80}]}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: p1, namespace: app, labels: {version: v1, topology.kubernetes.io/region: west}}
        status: {phase: Running, podIP: 10.8.0.1}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: p3, namespace: app, labels: {version: v1, istio-locality: east.e1.x}}
        status: {phase: Running, podIP: 10.8.0.3}

        """

    private func endpoints(_ subset: String, _ policy: String = "") -> [String] {
        let world = World(
            World.virtualService("[{route: [{destination: {host: s, subset: x}}]}]") + Self.slice + """
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: s, namespace: app}
                spec: {host: s, subsets: [{name: x, labels: {\(subset)}}]\(policy)}

                """
        ) { $0.locality = Locality("west/w2") }
        guard let cluster = world.plan.clusters.first(where: { $0.subset == "x" }),
            case .endpoints(let found) = EndpointReader(world.endpoints).endpoints(
                of: cluster.source, by: cluster.policies?.locality)
        else { return [] }
        return found.map { "\($0.address) \($0.rank)" }
    }

    @Test func `are labels that subsets may ask for`() {
        #expect(endpoints("topology.kubernetes.io/zone: w1") == ["10.8.0.1:8080 0"])
        #expect(endpoints("topology.kubernetes.io/zone: w2") == ["10.8.0.2:8080 0"])
        #expect(endpoints("topology.kubernetes.io/region: west") == ["10.8.0.1:8080 0"])
        #expect(endpoints("topology.kubernetes.io/region: east, version: v1") == ["10.8.0.3:8080 0"])
        #expect(endpoints("topology.istio.io/subzone: x") == ["10.8.0.3:8080 0"])
    }

    @Test func `is compared with the gateway's, and its own zone is in its own region`() {
        let policy = ", trafficPolicy: {outlierDetection: {}}"
        #expect(endpoints("", policy) == ["10.8.0.1:8080 2", "10.8.0.2:8080 0", "10.8.0.3:8080 3"])
    }
}
