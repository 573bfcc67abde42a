internal import Manifests

/// Collects the virtual hosts of one route table: per host the programs in order.
struct TableAssembler {
    private var hosts: [(name: String, programs: [Int])] = []
    private var places: [String: Int] = [:]
    /// Of hosts with so many programs that looking through them would cost.
    private var members: Set<Member> = []
    private static let fewPrograms = 16

    private struct Member: Hashable {
        let place: Int
        let program: Int
    }

    var isEmpty: Bool { hosts.isEmpty }

    /// Appends a program's rules to a host, once.
    mutating func add(_ program: Int, host: String) {
        guard let place = places[host] else {
            places[host] = hosts.count
            hosts.append((host, [program]))
            return
        }
        let count = hosts[place].programs.count
        if count <= Self.fewPrograms {
            guard !hosts[place].programs.contains(program) else { return }
            if count == Self.fewPrograms {
                for other in hosts[place].programs {
                    members.insert(Member(place: place, program: other))
                }
            }
        }
        let isNew =
            count < Self.fewPrograms
            || members.insert(Member(place: place, program: program)).inserted
        if isNew { hosts[place].programs.append(program) }
    }

    func has(_ host: String) -> Bool { places[host] != nil }

    /// The table; hosts with the same programs share their rules.
    func table(_ rules: RuleCompiler, _ problems: Problems) -> RouteTable {
        var sets: [[Rule]] = []
        var numbers: [[Int]: Int] = [:]
        var entries: [HostEntry] = []
        entries.reserveCapacity(hosts.count)
        sets.reserveCapacity(hosts.count)
        numbers.reserveCapacity(hosts.count)
        for (host, list) in hosts {
            if let known = numbers[list] {
                entries.append(HostEntry(name: host, ruleSet: known))
                continue
            }
            let parts = list.map { rules.programs[$0] }
            warnHidden(host, parts, rules, problems)
            numbers[list] = sets.count
            entries.append(HostEntry(name: host, ruleSet: sets.count))
            sets.append(parts.flatMap(\.rules) + parts.flatMap(\.catchAlls))
        }
        return RouteTable(hosts: entries, ruleSets: sets)
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
