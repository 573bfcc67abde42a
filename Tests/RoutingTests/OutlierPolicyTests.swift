import Balancing
import Manifests
import Testing

@testable import Routing

/// `outlierDetection` of a DestinationRule.
@Suite struct `The outlier detection of a destination` {
    private func cluster(_ policy: String) -> (world: World, policy: OutlierPolicy?) {
        let world = World(
            World.virtualService("[{route: [{destination: {host: a}}]}]") + """
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: d, namespace: app}
                spec: {host: a, trafficPolicy: {\(policy)}}

                """)
        #expect(!world.decoded.hasErrors, "\(world.decoded.diagnostics.text)")
        return (world, world.plan.clusters.first?.policies?.outliers)
    }

    @Test func `is Envoy's default when the block is empty, and none without it`() {
        #expect(cluster("outlierDetection: {}").policy == OutlierPolicy())
        #expect(cluster("connectionPool: {tcp: {maxConnections: 1}}").policy == nil)
    }

    @Test func `has every field in effect, and is shown`() throws {
        let (world, found) = cluster(
            "outlierDetection: {consecutive5xxErrors: 1, consecutiveGatewayErrors: 2, interval: 3s, "
                + "baseEjectionTime: 4s, maxEjectionPercent: 5, minHealthPercent: 6, "
                + "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 7, "
                + "outlierDetectionHttpErrorCodes: [503, 429, 503]}")
        let policy = try #require(found)
        #expect((policy.consecutive5xx, policy.consecutiveGateway) == (1, 2))
        #expect((policy.interval, policy.baseEjectionTime) == (.seconds(3), .seconds(4)))
        #expect((policy.maxEjectionPercent, policy.minHealthPercent) == (5, 6))
        #expect((policy.splitsLocalOrigin, policy.consecutiveLocalOrigin) == (true, 7))
        #expect(policy.errorCodes == [429, 503])
        #expect(
            world.tree.contains(
                "outlierDetection: consecutive5xxErrors 1, consecutiveGatewayErrors 2, interval 3s, "
                    + "baseEjectionTime 4s, maxEjectionPercent 5, minHealthPercent 6, "
                    + "consecutiveLocalOriginFailures 7, outlierDetectionHttpErrorCodes 429 503\n"), "\(world.tree)")
        #expect(world.json.contains("\"outlierDetection\""))
    }

    @Test func `has 0 for never, and the others as they are by default`() {
        let policy = cluster("outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 3}").policy
        #expect((policy?.consecutive5xx, policy?.consecutiveGateway, policy?.maxEjectionPercent) == (0, 3, 10))
    }
}
