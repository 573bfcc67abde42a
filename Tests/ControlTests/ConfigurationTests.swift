import Balancing
import Manifests
import Proxy
import Reactor
import Routing
import Support
import TLS
import Telemetry
import Testing

@testable import Control

@Suite struct `A configuration` {
    private let folder: TemporaryFolder
    private let metrics = Metrics(version: "test")
    private var configuration: Configuration

    init() throws {
        folder = TemporaryFolder()
        var options = ControlOptions()
        options.paths = [folder.path]
        options.listenMap = [80: 0, 443: 0]
        options.compile.gatewayNamespace = "edge"
        configuration = Configuration(options: options, metrics: metrics)
    }

    private func gateway(
        _ host: String = "a.test", tls: Bool = false, selector: String = "ingressgateway"
    ) -> String {
        let server =
            tls
            ? "{port: {number: 443, name: https, protocol: HTTPS}, bind: 127.0.0.2, hosts: [\(host)],"
                + " tls: {mode: SIMPLE, credentialName: s}}"
            : "{port: {number: 80, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: [\(host)]}"
        return """
            ---
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: gw, namespace: edge}
            spec: {selector: {istio: \(selector)}, servers: [\(server)]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: vs, namespace: edge}
            spec: {hosts: [\(host)], gateways: [gw], http: [{route: [{destination: {host: a}}]}]}

            """
    }

