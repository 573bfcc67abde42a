import Balancing
import Manifests
import Octets
import Routing
import Testing

/// Which DestinationRule applies, and what it says.
/// Source: docs/istio.md, Which DestinationRule applies; docs/istio.md, Policy of a port and subset.
@Suite struct `The policy of a destination` {
    private func rule(
        _ name: String, _ spec: String, namespace: String = "app", created: String = "2024"
    ) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: \(name), namespace: \(namespace), creationTimestamp: '\(created)-01-01T00:00:00Z'}
        spec: {\(spec)}

        """
    }

    private func policy(_ rules: String, subset: String = "") -> BalancingPolicy? {
        let more = subset.isEmpty ? "" : ", subset: \(subset)"
        let http = "[{route: [{destination: {host: a\(more)}}]}]"
        let world = World(World.virtualService(http) + rules)
        #expect(!world.decoded.hasErrors, "\(world.decoded.diagnostics.text)")
        guard let cluster = world.plan.clusters.first,
            case .endpoints(let list) = EndpointReader(world.endpoints).endpoints(of: cluster.source),
            !list.isEmpty
        else { return nil }
        return cluster.policy
    }

    private let roundRobin = "{loadBalancer: {simple: ROUND_ROBIN}}"
    private let random = "{loadBalancer: {simple: RANDOM}}"

    @Test func `is the least busy endpoint by default`() {
        #expect(policy("") == .leastRequest)
        #expect(
            policy(rule("d", "host: a, trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}"))
                == .leastRequest)
        #expect(policy(rule("d", "host: a, trafficPolicy: \(random)")) == .random)
    }

    @Test func `comes from the gateway's namespace first, then the service's, then the root's`() {
        let own = rule(
            "d", "host: '*.app.svc.cluster.local', trafficPolicy: \(random)", namespace: "gwns")
        let theirs = rule("d", "host: a, trafficPolicy: \(roundRobin)")
        let root = rule("d", "host: '*.local', trafficPolicy: \(random)", namespace: "istio-system")
        #expect(policy(own + theirs + root) == .random)    // case 108
        #expect(policy(theirs + root) == .roundRobin)
        #expect(policy(root) == .random)
        // The VirtualService's namespace is never asked, and one that is not exported is not seen.
        #expect(
            policy(
                rule("d", "host: a.app.svc.cluster.local, trafficPolicy: \(random)", namespace: "x")
            ) == .leastRequest)
        #expect(
            policy(rule("d", "host: a, exportTo: ['.'], trafficPolicy: \(random)")) == .leastRequest
        )
    }

    @Test func `takes the most specific host, and merges rules of one host by age`() {
        let wide = rule("w", "host: '*.app.svc.cluster.local', trafficPolicy: \(random)")
        #expect(policy(wide + rule("d", "host: a, trafficPolicy: \(roundRobin)")) == .roundRobin)
        let older = rule(
            "z", "host: a, subsets: [{name: v1, labels: {version: v1}}]", created: "2020")
        let newer = rule(
            "b", "host: a, subsets: [{name: v1, labels: {version: none}}], trafficPolicy: \(random)"
        )
        #expect(policy(older + newer, subset: "v1") == .random)    // case 109: the older subset, the first policy
    }

    @Test func `of a port replaces what is around it, of a subset only its own blocks`() {
        let port =
            "trafficPolicy: {loadBalancer: {simple: RANDOM}, portLevelSettings: [{port: {number: 8080}, "
            + "connectionPool: {http: {maxRetries: 1}}}]}"
        #expect(policy(rule("d", "host: a, \(port)")) == .leastRequest)
        let subset = "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: \(roundRobin)}]"
        #expect(
            policy(rule("d", "host: a, trafficPolicy: \(random), \(subset)"), subset: "v1")
                == .roundRobin)
        let silent = "subsets: [{name: v1, labels: {version: v1}}]"
        #expect(
            policy(rule("d", "host: a, trafficPolicy: \(random), \(silent)"), subset: "v1")
                == .random)
    }

    @Test func `that asks for TLS is never answered in clear text`() {
        let tls = rule("d", "host: a, trafficPolicy: {tls: {mode: SIMPLE}}")
        let world = World(World.virtualService("[{\(World.to("a"))}]") + tls)
        #expect(world.plan.clusters[0].tls?.terms.mode == .simple)
        #expect(
            policy(rule("d", "host: a, trafficPolicy: {tls: {mode: DISABLE}}")) == .leastRequest)
    }
}
