internal import Manifests

/// Collects rules and matches that are never reached on one listener. Those are reported that are never reached on any
/// listener that they are for.
struct NeverReached {
    /// A rule of a VirtualService, or one match of it.
    struct Part: Hashable, Comparable {
        let service: Int
        let rule: Int
        var match: Int?

        static func < (left: Part, right: Part) -> Bool {
            (left.service, left.rule, left.match ?? -1) < (right.service, right.rule, right.match ?? -1)
        }
    }

    /// How often a part was noted.
    private(set) var attempts = 0
    private(set) var parts: [Part: (report: Diagnostic, contexts: Set<Int32>)] = [:]
    /// Rules that another object's rules hide for one host, with the number of tables in which that is so.
    private var hidden: [Hidden: (report: Diagnostic, tables: Int)] = [:]
    /// Limits how many rules of shared hosts are examined in one load.
    private var looksLeft = 500_000

    private struct Hidden: Hashable {
        let host: String
        let place: SourcePlace
    }

    /// Remembers that no request of a context comes to a part. Of the reports of a part the first is kept.
    mutating func note(_ part: Part, context: Int32, _ report: @autoclosure () -> Diagnostic) {
        attempts += 1
        parts[part, default: (report(), [])].contexts.insert(context)
    }

    /// Looks for rules of a host that earlier rules of another object cover.
    /// - Parameter parts: the objects' rules, in order.
    mutating func lookThrough(_ host: String, _ parts: [RuleList], _ routes: [Route]) {
        looksLeft -= parts.reduce(0) { $0 + $1.rules.count + $1.catchAlls.count }
        guard looksLeft > 0 else { return }
        var found: [SourcePlace: [Found]] = [:]
        var before = Reachability()
        for part in parts {
            for rule in part.rules {
                let route = routes[rule.route]
                let causes = rule.matches.compactMap { before.cause(of: $0) }
                let isCovered = causes.count == rule.matches.count
                found[route.place, default: []].append(
                    Found(route: route, cause: isCovered ? causes.first.map(Self.explanation) : nil))
            }
            for rule in part.rules {
                for match in rule.matches { _ = before.note(match, place: routes[rule.route].place) }
            }
        }
        let catchAlls = parts.flatMap(\.catchAlls).map { routes[$0.route] }
        for route in catchAlls {
            let winner = catchAlls[0]
            // A route for an object that was left out, or for a limit, has a report already.
            let isReported =
                switch route.unavailable {
                case .leftOut, .tooManyRules, .tooManyHosts: true
                default: false
                }
            let cause = isReported || route.place == winner.place ? nil : Self.explanation(winner)
            found[route.place, default: []].append(Found(route: route, cause: cause))
        }
        for (place, rules) in found {
            guard let first = rules.first, let cause = first.cause, rules.allSatisfy({ $0.cause != nil })
            else { continue }
            note(first.route, host, cause, place)
        }
    }

    /// A rule in one table, and what hides it there: a part of a sentence and the place that it is about.
    private struct Found {
        let route: Route
        let cause: (reason: String, related: Diagnostic.Related)?
    }

    private static func explanation(_ cause: Reachability.Cause) -> (reason: String, related: Diagnostic.Related) {
        (
            "\(cause.description) is matched before it, in a rule of another object",
            Diagnostic.Related(place: cause.place, message: "matches first")
        )
    }

    private static func explanation(_ winner: Route) -> (reason: String, related: Diagnostic.Related) {
        (
            "\(winner.object) has a rule for every request and comes first (older, or first by name)",
            Diagnostic.Related(place: winner.place, message: "comes first")
        )
    }

    private mutating func note(
        _ route: Route, _ host: String, _ cause: (reason: String, related: Diagnostic.Related), _ place: SourcePlace
    ) {
        let report = Diagnostic(
            .warning, "hidden-by-other", "for the host \(host) this rule is never reached: \(cause.reason)",
            at: place, object: route.object, related: [cause.related])
        hidden[Hidden(host: host, place: place), default: (report, 0)].tables += 1
    }

    /// Reports on the rules that are hidden in every table that has them.
    func hiddenEverywhere(_ tables: [RouteTable], _ routes: [Route]) -> [Diagnostic] {
        guard !hidden.isEmpty else { return [] }
        var present: [Hidden: Int] = [:]
        let hosts = Set(hidden.keys.map(\.host))
        for table in tables {
            for host in table.hosts where hosts.contains(host.name) {
                for place in Set(table.ruleSets[host.ruleSet].map({ routes[$0.route].place })) {
                    present[Hidden(host: host.name, place: place), default: 0] += 1
                }
            }
        }
        return hidden.filter { present[$0.key] == $0.value.tables }.sorted { $0.key.host < $1.key.host }.map(
            \.value.report)
    }
}
