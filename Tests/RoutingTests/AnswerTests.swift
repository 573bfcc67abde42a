import Manifests
import Routing
import Testing

/// Rules that the gateway answers by itself.
@Suite struct `A rule without destinations` {
    private func messages(_ world: World) -> [String] {
        (world.decoded.diagnostics + world.plan.diagnostics).map(\.message)
    }

    @Test func `is compiled to its answer and shown with it`() {
        let world = World(
            World.virtualService(
                "[{match: [{uri: {prefix: /x}}], directResponse: {status: 503, body: {string: down}}}, "
                    + "{\(World.to("b"))}]"))
        #expect(messages(world) == [])
        #expect(world.tree.contains("-> 503, answered by the gateway, a body of 4 octets"))
        #expect(world.json.contains("\"answer\": \"503, answered by the gateway, a body of 4 octets\""))
        #expect(world.answer(TestRequest("/")) == "b")
    }

    @Test func `is not served by itself where it has an error`() {
        let world = World(World.virtualService("[{directResponse: {status: 204, body: {string: x}}}]"))
        #expect(messages(world).first?.hasPrefix("an answer of status 204 or 304 has no body") == true)
        #expect(world.answer(TestRequest("/")) == "503")
        #expect(world.plan.routes.allSatisfy { $0.policy.extras == nil })
    }

    @Test func `costs other rules nothing`() {
        let world = World(World.virtualService("[{timeout: 3s, \(World.to("a"))}]"))
        #expect(world.plan.routes.allSatisfy { $0.policy.extras == nil && $0.timeout == .seconds(3) })
    }
}
