import Manifests
import Routing
import Testing

/// What `portico routes` shows of policies, and what `check` says of them.
@Suite struct `The policies of a rule` {
    private let a = World.to("a")

    @Test func `are shown with the rule`() {
        let world = World(
            World.virtualService(
                """
                [{\(a), retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx,404'},
                  fault: {delay: {fixedDelay: 1s, percentage: {value: 0.5}}},
                  mirror: {host: b}, mirrorPercentage: {value: 12.5}}]
                """))
        for line in [
            "fault: 0.5 % delayed by 1s", "retries: 3 retries on 5xx,404, 2s per try",
            "copies of 12.5 % -> b.app.svc.cluster.local:8080, HTTP/1.1, LEAST_REQUEST",
        ] {
            #expect(world.tree.contains("      \(line)\n"), "\(line)\n\(world.tree)")
        }
        #expect(world.json.contains("\"share\":\"12.5 %\"") || world.json.contains("\"share\": \"12.5 %\""))
    }

    @Test func `are lent by the rule that names a delegate`() throws {
        let root = "[{delegate: {name: part}, retries: {attempts: 5}, mirror: {host: b}, mirrorPercentage: {value: 5}}]"
        let world = World(
            World.virtualService(root)
                + World.virtualService(
                    "[{\(a), mirror: {host: a}}, {\(a), retries: {attempts: 0}}]", name: "part", hosts: "[]",
                    gateways: ""))
        let extras = try world.plan.routes.map { try #require($0.policy.extras) }
        #expect(extras.first?.retries?.attempts == 5)
        #expect(extras.first?.mirrors.map { world.plan.clusters[$0.cluster].host } == ["a.app.svc.cluster.local"])
        #expect(extras.first?.mirrors.first?.share == RequestShare(percentage: 5), "the percentage is lent for itself")
    }

    @Test func `of a mirror that does not exist leave the rule as it is`() {
        let world = World(World.virtualService("[{\(a), mirror: {host: nobody}}]"))
        #expect(world.answer(TestRequest("/")) == "a")
        #expect(world.plan.diagnostics.map(\.code) == ["unknown-host"])
        #expect(world.plan.diagnostics.first?.message.hasSuffix("it gets no copies of requests") == true)
    }

    @Test func `ask for nothing when they are off`() {
        let world = World(
            World.virtualService(
                "[{\(a), mirror: {host: b}, mirrorPercentage: {value: 0}, fault: {abort: {httpStatus: 500}}}]"))
        #expect(world.plan.routes.first?.policy.extras == nil)
    }
}
