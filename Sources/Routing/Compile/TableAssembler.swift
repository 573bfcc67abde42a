internal import Manifests

/// Collects the virtual hosts of one route table: for each host, its programs in order.
struct TableAssembler {
    private var hosts: [Host] = []
    private var places: [String: Int32] = [:]
    /// The members of hosts with more than `fewPrograms` programs, where a linear search would be slow.
    private var members: Set<Member> = []
    private static let fewPrograms = 16

    private struct Member: Hashable {
        let place: Int
        let program: Int32
    }

    /// A host and its programs. Most hosts have one, which needs no array.
    private struct Host {
        let name: String
        let first: Int32
        var more: [Int32] = []

        /// Whether the host has this program.
        func contains(_ program: Int32) -> Bool { first == program || more.contains(program) }
        var all: [Int32] { [first] + more }
    }

    var isEmpty: Bool { hosts.isEmpty }

    /// Appends a program to a host, unless the host has it.
    mutating func add(_ number: Int, host: String) {
        let program = Int32(clamping: number)
        guard let known = places[host] else {
            places[host] = Int32(clamping: hosts.count)
            hosts.append(Host(name: host, first: program))
            return
        }
        let place = Int(known)
        let count = hosts[place].more.count + 1
        if count <= Self.fewPrograms {
            guard !hosts[place].contains(program) else { return }
            if count == Self.fewPrograms {
                for other in hosts[place].all {
                    members.insert(Member(place: place, program: other))
                }
            }
        }
        let isNew =
            count < Self.fewPrograms
            || members.insert(Member(place: place, program: program)).inserted
        if isNew { hosts[place].more.append(program) }
    }

    /// Gives all other hosts to a program, so that no wider host gets requests for what the table lacks.
    mutating func closeRest(_ program: Int) {
        for index in hosts.indices where hosts[index].name.hasPrefix("*") {
            hosts[index] = Host(name: hosts[index].name, first: Int32(clamping: program))
        }
        add(program, host: "*")
    }

    /// Whether the table has this host.
    func has(_ host: String) -> Bool { places[host] != nil }

    /// Makes the table. Hosts with the same programs share their rules.
    func table(_ rules: RuleCompiler, _ problems: Problems) -> RouteTable {
        var sets: [[Rule]] = []
        var numbers: [[Int32]: Int32] = [:]
        var numbersOfOne = Array(repeating: Int32(-1), count: rules.programs.count)
        var entries: [HostEntry] = []
        entries.reserveCapacity(hosts.count)
        sets.reserveCapacity(hosts.count)
        for host in hosts {
            let program = Int(host.first)
            let known = host.more.isEmpty ? numbersOfOne[program] : numbers[host.all] ?? -1
            if known >= 0 {
                entries.append(HostEntry(name: host.name, ruleSet: Int(known)))
                continue
            }
            let number = Int32(clamping: sets.count)
            entries.append(HostEntry(name: host.name, ruleSet: sets.count))
            if host.more.isEmpty {
                numbersOfOne[program] = number
                sets.append(Self.rules(rules.programs[program]))
            } else {
                numbers[host.all] = number
                let parts = host.all.map { rules.programs[Int($0)] }
                rules.neverReached.lookThrough(host.name, parts, rules.routes)
                warnShared(host, rules, problems)
                sets.append(rules.joined(parts, host: host.name))
            }
        }
        return RouteTable(hosts: entries, ruleSets: sets)
    }

    /// The rules of one program. They share its array if it has only one kind of rules.
    private static func rules(_ program: Program) -> [Rule] {
        if program.rules.isEmpty { return program.catchAlls }
        return program.catchAlls.isEmpty ? program.rules : program.rules + program.catchAlls
    }

    /// Warns if several namespaces have rules for one host: the first one gets the requests, without the consent of the
    /// others.
    private func warnShared(_ host: Host, _ rules: RuleCompiler, _ problems: Problems) {
        let services = host.all.compactMap { rules.source(ofProgram: Int($0)) }
        guard let winner = services.first else { return }
        var told: Set<String> = [winner.meta.namespace]
        for service in services.dropFirst() where told.insert(service.meta.namespace).inserted {
            problems.add(
                Diagnostic(
                    .warning, "shared-host",
                    "namespaces \(winner.meta.namespace) and \(service.meta.namespace) both have rules for the "
                        + "host \(host.name): a request goes by those of \(winner.meta.identity) first (private, "
                        + "older, or first by name), then by these",
                    hint: "say in the Gateway whose host it is, as `namespace/\(host.name)`",
                    at: service.meta.place, object: service.meta.identity,
                    related: [Diagnostic.Related(place: winner.meta.place, message: "comes first")]))
        }
    }
}
