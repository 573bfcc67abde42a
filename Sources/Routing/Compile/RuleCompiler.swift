internal import Manifests
internal import Patterns

/// Where rules are served, on which their meaning depends.
enum RuleContext: Hashable {
    /// A Gateway's `namespace/name` and a server's port number.
    case gateway(String, port: Int)
    /// The reserved gateway `mesh`; the port is the authority's.
    case mesh
}

/// The rules of one VirtualService in one context. Catch-alls are kept apart: in a virtual host they come last, after
/// the rules of younger VirtualServices. Source: docs/istio.md, Catch-all rules.
struct RuleList {
    var rules: [Rule] = []
    var catchAlls: [Rule] = []
    var isEmpty: Bool { rules.isEmpty && catchAlls.isEmpty }
}

/// Compiles the rules of VirtualServices. Source: docs/istio.md, Order of rules; docs/istio.md, Catch-all rules.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class RuleCompiler {
    private(set) var routes: [Route] = []
    private(set) var ruleLists: [RuleList] = []
    let services: [VirtualService]
    let clusters: ClusterTable
    let names: Names
    let problems: Problems
    /// What the compilation before has left, and what this one leaves.
    let memory: RuleMemory?
    let versions: [ObjectVersion?]
    var notes: RuleNotes
    private var contextNumbers: [RuleContext: Int32] = [:]
    var contexts: [RuleContext] = []
    private var lastContext: Int32?
    /// Rules and matches that others hide, which are reported when all are known.
    var neverReached = NeverReached()
    /// Why no rule of any VirtualService is served; nil if rules are served.
    let closedBy: Unavailable?
    /// The newest rule list of each VirtualService, and for each rule list its context and the next older rule list.
    /// They are plain arrays because a dictionary took 100 octets for each VirtualService.
    var newestRuleLists: [Int32]
    var ruleListContexts: [(context: Int32, older: Int32)] = []
    /// Rule lists of VirtualServices that have too many of them for a search one by one.
    private var ruleListNumbers: [RuleListKey: Int32] = [:]
    private var ruleListServices: [Int32] = []    // by rule list; below zero if it has no VirtualService
    /// How many matches the rules have so far, against `mostMatches`.
    var matches = 0
    /// The newest route of each rule, over the rules of all VirtualServices, and for each route the next older one of
    /// the same rule. A rule has as many routes as it has different destinations in its contexts.
    private var newestRoutes: [Int32]
    private var ruleStarts: [Int32] = []    // by VirtualService
    private var olderRoutes: [Int32] = []
    /// Routes of rules that have too many of them for a search one by one.
    private var routeNumbers: [RouteKey: Int32] = [:]
    /// How many rule lists, routes or gateways are searched one by one; of more, a dictionary or a set is made.
    private static let linearCount = 16
    /// By match: the full names of its gateways, if it names many.
    private var gatewaySets: [NeverReached.Part: Set<String>] = [:]
    /// Limits the search for contexts in which parts hold: how many more pairs may be examined in this load.
    var looksLeft = 5_000_000

    private struct RuleListKey: Hashable {
        let service: Int
        let context: Int32
    }

    private struct RouteKey: Hashable {
        let rule: Int
        let matched: MatchedPart
        let clusters: [Int]
    }

    init(
        _ services: [VirtualService], clusters: ClusterTable, names: Names, problems: Problems,
        closedBy: Unavailable?, versions: [ObjectVersion?] = [], memory: RuleMemory? = nil
    ) {
        self.services = services
        self.versions = versions
        self.memory = versions.isEmpty || closedBy != nil || clusters.memory == nil ? nil : memory
        notes = RuleNotes(services: services.count)
        self.closedBy = closedBy
        self.clusters = clusters
        self.names = names
        self.problems = problems
        newestRuleLists = Array(repeating: -1, count: services.count)
        var rules = 0
        for service in services.indices {
            ruleStarts.append(Int32(clamping: rules))
            rules += services[service].http.count
        }
        newestRoutes = Array(repeating: -1, count: rules)
        // An estimate. Arrays that grow by doubling are up to half empty.
        routes.reserveCapacity(services.count)
        ruleLists.reserveCapacity(services.count)
        ruleListContexts.reserveCapacity(services.count)
        olderRoutes.reserveCapacity(services.count)
    }

    /// The number of a VirtualService's rule list in a context. It is compiled once.
    func ruleList(_ service: Int, _ context: RuleContext) -> Int {
        let wanted = number(of: context)
        if !ruleListNumbers.isEmpty, let known = ruleListNumbers[RuleListKey(service: service, context: wanted)] {
            return Int(known)
        }
        var known = newestRuleLists[service]
        var (looks, last) = (0, Int32(-1))
        while known >= 0, looks < Self.linearCount {
            if ruleListContexts[Int(known)].context == wanted { return Int(known) }
            (looks, last) = (looks + 1, known)
            known = ruleListContexts[Int(known)].older
        }
        // The new rule list takes the place of the last one of those that are searched one by one.
        if looks == Self.linearCount {
            ruleListNumbers[RuleListKey(service: service, context: ruleListContexts[Int(last)].context)] = last
        }
        let (list, cost) = made(service, context)
        let number = append(list, context: wanted, older: newestRuleLists[service], service: service)
        newestRuleLists[service] = Int32(clamping: number)
        notes.end(service, context, cost: cost, ruleList: number)
        return number
    }

    /// A new rule list, and how many matches it counts for; nil if there was something to report.
    private func made(_ service: Int, _ context: RuleContext) -> (list: RuleList, cost: Int?) {
        let (reported, noted, counted) = (problems.attempts, neverReached.attempts, matches)
        notes.begin()
        if let list = again(service, context) { return (list, matches - counted) }
        notes.begin()
        let list = compile(service, context)
        let isQuiet = problems.attempts == reported && neverReached.attempts == noted
        return (list, isQuiet ? matches - counted : nil)
    }

    private func number(of context: RuleContext) -> Int32 {
        // All VirtualServices of a server are asked for in a row.
        if let last = lastContext, contexts[Int(last)] == context { return last }
        let number = contextNumbers[context] ?? Int32(clamping: contexts.count)
        if Int(number) == contexts.count {
            contextNumbers[context] = number
            contexts.append(context)
        }
        lastContext = number
        return number
    }

    /// Adds a route that comes from no rule of a VirtualService.
    func addRoute(
        _ name: String, clusters: [(cluster: Int, weight: Int)], unavailable: Unavailable?,
        object: ObjectReference, place: SourcePlace
    ) -> Int {
        append(
            Route(
                number: routes.count, name: name, clusters: clusters, policy: .none,
                unavailable: unavailable, object: object.detached, place: place),
            older: -1)
    }

    private func append(_ route: Route, older: Int32) -> Int {
        routes.append(route)
        olderRoutes.append(older)
        return routes.count - 1
    }

    /// Adds rules that come from no VirtualService.
    func addRuleList(_ ruleList: RuleList) -> Int { append(ruleList, context: -1, older: -1, service: -1) }

    /// The VirtualService that a rule list comes from; nil if it comes from none.
    func source(ofRuleList number: Int) -> VirtualService? {
        ruleListServices[number] < 0 ? nil : services[Int(ruleListServices[number])]
    }

    private func append(_ ruleList: RuleList, context: Int32, older: Int32, service: Int) -> Int {
        ruleLists.append(ruleList)
        ruleListServices.append(Int32(clamping: service))
        ruleListContexts.append((context, older))
        return ruleLists.count - 1
    }

    private func compile(_ service: Int, _ context: RuleContext) -> RuleList {
        let source = services[service]
        var ruleList = RuleList()
        var reach = Reachability()
        for (index, rule) in source.http.enumerated() where !names.options.limit.isOver {
            let part = NeverReached.Part(service: service, rule: index)
            if let end = ruleList.catchAlls.first {
                guard hasRoom else {
                    notes.spoil()
                    break
                }
                matches += Self.size(rule)
                neverReached.note(part, context: number(of: context), unreached(rule, source, behind: end.route))
                continue
            }
            guard hasRoom else { return closed(ruleList, source) }
            // Matches count as they are written, because those that can never hold here cost work, too.
            matches += Self.size(rule)
            let found = matches(of: rule, part, context)
            guard !found.isEmpty else { continue }
            for part in rule.parts(found.map(\.match)) {
                let routes = variants(service, index, context, part.matched)
                let cost = max(found.count, rule.destinations.count)
                guard add(part.matches, routes, cost, to: &ruleList) else { return closed(ruleList, source) }
            }
            for match in found {
                guard let cause = reach.note(match.match, place: match.place) else { continue }
                neverReached.note(match.part, context: number(of: context), covered(match, source, by: cause))
            }
        }
        return ruleList
    }

    /// The matches of a rule that can hold in this context. A catch-all ends the list.
    private func matches(of rule: HTTPRoute, _ part: NeverReached.Part, _ context: RuleContext) -> [Candidate] {
        if rule.matches.isEmpty {
            return [Candidate(match: RuleMatch(), place: rule.place, path: rule.path, part: part)]
        }
        let source = services[part.service]
        var found: [Candidate] = []
        for (index, match) in rule.matches.enumerated() {
            let part = NeverReached.Part(service: part.service, rule: part.rule, match: index)
            guard applies(match, part, context) else { continue }
            if let last = found.last, last.match.isCatchAll {
                neverReached.note(part, context: number(of: context), behindCatchAll(match, rule, source, last.place))
                continue
            }
            let compiled = MatchCompiler.compile(match, context)
            found.append(Candidate(match: compiled, place: match.place, path: match.path, part: part))
        }
        return found
    }

    /// Whether the conditions of a match that do not depend on the request hold in a context.
    func applies(_ match: HTTPMatch, _ part: NeverReached.Part, _ context: RuleContext) -> Bool {
        if case .gateway(let gateway, let port) = context {
            if let wanted = match.port?.value, wanted != port { return false }
            if !match.gateways.isEmpty { return isNamed(gateway, by: match, part) }
        } else if !match.gateways.isEmpty {
            return match.gateways.contains { $0.value == "mesh" }
        }
        if let wanted = match.sourceNamespace, !wanted.isEmpty,
            wanted != names.options.gatewayNamespace
        {
            return false
        }
        return Names.matches(match.sourceLabels, names.options.labels)
    }

    /// Whether a match names a gateway in its `gateways`.
    private func isNamed(_ gateway: String, by match: HTTPMatch, _ part: NeverReached.Part) -> Bool {
        let namespace = services[part.service].meta.namespace
        guard match.gateways.count > Self.linearCount else {
            return match.gateways.contains { names.gateway($0.value, namespace: namespace) == gateway }
        }
        if let known = gatewaySets[part] { return known.contains(gateway) }
        let all = Set(match.gateways.map { names.gateway($0.value, namespace: namespace) })
        gatewaySets[part] = all
        return all.contains(gateway)
    }

    /// Adds a rule for each of its routes; false if there is no room for all of them.
    private func add(
        _ found: [RuleMatch], _ routes: [(port: Int?, route: Int)], _ cost: Int, to ruleList: inout RuleList
    ) -> Bool {
        for (index, (port, route)) in routes.enumerated() {
            guard index == 0 || hasRoom else { return false }
            if index > 0 { matches += cost }
            add(found, port, route, to: &ruleList)
        }
        return true
    }

    private func add(_ matches: [RuleMatch], _ port: Int?, _ route: Int, to ruleList: inout RuleList) {
        let portCondition = port.map { Condition(.port, .exact(String($0))) }
        let all = matches.map { match in
            guard let portCondition else { return match }
            return RuleMatch(path: match.path, conditions: [portCondition] + match.conditions)
        }
        let usual = all.filter { !$0.isCatchAll }
        if !usual.isEmpty { ruleList.rules.append(Rule(matches: usual, route: route)) }
        if let catchAll = all.first(where: \.isCatchAll) {
            let isPlain = catchAll.path == nil && catchAll.conditions.isEmpty
            ruleList.catchAlls.append(
                Rule(matches: isPlain ? Self.always : [catchAll], route: route))
        }
    }

    /// Shared by all rules without conditions.
    private static let always = [RuleMatch()]
}

