import Balancing
import Manifests
import Octets
import Routing
import Testing

/// Servers, VirtualServices and DestinationRules that concern each other; the numbers are those of
/// Tests/Fixtures/cases.md.
@Suite struct `Objects that concern each other` {
    private let toA = "[{\(World.to("a"))}]"
    private let toB = "[{\(World.to("b"))}]"

    private func selector(_ labels: String) -> String {
        World.gateway.replacing("{istio: ingressgateway}", with: labels)
    }

    private func rule(_ name: String, _ spec: String, namespace: String = "app", created: String = "2024") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: \(name), namespace: \(namespace), creationTimestamp: '\(created)-01-01T00:00:00Z'}
        spec: {\(spec)}

        """
    }

    private func subset(_ name: String) -> String { "[{route: [{destination: {host: a, subset: \(name)}}]}]" }

    @Test(arguments: [
        ("{}", "a"), ("{istio: ingressgateway}", "a"), ("{istio: ingressgateway, app: edge}", "a"),
        ("{istio: inner}", "closed"), ("{istio: ingressgateway, zone: x}", "closed"),
    ])
    func `a Gateway is for every workload that has all of its labels`(labels: String, answer: String) {
        let world = World(World.virtualService(toA), gateways: selector(labels))
        #expect(world.answer(TestRequest("/")) == answer)
    }

    @Test(arguments: [("443", "a"), ("8443", "404")])
    func `a match names the port that clients use (case 20)`(port: String, answer: String) {
        let server =
            "{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a.com], tls: {mode: SIMPLE, credentialName: c}}"
        let world = World(
            World.virtualService("[{match: [{port: \(port)}], \(World.to("a"))}]"),
            gateways: World.gateway("gw", server))
        #expect(world.answer(TestRequest("/"), port: 443, sni: "a.com") == answer)
    }

    @Test func `a preflight needs a rule like any request (case 99)`() {
        let cors = "corsPolicy: {allowOrigins: [{exact: 'https://o.com'}], allowMethods: [GET]}"
        let world = World(
            World.virtualService("[{match: [{method: {exact: GET}}], \(cors), \(World.to("a"))}]"))
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(world.answer(TestRequest("/", method: "OPTIONS")) == "404")
    }

    @Test func `of two redirecting servers with one host the second is dropped (case 115)`() {
        let server = "{port: {number: 80, name: h, protocol: HTTP}, hosts: [a.com], tls: {httpsRedirect: true}}"
        let world = World(
            World.virtualService(toA, gateways: "[gwns/g2]"),
            gateways: World.gateway("g1", server) + World.gateway("g2", server))
        #expect(world.answer(TestRequest("/x")) == "301")
        #expect(world.codes.contains("server-dropped"))
    }

    @Test(arguments: [
        ("{app: edge}, gateways: [gwns/gw]", "a"), ("{app: other}, gateways: [gwns/gw]", "a"), ("{app: other}", "404"),
        ("{app: edge, istio: ingressgateway}", "a"), ("{app: edge, more: x}", "404"),
    ])
    func `labels of the source are those of this gateway, and count only where no Gateway is named`(
        match: String, answer: String
    ) {
        let world = World(World.virtualService("[{match: [{sourceLabels: \(match)}], \(World.to("a"))}]"))
        #expect(world.answer(TestRequest("/")) == answer)
    }

    @Test func `rules of one host are taken from three objects, the specific ones first`() {
        let objects =
            World.virtualService(toA, name: "all", created: "2020")
            + World.virtualService("[{match: [{uri: {prefix: /x}}], \(World.to("b"))}]", name: "one", created: "2021")
            + World.virtualService(
                "[{match: [{uri: {prefix: /x/y}}], \(World.to("a"))}, {\(World.to("b"))}]", name: "two", created: "2022"
            )
        let world = World(objects)
        // The first in age whose condition holds, and the oldest of the two rules for everything.
        #expect(["/x", "/x/y", "/z"].map { world.answer(TestRequest($0)) } == ["b", "b", "a"])
    }

    @Test(arguments: ["a", "a.app.svc.cluster.local"]) func `a short host is one of the object's namespace`(
        host: String
    ) {
        let policy = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"
        let world = World(
            World.virtualService("[{route: [{destination: {host: \(host)}}]}]") + rule("d", "host: \(host), \(policy)"))
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(world.plan.clusters.first?.policy == .random)
        let elsewhere = World(
            World.virtualService("[{route: [{destination: {host: \(host)}}]}]", namespace: "other"))
        #expect(elsewhere.answer(TestRequest("/")) == (host == "a" ? "503" : "a"))
    }

    @Test func `a DestinationRule with a fitting selector comes before older ones`() {
        let plain = rule("old", "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}", created: "2020")
        func chosen(_ labels: String) -> BalancingPolicy? {
            let own =
                "host: a, workloadSelector: {matchLabels: \(labels)}, "
                + "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}"
            return World(World.virtualService(toA) + plain + rule("new", own)).plan.clusters.first?.policy
        }
        #expect(chosen("{app: edge}") == .roundRobin)
        #expect(chosen("{app: other}") == .random)
    }

    /// Source: istio/istio pilot/pkg/model/destination_rule.go (mergeDestinationRule).
    @Test(arguments: [
        ("[gwns]", "[gwns]", true), ("[gwns]", "[gwns, other]", true), ("[gwns, other]", "[gwns]", false),
        ("[gwns]", "['*']", false), ("['*']", "[gwns]", false), ("['*']", "['*']", true),
        ("[gwns]", "[gwns, '.']", true), ("[gwns, '.']", "[app, gwns]", true),
    ])
    func `DestinationRules are merged where the newer one is exported as far`(
        older: String, newer: String, isMerged: Bool
    ) {
        let first = rule(
            "z", "host: a, exportTo: \(older), subsets: [{name: v1, labels: {version: v1}}]", created: "2020")
        let second = rule("b", "host: a, exportTo: \(newer), subsets: [{name: v2, labels: {app: a}}]", created: "2021")
        #expect(World(World.virtualService(subset("v1")) + second + first).answer(TestRequest("/")) == "a")
        let world = World(World.virtualService(subset("v2")) + second + first)
        #expect(world.answer(TestRequest("/")) == (isMerged ? "a" : "503"))
        #expect(world.codes.contains("no-effect") == !isMerged)
    }

    @Test func `the first DestinationRule that this gateway sees decides which others are merged`() {
        let hidden = rule("a", "host: a, exportTo: [other], subsets: [{name: v0, labels: {app: a}}]", created: "2019")
        let first = rule(
            "z", "host: a, exportTo: [gwns], subsets: [{name: v1, labels: {version: v1}}]", created: "2020")
        let second = rule("b", "host: a, exportTo: [gwns], subsets: [{name: v2, labels: {app: a}}]")
        for (name, answer) in [("v0", "503"), ("v1", "a"), ("v2", "a")] {
            let world = World(World.virtualService(subset(name)) + hidden + first + second)
            #expect(world.answer(TestRequest("/")) == answer, "\(name)")
        }
    }
}
