import Manifests
import Routing
import Testing

/// What a DestinationRule's `tls` comes to for a cluster.
@Suite struct `TLS to upstreams` {
    private func rule(_ spec: String, host: String = "a", namespace: String = "app") -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: d, namespace: \(namespace)}
        spec: {host: \(host), \(spec)}

        """
    }

    private func world(_ spec: String, _ destination: String = "host: a", more: String = "") -> World {
        World(
            World.virtualService("[{route: [{destination: {\(destination)}}]}]") + rule(spec) + more)
    }

    private func secret(_ name: String, namespace: String = "gwns") -> String {
        """
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: \(name), namespace: \(namespace)}
        stringData: {ca.crt: x}

        """
    }

    private func terms(_ world: World) -> UpstreamTLSPlan.Terms? { world.plan.clusters.first?.tls?.terms }

    @Test func `is asked for by the policy of the rule, the port or the subset`() {
        let simple = "tls: {mode: SIMPLE}", off = "tls: {mode: DISABLE}"
        let labels = "name: v1, labels: {version: v1}"
        let cases: [(spec: String, isSecure: Bool)] = [
            ("trafficPolicy: {\(simple)}", true),
            ("trafficPolicy: {\(off)}", false),
            ("trafficPolicy: {loadBalancer: {simple: RANDOM}}", false),
            ("trafficPolicy: {portLevelSettings: [{port: {number: 8080}, \(simple)}]}", true),
            ("trafficPolicy: {portLevelSettings: [{port: {number: 9}, \(simple)}]}", false),
            ("trafficPolicy: {\(simple), portLevelSettings: [{port: {number: 9}, \(off)}]}", true),
            ("trafficPolicy: {\(simple), portLevelSettings: [{port: {number: 8080}, \(off)}]}", false),
            // An entry for the port replaces all of the policy around it.
            (
                "trafficPolicy: {\(simple), "
                    + "portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: RANDOM}}]}",
                false
            ),
        ]
        for (spec, isSecure) in cases {
            #expect((terms(world(spec)) != nil) == isSecure, "\(spec)")
        }
        let subsets: [(own: String, isSecure: Bool)] = [
            (off, false), (simple, true), ("loadBalancer: {simple: RANDOM}", true),
            ("portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: RANDOM}}]", false),
            ("portLevelSettings: [{port: {number: 8080}, \(simple)}]", true),
        ]
        for (own, isSecure) in subsets {
            let spec = "trafficPolicy: {\(simple)}, subsets: [{\(labels), trafficPolicy: {\(own)}}]"
            #expect((terms(world(spec, "host: a, subset: v1")) != nil) == isSecure, "\(own)")
        }
    }

    /// Source: docs/istio.md, TLS to upstreams.
    @Test func `sends a server name and accepts names as Istio does`() throws {
        let automatic = try #require(terms(world("trafficPolicy: {tls: {mode: SIMPLE}}")))
        #expect(automatic.serverName == .ofRequest && automatic.needsHost && automatic.names.isEmpty)
        #expect(automatic.trust == .system && automatic.identity == .none)
        let fixed = try #require(terms(world("trafficPolicy: {tls: {mode: SIMPLE, sni: x.org}}")))
        #expect(fixed.serverName == .fixed("x.org") && !fixed.needsHost && fixed.names.isEmpty)
        let named = try #require(
            terms(world("trafficPolicy: {tls: {mode: SIMPLE, subjectAltNames: ['spiffe://td/x', b.org]}}")))
        #expect(named.serverName == .ofRequest && !named.needsHost && named.names == ["spiffe://td/x", "b.org"])
        let blind = try #require(terms(world("trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}")))
        #expect(blind.trust == .unverified && !blind.needsHost && blind.serverName == .ofRequest)
    }

    @Test func `accepts a ServiceEntry's names as well`() throws {
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: ext, namespace: app}
            spec:
              hosts: [ext.org]
              ports: [{number: 443, name: tls, protocol: TLS}]
              resolution: DNS
              subjectAltNames: [real.ext.org]

            """
        let to = World.virtualService("[{route: [{destination: {host: ext.org}}]}]")
        func terms(_ tls: String) -> UpstreamTLSPlan.Terms? {
            self.terms(World(to + entry + rule("trafficPolicy: {tls: {\(tls)}}", host: "ext.org")))
        }
        let automatic = try #require(terms("mode: SIMPLE"))
        #expect(automatic.needsHost && automatic.names == ["real.ext.org"])
        let fixed = try #require(terms("mode: SIMPLE, sni: x.org"))
        #expect(!fixed.needsHost && fixed.names == ["real.ext.org"])
        #expect(terms("mode: SIMPLE, subjectAltNames: [b.org]")?.names == ["b.org"])
    }

    @Test func `names the identity of the mesh and the service's namespace`() throws {
        let mesh = try #require(terms(world("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}")))
        #expect(mesh.serverName == .fixed("outbound_.8080_._.a.app.svc.cluster.local"))
        #expect(mesh.identity == .mesh && mesh.trust == .mesh && mesh.meshNamespace == "app" && !mesh.needsHost)
        let subset = "subsets: [{name: v1, labels: {version: v1}}], trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"
        #expect(
            terms(world(subset, "host: a, subset: v1"))?.serverName
                == .fixed("outbound_.8080_.v1_.a.app.svc.cluster.local"))
        let named = try #require(
            terms(world("trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://td/ns/x/sa/y']}}")))
        #expect(named.meshNamespace == nil && named.names == ["spiffe://td/ns/x/sa/y"])
    }

    @Test func `takes files, or Secrets of the gateway's namespace`() throws {
        let files = try #require(
            terms(
                world(
                    "trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /a, "
                        + "caCrl: /l}}")))
        #expect(files.identity == .files(certificate: "/c", key: "/k") && files.trust == .file("/a"))
        #expect(files.revocations == "/l" && Set(files.files) == ["/a", "/c", "/k", "/l"])
        let rule = "trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}}"
        let one = try #require(terms(world(rule, more: secret("c"))))
        #expect(one.identity == .secret(namespace: "gwns", name: "c"))
        #expect(one.trust == .secret(namespace: "gwns", names: ["c"]))
        let two = try #require(terms(world(rule, more: secret("c") + secret("c-cacert"))))
        #expect(two.trust == .secret(namespace: "gwns", names: ["c-cacert"]))
        let simple = try #require(
            terms(world("trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}", more: secret("c-cacert"))))
        #expect(simple.identity == .none && simple.trust == .secret(namespace: "gwns", names: ["c-cacert"]))
    }

    @Test func `reports a credential that is missing or refused, with the consequence`() {
        let end = ": requests to a.app.svc.cluster.local are answered 503"
        func problem(_ name: String, more: String = "") -> Diagnostic? {
            world("trafficPolicy: {tls: {mode: SIMPLE, credentialName: '\(name)'}}", more: more).plan.diagnostics.first
        }
        #expect(problem("c")?.message == "no Secret 'c' in namespace gwns, this gateway's" + end)
        #expect(problem("c", more: secret("c", namespace: "app"))?.code == "unknown-secret")
        #expect(problem("c", more: secret("c")) == nil && problem("sds://c", more: secret("c")) == nil)
        for name in ["kubernetes://app/c", "configmap://gwns/c", "builtin://", "kubernetes-gateway://gwns/c"] {
            let found = problem(name, more: secret("c"))
            #expect(found?.code == "refused-credential" && found?.message.hasSuffix(end) == true, "\(name)")
        }
        let refused = world("trafficPolicy: {tls: {mode: SIMPLE, credentialName: 'builtin://'}}")
        #expect(refused.plan.clusters[0].tls?.refusal != nil)
    }

    @Test func `warns where any certificate would do`() {
        #expect(world("trafficPolicy: {tls: {mode: SIMPLE, sni: x.org}}").codes == ["any-name-accepted"])
        #expect(
            world("trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}").codes == ["unverified-upstream"])
        #expect(world("trafficPolicy: {tls: {mode: SIMPLE}}").codes == [])
        let unused = world("trafficPolicy: {tls: {mode: SIMPLE, privateKey: /k}}")
        #expect(unused.decoded.diagnostics.map(\.message) == ["`privateKey` has no effect in the mode SIMPLE"])
        let long = world("trafficPolicy: {tls: {mode: SIMPLE, sni: '\(String(repeating: "a", count: 254))'}}")
        #expect(long.decoded.diagnostics.map(\.code) == ["invalid-name"])
    }

    @Test func `is shown`() {
        let world = world("trafficPolicy: {tls: {mode: SIMPLE, sni: x.org, subjectAltNames: [x.org]}}")
        let line = "TLS SIMPLE, server name x.org, authorities of the system, names x.org"
        #expect(world.tree.contains(line) && world.json.contains("\"\(line)\""))
    }

    @Test func `is missed where a port declares it, and not where a rule decides`() {
        let services = World.service("a", "10.0.0.1", ports: "{name: https, port: 8080}")
        let to = World.virtualService("[{route: [{destination: {host: a}}]}]")
        #expect(World(to, services: services).codes == ["clear-text-to-tls"])
        for mode in ["SIMPLE", "DISABLE"] {
            let world = World(to + rule("trafficPolicy: {tls: {mode: \(mode)}}"), services: services)
            #expect(world.codes == [], "\(mode)")
        }
    }
}