// MARK: - Routes

extension RuleCompiler {
    /// The routes of one rule. On the mesh, there is one for each port that an omitted destination port may mean.
    private func variants(
        _ service: Int, _ index: Int, _ context: RuleContext, _ matched: MatchedPart
    ) -> [(port: Int?, route: Int)] {
        if case .gateway(_, let port) = context {
            return [(nil, route(service, index, matched, listenerPort: port))]
        }
        let source = services[service]
        let rule = source.http[index]
        let open = (rule.destinations.map(\.destination) + rule.copies.map(\.destination)).filter { $0.port == nil }
        let ports = Set(
            open.flatMap { destination -> [Int] in
                let service = clusters.service(destination, namespace: source.object(of: rule).namespace)
                return (service?.ports.count ?? 0) > 1 ? service?.ports.map(\.number) ?? [] : []
            }
        ).sorted()
        guard !ports.isEmpty else { return [(nil, route(service, index, matched, listenerPort: nil))] }
        return ports.map { ($0, route(service, index, matched, listenerPort: $0)) }
    }

    private func route(_ service: Int, _ index: Int, _ matched: MatchedPart, listenerPort: Int?) -> Int {
        let source = services[service]
        let rule = source.http[index]
        let reason = unavailability(of: rule, source)
        let weighted = reason == nil ? rule.destinations.weighted : []
        let object = source.object(of: rule)
        let chosen = weighted.enumerated().map { place, entry in
            let asker = ClusterTable.Asker(object: object, destination: entry.destination)
            let known = clusters.number(
                of: asker, listenerPort: listenerPort, origin: RuleDestination(service, index, place))
            return (cluster: known, weight: entry.weight)
        }
        let copies = chosen.isEmpty ? [] : rule.copies
        if !copies.isEmpty { notes.spoil() }
        let mirrors = copies.map { copy in
            let asker = ClusterTable.Asker(object: object, destination: copy.destination, isMirror: true)
            return MirrorPolicy(cluster: clusters.number(of: asker, listenerPort: listenerPort), share: copy.share)
        }
        let asked = chosen.map(\.cluster) + mirrors.map(\.cluster)
        if let known = known(service, index, matched, asked, isClosed: reason != nil) {
            notes.note(index, known, isClosed: reason != nil)
            return known
        }
        let name = "\(source.meta.namespace)/\(source.meta.name)/\(rule.name ?? String(index))"
        let policy = RoutePolicy(rule, matched: matched, isServed: reason == nil, mirrors: mirrors)
        let isEmpty = chosen.isEmpty && policy.extras?.hasAnswer != true
        let number = add(
            Route(
                number: routes.count, name: name, clusters: chosen, policy: policy,
                unavailable: reason ?? (isEmpty ? .brokenRule : nil),
                object: object.detached, place: rule.place),
            service, index)
        notes.note(index, number, isClosed: reason != nil)
        return number
    }