    private func service(_ address: String, port: String = "80") -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: a, namespace: edge}
        spec: {selector: {app: a}, ports: [{name: http, port: \(port)}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: a-1, namespace: edge, labels: {app: a}}
        status: {phase: Running, podIP: \(address), conditions: [{type: Ready, status: "True"}]}

        """
    }

    private var errors: [String] { configuration.diagnostics.filter { $0.severity == .error }.map(\.message) }
    private mutating func endpoints() -> [EndpointState] {
        configuration.snapshot().clusters.flatMap(\.endpoints)
    }

    @Test mutating func `becomes a snapshot with sockets, clusters and routes`() {
        folder.write("gw.yaml", gateway())
        folder.write("a.yaml", service("10.0.0.1"))
        configuration.load()
        let snapshot = configuration.snapshot()
        #expect(errors == [] && configuration.bindFailures == [])
        #expect(snapshot.listeners.map(\.gatewayPort) == [80])
        #expect(snapshot.listeners[0].tls == nil && snapshot.listeners[0].clearTable != nil)
        #expect(snapshot.clusters.flatMap(\.endpoints).map(\.name) == ["10.0.0.1:80"])
        #expect(snapshot.routeMetrics.count == snapshot.plan.routes.count)
        #expect(configuration.names == [])
    }

    @Test mutating func `keeps sockets and endpoints when other things change`() {
        folder.write("gw.yaml", gateway())
        folder.write("a.yaml", service("10.0.0.1"))
        configuration.load()
        let before = configuration.snapshot()
        let endpoint = endpoints()[0]
        folder.write("gw.yaml", gateway("b.test"))
        configuration.load()
        let after = configuration.snapshot()
        #expect(after.listeners[0].sockets === before.listeners[0].sockets)
        #expect(after.clusters[0] === before.clusters[0] && endpoints()[0] === endpoint)
        #expect(after.plan !== before.plan)
    }

    private func slice(_ address: String) -> String {
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: a-1, namespace: edge, labels: {kubernetes.io/service-name: a}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        endpoints: [{addresses: [\(address)]}]

        """
    }

    @Test mutating func `is the same plan while nothing but endpoints changes`() {
        folder.write("gw.yaml", gateway() + service("10.0.0.1"))
        folder.write("slice.yaml", slice("10.0.0.2"))
        let first = configuration.apply(configuration.loadNow())
        let (plan, cluster) = (configuration.plan, configuration.snapshot().clusters[0])
        #expect(first.isNew && cluster.endpoints.map(\.name) == ["10.0.0.2:8080"])
        folder.write("slice.yaml", slice("10.0.0.3"))
        let second = configuration.apply(configuration.loadNow())
        #expect(!second.isNew && second.left == [0] && configuration.plan === plan)
        #expect(cluster.endpoints.map(\.name) == ["10.0.0.3:8080"])
        folder.write("gw.yaml", gateway() + service("10.0.0.1", port: "81"))    // with a pod, and not alone
        let third = configuration.apply(configuration.loadNow())
        #expect(third.isNew && configuration.plan !== plan && configuration.snapshot().clusters[0] !== cluster)
    }

    @Test mutating func `is the same plan when endpoints change in a file with other objects, unless those move`() {
        folder.write("all.yaml", gateway() + service("10.0.0.1") + "---\n" + slice("10.0.0.2"))
        configuration.load()
        let plan = configuration.plan
        folder.write("all.yaml", gateway() + service("10.0.0.1") + "---\n" + slice("10.0.0.3"))
        configuration.load()
        #expect(configuration.plan === plan)
        #expect(configuration.snapshot().clusters[0].endpoints.map(\.name) == ["10.0.0.3:8080"])
        folder.write("all.yaml", "# One line more.\n" + gateway() + service("10.0.0.1") + "---\n" + slice("10.0.0.3"))
        configuration.load()
        #expect(configuration.plan !== plan)
    }

    @Test mutating func `tells what is wrong with new endpoints although the plan is the same`() {
        folder.write("gw.yaml", gateway() + service("10.0.0.1"))
        folder.write("slice.yaml", slice("10.0.0.2"))
        configuration.load()
        let plan = configuration.plan
        #expect(configuration.diagnostics.isEmpty)
        folder.write(
            "slice.yaml", slice("10.0.0.2").replacing("endpoints: [{addresses: [10.0.0.2]}]", with: "endpoints: []"))
        configuration.load()
        #expect(configuration.plan === plan && configuration.diagnostics.map(\.code) == ["no-endpoint"])
        folder.write(
            "other.yaml", slice("10.0.0.2").replacing("a-1", with: "b-1").replacing("name: a}", with: "name: b}"))
        folder.write("slice.yaml", slice("10.0.0.2"))
        configuration.load()
        #expect(configuration.plan === plan && configuration.diagnostics.map(\.code) == ["no-service"])
    }

    @Test mutating func `keeps what broke and takes what did not`() {
        folder.write("gw.yaml", gateway())
        folder.write("a.yaml", service("10.0.0.1"))
        configuration.load()
        let before = endpoints()
        folder.write("gw.yaml", "broken: [")
        folder.write("a.yaml", service("10.0.0.2", port: "many"))
        configuration.load()
        let kept = configuration.kept.map(\.description).sorted()
        #expect(kept == ["Gateway edge/gw", "Service edge/a", "VirtualService edge/vs"])
        #expect(configuration.rejected == 1 && errors.count == 2)
        #expect(configuration.plan.listeners.count == 1)
        #expect(endpoints().map(\.name) == ["10.0.0.2:80"])
        folder.write("gw.yaml", gateway())
        folder.write("a.yaml", service("10.0.0.1"))
        configuration.load()
        #expect(configuration.kept == [] && errors == [])
        #expect(endpoints()[0].number != before[0].number)
    }

    @Test mutating func `that is deleted is gone`() {
        folder.write("gw.yaml", gateway())
        configuration.load()
        #expect(configuration.plan.listeners.count == 1)
        folder.remove("gw.yaml")
        configuration.load()
        #expect(configuration.plan.listeners.isEmpty && configuration.kept == [])
        #expect(configuration.snapshot().listeners.isEmpty)
    }

    @Test mutating func `serves the last good certificate, and says so`() throws {
        let (one, two) = (try Certificates.text("one.pem"), try Certificates.text("two.key"))
        folder.write("gw.yaml", gateway("one.test", tls: true) + service("10.0.0.1"))
        folder.write("s.yaml", try Certificates.secret("s", one, key: Certificates.text("one.key")))
        configuration.load()
        #expect(errors == [])
        #expect(configuration.snapshot().listeners[0].tls?.chainNumber(serverName: "one.test") == 0)
        folder.write("s.yaml", try Certificates.secret("s", one, key: two))
        configuration.load()
        #expect(errors.count == 1 && errors[0].contains("the private key does not belong to"))
        #expect(configuration.snapshot().listeners[0].tls?.chainNumber(serverName: "one.test") == 0)
    }

    @Test mutating func `without a usable certificate refuses its hosts only`() throws {
        folder.write("gw.yaml", gateway("one.test", tls: true))
        configuration.load()
        let listeners = configuration.snapshot().listeners
        #expect(listeners.count == 1)
        #expect(listeners[0].tls != nil && listeners[0].tls?.chainNumber(serverName: "one.test") == nil)
    }

    @Test mutating func `of another gateway is not served`() {
        folder.write("gw.yaml", gateway(selector: "another"))
        configuration.load()
        #expect(configuration.plan.listeners.isEmpty && errors == [])
    }

    @Test mutating func `that is missing could not be read, and keeps what was there`() throws {
        var options = ControlOptions()
        options.paths = [folder.path + "/gw.yaml"]
        options.listenMap = [80: 0]
        configuration = Configuration(options: options, metrics: metrics)
        configuration.load()
        #expect(configuration.couldNotRead && configuration.plan.listeners.isEmpty)
        folder.write("gw.yaml", gateway())
        configuration.load()
        #expect(!configuration.couldNotRead && configuration.plan.listeners.count == 1)
        folder.remove("gw.yaml")
        configuration.load()
        #expect(configuration.couldNotRead && configuration.plan.listeners.count == 1)
    }

    @Test mutating func `names what has to be resolved`() {
        let external = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: se, namespace: edge}
            spec:
              hosts: [a.edge.svc.cluster.local]
              resolution: DNS
              ports: [{number: 80, name: http, protocol: HTTP}]
              endpoints: [{address: up.test}]

            """
        folder.write("gw.yaml", gateway() + external)
        configuration.load()
        #expect(configuration.names == ["up.test"])
        #expect(endpoints() == [EndpointState]())
        #expect(configuration.update(resolved: ["up.test": ["10.0.0.9"]]) == [])
        #expect(endpoints().map(\.name) == ["10.0.0.9:80"])
    }
}

private func == (left: [EndpointState], right: [EndpointState]) -> Bool {
    left.count == right.count && zip(left, right).allSatisfy { $0 === $1 }
}
