import Manifests
import Routing
import Support
import Testing

@Suite struct `An explanation` {
    private func explain(
        _ path: String, host: String = "any:50051", port: UInt16 = 50051, sni: String? = nil,
        mesh: Bool = false,
        headers: [(name: String, value: String)] = []
    ) -> String {
        let names = ["canary-mesh", "canary-edge"]
        let sources = names.map {
            (
                name: $0 + ".yaml",
                octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml")
            )
        }
        let compiled = Compiled(ManifestReader.load(sources: sources).inventory)
        let request = TextRequest(
            path: path, authority: host, method: "POST", scheme: "http", headers: headers)
        return compiled.explain(request, at: Entrance(port: port, serverName: sni, isMesh: mesh))
    }

    @Test func `names the rule, its place and where it leads`() {
        #expect(
            explain("/x", headers: [("Version", "200")]) == """
                listener *:50051 plain text
                host any: falls under *
                rule default/k8s-combat-edge/0 (canary-edge.yaml:21:5): yes, header version is "200"
                -> k8s-combat-service-istio-mesh.default.svc.cluster.local:50051 subset v2, HTTP/2, ROUND_ROBIN
                   127.0.4.2:50051

                """)
    }

    @Test func `says of each rule before it what failed first`() {
        let text = explain("/helloworld.Greeter/SayHello")
        #expect(
            text.contains(
                "k8s-combat-edge/0 (canary-edge.yaml:21:5): no, not \"header version is \"200\"\""))
        #expect(text.contains("-> 10 of 100 "))
        #expect(text.contains("-> 90 of 100 "))
    }

    @Test func `of a miss names what is missing`() {
        #expect(explain("/", port: 1).hasPrefix("no listener for port 1: there are *:50051"))
        #expect(explain("/", sni: "a.com").contains("no TLS server for the name 'a.com'"))
        #expect(explain("/", host: "x", mesh: true).contains("host x: 404, none of the hosts fits"))
        let near = explain(
            "/helloworld.Greeter/SayHello", host: "k8s-combat-service-istio-mesh:1", mesh: true)
        #expect(
            near.contains(
                "404: no rule of the host fits\nnearest: rule default/k8s-combat-service-vs/0"))
    }
}

@Suite struct `An explanation's verdict` {
    private func verdict(_ objects: String, services: String = World.services, path: String = "/") -> Explanation {
        let world = World(objects, services: services)
        let request = TextRequest(path: path, authority: "a.com", method: "GET", scheme: "http", headers: [])
        return world.plan.explain(request, at: Entrance(port: 80), endpoints: world.endpoints)
    }

    private let rule = "[{match: [{uri: {prefix: /x}}], timeout: 3s, route: [{destination: {host: a}}]}]"

    @Test func `is served if the destination has an endpoint`() {
        let found = verdict(World.virtualService(rule), path: "/x")
        #expect(found.isServed)
        #expect(found.route == "app/vs/0")
        #expect(found.lines.contains("timeout 3s"))
        #expect(found.json.hasPrefix(#"{"served": true, "route": "app/vs/0", "steps": ["listener *:80 plain text", "#))
    }

    @Test func `is not served without a rule, a known host, or an endpoint`() {
        #expect(!verdict(World.virtualService(rule), path: "/y").isServed)
        #expect(!verdict(World.virtualService("[{route: [{destination: {host: unknown}}]}]")).isServed)
        let nobody = verdict(World.virtualService(rule), services: World.service("a", ""), path: "/x")
        #expect(!nobody.isServed)
        #expect(nobody.lines.last?.hasSuffix("nobody is ready: 503") == true)
    }

    @Test func `is served if the rule answers by itself`() {
        #expect(verdict(World.virtualService("[{directResponse: {status: 204}}]")).isServed)
    }

    @Test func `leaves out destinations that get nothing`() {
        let none = "{destination: {host: unknown}, weight: 0}"
        let found = verdict(World.virtualService("[{route: [{destination: {host: a}, weight: 100}, \(none)]}]"))
        #expect(found.isServed)
    }
}