    /// The route that a rule has for a match and clusters; nil if it has none yet.
    /// - Parameter isClosed: whether the rule is not served.
    func known(_ service: Int, _ index: Int, _ matched: MatchedPart, _ asked: [Int], isClosed: Bool) -> Int? {
        let place = Int(ruleStarts[service]) + index
        if !routeNumbers.isEmpty,
            let known = routeNumbers[RouteKey(rule: place, matched: matched, clusters: asked)]
        {
            return Int(known)
        }
        var known = newestRoutes[place]
        var (looks, last) = (0, Int32(-1))
        while known >= 0, looks < Self.linearCount {
            let made = routes[Int(known)]
            // A rule that is not served answers 503 whatever the match: it has one route.
            let isSame = isClosed || made.policy.extras?.matched ?? .any == matched
            if isSame, made.clusters.elementsEqual(asked) { return Int(known) }
            (looks, last) = (looks + 1, known)
            known = olderRoutes[Int(known)]
        }
        if looks == Self.linearCount {
            let old = routes[Int(last)]
            let key = RouteKey(
                rule: place, matched: old.policy.extras?.matched ?? .any, clusters: Array(old.clusters))
            routeNumbers[key] = last
        }
        return nil
    }

    /// Appends a route of the rule at `index` of a VirtualService, where later ones of that rule are compared with
    /// it.
    /// - Returns: its number.
    func add(_ route: Route, _ service: Int, _ index: Int) -> Int {
        let place = Int(ruleStarts[service]) + index
        let number = append(route, older: newestRoutes[place])
        newestRoutes[place] = Int32(clamping: number)
        return number
    }

