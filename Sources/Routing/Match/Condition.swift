package import Patterns

/// How a text is tested. Source: Istio `StringMatch`.
package enum TextTest: Sendable {
    /// `{}`: the value must be present.
    case present
    case exact(String)
    case prefix(String)
    /// The expression must match the whole text.
    case regex(Pattern)
}

/// How the path is tested, without query and fragment.
package enum PathTest: Sendable {
    case exact(String, ignoringCase: Bool)
    case prefix(String, ignoringCase: Bool)
    case regex(Pattern)
}

/// One condition of a match item besides the path.
package struct Condition: Sendable {
    /// The part of a request that is looked at.
    package enum Subject: Sendable, Hashable {
        /// A header by its name in lower case; `:path` and the other pseudo-header fields are allowed.
        case header(String)
        /// A header whose condition is inverted: an absent one counts as the empty text, and with `.present` it must be
        /// absent. Source: docs/istio.md, Absent headers.
        case withoutHeader(String)
        case method, scheme, authority
        /// The port in the authority; the empty text if it has none.
        case port
        /// The first query parameter of this name, without decoding `%`.
        case query(String)
        /// A condition that cannot be tested; the text says why. It counts as fulfilled, and the route answers 503.
        case assumed(String)
    }
    package let subject: Subject
    package let test: TextTest

    package init(_ subject: Subject, _ test: TextTest) {
        self.subject = subject
        self.test = test
    }
}

/// One item of `match`; all of its conditions must hold.
package struct RuleMatch: Sendable {
    /// The condition on the path; nil if there is none.
    package let path: PathTest?
    /// The other conditions, in the order in which they are tested.
    package let conditions: [Condition]
    /// The name under which metrics count its requests; nil if that is the route's. Source: Istio
    /// `HTTPMatchRequest.statPrefix`.
    package let statPrefix: String?

    /// Makes a match; without conditions, it always holds.
    package init(path: PathTest? = nil, conditions: [Condition] = [], statPrefix: String? = nil) {
        self.path = path
        self.conditions = conditions
        self.statPrefix = statPrefix
    }

    /// Whether it is a catch-all: the prefix `/` or the regular expression `.*`, and no other condition. The empty
    /// prefix also holds for every request, but Istio does not count it. Source: docs/istio.md, Catch-all rules.
    package var isCatchAll: Bool {
        guard conditions.isEmpty else { return false }
        return switch path {
        case nil, .prefix("/", _): true
        case .regex(let pattern): pattern.source == ".*"
        default: false
        }
    }
}

/// One rule of a virtual host. It holds if one of its matches holds, or if it has none.
package struct Rule: Sendable {
    package let matches: [RuleMatch]
    /// `Route.number`.
    package let route: Int

    package init(matches: [RuleMatch], route: Int) {
        self.matches = matches
        self.route = route
    }
}

extension TextTest: CustomStringConvertible {
    package var description: String {
        switch self {
        case .present: "is present"
        case .exact(let text): "is \"\(text)\""
        case .prefix(let text): "begins with \"\(text)\""
        case .regex(let pattern): "matches \(pattern.source)"
        }
    }
}

extension PathTest: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exact(let text, let ignoring): "path is \(text)\(ignoring ? ", any case" : "")"
        case .prefix(let text, let ignoring):
            "path begins with \(text.isEmpty ? "\"\"" : text)\(ignoring ? ", any case" : "")"
        case .regex(let pattern): "path matches \(pattern.source)"
        }
    }
}

extension Condition: CustomStringConvertible {
    package var description: String {
        switch subject {
        case .header(let name): "header \(name) \(test)"
        case .withoutHeader(let name):
            if case .present = test { "no header \(name)" } else { "not (header \(name) \(test))" }
        case .method: "method \(test)"
        case .scheme: "scheme \(test)"
        case .authority: "authority \(test)"
        case .port: "port \(test)"
        case .query(let name): "query \(name) \(test)"
        case .assumed(let reason): "anything (\(reason))"
        }
    }
}

extension RuleMatch: CustomStringConvertible {
    package var description: String {
        let parts = (path.map { [$0.description] } ?? []) + conditions.map(\.description)
        return parts.isEmpty ? "any request" : parts.joined(separator: ", ")
    }
}
