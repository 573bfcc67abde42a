import Balancing
import Manifests
import Octets
import Routing
import Testing

/// Where endpoints come from. Source: docs/istio.md, Endpoints.
@Suite struct `Endpoints of a destination` {
    /// The endpoints of the only route's only destination.
    private func endpoints(_ objects: String, host: String = "s", more: String = "") -> String {
        let rule = "[{route: [{destination: {host: \(host)\(more)}}]}]"
        let world = World(World.virtualService(rule), services: objects)
        let plan = world.plan
        guard let route = plan.routes.first, let destination = route.destinations.first else {
            return "none"
        }
        let source = plan.clusters[destination.cluster].source
        if case .unavailable(let reason) = source { return reason.sentence }
        switch EndpointReader(world.endpoints).endpoints(of: source) {
        case .endpoints(let list):
            return list.map { "\($0.address)" + ($0.weight > 1 ? "*\($0.weight)" : "") }.joined(
                separator: " ")
        case .names(let names):
            return "dns "
                + names.map { "\($0.host):\($0.port)" + ($0.weight > 1 ? "*\($0.weight)" : "") }
                .joined(separator: " ")
        }
    }

    private func service(_ spec: String) -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: s, namespace: app}
        spec: {\(spec)}

        """
    }

    private func slice(_ body: String, name: String = "x", type: String = "IPv4") -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: s-\(name), namespace: app, labels: {kubernetes.io/service-name: s}}
        addressType: \(type)
        \(body)

        """
    }

    private func pod(_ name: String, _ address: String, _ ready: String = "True", more: String = "")
        -> String
    {
        """
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: \(name), namespace: app, labels: {app: s, version: \(name)}}
        \(more)
        status: {phase: Running, podIP: \(address), conditions: [{type: Ready, status: "\(ready)"}]}

        """
    }

    private let port = "ports: [{name: http, port: 80}]"

    @Test func `join slices by the port's name`() {
        let slices = slice(
            "ports: [{name: http, port: 8080}, {name: admin, port: 9}]\nendpoints: [{addresses: [10.0.0.1]}]"
        )
        #expect(endpoints(service(port) + slices) == "10.0.0.1:8080")
        let other = slice("ports: [{name: web, port: 8080}]\nendpoints: [{addresses: [10.0.0.1]}]")
        #expect(endpoints(service(port) + other) == "")
    }

    @Test func `are the ready ones of all slices, without doubles`() {
        let first = slice(
            """
            ports: [{name: http, port: 8080}]
            endpoints:
            - {addresses: [10.0.0.1], conditions: {ready: true}}
            - {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}
            - {addresses: [10.0.0.3]}
            """)
        let second = slice(
            "ports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.0.0.1]}]", name: "y")
        let six = slice(
            "ports: [{name: http, port: 8080}]\nendpoints: [{addresses: ['fd00::1']}]", name: "z",
            type: "IPv6")
        let named = slice(
            "ports: [{name: http, port: 8080}]\nendpoints: [{addresses: [a.b]}]", name: "f",
            type: "FQDN")
        #expect(
            endpoints(service(port) + first + second + six + named)
                == "10.0.0.1:8080 10.0.0.3:8080 [fd00::1]:8080")
    }

    @Test(arguments: [
        ("", "10.0.0.1:8080 10.0.0.2:8080 [fd00::3]:8080 [fd00::9]:8080"),
        ("ipFamilies: [IPv6, IPv4], ", "10.0.0.2:8080 [fd00::1]:8080 [fd00::3]:8080 [fd00::9]:8080"),
        ("ipFamilies: [IPv4], ", "10.0.0.1:8080 10.0.0.2:8080 [fd00::3]:8080 [fd00::9]:8080"),
    ])
    func `of a pod with addresses of both families are one`(families: String, found: String) {
        func entry(_ address: String, _ pod: String, _ ready: String = "true") -> String {
            let target = pod.isEmpty ? "" : ", targetRef: {kind: Pod, name: \(pod)}"
            return "{addresses: ['\(address)'], conditions: {ready: \(ready)}\(target)}"
        }
        // p2 has one family, p3 is ready by one only, and nothing tells whose the last one is.
        let four = slice(
            "ports: [{name: http, port: 8080}]\nendpoints: "
                + "[\(entry("10.0.0.1", "p1")), \(entry("10.0.0.2", "p2")), \(entry("10.0.0.3", "p3", "false"))]")
        let six = slice(
            "ports: [{name: http, port: 8080}]\nendpoints: "
                + "[\(entry("fd00::1", "p1")), \(entry("fd00::3", "p3")), \(entry("fd00::9", ""))]",
            name: "z", type: "IPv6")
        #expect(endpoints(service(families + port) + four + six) == found)
        #expect(
            endpoints(service(families + port) + six + four).split(separator: " ").sorted()
                == found.split(separator: " ").sorted())
        // Slices of one family, and those whose ports differ, hide nothing.
        #expect(endpoints(service("ipFamilies: [IPv6], " + port) + four) == "10.0.0.1:8080 10.0.0.2:8080")
        let other = slice(
            "ports: [{name: web, port: 9}]\nendpoints: [\(entry("10.0.0.1", "p1"))]", name: "o")
        #expect(endpoints(service(port) + other + six) == "[fd00::1]:8080 [fd00::3]:8080 [fd00::9]:8080")
    }

    @Test func `are not those of slices of DNS names, which a warning says`() {
        let named = slice("ports: [{name: http, port: 80}]\nendpoints: [{addresses: [a.b]}]", type: "FQDN")
        let world = World(
            World.virtualService("[{route: [{destination: {host: s}}]}]"), services: service(port) + named)
        #expect(world.decoded.diagnostics.map(\.code) == ["no-effect"])
        #expect(world.codes == ["endpoints-by-dns"])
    }

    @Test func `come from Endpoints when there is no slice`() {
        let legacy = """
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: s, namespace: app}
            subsets:
            - addresses: [{ip: 10.0.0.7}]
              notReadyAddresses: [{ip: 10.0.0.8}]
              ports: [{name: http, port: 8081}]

            """
        #expect(endpoints(service(port) + legacy) == "10.0.0.7:8081")
    }

    @Test func `come from ready pods, by number or by name`() {
        let pods =
            pod("p1", "10.0.0.1") + pod("p2", "10.0.0.2", "False")
            + pod(
                "p3", "10.0.0.3",
                more: "spec: {containers: [{name: c, ports: [{name: web, containerPort: 5000}]}]}")
        let selector = "selector: {app: s}, "
        #expect(endpoints(service(selector + port) + pods) == "10.0.0.1:80 10.0.0.3:80")
        #expect(
            endpoints(service(selector + "ports: [{port: 80, targetPort: 81}]") + pods)
                == "10.0.0.1:81 10.0.0.3:81")
        #expect(
            endpoints(service(selector + "ports: [{port: 80, targetPort: web}]") + pods)
                == "10.0.0.3:5000")
    }

    @Test func `are looked up by DNS last`() {
        #expect(
            endpoints(service("selector: {app: s}, " + port)) == "dns s.app.svc.cluster.local:80")
        let headless =
            "clusterIP: None, selector: {app: s}, ports: [{name: http, port: 80, targetPort: 8080}]"
        #expect(endpoints(service(headless)) == "dns s.app.svc.cluster.local:8080")
        #expect(
            endpoints(service("type: ExternalName, externalName: ext.example.com, " + port))
                == "dns ext.example.com:80")
        let plan = World(
            World.virtualService("[{route: [{destination: {host: s}}]}]"), services: service(port))
        #expect(plan.codes == ["endpoints-by-dns"])
    }

    @Test func `of a ServiceEntry are its own, or selected`() {
        func entry(_ more: String) -> String {
            """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: e, namespace: app}
            spec: {hosts: [e.com], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], \(more)}

            """
        }
        let fixed = entry(
            "resolution: STATIC, endpoints: [{address: 1.1.1.1}, {address: 1.1.1.2, ports: {http: 81}, weight: 5}]"
        )
        #expect(endpoints(fixed, host: "e.com") == "1.1.1.1:8080 1.1.1.2:81*5")
        #expect(
            endpoints(entry("resolution: DNS, endpoints: [{address: b.com}]"), host: "e.com")
                == "dns b.com:8080")
        #expect(endpoints(entry("resolution: DNS"), host: "e.com") == "dns e.com:8080")
        #expect(
            endpoints(
                entry("resolution: STATIC, endpoints: [{address: 'unix:///run/x'}]"), host: "e.com")
                == "/run/x")
        let workload = """
            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: w, namespace: app}
            spec: {address: 2.2.2.2, labels: {app: s}}

            """
        let selected =
            entry("resolution: STATIC, workloadSelector: {labels: {app: s}}") + workload
            + pod("p1", "10.0.0.1")
        #expect(endpoints(selected, host: "e.com") == "2.2.2.2:8080 10.0.0.1:8080")
    }

    @Test func `of a subset have all its labels, by the pod or by its address`() {
        let rule = """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d, namespace: app}
            spec:
              host: s
              subsets: [{name: one, labels: {version: p1}}, {name: two, labels: {version: p2}}, {name: all}]

            """
        let slices = slice(
            """
            ports: [{name: http, port: 8080}]
            endpoints:
            - {addresses: [10.0.0.1], targetRef: {kind: Pod, name: p1, namespace: app}}
            - {addresses: [10.0.0.2]}
            - {addresses: [10.0.0.3], targetRef: {kind: Pod, name: gone, namespace: app}}
            """)
        let objects = service(port) + slices + rule + pod("p1", "10.9.9.9") + pod("p2", "10.0.0.2")
        #expect(endpoints(objects, more: ", subset: one") == "10.0.0.1:8080")
        #expect(endpoints(objects, more: ", subset: two") == "10.0.0.2:8080")
        // Istio would leave out the endpoint whose pod it does not know; files often lack pods.
        #expect(
            endpoints(objects, more: ", subset: all") == "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080"
        )
        #expect(
            endpoints(objects, more: ", subset: six") == "s.app.svc.cluster.local has no subset six"
        )
    }

    @Test(arguments: [
        ("name: http", false), ("name: grpc", true), ("name: grpc-api", true),
        ("name: GRPC-web", true),
        ("name: http2", true), ("name: http2-x", true), ("name: httpx", false), ("name: h2c", true),
        ("name: web, appProtocol: kubernetes.io/h2c", true),
        ("name: grpc, appProtocol: http", false),
        ("name: web, appProtocol: grpc", true), ("name: https", false), ("name: x-grpc", false),
    ])
    func `are spoken to as the port's name says`(port: String, isHTTP2: Bool) {
        let plan = World(
            World.virtualService("[{route: [{destination: {host: s}}]}]"),
            services: service("ports: [{\(port), port: 80}]")
        ).plan
        #expect(plan.clusters.map(\.isHTTP2) == [isHTTP2])
    }
}
