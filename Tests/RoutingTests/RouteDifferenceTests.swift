import Manifests
import Routing
import Testing

@Suite struct `The difference of two configurations` {
    private static func route(_ shares: (Int, Int) = (90, 10), more: String = "") -> String {
        """
        {name: split, match: [{uri: {prefix: /x}}], \(more)route: [
        {destination: {host: a}, weight: \(shares.0)}, {destination: {host: b}, weight: \(shares.1)}]}
        """
    }

    private func difference(_ old: String, _ new: String, endpoints: Bool = false) -> RouteDifference {
        difference(World(old), World(new), endpoints: endpoints)
    }

    private func difference(_ old: World, _ new: World, endpoints: Bool = false) -> RouteDifference {
        RouteDifference(
            old: (old.plan, old.endpoints), new: (new.plan, new.endpoints), comparesEndpoints: endpoints)
    }

    @Test func `is empty for the same rules in another order of objects`() {
        let one = World.virtualService("[\(Self.route())]")
        let other = World.virtualService("[\(Self.route())]", name: "other", hosts: "[b.com]")
        #expect(difference(one + other, other + one).isEmpty)
        #expect(difference(one, one).text == "")
    }

    @Test func `shows a moved weight below its rule`() {
        let found = difference(
            World.virtualService("[\(Self.route())]"), World.virtualService("[\(Self.route((80, 20)))]"))
        #expect(
            found.text == """
                  listener *:80 plain text
                    host a.com
                      rule app/vs/split
                -       -> 90 of 100 a.app.svc.cluster.local:8080, HTTP/1.1, LEAST_REQUEST
                +       -> 80 of 100 a.app.svc.cluster.local:8080, HTTP/1.1, LEAST_REQUEST
                -       -> 10 of 100 b.app.svc.cluster.local:8080, HTTP/1.1, LEAST_REQUEST
                +       -> 20 of 100 b.app.svc.cluster.local:8080, HTTP/1.1, LEAST_REQUEST

                """)
    }

    @Test func `shows a whole host that is new, and one that is gone`() {
        let found = difference(
            World.virtualService("[\(Self.route())]"), World.virtualService("[\(Self.route())]", hosts: "[z.com]"))
        let lines = found.text.split(separator: "\n").map(String.init)
        #expect(lines[1] == "-   host a.com")
        #expect(lines.contains("+   host z.com"))
        #expect(found.count(.added) == found.count(.removed))
    }

    @Test func `does not take a rule without a name for another one because its place has moved`() {
        let old = "{match: [{uri: {prefix: /old}}], route: [{destination: {host: a}}]}"
        let new = "{match: [{uri: {exact: /new}}], route: [{destination: {host: b}}]}"
        let found = difference(World.virtualService("[\(old)]"), World.virtualService("[\(new), \(old)]"))
        #expect(found.count(.removed) == 0)
        #expect(found.text.contains("+     rule app/vs/0\n+       if path"))
        #expect(!found.text.contains("/old"))
    }

    @Test func `says that rules come in another order`() {
        let first = "{name: first, match: [{headers: {v: {exact: '1'}}}], route: [{destination: {host: a}}]}"
        let second = "{name: second, match: [{headers: {w: {exact: '1'}}}], route: [{destination: {host: b}}]}"
        let found = difference(
            World.virtualService("[\(first), \(second)]"), World.virtualService("[\(second), \(first)]"))
        #expect(
            found.text.contains("~     the order of its rules is now: rule app/vs/second, then rule app/vs/first"))
        #expect(found.count(.reordered) == 1)
    }

    @Test func `shows changed conditions, timeouts and policies of a rule that has a name`() {
        let found = difference(
            World.virtualService("[\(Self.route())]"),
            World.virtualService("[\(Self.route(more: "timeout: 5s, retries: {attempts: 7}, "))]"))
        #expect(found.text.contains("-     rule app/vs/split\n+     rule app/vs/split, timeout 5s"))
        #expect(found.text.contains("+       retries: "))
        #expect(!found.text.contains("-> "))
    }

    @Test func `leaves endpoints out unless they are asked for`() {
        let rules = World.virtualService("[\(Self.route())]")
        let old = World(rules)
        let new = World(rules, services: World.service("a", "10.0.0.9") + World.service("b", "10.0.0.2"))
        #expect(difference(old, new).isEmpty)
        let found = difference(old, new, endpoints: true)
        #expect(found.text.contains("-         10.0.0.1:8080\n+         10.0.0.9:8080"))
    }

    @Test func `as JSON has each change with the parts that it is in`() {
        let found = difference(
            World.virtualService("[\(Self.route())]"), World.virtualService("[\(Self.route((80, 20)))]"))
        var writer = JSONText()
        found.write(to: &writer)
        let path = #""within": ["listener *:80 plain text", "host a.com", "rule app/vs/split"]"#
        #expect(writer.text.hasPrefix(#"[{"change": "removed", \#(path), "line": "-> 90 of 100 a.app"#))
    }
}
