import Manifests
import Octets
import Routing
import Testing

/// What rules say besides their destinations, from the file to the plan.
@Suite struct `A policy of a rule` {
    private func world(_ rule: String) -> World { World(World.virtualService("[{\(rule)}]")) }

    private func messages(_ rule: String) -> [String] {
        let world = world(rule)
        return (world.decoded.diagnostics + world.plan.diagnostics).map {
            "\($0.place): \($0.message)|\($0.hint ?? "")"
        }
    }

    private func served(_ policy: String) -> String { "\(policy), \(World.to("a"))" }

    @Test func `is shown with its rule`() {
        let world = world(
            served(
                "match: [{uri: {prefix: /a}}, {uri: {exact: /b}}, {uri: {prefix: /c}}], "
                    + "rewrite: {uri: /x, authority: h.com}, "
                    + "headers: {request: {set: {b: 'v%REQ(q)%', a: '2'}, remove: [z]}, response: {add: {n: '1'}}}, "
                    + "corsPolicy: {allowOrigins: [{exact: 'https://o.com'}]}"))
        #expect(world.decoded.diagnostics.isEmpty && world.plan.diagnostics.isEmpty)
        for line in [
            "rewrite: the path's first 2 octets become \"/x\", the authority becomes h.com",
            "rewrite: the path becomes \"/x\", the authority becomes h.com",
            "request headers: remove z, set a=2, set b=v{request q}", "response headers: add n=1",
            "CORS for https://o.com",
        ] {
            #expect(world.tree.contains(line), "\(line): \(world.tree)")
        }
        #expect(world.json.contains("\"policies\": [\"CORS for https://o.com\""))
        let request = TextRequest(path: "/b", authority: "a.com", method: "GET", scheme: "http", headers: [])
        #expect(
            world.plan.explain(request, at: Entrance(port: 80), endpoints: world.endpoints).text.contains(
                "path becomes"))
    }

    @Test func `that depends on the match has a route for each`() {
        let paths = "match: [{uri: {prefix: /a}}, {uri: {exact: /b}}, {uri: {prefix: /c}}, {uri: {prefix: /d}}]"
        #expect(world(served("\(paths), rewrite: {uri: /x}")).plan.routes.count == 2)
        #expect(world(served("\(paths), rewrite: {authority: x.com}")).plan.routes.count == 1)
        #expect(
            world("\(paths.replacing("exact", with: "prefix")), redirect: {prefixRewrite: /x}").plan.routes.count == 1)
        let world = world(served("\(paths), rewrite: {uri: /x}"))
        for path in ["/a", "/b", "/c/x", "/d"] { #expect(world.answer(TestRequest(path)) == "a") }
        #expect(world.answer(TestRequest("/e")) == "404")
    }

    @Test func `of several destinations keeps to those that get requests`() {
        let world = world(
            "route: [{destination: {host: b}, weight: 0, headers: {request: {set: {x: none}}}}, "
                + "{destination: {host: a}, weight: 1, headers: {request: {set: {x: one}}}}, "
                + "{destination: {host: b}, weight: 2, headers: {request: {set: {host: two.com}}}}]")
        #expect(world.decoded.diagnostics.isEmpty)
        #expect(world.tree.contains("request headers for destination 1: set x=one"))
        #expect(world.tree.contains("the authority for destination 2 becomes two.com"))
        #expect(!world.tree.contains("none"))
    }

    @Test(arguments: [
        (
            "headers: {request: {set: {x: '%DOWNSTREAM_REMOTE_ADRESS%'}}}", "none of the operators",
            "DOWNSTREAM_REMOTE_ADDRESS%"
        ),
        ("headers: {request: {set: {x: '%REQ%'}}}", "names no header", "%REQ(x-name)%"),
        ("headers: {request: {set: {x: '%PROTOCOL(x)%'}}}", "has no argument", "write %PROTOCOL%"),
        ("headers: {request: {set: {x: '%START_TIME(%Q)%'}}}", "no format", "%Y"),
        ("headers: {request: {set: {content-length: '1'}}}", "written by the gateway alone", "remove it"),
        ("headers: {response: {add: {Transfer-Encoding: chunked}}}", "written by the gateway alone", "remove it"),
        ("headers: {response: {set: {connection: close}}}", "written by the gateway alone", "remove it"),
        ("headers: {request: {set: {':path': /x}}}", "cannot be changed", ""),
        ("headers: {request: {remove: [host]}}", "cannot be changed here", "rewrite.authority"),
        ("headers: {response: {set: {x: \"a\\r\\nb\"}}}", "a control character", ""),
        ("headers: {request: {set: {host: 'a b'}}}", "is no host", ""),
        ("headers: {request: {set: {host: '%REQ(x)%'}}}", "is no host", ""),
        ("rewrite: {uri: x}", "does not begin with `/`", ""), ("rewrite: {uri: /a/../b}", "has dot segments", ""),
        ("rewrite: {uri: '/a b'}", "what no path may have", "%20"),
        ("rewrite: {authority: 'a.com/x'}", "is no host", ""), ("rewrite: {authority: 'u@a.com'}", "is no host", ""),
        ("rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '/\\2'}}", "does not have", ""),
        ("rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '/\\x'}}", "backslash", ""),
    ])
    func `with an error closes its rule`(policy: String, message: String, hint: String) {
        let found = messages(served(policy))
        #expect(found.count == 1, "\(found)")
        let parts = (found.first ?? "").split(separator: "|", omittingEmptySubsequences: false)
        #expect(parts.first?.contains(message) == true && parts.last?.contains(hint) == true, "\(found)")
        #expect(parts.first?.contains("its requests are answered 503") == true, "\(found)")
        #expect(parts.first?.hasPrefix("case.yaml:") == true)
        #expect(world(served(policy)).answer(TestRequest("/")) == "503")
    }

    @Test(arguments: [
        "redirect: {uri: x}", "redirect: {authority: 'b.com/'}", "redirect: {uri: \"/a\\nb\"}",
        "redirect: {prefixRewrite: x}",
    ])
    func `that redirects is checked as well`(policy: String) {
        #expect(messages(policy).count == 1, "\(messages(policy))")
        #expect(world(policy).answer(TestRequest("/")) == "503")
    }

    @Test(arguments: [
        ("headers: {request: {set: {x: '%RESPONSE_CODE%'}}}", "is removed, so that no client can set it"),
        ("headers: {request: {set: {x: '%DOWNSTREAM_PEER_SUBJECT%'}}}", "is removed"),
        ("headers: {response: {set: {x: '%DURATION%'}}}", "is not changed"),
        ("headers: {response: {remove: [connection]}}", "changes nothing"),
    ])
    func `whose operation has no effect is served with a warning`(policy: String, message: String) {
        let found = messages(served(policy))
        #expect(found.count == 1 && found.first?.contains(message) == true, "\(found)")
        #expect(world(served(policy)).answer(TestRequest("/")) == "a")
    }
}
