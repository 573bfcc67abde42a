internal import Manifests

/// What was found to be never reached, on one listener each: it is told when that is so on every listener
/// that the rule is for.
struct NeverReached {
    /// A rule of a VirtualService, or one match of it.
    struct Part: Hashable {
        let service: Int
        let rule: Int
        var match: Int?
    }

    private(set) var parts: [Part: (report: Diagnostic, contexts: Set<Int32>)] = [:]
    /// Catch-all rules behind another object's, for one host.
    private(set) var hidden: [Hidden: Diagnostic] = [:]

    struct Hidden: Hashable {
        let host: String
        let place: SourcePlace
    }

    mutating func note(_ part: Part, context: Int32, _ report: @autoclosure () -> Diagnostic) {
        parts[part, default: (report(), [])].contexts.insert(context)
    }

    mutating func note(_ rule: Hidden, _ report: @autoclosure () -> Diagnostic) {
        if hidden[rule] == nil { hidden[rule] = report() }
    }

    /// Those of `hidden` that are reached in none of the tables.
    func hiddenEverywhere(_ tables: [RouteTable], _ routes: [Route]) -> [Diagnostic] {
        guard !hidden.isEmpty else { return [] }
        let hosts = Set(hidden.keys.map(\.host))
        var left = hidden
        for table in tables {
            for host in table.hosts where hosts.contains(host.name) {
                let first = table.ruleSets[host.ruleSet].first { $0.matches.contains(where: \.isCatchAll) }
                guard let first else { continue }
                left[Hidden(host: host.name, place: routes[first.route].place)] = nil
            }
        }
        return Array(left.values)
    }
}
