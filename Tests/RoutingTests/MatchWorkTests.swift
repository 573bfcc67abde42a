import Patterns
import Routing
import Testing

/// What a tenant writes and a client sends must not keep a worker.
@Suite struct `The work of one match` {
    /// Rules of one host, each with an expression for the path; then one for every request.
    private func table(_ expressions: [String]) throws -> RouteTable {
        let rules = try expressions.enumerated().map { number, text in
            Rule(matches: [RuleMatch(path: .regex(try Pattern(text)))], route: number)
        }
        let last = Rule(matches: [RuleMatch()], route: expressions.count)
        return RouteTable(hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [rules + [last]])
    }

    /// No table of states holds this: RE2 goes through all instructions for every octet.
    private func slow(_ number: Int) -> String { "/(\(number))?(.*a[a-z]{99}){2}c" }

    private func path(_ octets: Int) -> String {
        var random = FixedRandom(state: 1)
        return "/" + String((1..<octets).map { _ in Bool.random(using: &random) ? "a" : "z" })
    }

    @Test func `ends when expressions have taken too much of the processor`() throws {
        let table = try table((0..<200).map(slow))
        #expect(table.match(TestRequest(path(4000))) == .tooCostly)
    }

    @Test func `ends when one expression would take too much of a text`() throws {
        let table = try table([".{1,64}"])    // 579 instructions
        #expect(table.match(TestRequest("/x")) == .route(0))
        #expect(table.match(TestRequest(path(1000))) == .route(1))
        #expect(table.match(TestRequest(path(2000))) == .tooCostly)
    }

    @Test func `decides what ordinary rules ask`() throws {
        let table = try table((0..<100).map { #"^/api/v\#($0)/.*\.(ico|png|jpg)$"# })
        #expect(table.match(TestRequest("/api/v99/" + path(8000) + ".png")) == .route(99))
        #expect(table.match(TestRequest(path(8000))) == .route(100))
    }

    @Test func `counts long texts that are compared again and again`() throws {
        let long = String(repeating: "a", count: 50_000)
        let rules = (0..<5_000).map {
            let conditions = [
                Condition(.header("x"), .exact(long + "b")), Condition(.header("x"), .prefix(long + "b")),
            ]
            return Rule(matches: conditions.map { RuleMatch(conditions: [$0]) }, route: $0)
        }
        let table = RouteTable(hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [rules])
        #expect(table.match(TestRequest("/", headers: [("x", long + "c")])) == .tooCostly)
        #expect(table.match(TestRequest("/", headers: [("x", long + "b")])) == .route(0))
    }

    @Test func `counts each look for a parameter of the query`() throws {
        let rules = (0..<20_000).map {
            Rule(matches: [RuleMatch(conditions: [Condition(.query("n\($0)"), .exact("x"))])], route: $0)
        }
        let table = RouteTable(hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [rules])
        #expect(table.match(TestRequest("/?n50=x")) == .route(50))
        #expect(table.match(TestRequest("/?" + path(60_000))) == .tooCostly)
    }
}
