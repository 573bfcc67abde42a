import Balancing
import Kubernetes
import Manifests
import Proxy
import Routing
import Support
import Telemetry
import Testing

@testable import Control

/// Files and a cluster together, from octets to what workers get.
@Suite struct ClusterConfigurationTests {
    private let source = ClusterSource(defaultNamespace: "edge")
    private let folder = TemporaryFolder()

    private func configuration(files: Bool = false) -> Configuration {
        var options = ControlOptions()
        options.paths = files ? [folder.path] : []
        options.listenMap = [80: 0]
        options.compile.gatewayNamespace = "edge"
        return Configuration(options: options, metrics: Metrics(version: "test"), source: source)
    }

    private static let gateway = """
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw, namespace: edge}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ['*']}]

        """

    private static func service(_ name: String, prefix: String = "/") -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: shop}
        spec: {ports: [{port: 80, name: http}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: \(name), namespace: shop}
        spec:
          hosts: [\(name).example.com]
          gateways: [edge/gw]
          http: [{match: [{uri: {prefix: \(prefix)}}], route: [{destination: {host: \(name)}}]}]

        """
    }

    private static func slice(_ name: String, _ addresses: String) -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name)-1, namespace: shop, labels: {kubernetes.io/service-name: \(name)}}
        addressType: IPv4
        ports: [{port: 8080, name: http}]
        endpoints: [{addresses: [\(addresses)]}]

        """
    }

    private static func addresses(_ configuration: Configuration) -> [String] {
        configuration.snapshot().clusters.flatMap { $0.endpoints.map(\.name) }
    }

    private static func tree(_ configuration: Configuration) -> String {
        configuration.plan.renderTree(endpoints: configuration.endpoints)
    }

    @Test func `a cluster is served as files are`() {
        source.receive(ClusterWorld.lists(Self.gateway + Self.service("a") + Self.slice("a", "10.0.0.1")))
        var configuration = configuration()
        configuration.load()
        #expect(configuration.diagnostics.isEmpty, "\(configuration.diagnostics.text)")
        #expect(Self.addresses(configuration) == ["10.0.0.1:8080"])
        #expect(Self.tree(configuration).contains("host a.example.com"))
    }

    @Test func `endpoints change without a load, and a load that began before has the newest`() throws {
        source.receive(ClusterWorld.lists(Self.gateway + Self.service("a") + Self.slice("a", "10.0.0.1")))
        var configuration = configuration()
        configuration.load()
        _ = source.takeEndpoints()
        source.receive(ClusterWorld.changed(Self.slice("a", "10.0.0.2")))
        _ = configuration.update(try #require(source.takeEndpoints()))
        #expect(Self.addresses(configuration) == ["10.0.0.2:8080"])

        source.receive(ClusterWorld.changed(Self.service("a", prefix: "/new")))
        let loaded = configuration.loadNow(.cluster)
        source.receive(ClusterWorld.changed(Self.slice("a", "10.0.0.3")))
        let later = try #require(source.takeEndpoints())
        _ = configuration.update(later)
        #expect(configuration.apply(loaded, later: later).isNew)
        #expect(Self.addresses(configuration) == ["10.0.0.3:8080"])
        #expect(Self.tree(configuration).contains("/new"))
    }

    @Test func `a load for the cluster reads no file again`() {
        let file = folder.write("gateway.yaml", Self.gateway)
        source.receive(ClusterWorld.lists(Self.service("a") + Self.slice("a", "10.0.0.1")))
        var configuration = configuration(files: true)
        configuration.load()
        folder.write("gateway.yaml", "{")
        source.receive(ClusterWorld.changed(Self.service("b")))
        _ = configuration.apply(configuration.loadNow(.cluster))
        #expect(!configuration.diagnostics.contains { $0.place.file == file }, "\(configuration.diagnostics.text)")
        #expect(Self.tree(configuration).contains("host b.example.com"))
        configuration.load()
        #expect(configuration.diagnostics.contains { $0.place.file == file })
    }

    /// The expressions of a load have a limit, so that what a file says may depend on the files before it.
    @Test func `a file that is as it was is served again when the files before it leave room`() {
        let expressions = (0..<500).map { "{uri: {regex: '/\($0)'}}" }.joined(separator: ", ")
        let full = (0..<20).map { Self.full($0, expressions.replacing("/", with: "/\($0)/")) }.joined()
        folder.write("a.yaml", Self.gateway + Self.service("a") + Self.slice("a", "10.0.0.1") + full)
        folder.write("b.yaml", Self.full(20, "{uri: {regex: '/b'}}"))
        source.receive(ClusterWorld.lists(""))
        var configuration = configuration(files: true)
        configuration.load()
        let broken = { configuration.plan.routes.count { $0.unavailable != nil } }
        #expect(broken() == 1)
        folder.write(
            "a.yaml",
            Self.gateway + Self.service("a") + Self.slice("a", "10.0.0.1") + full.replacing("/7/7'", with: "/7/8'"))
        configuration.load()
        #expect(broken() == 0)
    }

    private static func full(_ number: Int, _ matches: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: full-\(number), namespace: shop}
        spec:
          hosts: [full-\(number).example.com]
          gateways: [edge/gw]
          http: [{match: [\(matches)], route: [{destination: {host: a}}]}]

        """
    }

    @Test func `the file's counts if both have an object, and the cluster's when the file is gone`() {
        folder.write("a.yaml", Self.gateway + Self.service("a", prefix: "/file") + Self.slice("a", "10.0.0.1"))
        source.receive(
            ClusterWorld.lists(Self.gateway + Self.service("a", prefix: "/cluster") + Self.slice("a", "10.0.0.2")))
        var configuration = configuration(files: true)
        configuration.load()
        let twice = configuration.diagnostics.filter { $0.code == "defined-twice" }
        #expect(twice.count == 4 && twice.allSatisfy { $0.place.isInFile && $0.severity == .warning })
        #expect(Self.addresses(configuration) == ["10.0.0.1:8080"])
        #expect(Self.tree(configuration).contains("/file"))
        _ = source.takeEndpoints()
        source.receive(ClusterWorld.changed(Self.slice("a", "10.0.0.3")))
        #expect(source.takeEndpoints() == nil)

        folder.write("a.yaml", Self.gateway)
        configuration.load()
        #expect(Self.addresses(configuration) == ["10.0.0.3:8080"])
        #expect(Self.tree(configuration).contains("/cluster"))
    }

    @Test func `an object that becomes invalid keeps its last good version`() {
        source.receive(ClusterWorld.lists(Self.gateway + Self.service("a") + Self.slice("a", "10.0.0.1")))
        var configuration = configuration()
        configuration.load()
        source.receive(ClusterWorld.changed(Self.service("a").replacing("hosts: [a.example.com]", with: "hosts: 7")))
        _ = configuration.apply(configuration.loadNow(.cluster))
        #expect(configuration.kept.map(\.kind) == ["VirtualService"])
        #expect(Self.tree(configuration).contains("host a.example.com"))
        let place = "kubernetes:shop/VirtualService/a"
        #expect(configuration.diagnostics.contains { $0.severity == .error && "\($0.place)" == place })
        source.receive([.removed(.virtualServices, namespace: "shop", name: "a")])
        _ = configuration.apply(configuration.loadNow(.cluster))
        #expect(!Self.tree(configuration).contains("host a.example.com"))
        #expect(!configuration.diagnostics.contains { "\($0.place)" == place })
    }

    @Test func `the Secrets of servers are asked for, and kept for later ones`() {
        let secure = Self.gateway.replacing(
            "servers: [",
            with: "servers: [{port: {number: 443, name: s, protocol: HTTPS}, bind: 127.0.0.1, "
                + "hosts: [x.test], tls: {mode: MUTUAL, credentialName: tls}}, ")
        source.receive(ClusterWorld.lists(secure))
        var configuration = configuration()
        configuration.load()
        #expect(
            SecretNames.all(of: configuration.plan)
                == [SecretName(namespace: "edge", name: "tls"), SecretName(namespace: "edge", name: "tls-cacert")])
        let yaml = "{apiVersion: v1, kind: Secret, metadata: {name: tls, namespace: edge}, data: {a: aGVsbG8=}}"
        source.receive(ClusterWorld.changed(yaml))
        for _ in 0..<2 {
            _ = configuration.apply(configuration.loadNow(.cluster))
            #expect(configuration.diagnostics.contains { $0.message.contains("Secret edge/tls") })
        }
        #expect(!configuration.diagnostics.contains { $0.code == "unknown-secret" && !$0.message.contains("cacert") })
    }

    /// The same objects from files and from a cluster: the same inventory, and the same plan.
    @Test(arguments: ["hello-world-http", "main-server", "canary-edge", "canary-mesh", "three-replicas"])
    func `files and a cluster mean the same`(seed: String) {
        let yaml = TestFiles.text(TestFiles.tests + "/Fixtures/seeds/\(seed).yaml")
        let files = ManifestReader.load(sources: [("x.yaml", Array(yaml.utf8))], defaultNamespace: "edge").inventory
        source.receive(ClusterWorld.lists(yaml))
        let cluster = source.take().objects
        #expect(Self.text(files) == Self.text(cluster))
        var options = CompileOptions()
        options.gatewayNamespace = "edge"
        options.labels = [:]
        let plans = [files, cluster].map { RoutingPlan.compile($0, options: options) }
        let tables = [files, cluster].map { EndpointTable($0) }
        let trees = zip(plans, tables).map { Self.withoutPlaces($0.renderTree(endpoints: $1)) }
        #expect(trees[0] == trees[1])
        #expect(plans[0].diagnostics.map(\.message).sorted() == plans[1].diagnostics.map(\.message).sorted())
    }

    /// What objects say, without places, versions, and the annotations that a gateway does not read.
    private static func text(_ inventory: Inventory) -> [String] {
        var lines: [String] = []
        for list in Inventory.lists {
            for object in objects(list, inventory) {
                var text = ""
                describe(object, &text)
                lines.append(text)
            }
        }
        return lines.sorted()
    }

    private static func objects(_ list: some ObjectList, _ inventory: Inventory) -> [Any] {
        inventory[keyPath: list.path]
    }

    private static func describe(_ value: Any, _ text: inout String) {
        if value is SourcePlace || value is FieldPath { return }
        let mirror = Mirror(reflecting: value)
        guard !mirror.children.isEmpty, !(value is [String: String]) else {
            text += (value as? [String: String]).map { "\($0.sorted { $0.key < $1.key })" } ?? "\(value)"
            return
        }
        for child in mirror.children where !["version", "layout", "annotations", "phase"].contains(child.label) {
            text += "(\(child.label ?? ""):"
            describe(child.value, &text)
            text += ")"
        }
    }

    private static func withoutPlaces(_ text: String) -> String {
        text.replacing(/(kubernetes:\S+|x\.yaml:\d+:\d+)/, with: "PLACE")
    }
}
