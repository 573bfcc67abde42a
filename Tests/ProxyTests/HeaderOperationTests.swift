import Octets
import Testing

@testable import Proxy

/// Source: docs/istio.md, Header operations.
@Suite struct `Header operations` {
    private func request(_ operations: String, _ headers: String = "", _ target: String = "/") throws -> String {
        try PolicyBench("headers: {request: {\(operations)}}").upstreamSees(target, headers)
    }

    private func values(_ name: String, _ message: String) -> [String] {
        message.split(separator: "\r\n").filter { $0.hasPrefix("\(name): ") }.map {
            String($0.dropFirst(name.count + 2))
        }
    }

    @Test func `remove first, then set, then add`() throws {
        let seen = try request(
            "set: {x: '1'}, add: {x: '2', new: made}, remove: [old, x]", "x: 0\r\nX: 00\r\nold: 1\r\nz: kept\r\n")
        #expect(values("x", seen) == ["1", "2"] && values("new", seen) == ["made"])
        #expect(values("old", seen) == [] && values("z", seen) == ["kept"])
    }

    @Test func `set replaces every value, and an empty value changes nothing`() throws {
        #expect(values("x", try request("set: {X: v}", "x: 0\r\nx: 00\r\n")) == ["v"])
        #expect(values("x", try request("set: {x: ''}", "x: 0\r\n")) == ["0"])
        #expect(values("x", try request("set: {x: '%REQ(none)%'}", "x: 0\r\n")) == ["0"])
    }

    @Test(arguments: [
        ("%REQ(y)%", "one"), ("a %REQ(y)%-%REQ(Y):2% %%", "a one-on %"), ("%REQ(none?y)%", "one"),
        ("%REQ(:path)%", "/p?q"), ("%REQ(:authority)%|%REQ(host)%", "a.com:8080|a.com:8080"),
        ("%REQ(:method)%", "GET"), ("%PROTOCOL%", "HTTP/1.1"), ("%ROUTE_NAME%", "r"),
        ("%REQ(x-forwarded-proto)%", "http"), ("%START_TIME(%Y)%", "1970"), ("100%% of %REQ(y):0%it", "100% of it"),
    ])
    func `have values made of the request`(format: String, wanted: String) throws {
        let seen = try request("set: {x: '\(format)'}", "y: one\r\ny: two\r\n", "/p?q")
        let found = values("x", seen)
        if format.contains("START_TIME") {
            #expect(found.first?.count == 4 && found.first.flatMap(Int.init) != nil, "\(found)")
        } else {
            #expect(found == [wanted], "\(seen)")
        }
    }

    /// An operator without a value must not let a client's header pass as the gateway's.
    @Test(arguments: ["%DOWNSTREAM_PEER_SUBJECT%", "a%RESPONSE_CODE%", "%DYNAMIC_METADATA(a:b)%"])
    func `without a value remove what a client says`(format: String) throws {
        #expect(values("x", try request("set: {x: '\(format)'}", "x: forged\r\n")) == [])
    }

    @Test func `have the request's identifier, the same in both directions`() throws {
        let bench = try PolicyBench("headers: {response: {set: {x-id: '%REQ(x-request-id)%'}}}")
        let id = values("x-id", try bench.clientSees("")).first
        #expect(id?.count == 36)
    }

    @Test func `change the answer`() throws {
        let bench = try PolicyBench(
            "headers: {response: {set: {a: '%RESPONSE_CODE% %RESP(b)%'}, add: {b: '2'}, "
                + "remove: [x-powered-by, server]}}"
        )
        let answer = try bench.clientSees("b: 1\r\nx-powered-by: y\r\nserver: s\r\n")
        #expect(values("a", answer) == ["200 1"] && values("b", answer) == ["1", "2"])
        #expect(values("x-powered-by", answer) == [] && values("server", answer) == ["portico"])
    }

    @Test func `change the gateway's own answers`() throws {
        let bench = try PolicyBench(
            "headers: {response: {set: {x: '%RESPONSE_CODE%', content-type: text/html}}}, "
                + "directResponse: {status: 404, body: {string: <b>}}")
        let answer = try bench.answer()
        #expect(values("x", answer) == ["404"] && values("content-type", answer) == ["text/html"], "\(answer)")
        let refused = try Bench(servers: 1, rule: "headers: {response: {set: {x: '%RESPONSE_CODE%'}}}")
        let closed = try refused.server()
        closed.close()
        let client = try refused.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        refused.pass(.seconds(1))
        refused.pass(.seconds(1))
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 503 ") && values("x", text) == ["503"], "\(text)")
    }

    @Test func `of the only destination win over the rule's`() throws {
        let seen = try PolicyBench(
            "route: [{destination: {host: a}, headers: {request: {set: {x: d}, add: {m: d}, remove: [old]}}}], "
                + "headers: {request: {set: {x: r}, add: {m: r}}}"
        ).upstreamSees("/", "old: 1\r\n")
        #expect(values("x", seen) == ["d"] && values("m", seen) == ["r", "d"] && values("old", seen) == [])
    }

    /// Of several destinations, the one that gets the request is asked first, and the rule has the last word.
    @Test func `of the rule win over those of several destinations`() throws {
        let own = "{destination: {host: a}, weight: 1, headers: {request: {set: {x: d}, add: {m: d}}}}"
        let seen = try PolicyBench("route: [\(own), \(own)], headers: {request: {set: {x: r}, add: {m: r}}}")
            .upstreamSees("/")
        #expect(values("x", seen) == ["r"] && values("m", seen) == ["d", "r"])
    }

    /// A rule that repeats what a client sends must not make much of little.
    @Test func `make no more octets than they may`() throws {
        let many = (0..<20).map { "x-\($0): '%REQ(big)%'" }.joined(separator: ", ")
        let big = "big: " + String(repeating: "b", count: 6000) + "\r\n"
        let answer = try PolicyBench("headers: {request: {set: {\(many)}}}").answer("/", big)
        #expect(answer.hasPrefix("HTTP/1.1 431 "), "\(answer.prefix(200))")
        let response = try PolicyBench("headers: {response: {set: {\(many)}}}").clientSees("", big)
        #expect(response.hasPrefix("HTTP/1.1 500 "), "the client could do nothing about it: \(response.prefix(200))")
        #expect(
            try PolicyBench("headers: {request: {set: {\(many)}}}").upstreamSees("/", "big: b\r\n").contains("x-19: b"))
    }

    @Test func `see octets of any kind and pass them on as they are`() throws {
        let bench = try PolicyBench("headers: {request: {set: {x: 'a%REQ(odd)%b'}}}")
        let client = try bench.bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\nodd:  \u{e9}\t%0d%0a%s \r\n\r\n")
        #expect(!client.text().hasPrefix("HTTP/1.1 5"))
    }
}
