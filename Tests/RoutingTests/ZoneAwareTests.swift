import Balancing
import Manifests
import Routing
import Testing

/// Places of endpoints by their Nodes, and the setting for which only regions count. Source: docs/istio.md, Locality.
@Suite struct `Places by Nodes` {
    private static func node(_ name: String, _ labels: String) -> String {
        "---\napiVersion: v1\nkind: Node\nmetadata: {name: \(name), labels: {\(labels)}}\n"
    }

    private static let nodes =
        node("n1", "topology.kubernetes.io/region: west, topology.kubernetes.io/zone: w1")
        + node("n2", "topology.kubernetes.io/region: west, topology.kubernetes.io/zone: w2")
        + node("n3", "topology.kubernetes.io/region: east, topology.kubernetes.io/zone: e1")
        + node("n4", "topology.kubernetes.io/region: south")

    /// A Service with an endpoint on each Node, and one on a Node that is not known.
    private func world(_ rule: String, own: String? = nil, node: String? = nil, nodes: String = nodes) -> World {
        let endpoints = (1...5).map { "{addresses: [10.8.0.\($0)], nodeName: n\($0), zone: z\($0)}" }
        let objects = """
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: spread, namespace: app}
            spec: {ports: [{name: http, port: 80}]}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: spread-1, namespace: app, labels: {kubernetes.io/service-name: spread}}
            addressType: IPv4
            ports: [{name: http, port: 80}]
            endpoints: [\(endpoints.joined(separator: ", "))]
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: spread, namespace: app}
            spec: {host: spread, \(rule)}

            """
        return World(World.virtualService("[{route: [{destination: {host: spread}}]}]") + objects + nodes) {
            $0.locality = own.map { Locality($0) }
            $0.node = node
            $0.labels["tier"] = "gold"
        }
    }

    private func ranks(_ world: World) -> [Int] {
        guard let cluster = world.plan.clusters.first(where: { $0.host.hasPrefix("spread") }),
            case .endpoints(let found) = EndpointReader(world.endpoints).endpoints(
                of: cluster.source, by: cluster.policies?.locality)
        else { return [] }
        return (1...5).map { number in
            found.first { $0.address == .ip("10.8.0.\(number)", port: 80) }?.rank ?? -1
        }
    }

    private static let detected = "trafficPolicy: {outlierDetection: {}}"
    private static func zones(_ more: String = "") -> String {
        "trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true\(more)}}}"
    }

    @Test func `the region and the zone are those of the Node, and else the zone is the slice's`() {
        #expect(ranks(world(Self.detected, own: "west/w1")) == [0, 2, 3, 3, 3])
        #expect(ranks(world(Self.detected, own: "west/z5")) == [2, 2, 3, 3, 0])
    }

    @Test func `the gateway is where its own Node is, unless it is told`() {
        #expect(ranks(world(Self.detected, node: "n2")) == [2, 0, 3, 3, 3])
        #expect(ranks(world(Self.detected, own: "east/e1", node: "n2")) == [3, 3, 0, 3, 3])
        #expect(ranks(world(Self.detected, node: "unknown")) == [0, 0, 0, 0, 0])
    }

    @Test func `Nodes are needed where places count, and nowhere else`() {
        #expect(!world(Self.detected).plan.needsNodes)
        #expect(world(Self.detected, own: "west").plan.needsNodes)
        #expect(world(Self.detected, node: "n1").plan.needsNodes)
        #expect(world(Self.zones()).plan.needsNodes)
        #expect(!world("trafficPolicy: {loadBalancer: {simple: RANDOM}}", own: "west").plan.needsNodes)
        #expect(!world("subsets: [{name: v1, labels: {version: v1}}]", own: "west").plan.needsNodes)
        #expect(world("subsets: [{name: v1, labels: {topology.kubernetes.io/region: west}}]").plan.needsNodes)
        let ports = "portLevelSettings: [{port: {number: 80}, outlierDetection: {}}]"
        #expect(world("trafficPolicy: {\(ports)}", own: "west").plan.needsNodes)
    }

    @Test func `with zoneAwareLbSetting regions count without outlierDetection, and zones do not`() {
        #expect(ranks(world(Self.zones(), own: "west/w1")) == [2, 2, 3, 3, 3])
        let next = Self.zones(", failover: [{from: west, to: south}]")
        #expect(ranks(world(next, own: "west/w1")) == [2, 2, 4, 3, 4])
        #expect(ranks(world(Self.zones().replacing("true", with: "false"), own: "west/w1")) == [0, 0, 0, 0, 0])
        let lost = world(Self.zones())
        #expect(ranks(lost) == [0, 0, 0, 0, 0])
        #expect(lost.plan.diagnostics.text.contains("nothing says where this gateway is"))
    }

    @Test func `labels come before regions`() {
        let labels = Self.zones(", failoverPriority: [tier=gold]")
        // No endpoint has the label, so that all are one level further.
        #expect(ranks(world(labels, own: "west/w1")) == [7, 7, 8, 8, 8])
        #expect(ranks(world(labels)) == [1, 1, 1, 1, 1])
    }

    @Test func `labels of places and zoneAwareLbSetting exclude each other`() {
        let wrong = world(Self.zones(", failoverPriority: [topology.kubernetes.io/zone]"), own: "west")
        #expect(wrong.decoded.hasErrors)
        let both = Self.zones().replacing("loadBalancer: {", with: "loadBalancer: {localityLbSetting: {}, ")
        #expect(world(both, own: "west").decoded.hasErrors)
    }
}
