import Balancing
import Manifests
import Testing

@testable import Routing

/// `loadBalancer.consistentHash` of a DestinationRule.
@Suite struct `The consistent hash of a destination` {
    private func world(_ hash: String) -> World {
        World(
            World.virtualService("[{route: [{destination: {host: a}}]}]") + """
                ---
                apiVersion: networking.istio.io/v1
                kind: DestinationRule
                metadata: {name: d, namespace: app}
                spec: {host: a, trafficPolicy: {loadBalancer: {consistentHash: {\(hash)}}}}

                """)
    }

    private func policy(_ hash: String) -> HashPolicy? { world(hash).plan.clusters.first?.policies?.hashing }

    @Test func `has every key in effect, and its default table is a ring of 1,024`() {
        let ring = HashPolicy.Table.ring(minimum: 1024)
        #expect(policy("httpHeaderName: X-User") == HashPolicy(key: .header("x-user"), table: ring))
        #expect(policy("useSourceIp: true") == HashPolicy(key: .sourceAddress, table: ring))
        #expect(policy("httpQueryParameterName: U") == HashPolicy(key: .queryParameter("U"), table: ring))
        #expect(policy("useSourceIp: true, ringHash: {minimumRingSize: 5000}")?.table == .ring(minimum: 5000))
        #expect(policy("useSourceIp: true, minimumRingSize: 4000")?.table == .ring(minimum: 4000))
        #expect(policy("useSourceIp: true, maglev: {tableSize: 251}")?.table == .maglev(size: 251))
    }

    @Test(
        arguments: [
            ("", nil), (", ttl: 0s", "; HttpOnly"), (", ttl: 90s, path: /a", "; Max-Age=90; Path=/a; HttpOnly"),
            (
                ", ttl: 1500ms, attributes: [{name: SameSite, value: Strict}, {name: Secure}]",
                "; Max-Age=1; SameSite=Strict; Secure; HttpOnly"
            ),
        ] as [(String, String?)])
    func `sets a cookie as Envoy writes it, where it has a time to live`(fields: String, setting: String?) {
        let cookie = HashPolicy.Cookie(name: "sid", setting: setting)
        #expect(policy("httpCookie: {name: sid\(fields)}")?.key == .cookie(cookie))
    }

    @Test(arguments: [
        "name: 'a;b', ttl: 0s", "name: a, ttl: 0s, path: '/; Domain=x'", "name: \"a\\r\\nx\", ttl: 0s",
        "name: a, ttl: 0s, attributes: [{name: Path, value: \"/\\r\\nset-cookie: x\"}]",
    ])
    func `refuses a cookie that says more than itself`(cookie: String) {
        #expect(world("httpCookie: {\(cookie)}").decoded.hasErrors)
    }

    @Test func `is shown, and requests without a key are spread at random`() throws {
        let world = world("httpHeaderName: x-user")
        #expect(world.tree.contains(", RING_HASH\n"), "\(world.tree)")
        #expect(world.tree.contains("consistentHash: httpHeaderName x-user, minimumRingSize 1024\n"))
        #expect(world.json.contains("\"RING_HASH\"") && world.json.contains("\"consistentHash\""))
        #expect(try #require(world.plan.clusters.first).policy == .random)
    }
}