    /// Who asks for one of the clusters of a rule of which none is a copy; nil if the rule has no such destination.
    func asker(_ service: Int, _ index: Int, destination: Int) -> ClusterTable.Asker? {
        // Not the rule, because copying it counts a dozen references.
        let all = services[service].http[index].destinations
        let served = all.count == 1 ? all : all.filter { $0.weight?.value ?? 0 > 0 }
        guard served.indices.contains(destination) else { return nil }
        return ClusterTable.Asker(object: services[service].meta.identity, destination: served[destination].destination)
    }

    /// Why a rule serves no request; nil if it serves.
    private func unavailability(of rule: HTTPRoute, _ source: VirtualService) -> Unavailable? {
        for (index, field) in rule.closings.enumerated() {
            problems.add(source.report(field, .error, of: source.object(ofClosing: index, rule)))
        }
        if let closedBy { return closedBy }
        if rule.isBroken { return .brokenRule }
        if let field = rule.closings.first { return .notInEffect(field.name) }
        // Both were reported. A rule is never served if a condition that cannot be tested counts as fulfilled.
        let isGuess = rule.matches.contains { match in
            match.isFaulty || (match.headers + match.withoutHeaders).contains(where: \.isOnClaim)
        }
        return isGuess ? .brokenRule : nil
    }

