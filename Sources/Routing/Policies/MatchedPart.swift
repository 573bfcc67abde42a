internal import Manifests

/// What a route depends on of the match that holds. A rule has a route for each.
struct MatchedPart: Hashable, Sendable {
    /// The part of the path that the condition is on; `any` unless a policy depends on it.
    let path: MatchedPath
    /// The name under which metrics count the route's requests; nil if that is the route's own.
    let statPrefix: String?

    static let any = MatchedPart(path: .any)

    init(path: MatchedPath, statPrefix: String? = nil) {
        self.path = path
        self.statPrefix = statPrefix
    }
}

/// The part of the path that the condition of a match is on. A rewrite replaces it. Source: docs/istio.md, Rewrites.
enum MatchedPath: Hashable, Sendable {
    /// No condition on the path.
    case any
    /// A prefix of so many octets.
    case prefix(Int)
    case whole

    init(_ match: RuleMatch) {
        switch match.path {
        case .prefix(let text, _): self = .prefix(text.utf8.count)
        case .exact, .regex: self = .whole
        case nil: self = .any
        }
    }
}

extension HTTPRoute {
    /// Whether what becomes of the path depends on the condition that it fulfils.
    private var dependsOnPath: Bool { redirect?.prefixRewrite != nil || rewrite?.uri != nil }

    /// Parts of a rule's matches, in order, each for one route.
    func parts(_ matches: [RuleMatch]) -> [(matched: MatchedPart, matches: [RuleMatch])] {
        guard dependsOnPath || matches.contains(where: { $0.statPrefix != nil }) else { return [(.any, matches)] }
        var parts: [(matched: MatchedPart, matches: [RuleMatch])] = []
        for match in matches {
            let matched = MatchedPart(path: dependsOnPath ? MatchedPath(match) : .any, statPrefix: match.statPrefix)
            if parts.last?.matched == matched {
                parts[parts.count - 1].matches.append(match)
            } else {
                parts.append((matched, [match]))
            }
        }
        return parts
    }
}
