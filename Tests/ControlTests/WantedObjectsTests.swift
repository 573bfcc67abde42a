import Kubernetes
import Manifests
import Octets
import Reactor
import Routing
import Support
import Synchronization
import Telemetry
import Testing

@testable import Control

/// What a load waits for, so that no plan takes effect without what it needs of the cluster.
@Suite struct `What a plan wants of a cluster` {
    private let source = ClusterSource(defaultNamespace: "edge")
    private let client = Client()

    /// Notes what is asked for, and says of it what the test has told it.
    private final class Client: ClusterClient {
        let secrets = Lock<[Set<SecretName>]>([])
        let asksForNodes = Lock(0)
        let answer = Lock<@Sendable () -> Void>({})

        func start() {}
        func stop() {}

        func watchSecrets(_ names: Set<SecretName>) {
            secrets.withLock { $0.append(names) }
            answer.withLock(\.self)()
        }

        func watchNodes() {
            asksForNodes.withLock { $0 += 1 }
            answer.withLock(\.self)()
        }
    }

    private func wanted() throws -> WantedObjects { try WantedObjects(source: source, client: client) }

    private func at(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    private static let name = SecretName(namespace: "edge", name: "tls")

    private static func gateway(_ secret: String = "tls") -> String { ClusterWorld.gateway(naming: secret) }

    private static let near = """
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: a, namespace: shop}
        spec: {host: a, subsets: [{name: near, labels: {topology.kubernetes.io/region: west}}]}

        """

    private static func plan(_ yaml: String) -> RoutingPlan {
        let source = ClusterSource(defaultNamespace: "edge")
        source.receive(ClusterWorld.changed(yaml))
        var options = CompileOptions()
        options.gatewayNamespace = "edge"
        return RoutingPlan.compile(source.take().objects, options: options)
    }

    @Test func `Secrets are asked for once, and the plan may take effect when they are known`() throws {
        let (wanted, plan) = (try wanted(), Self.plan(Self.gateway()))
        wanted.begin()
        #expect(!wanted.has(plan, at: at(1)) && wanted.isAwaited)
        source.receive([.secret(Self.name, .unreachable(since: 0, reason: "timed out"))])
        #expect(!wanted.has(plan, at: at(2)) && wanted.isAwaited, "what is not known yet is no answer")
        source.receive([.secret(Self.name, .absent)])
        let isKnown = wanted.wait(LoadLimit())
        #expect(isKnown && !wanted.isAwaited && wanted.has(plan, at: at(3)))
        wanted.settle(plan)
        wanted.begin()
        #expect(wanted.has(plan, at: at(4)))
        #expect(client.secrets.withLock(\.self) == [[Self.name]])
    }

    @Test func `a load waits 5 s in all, for whatever becomes wanted meanwhile`() throws {
        let wanted = try wanted()
        wanted.begin()
        #expect(!wanted.has(Self.plan(Self.gateway()), at: at(10)))
        let other = Self.plan(Self.gateway("other"))
        #expect(!wanted.has(other, at: at(14)))
        #expect(wanted.has(other, at: at(15)))
        wanted.settle(other)
        #expect(!wanted.isAwaited)
        wanted.begin()
        #expect(wanted.has(other, at: at(16)), "it has been waited for once")
        #expect(!wanted.has(Self.plan(Self.gateway()), at: at(17)), "nobody has watched it since")
    }

    @Test func `nothing is waited for where a plan wants less than the one before`() throws {
        let wanted = try wanted()
        wanted.begin()
        wanted.settle(Self.plan(Self.gateway()))
        wanted.begin()
        #expect(wanted.has(RoutingPlan(), at: at(2)) && wanted.wait(LoadLimit()))
        #expect(client.secrets.withLock(\.last) == [Self.name], "the plan in effect needs it until the load has ended")
        wanted.settle(RoutingPlan())
        #expect(client.secrets.withLock(\.last) == [])
    }

    @Test func `a load that may not wait takes effect with what is known`() throws {
        let wanted = try wanted()
        wanted.begin(mayWait: false)
        let plan = Self.plan(Self.gateway())
        #expect(wanted.has(plan, at: at(1)))
        wanted.settle(plan)
        #expect(client.secrets.withLock(\.self) == [[Self.name]] && !wanted.isAwaited)
    }

    @Test func `a load that is given up waits no longer`() throws {
        let (wanted, limit) = (try wanted(), LoadLimit())
        wanted.begin()
        #expect(!wanted.has(Self.plan(Self.gateway())))
        limit.end()
        #expect(!wanted.wait(limit))
        wanted.begin()
        #expect(!wanted.has(Self.plan(Self.gateway())), "the next load waits for what nobody has waited for")
    }

    @Test func `what cannot be read keeps no later load waiting for something else`() throws {
        let wanted = try wanted()
        wanted.settle(Self.plan(Self.gateway()))
        source.receive([.secret(Self.name, .unreachable(since: 0, reason: "timed out"))])
        let second = Self.gateway("other").replacing("name: gw", with: "name: gw2").replacing("x.test", with: "y.test")
        let both = Self.plan(Self.gateway() + "---\n" + second)
        wanted.begin()
        #expect(!wanted.has(both, at: at(1)))
        source.receive([.secret(SecretName(namespace: "edge", name: "other"), .absent)])
        #expect(wanted.wait(LoadLimit()) && wanted.has(both, at: at(2)))
    }

    @Test func `Nodes are asked for once, when a rule needs them, and watched from then on`() throws {
        let (wanted, plan) = (try wanted(), Self.plan(Self.near))
        wanted.begin()
        #expect(plan.needsNodes && !wanted.has(plan, at: at(1)))
        source.receive([.state(.nodes, namespace: nil, .current)])
        #expect(wanted.wait(LoadLimit()) && wanted.has(plan, at: at(2)))
        wanted.settle(plan)
        wanted.begin()
        #expect(wanted.has(plan, at: at(3)))
        #expect(client.asksForNodes.withLock(\.self) == 1)
    }

    // MARK: a load

    private func loader(_ metrics: Metrics) throws -> Loader {
        var options = ControlOptions()
        options.compile.gatewayNamespace = "edge"
        return Loader(options: options, metrics: metrics, source: source, wanted: try wanted())
    }

    private static func secret() throws -> String {
        try Certificates.secret("tls", try Certificates.text("one.pem"), key: try Certificates.text("one.key"))
    }

    @Test func `a later load is complete with the first plan that names a Secret`() throws {
        let loader = try loader(Metrics(version: "test"))
        source.receive(ClusterWorld.lists(""))
        #expect(loader.load(.cluster).loaded.contexts.isEmpty)
        let secret = try Self.secret()
        client.answer.withLock { [source] in
            $0 = { source.receive(ClusterWorld.changed(secret) + [.secret(Self.name, .current)]) }
        }
        source.receive(ClusterWorld.changed(Self.gateway()))
        let loaded = loader.load(.cluster).loaded
        #expect(loaded.contexts.count == 1 && loaded.contexts.allSatisfy { $0.allSatisfy { $0 != nil } })
        #expect(loaded.changes.added == 2 && !loaded.isGivenUp)
    }

    @Test func `endpoints have their places in the first load whose plan needs them, new Services included`() throws {
        let loader = try loader(Metrics(version: "test"))
        source.receive(ClusterWorld.lists(""))
        _ = loader.load(.cluster)
        let node = """
            apiVersion: v1
            kind: Node
            metadata: {name: near, labels: {topology.kubernetes.io/region: west}}
            """
        client.answer.withLock { [source] in
            $0 = {
                let octets = ClusterWorld.objects(node).map(\.octets)
                source.receive([
                    .page(.nodes, namespace: nil, octets, isFirst: true, isLast: true),
                    .state(.nodes, namespace: nil, .current),
                ])
            }
        }
        source.receive(ClusterWorld.changed(Self.near + Self.served))
        let loaded = loader.load(.cluster).loaded
        let table = try #require(loaded.takeEndpoints())
        let tree = loaded.plan.renderTree(endpoints: table)
        #expect(tree.contains("subset near") && tree.contains("10.0.0.1:8080"), "\(tree)")
        #expect(client.asksForNodes.withLock(\.self) == 1)
    }

    private static let served = """
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw, namespace: edge}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: a, namespace: shop}
        spec: {ports: [{port: 80, name: http}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: a, namespace: shop}
        spec:
          hosts: [a.example.com]
          gateways: [edge/gw]
          http: [{route: [{destination: {host: a, subset: near}}]}]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: a-1, namespace: shop, labels: {kubernetes.io/service-name: a}}
        addressType: IPv4
        ports: [{port: 8080, name: http}]
        endpoints: [{addresses: [10.0.0.1], nodeName: near}]

        """

    @Test func `a load that has waited long enough is complete without them, which is counted`() throws {
        let metrics = Metrics(version: "test")
        let wanted = try WantedObjects(source: source, client: client, longestWait: .milliseconds(1))
        var options = ControlOptions()
        options.compile.gatewayNamespace = "edge"
        let loader = Loader(options: options, metrics: metrics, source: source, wanted: wanted)
        source.receive(ClusterWorld.lists(Self.gateway()))
        let loaded = loader.load(.cluster).loaded
        #expect(!loaded.isGivenUp && loaded.plan.listeners.count == 1)
        #expect(metrics.render().contains("\nportico_limit_reached_total{limit=\"awaited_objects\"} 1\n"))
    }
}
