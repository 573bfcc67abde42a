import Octets
import Routing
import Support
import Testing

/// The price of one match, as `make bench` prints it:
/// `PORTICO_BENCH=1 swift test -c release --filter MatchBenchmark`.
/// Asked for are sixteen rules of each table in turn, as live traffic would: what is measured is the
/// work, not how long memory that nobody used takes to arrive. The second column asks for all rules
/// in random order, so that it shows the memory as well.
@Suite(.enabled(if: TestFiles.environment("PORTICO_BENCH") != nil), .serialized) struct MatchBenchmark {
    enum Shape: String, CaseIterable {
        case hosts = "one rule per host"
        case exact = "exact paths of one host"
        case prefixes = "prefixes of one host"
        case lengths = "prefixes of 64 lengths"
    }

    @Test(arguments: Shape.allCases) func `costs the same with one rule and with 100,000`(
        shape: Shape
    ) {
        // Of the last shape, 64 rules are the fewest that have all of its lengths: what is paid for
        // is the number of lengths (its logarithm), which no number of rules makes larger.
        let counts = [shape == .lengths ? 64 : 1, 1_000, 100_000]
        let tables = counts.map { table(shape, $0) }
        let requests = counts.map { count in
            var random = FixedRandom(state: 7)
            return (0..<16_384).map { _ in request(shape, Int.random(in: 0..<count, using: &random))
            }
        }
        var hot = Array(repeating: Double.infinity, count: counts.count)
        var cold = hot
        // Short turns, the sizes in turn, the best of each: a busy machine disturbs all alike.
        for turn in 0..<200 {
            for index in counts.indices {
                hot[index] = min(
                    hot[index],
                    nanoseconds(tables[index], Array(requests[index].prefix(16)), rounds: 500))
                guard turn < 10 else { continue }
                cold[index] = min(
                    cold[index], nanoseconds(tables[index], requests[index], rounds: 2))
            }
        }
        for (index, count) in counts.enumerated() {
            let random = "\(cold[index]) ns over all rules at random"
            print("\(shape.rawValue): \(count) rules: \(hot[index]) ns; \(random)")
        }
        #expect((hot.max() ?? 0) <= (hot.min() ?? 0) * 1.3)
    }

    private func name(_ shape: Shape, _ index: Int) -> String {
        let digits = String(100_000 + index)
        guard shape == .lengths else { return "/package\(digits).Service/Method" }
        return "/" + String(repeating: "p", count: index % 64) + digits + "/"
    }

    private func table(_ shape: Shape, _ count: Int) -> RouteTable {
        let rules = (0..<count).map { index in
            let path: PathTest =
                switch shape {
                case .hosts: .prefix("/", ignoringCase: false)
                case .exact: .exact(name(shape, index), ignoringCase: false)
                case .prefixes, .lengths: .prefix(name(shape, index), ignoringCase: false)
                }
            return Rule(matches: [RuleMatch(path: path)], route: index)
        }
        guard shape == .hosts else {
            return RouteTable(hosts: [HostEntry(name: "*", ruleSet: 0)], ruleSets: [rules])
        }
        let hosts = (0..<count).map {
            HostEntry(name: "host\(100_000 + $0).example.com", ruleSet: $0)
        }
        return RouteTable(hosts: hosts, ruleSets: rules.map { [$0] })
    }

    private func request(_ shape: Shape, _ index: Int) -> TestRequest {
        let host = shape == .hosts ? "host\(100_000 + index).example.com" : "gateway.example.com"
        return TestRequest(
            shape == .hosts
                ? "/package.Service/Method" : name(shape, index) + (shape == .exact ? "" : "x"),
            host: host + ":8443")
    }

    private func nanoseconds(_ table: RouteTable, _ requests: [TestRequest], rounds: Int) -> Double {
        let clock = ContinuousClock()
        var found = 0
        let time = clock.measure {
            for _ in 0..<rounds {
                for request in requests { if case .route = table.match(request) { found += 1 } }
            }
        }
        #expect(found == rounds * requests.count)
        let total =
            Double(time.components.seconds) * 1e9 + Double(time.components.attoseconds) / 1e9
        return (total / Double(found) * 10).rounded() / 10
    }
}
