import Balancing
import Manifests
import Octets
import Testing

@testable import Routing

/// `connectionPool` of a DestinationRule. Source: docs/istio.md, Policy of a port and subset.
@Suite struct `The connection pool of a destination` {
    private func world(_ spec: String, subset: String = "") -> World {
        let more = subset.isEmpty ? "" : ", subset: \(subset)"
        return World(
            World.virtualService("[{route: [{destination: {host: a\(more)}}]}]") + """
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: d, namespace: app}
                spec: {host: a, \(spec)}

                """)
    }

    private func cluster(_ spec: String, subset: String = "") -> ClusterPlan? {
        let world = world(spec, subset: subset)
        #expect(world.decoded.diagnostics.isEmpty, "\(world.decoded.diagnostics.text)")
        return world.plan.clusters.first
    }

    @Test func `has every field in effect`() throws {
        let tcp =
            "maxConnections: 1, connectTimeout: 2s, idleTimeout: 3s, maxConnectionDuration: 4s, "
            + "tcpKeepalive: {probes: 5, time: 6s, interval: 7s}"
        let http =
            "http1MaxPendingRequests: 8, http2MaxRequests: 9, maxRequestsPerConnection: 10, maxRetries: 11, "
            + "idleTimeout: 12s, maxConcurrentStreams: 13, useClientProtocol: true"
        let policy = try #require(
            cluster("trafficPolicy: {connectionPool: {tcp: {\(tcp)}, http: {\(http)}}}")?.policies?.pool)
        #expect((policy.connections, policy.connectTimeout) == (1, .seconds(2)))
        #expect((policy.idleTimeout, policy.lifetime) == (.seconds(12), .seconds(4)))
        #expect(policy.keepAlive == PoolPolicy.KeepAlive(probes: 5, time: 6, interval: 7))
        #expect((policy.pending, policy.requests, policy.requestsPerConnection) == (8, 9, 10))
        #expect((policy.retries, policy.streams, policy.usesClientProtocol) == (11, 13, true))
    }

    @Test(arguments: ["tcp: {maxConnections: 0}", "http: {h2UpgradePolicy: DO_NOT_UPGRADE}", "tcp: {idleTimeout: 0s}"])
    func `is none when it asks for what is the case anyway`(pool: String) {
        let cluster = cluster("trafficPolicy: {connectionPool: {\(pool)}}")
        #expect(cluster != nil && cluster?.policies == nil && cluster?.isHTTP2 == false)
    }

    @Test func `takes the idle timeout of TCP where HTTP has none`() {
        let policy = cluster("trafficPolicy: {connectionPool: {tcp: {idleTimeout: 3s}}}")?.policies?.pool
        #expect(policy?.idleTimeout == .seconds(3))
    }

    @Test func `makes a port of HTTP/1.1 one of HTTP/2 where it says UPGRADE`() {
        let cluster = cluster("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}")
        #expect(cluster?.isHTTP2 == true && cluster?.policies == nil)
    }

    @Test func `of a subset replaces the whole block of the rule`() {
        let rule = "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}, http: {maxRetries: 2}}}, "
        let subset = "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {http: "
        let policy = cluster(rule + subset + "{http2MaxRequests: 3}}}}]", subset: "v1")?.policies?.pool
        #expect((policy?.requests, policy?.connections, policy?.retries) == (3, nil, nil))
        let silent = "subsets: [{name: v1, labels: {version: v1}}]"
        #expect(cluster(rule + silent, subset: "v1")?.policies?.pool?.connections == 1)
    }

    @Test func `is shown with the routes`() {
        let world = world(
            "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1, connectTimeout: 250ms}, "
                + "http: {useClientProtocol: true}}}")
        #expect(
            world.tree.contains(
                "connectionPool: maxConnections 1, connectTimeout 250ms, useClientProtocol true\n"), "\(world.tree)")
        #expect(world.json.contains("\"connectionPool\""))
    }
}
