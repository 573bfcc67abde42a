internal import Manifests

// What no request reaches.

extension RuleCompiler {
    /// Reports what is reached on no listener that it is for. To be called when all tables are made.
    func reportNeverReached(_ tables: [RouteTable]) {
        // In their order, because of several reports on one place the first one counts.
        for part in neverReached.parts.keys.sorted() {
            guard let found = neverReached.parts[part] else { continue }
            guard let all = contexts(of: part) else { continue }
            if !all.isEmpty, all.isSubset(of: found.contexts) { problems.add(found.report) }
        }
        for report in neverReached.hiddenEverywhere(tables, routes) { problems.add(report) }
    }

    /// Matches of compiled rules that hold in none of their contexts, whatever the request, by VirtualService.
    func neverHolding() -> [(
        service: Int, matches: [(match: HTTPMatch, object: ObjectReference)], contexts: [RuleContext]
    )] {
        services.indices.compactMap { service in
            guard newestRuleLists[service] >= 0 else { return nil }
            var found: [(match: HTTPMatch, object: ObjectReference)] = []
            // By index, because copying a rule or a match counts a dozen references.
            for rule in services[service].http.indices {
                for number in services[service].http[rule].matches.indices
                where services[service].http[rule].matches[number].isSettledEarly {
                    let (route, match) = (services[service].http[rule], services[service].http[rule].matches[number])
                    let part = NeverReached.Part(service: service, rule: rule, match: number)
                    guard contexts(of: part)?.isEmpty == true else { continue }
                    found.append((match, services[service].objectOfMatches(of: route)))
                }
            }
            return found.isEmpty ? nil : (service, found, allContexts(of: service))
        }
    }

    private func allContexts(of service: Int) -> [RuleContext] {
        var all: [RuleContext] = []
        var ruleList = newestRuleLists[service]
        while ruleList >= 0 {
            all.append(contexts[Int(ruleListContexts[Int(ruleList)].context)])
            ruleList = ruleListContexts[Int(ruleList)].older
        }
        return all
    }

    /// The contexts that a rule or match is for; nil if they are not known, because too many were examined already.
    private func contexts(of part: NeverReached.Part) -> Set<Int32>? {
        let matches = services[part.service].http[part.rule].matches
        let wanted = part.match.map { $0..<$0 + 1 } ?? matches.indices
        var contexts: Set<Int32> = []
        var ruleList = newestRuleLists[part.service]
        while ruleList >= 0 {
            let (context, older) = ruleListContexts[Int(ruleList)]
            looksLeft -= wanted.count
            guard looksLeft > 0 else { return nil }
            let isFor =
                wanted.isEmpty
                || wanted.contains {
                    let match = NeverReached.Part(service: part.service, rule: part.rule, match: $0)
                    return applies(matches[$0], match, self.contexts[Int(context)])
                }
            if isFor { contexts.insert(context) }
            ruleList = older
        }
        return contexts
    }
}

extension HTTPMatch {
    /// Whether it has conditions that do not depend on the request.
    fileprivate var isSettledEarly: Bool {
        port != nil || !gateways.isEmpty || !sourceLabels.isEmpty || !(sourceNamespace ?? "").isEmpty
    }
}

/// The reports on rules and matches that are never reached, with the places of what is reached in their place and, for
/// those of a delegate, of the rule that names it.
extension RuleCompiler {
    /// Of a rule behind one that holds for every request.
    /// - Parameter route: number of that one's route.
    func unreached(_ rule: HTTPRoute, _ source: VirtualService, behind route: Int) -> Diagnostic {
        Diagnostic(
            .warning, "unreachable",
            "this rule is never reached: a rule before it holds for every request",
            hint: "put it before that rule", at: rule.place, object: source.object(of: rule), path: rule.path.text,
            related: [Diagnostic.Related(place: routes[route].place, message: "holds for every request")]
                + Self.naming(rule))
    }

    /// The place of the rule that names the delegate of a rule.
    private static func naming(_ rule: HTTPRoute) -> [Diagnostic.Related] {
        rule.origin.map { [Diagnostic.Related(place: $0.root, message: "names this delegate")] } ?? []
    }

    /// Of a match behind one of the same rule that holds for every request.
    /// - Parameter place: where that one is written.
    func behindCatchAll(
        _ match: HTTPMatch, _ rule: HTTPRoute, _ source: VirtualService, _ place: SourcePlace
    ) -> Diagnostic {
        Diagnostic(
            .warning, "unreachable",
            "this match is never tested: the one before it holds for every request",
            at: match.place, object: source.objectOfMatches(of: rule), path: match.path.text,
            related: [Diagnostic.Related(place: place, message: "holds for every request")] + Self.naming(rule))
    }

    /// Of a match that holds for nothing that an earlier one does not hold for.
    func covered(
        _ match: Candidate, _ source: VirtualService, by cause: Reachability.Cause
    ) -> Diagnostic {
        let rule = source.http[match.part.rule]
        return Diagnostic(
            .warning, "unreachable",
            "this match is never reached: \(cause.description) is matched before it",
            hint: "put the more specific rule first", at: match.place,
            object: match.part.match == nil ? source.object(of: rule) : source.objectOfMatches(of: rule),
            path: match.path.text,
            related: [Diagnostic.Related(place: cause.place, message: "matches first")] + Self.naming(rule))
    }
}

extension RuleCompiler {
    /// A match that can hold, and where it is written.
    struct Candidate {
        let match: RuleMatch
        let place: SourcePlace
        let path: FieldPath
        let part: NeverReached.Part
    }
}
