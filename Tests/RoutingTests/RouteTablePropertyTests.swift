import Octets
import Patterns
import Routing
import Testing

/// splitmix64: the same numbers on every machine.
struct FixedRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}

/// Random tables over small alphabets, so that everything overlaps with everything.
struct RandomTables {
    var random: FixedRandom
    let patterns: [Pattern]

    init(seed: UInt64) throws {
        random = FixedRandom(state: seed)
        patterns = try ["/a.*", ".*b", "/[ab]/?", ".*", "", "v[0-9]"].map { try Pattern($0) }
    }

    mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    mutating func path() -> String {
        let length = Int.random(in: 0...12, using: &random)
        return (chance(95) ? "/" : "")
            + String((0..<length).map { _ in pick(["a", "b", "A", "/", "é"]) }.joined())
    }

    mutating func host() -> String {
        let labels = Int.random(in: 1...3, using: &random)
        return (0..<labels).map { _ in pick(["a", "b", "c"]) }.joined(separator: ".")
    }

    mutating func hostEntry(_ sets: Int) -> HostEntry {
        let name = chance(10) ? "*" : chance(40) ? "*." + host() : host()
        return HostEntry(name: name, ruleSet: Int.random(in: 0..<sets, using: &random))
    }

    mutating func test() -> TextTest {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: .present
        case 1, 2: .exact(pick(["", "v1", "v2", "v1,v2", "GET", "http", "80"]))
        case 3: .prefix(pick(["v", "v1", "G"]))
        default: .regex(pick(patterns))
        }
    }

    mutating func condition() -> Condition {
        let name = pick(["x", "y"])
        let subject: Condition.Subject =
            switch Int.random(in: 0..<9, using: &random) {
            case 8: .port
            case 0, 1: .header(name)
            case 2, 3: .withoutHeader(name)
            case 4: .method
            case 5: .authority
            case 6: .scheme
            default: .query(name)
            }
        return Condition(subject, test())
    }

    mutating func match() -> RuleMatch {
        let path: PathTest? =
            switch Int.random(in: 0..<10, using: &random) {
            case 0: nil
            case 1...3: .exact(self.path(), ignoringCase: chance(30))
            case 4...8: .prefix(self.path(), ignoringCase: chance(30))
            default: .regex(pick(patterns))
            }
        let count = chance(50) ? 0 : Int.random(in: 1...2, using: &random)
        return RuleMatch(path: path, conditions: (0..<count).map { _ in condition() })
    }

    mutating func table() -> ([HostEntry], [[Rule]]) {
        let sets = Int.random(in: 1...3, using: &random)
        var route = 0
        let ruleSets = (0..<sets).map { _ in
            (0..<Int.random(in: 0...25, using: &random)).map { _ in
                route += 1
                return Rule(
                    matches: (0..<Int.random(in: 0...3, using: &random)).map { _ in match() },
                    route: route)
            }.filter { !$0.matches.isEmpty || chance(20) }
        }
        let count = Int.random(in: 0...6, using: &random)
        return ((0..<count).map { _ in hostEntry(sets) }, ruleSets)
    }

    mutating func request() -> TestRequest {
        let query =
            chance(30) ? pick(["?x=v1", "?y", "?x=&y=v2", "?a=b&x=v1&x=v2", "#x", "?"]) : ""
        let headers = (0..<Int.random(in: 0...3, using: &random)).map { _ in
            (pick(["x", "Y", "z"]), pick(["", "v1", "v2", "vv"]))
        }
        let port = pick(["", "", ":80", ":", "."])
        return TestRequest(
            path() + query, host: (chance(20) ? host().uppercased() : host()) + port,
            method: pick(["GET", "get"]), scheme: pick(["http", "v1"]), headers: headers)
    }
}

@Suite struct `A route table` {
    @Test(arguments: [1, 2, 3, 4]) func `agrees with matching every rule in order`(seed: UInt64)
        throws
    {
        var tables = try RandomTables(seed: seed)
        for round in 0..<1000 {
            let (hosts, ruleSets) = tables.table()
            let table = RouteTable(hosts: hosts, ruleSets: ruleSets)
            let naive = NaiveMatcher(hosts: hosts, ruleSets: ruleSets)
            for _ in 0..<12 {
                let request = tables.request()
                let (got, wanted) = (table.match(request), naive.match(request))
                guard got != wanted else { continue }
                let asked = "\(request.authority.string) \(request.path.string)"
                Issue.record("seed \(seed), round \(round): \(got) for \(wanted) on \(asked)")
                return
            }
        }
    }

    @Test func `compares long keys to the last octet`() {
        let base = "/package.Service/AMethodWithQuiteALongName"
        let rules = (0..<40).map {
            Rule(
                matches: [
                    RuleMatch(path: .exact(String(base.prefix($0 + 1)), ignoringCase: $0 % 2 == 1))
                ], route: $0)
        }
        let table = RouteTable(hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [rules])
        for length in 1...40 {
            #expect(table.match(TestRequest(String(base.prefix(length)))) == .route(length - 1))
            #expect(table.match(TestRequest(String(base.prefix(length)) + "x")) == .noRoute)
        }
    }

    @Test(arguments: [
        ("a.com", "a.com"), ("a.com:80", "a.com"), ("a.com.", "a.com"), ("a.com.:80", "a.com"),
        ("a.com:", "a.com"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", ""), (":80", ""),
        (".", "."), ("8080", "8080"),
    ])
    func `takes the host out of an authority`(authority: String, host: String) {
        let request = TestRequest("/", host: authority)
        #expect(RouteTable.host(of: request.authority).string == host)
    }
}
