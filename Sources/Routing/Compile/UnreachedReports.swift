internal import Manifests

/// The reports on rules and matches that are never reached, with the places of what is reached in their place and, for
/// those of a delegate, of the rule that names it.
extension RuleCompiler {
    /// Of a rule behind one that holds for every request.
    /// - Parameter route: number of that one's route.
    func unreached(_ rule: HTTPRoute, _ source: VirtualService, behind route: Int) -> Diagnostic {
        Diagnostic(
            .warning, "unreachable",
            "this rule is never reached: a rule before it holds for every request",
            hint: "put it before that rule", at: rule.place, object: source.owner(of: rule), path: rule.path.text,
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
            at: match.place, object: source.ownerOfMatches(of: rule), path: match.path.text,
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
            object: match.part.match == nil ? source.owner(of: rule) : source.ownerOfMatches(of: rule),
            path: match.path.text,
            related: [Diagnostic.Related(place: cause.place, message: "matches first")] + Self.naming(rule))
    }
}
