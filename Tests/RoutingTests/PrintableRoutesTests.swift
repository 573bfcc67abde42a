import Manifests
import Routing
import Testing

@Suite struct `The names and conditions of a file` {
    private static let hostile = #"a\nlistener *:1\e[2J\e]0;x\a\x9b\u202e\u2066\u200b\x7f"#

    private let world = World(
        World.virtualService(
            #"[{name: "NAME", match: [{headers: {x: {exact: "NAME"}}, uri: {prefix: "/NAME"}}], TO}]"#
                .replacing("NAME", with: hostile).replacing("TO", with: World.to("a"))))

    private func isClean(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            scalar == "\n"
                || (scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
                    && !(0x200B...0x200F).contains(scalar.value) && !(0x2028...0x202E).contains(scalar.value)
                    && !(0x2060...0x206F).contains(scalar.value))
        }
    }

    @Test func `add no line to what is printed, and nothing that a terminal acts on`() {
        let tree = world.tree
        #expect(isClean(tree))
        #expect(!tree.contains("\nlistener *:1"))
        let request = TextRequest(path: "/\u{1B}[2J", authority: "a.com", method: "GET", scheme: "http", headers: [])
        #expect(isClean(world.plan.explain(request, at: Entrance(port: 80), endpoints: world.endpoints).text))
    }

    @Test func `are escaped in JSON, and are the same when it is read`() {
        let json = world.json
        #expect(isClean(json))
        #expect(json.contains(#"\u202e\u2066\u200b\u007f"#))
    }
}
