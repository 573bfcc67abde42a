import Manifests
import Octets
import Routing
import Testing

/// Destinations whose endpoints are the addresses of the host that a request names.
/// Source: docs/istio.md, ServiceEntry endpoints.
@Suite struct `A wildcard that is resolved for each request` {
    private static func entry(_ more: String = "", port: String = "number: 443, name: tls, protocol: HTTP") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: e, namespace: app}
        spec: {hosts: ['*.Ext.com'], ports: [{\(port)}], resolution: DYNAMIC_DNS\(more)}

        """
    }

    private static let rule = World.virtualService("[{route: [{destination: {host: '*.ext.com'}}]}]")

    private static func policy(_ text: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: d, namespace: app}
        spec: {host: '*.ext.com', trafficPolicy: {\(text)}, subsets: [{name: v1, labels: {v: '1'}}]}

        """
    }

    @Test func `is a destination with the names under it, and the port of the ServiceEntry`() {
        let world = World(Self.rule + Self.entry(port: "number: 80, name: http, protocol: HTTP2, targetPort: 8080"))
        #expect(world.decoded.diagnostics.text == "" && world.codes == [])
        let cluster = world.plan.clusters[0]
        #expect(cluster.host == "*.ext.com" && cluster.port == 80 && cluster.isHTTP2)
        guard case .requested(let names) = cluster.source else { return #expect(Bool(false)) }
        #expect(names.port == 8080 && names.suffix == ".ext.com")
        #expect(world.tree.contains("the host of each request, if it is under *.ext.com, by DNS, port 8080"))
        #expect(world.json.contains(#""requested": {"under": "*.ext.com", "port": 8080}"#))
    }

    @Test(arguments: [
        ("a.ext.com", "a.ext.com"), ("A.EXT.com", "a.ext.com"), ("a.b.ext.com.", "a.b.ext.com"),
        ("_x-1.ext.com", "_x-1.ext.com"), ("ext.com", nil), (".ext.com", nil), ("a.ext.com.evil.org", nil),
        ("a..ext.com", nil), ("a ext.com", nil), ("a\0.ext.com", nil), ("é.ext.com", nil), ("", nil), (".", nil),
        ("10.0.0.1", nil), ("aext.com", nil), ("a.ext.com..", nil), ("a:80.ext.com", nil),
    ])
    func `allows host names under it alone`(host: String, name: String?) throws {
        let names = try #require(RequestedNames(host: "*.ext.com", port: 443))
        var host = host
        let found = host.withUTF8 { unsafe names.name(of: Octets(UnsafeRawBufferPointer($0))) }
        #expect(found == name)
    }

    @Test func `says which policies have no effect there`() {
        let useless = World(
            Self.rule + Self.entry()
                + Self.policy(
                    "outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {consistentHash: {useSourceIp: true}}, "
                        + "connectionPool: {tcp: {maxConnections: 7}}"))
        #expect(useless.codes == ["no-effect"])
        let policies = useless.plan.clusters[0].policies
        #expect(policies?.pool != nil && policies?.outliers == nil && policies?.hashing == nil)
        let usable = World(
            Self.rule + Self.entry() + Self.policy("tls: {mode: SIMPLE}, connectionPool: {tcp: {maxConnections: 7}}"))
        #expect(usable.codes == [] && usable.plan.clusters[0].tls != nil)
    }

    @Test func `is no destination of copies, of subsets with labels, or of connections that name nobody`() {
        let copies = World(
            World.virtualService("[{\(World.to("a")), mirrors: [{destination: {host: '*.ext.com'}}]}]") + Self.entry())
        #expect(copies.codes == ["no-addresses"])
        let subset = World(
            World.virtualService("[{route: [{destination: {host: '*.ext.com', subset: v1}}]}]") + Self.entry()
                + Self.policy("tls: {mode: DISABLE}"))
        #expect(subset.codes == ["no-addresses"])
        let nameless = World(
            """
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs, namespace: app}
            spec: {hosts: ['*'], gateways: [gwns/gw], tcp: [{route: [{destination: {host: '*.ext.com'}}]}]}

            """ + Self.entry(),
            gateways: World.gateway("gw", "{port: {number: 443, name: tcp, protocol: TCP}, hosts: ['*']}"))
        #expect(nameless.codes == ["no-addresses"])
    }

    @Test(arguments: [
        ("hosts: ['*.ext.com', a.com]", "invalid-host"),
        ("hosts: ['*.ext.com'], addresses: [10.0.0.1]", "conflicting-fields"),
        ("hosts: ['*.ext.com'], endpoints: [{address: a.com}]", "conflicting-fields"),
        ("hosts: ['*.ext.com'], workloadSelector: {labels: {a: b}}", "conflicting-fields"),
        ("hosts: ['*.ext.com'], ports: [{number: 1, name: a, protocol: TCP}]", "conflicting-fields"),
    ])
    func `is refused with what it cannot have`(spec: String, code: String) {
        let ports = spec.contains("ports:") ? "" : ", ports: [{number: 443, name: tls, protocol: TLS}]"
        let text = """
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: e, namespace: app}
            spec: {\(spec)\(ports), resolution: DYNAMIC_DNS}
            """
        let read = ManifestReader.load(sources: [("e.yaml", Array(text.utf8))])
        #expect(read.diagnostics.filter { $0.severity == .error }.map(\.code) == [code])
    }
}
