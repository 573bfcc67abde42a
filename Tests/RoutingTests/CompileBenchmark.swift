import Manifests
import Routing
import Support
import Testing

/// How long a big configuration takes: 100,000 VirtualServices, each with a host, two rules, a Service
/// and an EndpointSlice of its own, in hundred namespaces.
@Suite(.enabled(if: TestFiles.environment("PORTICO_BENCH") != nil), .serialized) struct CompileBenchmark {
    @Test func `100,000 VirtualServices compile in about a second`() {
        for count in [1_000, 10_000, 100_000] {
            let clock = ContinuousClock()
            let gateway = World.gateway(
                "gw", "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}")
            let sources =
                [(name: "gateway.yaml", octets: Array(gateway.utf8))]
                + (0..<10).map { part in
                    let text = (part * count / 10..<(part + 1) * count / 10).map(objects).joined()
                    return (name: "many\(part).yaml", octets: Array(text.utf8))
                }
            var set = ManifestSet()
            let reading = clock.measure { set = ManifestReader.load(sources: sources) }
            var plan = RoutingPlan()
            let compiling = clock.measure {
                plan = RoutingPlan.compile(set.inventory, options: CompileOptions())
            }
            print("\(count) VirtualServices: read in \(reading), compiled in \(compiling)")
            #expect(plan.clusters.count == count)
            #expect(plan.routes.count == 2 * count)
            #expect(plan.diagnostics.isEmpty, "\(plan.diagnostics.prefix(3).text)")
        }
    }

    private func objects(_ index: Int) -> String {
        let space = "ns\(index % 100)"
        return """
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs\(index), namespace: \(space)}
            spec:
              hosts: [h\(index).example.com]
              gateways: [gwns/gw]
              http:
              - match: [{uri: {prefix: /pkg.Service\(index)/}}]
                route: [{destination: {host: s\(index)}}]
                timeout: 5s
              - route: [{destination: {host: s\(index).\(space).svc.cluster.local, port: {number: 8080}}}]
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: s\(index), namespace: \(space)}
            spec: {selector: {app: s\(index)}, ports: [{name: grpc, port: 8080}]}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: s\(index)-x, namespace: \(space), labels: {kubernetes.io/service-name: s\(index)}}
            addressType: IPv4
            ports: [{name: grpc, port: 8080}]
            endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]

            """
    }
}
