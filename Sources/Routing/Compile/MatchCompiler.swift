internal import Manifests

/// Compiles `http[].match[]` to conditions, cheap ones first.
enum MatchCompiler {
    /// The conditions of one match that depend on the request.
    static func compile(_ source: HTTPMatch, _ context: RuleContext) -> RuleMatch {
        var conditions: [Condition] = []
        if case .mesh = context, let port = source.port?.value {
            conditions.append(Condition(.port, .exact(String(port))))
        }
        if let method = source.method { conditions.append(Condition(.method, test(method))) }
        if let scheme = source.scheme { conditions.append(Condition(.scheme, test(scheme))) }
        if let authority = source.authority {
            conditions.append(Condition(.authority, test(authority)))
        }
        for header in source.headers { conditions.append(self.header(header, isNegated: false)) }
        for header in source.withoutHeaders {
            conditions.append(self.header(header, isNegated: true))
        }
        for parameter in source.queryParams {
            conditions.append(Condition(.query(parameter.name.detached), test(parameter.match)))
        }
        if source.isFaulty {
            conditions.append(Condition(.assumed("a condition has an error"), .present))
        }
        let statPrefix = source.statPrefix.flatMap { $0.isEmpty ? nil : $0.detached }
        return RuleMatch(path: path(source), conditions: conditions, statPrefix: statPrefix)
    }

    private static func path(_ source: HTTPMatch) -> PathTest? {
        switch source.uri {
        case .exact(let text): .exact(text.detached, ignoringCase: source.ignoreUriCase)
        case .prefix(let text): .prefix(text.detached, ignoringCase: source.ignoreUriCase)
        case .regex(let pattern): .regex(pattern)
        case .present, nil: nil
        }
    }

    private static func header(_ source: NamedMatch, isNegated: Bool) -> Condition {
        // A claim that was not verified must not admit a request, nor may a later rule serve it.
        if source.isOnClaim {
            return Condition(.assumed("conditions on claims are not in effect yet"), .present)
        }
        let name = source.name.lowercased()
        return Condition(isNegated ? .withoutHeader(name) : .header(name), test(source.match))
    }

    private static func test(_ match: StringMatch) -> TextTest {
        switch match {
        case .exact(let text): .exact(text.detached)
        case .prefix(let text): .prefix(text.detached)
        case .regex(let pattern): .regex(pattern)
        case .present: .present
        }
    }
}
