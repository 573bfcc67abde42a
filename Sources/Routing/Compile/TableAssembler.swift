internal import Manifests

/// Collects the virtual hosts of one route table: per host the programs in order.
struct TableAssembler {
    private var order: [String] = []
    private var programs: [String: [Int]] = [:]
    private var members: Set<Member> = []

    private struct Member: Hashable {
        let host: String
        let program: Int
    }

    var isEmpty: Bool { order.isEmpty }

    /// Appends a program's rules to a host, once.
    mutating func add(_ program: Int, host: String) {
        guard members.insert(Member(host: host, program: program)).inserted else { return }
        if programs[host] == nil { order.append(host) }
        programs[host, default: []].append(program)
    }

    func has(_ host: String) -> Bool { programs[host] != nil }

    /// The table; hosts with the same programs share their rules.
    func table(_ rules: RuleCompiler, _ problems: Problems) -> RouteTable {
        var sets: [[Rule]] = []
        var numbers: [[Int]: Int] = [:]
        var hosts: [HostEntry] = []
        for host in order {
            let list = programs[host] ?? []
            if let known = numbers[list] {
                hosts.append(HostEntry(name: host, ruleSet: known))
                continue
            }
            let parts = list.map { rules.programs[$0] }
            warnHidden(host, parts, rules, problems)
            numbers[list] = sets.count
            hosts.append(HostEntry(name: host, ruleSet: sets.count))
            sets.append(parts.flatMap(\.rules) + parts.flatMap(\.catchAlls))
        }
        return RouteTable(hosts: hosts, ruleSets: sets)
    }

    /// Of several rules that hold for every request the first one alone is ever reached.
    private func warnHidden(
        _ host: String, _ parts: [Program], _ rules: RuleCompiler, _ problems: Problems
    ) {
        let routes = parts.flatMap(\.catchAlls).map { rules.routes[$0.route] }
        guard let winner = routes.first else { return }
        for route in routes.dropFirst() where route.place != winner.place {
            problems.add(
                Diagnostic(
                    .warning, "hidden-by-other",
                    "for the host \(host) this rule is never reached: \(winner.object) has a rule "
                        + "for every request and comes first (older, or first by name)",
                    at: route.place, object: route.object,
                    related: [Diagnostic.Related(place: winner.place, message: "comes first")]))
        }
    }
}
