internal import Manifests

/// What VirtualServices were compiled to, for the next compilation with the same `ServiceFrame`.
struct RuleMemory {
    /// A use of a route by a rule list, in the order in which the rules asked for them.
    struct Use: Sendable {
        /// The place of the rule in its VirtualService.
        let rule: Int32
        let route: Int32
        /// Whether the rule was known to serve nothing before its destinations were looked at.
        let isClosed: Bool
    }

    /// What a rule list is made of besides its rules.
    struct Entry: Sendable {
        let context: RuleContext
        /// How many matches it counts for; below zero if it cannot be used again.
        let cost: Int
        let uses: Range<Int32>
        let ruleList: Int32
        let older: Int32
    }

    /// By VirtualService: nil for one that says what other objects make of it.
    let versions: [ObjectVersion?]
    /// By VirtualService: its newest entry; -1 if it has none.
    let newest: [Int32]
    let entries: [Entry]
    let uses: [Use]
    let ruleLists: [RuleList]
    let routes: [Route]

    /// How many contexts of a VirtualService are looked at: one on very many Gateways is not worth the search.
    private static let searchedContexts = 16

    /// What a VirtualService was compiled to in a context; nil if it was another version of it, or was not compiled.
    func entry(_ service: Int, _ version: ObjectVersion?, _ context: RuleContext) -> Entry? {
        guard versions.indices.contains(service), let version, versions[service] == version else { return nil }
        var number = newest[service]
        for _ in 0..<Self.searchedContexts where number >= 0 {
            if entries[Int(number)].context == context { return entries[Int(number)] }
            number = entries[Int(number)].older
        }
        return nil
    }
}

/// Notes what rule lists are made of, while they are compiled.
struct RuleNotes {
    private(set) var entries: [RuleMemory.Entry] = []
    private(set) var uses: [RuleMemory.Use] = []
    private(set) var newest: [Int32]
    private var start = 0
    /// Whether what is compiled now can be used again.
    private var isClean = true

    init(services: Int) { newest = Array(repeating: -1, count: services) }

    /// A rule list is compiled from now on. What was noted of one that did not come to its end is dropped.
    mutating func begin() {
        uses.removeLast(uses.count - start)
        isClean = true
    }

    /// A rule has asked for a route.
    mutating func note(_ rule: Int, _ route: Int, isClosed: Bool) {
        uses.append(RuleMemory.Use(rule: Int32(clamping: rule), route: Int32(clamping: route), isClosed: isClosed))
    }

    /// What is compiled now depends on more than its VirtualService.
    mutating func spoil() { isClean = false }

    /// A rule list ends.
    /// - Parameter cost: how many matches it counts for; nil if there was something to report.
    mutating func end(_ service: Int, _ context: RuleContext, cost: Int?, ruleList: Int) {
        entries.append(
            RuleMemory.Entry(
                context: context, cost: isClean ? cost ?? -1 : -1,
                uses: Int32(clamping: start)..<Int32(clamping: uses.count), ruleList: Int32(clamping: ruleList),
                older: newest[service]))
        newest[service] = Int32(clamping: entries.count - 1)
        start = uses.count
    }
}

extension RuleCompiler {
    /// What is kept for the next compilation.
    var kept: RuleMemory? {
        closedBy != nil
            ? nil
            : RuleMemory(
                versions: versions, newest: notes.newest, entries: notes.entries, uses: notes.uses,
                ruleLists: ruleLists,
                routes: routes)
    }

    /// The rule list of a VirtualService in a context, as the compilation before has made it.
    /// - Returns: nil if it has to be compiled, because it is new, or because there may be something to report.
    func again(_ service: Int, _ context: RuleContext) -> RuleList? {
        guard let memory, let entry = memory.entry(service, versions[service], context), entry.cost >= 0,
            matches + entry.cost <= names.options.mostMatches
        else { return nil }
        var numbers: [(old: Int, new: Int)] = []
        for use in memory.uses[Int(entry.uses.lowerBound)..<Int(entry.uses.upperBound)] {
            guard let number = again(use, service, memory) else { return nil }
            notes.note(Int(use.rule), number, isClosed: use.isClosed)
            if Int(use.route) != number { numbers.append((Int(use.route), number)) }
        }
        matches += entry.cost
        let list = memory.ruleLists[Int(entry.ruleList)]
        return numbers.isEmpty ? list : list.renumbered(numbers)
    }

    /// The route of a rule, as the compilation before has made it; nil if its clusters have to be asked for.
    private func again(_ use: RuleMemory.Use, _ service: Int, _ memory: RuleMemory) -> Int? {
        let old = memory.routes[Int(use.route)]
        let rule = Int(use.rule)
        var asked: [Int] = []
        asked.reserveCapacity(old.destinations.count)
        for (place, destination) in old.destinations.enumerated() {
            let number = clusters.again(destination.cluster, origin: RuleDestination(service, rule, place)) {
                asker(service, rule, destination: place)
            }
            guard let number else { return nil }
            asked.append(number)
        }
        let matched = old.policy.extras?.matched ?? .any
        if let known = known(service, rule, matched, asked, isClosed: use.isClosed) { return known }
        let isSame = routes.count == old.number && old.destinations.lazy.map(\.cluster).elementsEqual(asked)
        return add(isSame ? old : Route(old, number: routes.count, clusters: asked), service, rule)
    }
}

extension RuleList {
    /// The same rules with other numbers of their routes.
    fileprivate func renumbered(_ changed: [(old: Int, new: Int)]) -> RuleList {
        let numbers = Dictionary(changed.map { ($0.old, $0.new) }) { first, _ in first }
        func renumbered(_ rules: [Rule]) -> [Rule] {
            rules.map { Rule(matches: $0.matches, route: numbers[$0.route] ?? $0.route) }
        }
        return RuleList(rules: renumbered(rules), catchAlls: renumbered(catchAlls))
    }
}