    /// The destinations that get requests. Source: docs/istio.md, Weights.
    private func weightedDestinations(of rule: HTTPRoute) -> [(destination: Destination, weight: Int)] {
        let isSingle = rule.destinations.count == 1
        return rule.served.map { ($0.destination, isSingle ? 1 : $0.weight?.value ?? 0) }
    }
}

extension [RouteDestination] {
    /// The destinations that get requests or connections. A single one gets all, whatever its weight; of several,
    /// those of weight 0 get none. Source: docs/istio.md, Weights.
    var weighted: [(destination: Destination, weight: Int)] {
        if count == 1 { return [(self[0].destination, 1)] }
        return compactMap { entry in
            let weight = entry.weight?.value ?? 0
            return weight > 0 ? (entry.destination, weight) : nil
        }
    }
}

// MARK: - How many rules there may be

extension RuleCompiler {
    private var hasRoom: Bool { matches <= names.options.mostMatches }

    /// What a rule costs for each port. It has a route there, with all of its destinations.
    private static func size(_ rule: HTTPRoute) -> Int { max(rule.matches.count, rule.destinations.count, 1) }

    /// Ends a rule list before its last rule, because there are too many rules: other requests are answered 503.
    private func closed(_ ruleList: RuleList, _ source: VirtualService) -> RuleList {
        problems.add(
            Diagnostic(
                .error, "too-many-rules",
                "not all of its rules are served on every port of its Gateways: counted for each port, all rules have "
                    + "more than \(names.options.mostMatches) matches; requests for the others are answered 503",
                hint: "bind fewer VirtualServices to Gateways of many ports", at: source.meta.place,
                object: source.meta.identity))
        let rest = closed(.tooManyRules, source.meta.identity, source.meta.place)
        return RuleList(rules: ruleList.rules, catchAlls: ruleList.catchAlls + rest.catchAlls)
    }

    /// The rules of several rule lists for a host that they share. They are a copy, whose matches count, too.
    func joined(_ parts: [RuleList], host: String) -> [Rule] {
        let first = parts.lazy.compactMap { $0.rules.first ?? $0.catchAlls.first }.first
        guard !hasRoom, let first else {
            let rules = parts.flatMap(\.rules) + parts.flatMap(\.catchAlls)
            matches += rules.reduce(0) { $0 + $1.matches.count }
            return rules
        }
        let (object, place) = (routes[first.route].object, routes[first.route].place)
        problems.add(
            Diagnostic(
                .error, "too-many-rules",
                "requests for the host \(host) are answered 503: several objects have rules for it, and with those of "
                    + "all such hosts there are more than \(names.options.mostMatches) matches",
                hint: "write the rules of a host in one VirtualService, or fewer hosts into one of many rules",
                at: place, object: object))
        return closed(.tooManyRules, object, place).catchAlls
    }

    /// Adds a rule list that answers 503.
    func closedRuleList(_ reason: Unavailable, _ object: ObjectReference, _ place: SourcePlace) -> Int {
        addRuleList(closed(reason, object, place))
    }

    /// A rule list that answers 503, so that no wider host gets the requests of what is not compiled.
    private func closed(_ reason: Unavailable, _ object: ObjectReference, _ place: SourcePlace) -> RuleList {
        let route = addRoute(
            "\(object.namespace)/\(object.name)/error", clusters: [], unavailable: reason, object: object, place: place)
        return RuleList(catchAlls: [Rule(matches: Self.always, route: route)])
    }
}
