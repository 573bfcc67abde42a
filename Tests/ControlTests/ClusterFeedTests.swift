import Kubernetes
import Manifests
import Octets
import Reactor
import Routing
import Synchronization
import Testing

@testable import Control

/// When the control plane loads because of a cluster.
@Suite struct ClusterFeedTests {
    private let source = ClusterSource(defaultNamespace: "edge")
    private let client = Client()

    private final class Client: ClusterClient {
        func start() {}
        let wanted = Lock<[Set<SecretName>]>([])
        func watchSecrets(_ names: Set<SecretName>) { wanted.withLock { $0.append(names) } }
        func watchNodes() {}
        func stop() {}
    }

    private static let service = """
        {apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: 80}]}}
        """

    private func feed() throws -> ClusterFeed { try ClusterFeed(source: source, client: client) }

    /// A server that never answers is waited for as long as the caller says: `check` says 30 s.
    @Test func `a reading of the cluster ends when the server takes too long`() throws {
        let began = MonotonicTime.now()
        let failure = #expect(throws: ClusterReadingError.self) {
            try ClusterReading(
                ManifestSet(), source: source, client: client, options: CompileOptions(), wait: .milliseconds(1))
        }
        #expect(failure?.description.contains("was waited for 0.001 seconds: listing ") == true)
        #expect(MonotonicTime.now().nanoseconds(since: began) < 30_000_000_000)
    }

    @Test func `a reading of the cluster goes on without Secrets that do not come`() throws {
        source.receive(ClusterWorld.lists(ClusterWorld.gateway(naming: "tls")))
        var options = CompileOptions()
        options.gatewayNamespace = "edge"
        let reading = try ClusterReading(
            ManifestSet(), source: source, client: client, options: options, wait: .milliseconds(1))
        #expect(client.wanted.withLock(\.count) == 1)
        #expect(reading.alone().set.inventory.gateways.map(\.meta.name) == ["gw"])
    }

    @Test func `the first load waits for all kinds`() throws {
        let feed = try feed()
        source.receive(ClusterWorld.changed(Self.service))
        _ = feed.takeChanges()
        #expect(!feed.isDue && feed.wait == -1)    // no polling meanwhile
        #expect(feed.waitingReason.hasPrefix("waiting for the Kubernetes API server: listing "))
        source.receive(ClusterWorld.lists(Self.service))
        _ = feed.takeChanges()
        #expect(feed.isDue)
        feed.loadBegan()
        #expect(!feed.isDue)
        _ = feed.loadEnded(work: .zero)
        #expect(!feed.isDue)
    }

    @Test func `a change is due soon, and one that came during a load after it`() throws {
        let feed = try feed()
        source.receive(ClusterWorld.lists(Self.service))
        feed.loadBegan()
        _ = source.take()
        _ = feed.loadEnded(work: .zero)
        _ = feed.takeChanges()
        #expect(!feed.isDue && feed.wait == -1)
        source.receive(ClusterWorld.changed(Self.service.replacing("80", with: "81")))
        _ = feed.takeChanges()
        #expect((0...100).contains(feed.wait))
        while !feed.isDue {}
        feed.loadBegan()
        _ = source.take()
        source.receive(ClusterWorld.changed(Self.service.replacing("80", with: "82")))
        _ = feed.takeChanges()
        #expect(!feed.isDue)
        _ = feed.loadEnded(work: .zero)
        while !feed.isDue {}
    }

    @Test func `endpoints that change during a load are handed back when it ends`() throws {
        let feed = try feed()
        let slice = """
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, ports: [], endpoints: [],
            metadata: {name: a-1, namespace: shop, labels: {kubernetes.io/service-name: a}}}
            """
        source.receive(ClusterWorld.changed(slice))
        #expect(feed.takeChanges()?.slices.count == 1)
        feed.loadBegan()
        source.receive([.removed(.endpointSlices, namespace: "shop", name: "a-1")])
        #expect(feed.takeChanges()?.slices.count == 1)
        let later = feed.loadEnded(work: .zero)
        let removed = try #require(later.slices[ServiceName(namespace: "shop", name: "a-1")])
        #expect(removed == nil)
    }
}
