import Octets
import Testing

@testable import Proxy

/// Source: docs/istio.md, CORS.
@Suite struct `A rule with a CORS policy` {
    private static let policy =
        "corsPolicy: {allowOrigins: [{exact: 'https://o.com'}, {prefix: 'https://dev.'}, "
        + "{regex: 'https://[a-z]+\\.t\\.com'}], "
        + "allowMethods: [GET, PUT], allowHeaders: ['x-a', 'x-b'], exposeHeaders: [x-c], maxAge: 2h, "
        + "allowCredentials: true"
    private let rule = policy + "}"
    private static let asks = "access-control-request-method: PUT\r\naccess-control-request-headers: x-q\r\n"

    private func preflight(_ rule: String, _ origin: String) throws -> String {
        try PolicyBench(rule).answer("/", "origin: \(origin)\r\n" + Self.asks, method: "OPTIONS")
    }

    @Test(arguments: ["https://o.com", "https://dev.x", "https://abc.t.com"])
    func `answers preflights of its origins`(origin: String) throws {
        let answer = try preflight(rule, origin)
        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
        for line in [
            "access-control-allow-origin: \(origin)", "access-control-allow-methods: GET,PUT",
            "access-control-allow-headers: x-a,x-b", "access-control-max-age: 7200",
            "access-control-allow-credentials: true", "content-length: 0",
        ] {
            #expect(answer.contains("\r\n\(line)\r\n"), "\(line): \(answer)")
        }
    }

    @Test(arguments: ["https://o.com.evil", "http://o.com", "https://abc.t.com.evil", "null"])
    func `passes on those of others, or answers them with nothing`(origin: String) throws {
        let request = "origin: \(origin)\r\n" + Self.asks
        #expect(try PolicyBench(rule).upstreamSees("/", request, method: "OPTIONS").hasPrefix("OPTIONS / "))
        let ignored = try preflight(Self.policy + ", unmatchedPreflights: IGNORE}", origin)
        #expect(ignored.hasPrefix("HTTP/1.1 200 ") && !ignored.contains("allow-origin"), "\(ignored)")
    }

    @Test func `echoes what is asked for where everything is allowed`() throws {
        let answer = try preflight(
            "corsPolicy: {allowOrigins: [{exact: '*'}], allowMethods: ['*'], allowHeaders: ['*']}", "https://any")
        for line in [
            "access-control-allow-origin: https://any", "access-control-allow-methods: PUT",
            "access-control-allow-headers: x-q",
        ] {
            #expect(answer.contains("\r\n\(line)\r\n"), "\(line): \(answer)")
        }
        #expect(!answer.contains("credentials") && !answer.contains("max-age"))
    }

    @Test func `passes on what is no preflight`() throws {
        #expect(try PolicyBench(rule).upstreamSees("/", "origin: https://o.com\r\n", method: "OPTIONS") != "")
        #expect(try PolicyBench(rule).upstreamSees("/", Self.asks, method: "OPTIONS") != "")
    }

    @Test func `lets its origins see the answer, and says what they may see`() throws {
        let answer = try PolicyBench(rule).clientSees("access-control-allow-origin: *\r\n", "origin: https://o.com\r\n")
        for line in [
            "access-control-allow-origin: https://o.com", "access-control-allow-credentials: true",
            "access-control-expose-headers: x-c",
        ] {
            #expect(answer.contains("\r\n\(line)\r\n"), "\(line): \(answer)")
        }
        #expect(!answer.contains("origin: *"))
        let foreign = try PolicyBench(rule).clientSees("", "origin: https://x.com\r\n")
        #expect(!foreign.contains("access-control"), "\(foreign)")
    }

    @Test func `lets its origins see the gateway's own errors`() throws {
        let bench = try Bench(rule: rule)
        let server = try bench.server()
        server.close()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\norigin: https://o.com\r\n\r\n")
        for _ in 0..<4 { bench.pass(.seconds(1)) }
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 503 "), "\(text)")
        #expect(text.contains("\r\naccess-control-allow-origin: https://o.com\r\n"), "\(text)")
    }
}
