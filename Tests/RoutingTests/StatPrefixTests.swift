import Manifests
import Routing
import Testing

/// `statPrefix` of a match: the name under which metrics count its requests.
@Suite struct `A statPrefix` {
    private func routes(_ rule: String) -> [Route] {
        World(World.virtualService("[{\(rule), \(World.to("a"))}]")).plan.routes
    }

    @Test func `names the requests of its match alone`() {
        let rule =
            "name: r, match: [{uri: {prefix: /a}, statPrefix: a}, {uri: {prefix: /b}}, "
            + "{uri: {prefix: /c}, statPrefix: a}, {uri: {prefix: /d}, statPrefix: d}]"
        let world = World(World.virtualService("[{\(rule), \(World.to("a"))}]"))
        #expect(world.decoded.diagnostics.isEmpty && world.plan.diagnostics.isEmpty)
        let names = world.plan.routes.map(\.metricsName)
        #expect(names.sorted() == ["a", "app/vs/r", "d"], "\(names)")
        #expect(world.plan.routes.allSatisfy { $0.name == "app/vs/r" })
        for path in ["/a", "/b", "/c", "/d"] { #expect(world.answer(TestRequest(path)) == "a") }
        #expect(world.tree.contains("counted in metrics as d"))
        #expect(world.json.contains("\"statPrefix\": \"d\""))
    }

    @Test func `that is empty is none`() {
        #expect(routes("match: [{uri: {prefix: /a}, statPrefix: ''}]").allSatisfy { $0.policy.extras == nil })
    }

    @Test func `and a rewrite together make a route for each pair`() {
        let rule = "match: [{uri: {prefix: /a}, statPrefix: x}, {uri: {prefix: /bb}, statPrefix: x}, "
        #expect(routes(rule + "{uri: {prefix: /b}}], rewrite: {uri: /}").count == 3)
        #expect(routes(rule + "{uri: {prefix: /b}}]").count == 2)
    }

    @Test func `of a rule that is not served makes no route of its own`() {
        let rule = "match: [{uri: {prefix: /a}, statPrefix: x}, {uri: {prefix: /b}}], rewrite: {uri: /, urj: /}"
        #expect(routes(rule).filter { $0.unavailable != nil }.count == 1)
    }
}
