internal import Manifests

/// Collects the virtual hosts of one route table: for each host, its rule lists in order.
struct TableAssembler {
    private var hosts: [Host] = []
    private var places: [String: Int32] = [:]
    /// The members of hosts with more than `fewRuleLists` rule lists, where a linear search would be slow.
    private var members: Set<Member> = []
    private static let fewRuleLists = 16

    private struct Member: Hashable {
        let place: Int
        let ruleList: Int32
    }

    /// A host and its rule lists. Most hosts have one, which needs no array.
    private struct Host {
        let name: String
        let first: Int32
        var more: [Int32] = []

        func contains(_ ruleList: Int32) -> Bool { first == ruleList || more.contains(ruleList) }
        var all: [Int32] { [first] + more }
    }

    var isEmpty: Bool { hosts.isEmpty }

    /// Appends a rule list to a host, unless the host has it.
    mutating func add(_ number: Int, host: String) {
        let ruleList = Int32(clamping: number)
        guard let known = places[host] else {
            places[host] = Int32(clamping: hosts.count)
            hosts.append(Host(name: host, first: ruleList))
            return
        }
        let place = Int(known)
        let count = hosts[place].more.count + 1
        if count <= Self.fewRuleLists {
            guard !hosts[place].contains(ruleList) else { return }
            if count == Self.fewRuleLists {
                for other in hosts[place].all {
                    members.insert(Member(place: place, ruleList: other))
                }
            }
        }
        let isNew =
            count < Self.fewRuleLists
            || members.insert(Member(place: place, ruleList: ruleList)).inserted
        if isNew { hosts[place].more.append(ruleList) }
    }

    /// Gives all other hosts to a rule list, so that no wider host gets requests for what the table lacks.
    mutating func closeRest(_ ruleList: Int) {
        for index in hosts.indices where hosts[index].name.hasPrefix("*") {
            hosts[index] = Host(name: hosts[index].name, first: Int32(clamping: ruleList))
        }
        add(ruleList, host: "*")
    }

    /// Whether a rule list was added for exactly this name; wildcards that cover it do not count.
    func has(_ host: String) -> Bool { places[host] != nil }

    /// Makes the table. Hosts with the same rule lists share their rules.
    func table(_ rules: RuleCompiler, _ problems: Problems) -> RouteTable {
        var sets: [[Rule]] = []
        var numbers: [[Int32]: Int32] = [:]
        var numbersOfOne = Array(repeating: Int32(-1), count: rules.ruleLists.count)
        var entries: [HostEntry] = []
        entries.reserveCapacity(hosts.count)
        sets.reserveCapacity(hosts.count)
        for host in hosts {
            let ruleList = Int(host.first)
            let known = host.more.isEmpty ? numbersOfOne[ruleList] : numbers[host.all] ?? -1
            if known >= 0 {
                entries.append(HostEntry(name: host.name, ruleSet: Int(known)))
                continue
            }
            let number = Int32(clamping: sets.count)
            entries.append(HostEntry(name: host.name, ruleSet: sets.count))
            if host.more.isEmpty {
                numbersOfOne[ruleList] = number
                sets.append(Self.rules(rules.ruleLists[ruleList]))
            } else {
                numbers[host.all] = number
                let parts = host.all.map { rules.ruleLists[Int($0)] }
                rules.neverReached.lookThrough(host.name, parts, rules.routes)
                warnShared(host, rules, problems)
                sets.append(rules.joined(parts, host: host.name))
            }
        }
        return RouteTable(hosts: entries, ruleSets: sets)
    }

    /// The rules of one rule list. They share its array if it has only one kind of rules.
    private static func rules(_ ruleList: RuleList) -> [Rule] {
        if ruleList.rules.isEmpty { return ruleList.catchAlls }
        return ruleList.catchAlls.isEmpty ? ruleList.rules : ruleList.rules + ruleList.catchAlls
    }

    /// Warns if several namespaces have rules for one host: the first one gets the requests, without the consent of the
    /// others.
    private func warnShared(_ host: Host, _ rules: RuleCompiler, _ problems: Problems) {
        let services = host.all.compactMap { rules.source(ofRuleList: Int($0)) }
        guard let winner = services.first else { return }
        var seen: Set<String> = [winner.meta.namespace]
        for service in services.dropFirst() where seen.insert(service.meta.namespace).inserted {
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
