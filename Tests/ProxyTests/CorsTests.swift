import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Routing

/// Source: docs/istio.md, CORS.
@Suite struct `A rule with a CORS policy` {
    private static let policy =
        "corsPolicy: {allowOrigins: [{exact: 'https://o.com'}, {prefix: 'https://dev.'}, "
        + "{regex: 'https://[a-z]+\\.t\\.com'}], "
        + "allowMethods: [GET, PUT], allowHeaders: ['x-a', 'x-b'], exposeHeaders: [x-c], maxAge: 2h, "
        + "allowCredentials: true"
    private let rule = policy + "}"
    private static let asks: [(String, String)] = [
        (":method", "OPTIONS"), ("access-control-request-method", "PUT"), ("access-control-request-headers", "x-q"),
    ]

    private static func rules(_ rule: String) throws -> CorsRules {
        let extras = try #require(try RuleReading.extras(rule))
        defer { withExtendedLifetime(extras) {} }
        let rules = try #require(extras.cors)
        return rules { $0 }
    }

    private static func request(_ origin: String, _ fields: [(String, String)] = asks) -> HeaderBlock {
        let block = HeaderBlock()
        for (name, value) in fields + [("origin", origin)] {
            name.withOctets { name in value.withOctets { block.append(copying: name, $0) } }
        }
        return block
    }

    private static func lines(_ block: HeaderBlock) -> [String] {
        block.fields.map { "\($0.name.string): \($0.value.string)" }
    }

    /// The fields of the answer to a preflight.
    private static func preflight(_ rules: CorsRules, _ request: HeaderBlock) -> [String] {
        let block = HeaderBlock()
        Cors.allow(block, of: request, rules)
        Cors.writePreflight(to: block, of: request, rules)
        return lines(block)
    }

    @Test(arguments: ["https://o.com", "https://dev.x", "https://abc.t.com"])
    func `answers preflights of its origins`(origin: String) throws {
        let (rules, request) = (try Self.rules(rule), Self.request(origin))
        #expect(Cors.verdict(on: request, rules) == Cors.Verdict(isOriginAllowed: true, isAnswered: true))
        let answer = Self.preflight(rules, request)
        for line in [
            "access-control-allow-origin: \(origin)", "access-control-allow-methods: GET,PUT",
            "access-control-allow-headers: x-a,x-b", "access-control-max-age: 7200",
            "access-control-allow-credentials: true",
        ] {
            #expect(answer.contains(line), "\(line): \(answer)")
        }
    }

    @Test(arguments: ["https://o.com.evil", "http://o.com", "https://abc.t.com.evil", "null"])
    func `passes on those of others, or answers them with nothing`(origin: String) throws {
        let foreign = Self.request(origin)
        let passes = Cors.verdict(on: foreign, try Self.rules(rule))
        #expect(passes == Cors.Verdict(isOriginAllowed: false, isAnswered: false))
        let ignores = Cors.verdict(on: foreign, try Self.rules(Self.policy + ", unmatchedPreflights: IGNORE}"))
        #expect(ignores == Cors.Verdict(isOriginAllowed: false, isAnswered: true))
    }

    @Test func `echoes what is asked for where everything is allowed`() throws {
        let open = "corsPolicy: {allowOrigins: [{exact: '*'}], allowMethods: ['*'], allowHeaders: ['*']}"
        let (rules, request) = (try Self.rules(open), Self.request("https://any"))
        #expect(Cors.verdict(on: request, rules)?.isAnswered == true)
        let answer = Self.preflight(rules, request)
        for line in [
            "access-control-allow-origin: https://any", "access-control-allow-methods: PUT",
            "access-control-allow-headers: x-q",
        ] {
            #expect(answer.contains(line), "\(line): \(answer)")
        }
        #expect(!answer.contains { $0.contains("credentials") || $0.contains("max-age") })
    }

    @Test func `passes on what is no preflight`() throws {
        let rules = try Self.rules(rule)
        let plain = Self.request("https://o.com", [(":method", "OPTIONS")])
        #expect(Cors.verdict(on: plain, rules) == Cors.Verdict(isOriginAllowed: true, isAnswered: false))
        #expect(Cors.verdict(on: Self.request("", Self.asks), rules) == nil, "without an origin")
    }

    @Test func `lets its origins see the answer, and says what they may see`() throws {
        let (rules, block) = (try Self.rules(rule), HeaderBlock())
        block.append(stable: "access-control-allow-origin", "*")
        Cors.allow(block, of: Self.request("https://o.com"), rules)
        #expect(
            Set(Self.lines(block)) == [
                "access-control-allow-origin: https://o.com", "access-control-allow-credentials: true",
                "access-control-expose-headers: x-c",
            ])
    }

    @Test func `answers, passes on and edits by its worker`() throws {
        let asks = "access-control-request-method: PUT\r\naccess-control-request-headers: x-q\r\n"
        let answer = try PolicyBench(rule).answer("/", "origin: https://o.com\r\n" + asks, method: "OPTIONS")
        #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("\r\ncontent-length: 0\r\n"), "\(answer)")
        #expect(answer.contains("\r\naccess-control-allow-methods: GET,PUT\r\n"), "\(answer)")
        let foreign = "origin: https://x.com\r\n"
        #expect(try PolicyBench(rule).upstreamSees("/", foreign + asks, method: "OPTIONS").hasPrefix("OPTIONS / "))
        let (own, other) = (
            try PolicyBench(rule).clientSees("access-control-allow-origin: *\r\n", "origin: https://o.com\r\n"),
            try PolicyBench(rule).clientSees("", foreign)
        )
        #expect(own.contains("\r\naccess-control-expose-headers: x-c\r\n") && !own.contains("origin: *"), "\(own)")
        #expect(!other.contains("access-control"), "\(other)")
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
