// What an HTTP rule may say besides its conditions and destinations. It is read and checked; a field is in effect when
// `NotInEffect` no longer lists it. Source: Istio `HTTPRoute`.
package import Patterns

/// `http[].redirect` of a VirtualService: the gateway answers, and no destination is asked.
package struct HTTPRedirect: Sendable {
    package let place: SourcePlace
    package var uri: String?
    package var prefixRewrite: String?
    package var authority: String?
    package var port: Int?
    /// Whether it says `derivePort: FROM_REQUEST_PORT`.
    package var derivesPortFromRequest = false
    package var scheme: String?
    package var code = 301
}

/// `http[].directResponse` of a VirtualService: the gateway answers with a body of its own.
package struct HTTPDirectResponse: Sendable {
    package let place: SourcePlace
    package var status: Int
    package var body: [UInt8] = []
}

/// `delegate`: another VirtualService whose rules are used.
package struct Delegate: Sendable {
    package let place: SourcePlace
    package var name: String
    package var namespace: String?
}

/// Where a rule of a delegate comes from, once it is merged with the rule that names the delegate.
package struct RuleOrigin: Sendable {
    /// The delegate that has the rule. Its namespace is that of the rule's short host names.
    package let delegate: ObjectReference
    /// The place of the rule that names the delegate.
    package let root: SourcePlace
    /// Whether the rule has no conditions of its own, so that its matches are those of the naming rule.
    package let hasRootMatches: Bool
    /// How many of its closing fields the rule has itself; those after them are the naming rule's.
    package let ownClosings: Int

    package init(delegate: ObjectReference, root: SourcePlace, hasRootMatches: Bool, ownClosings: Int) {
        self.ownClosings = ownClosings
        self.delegate = delegate
        self.root = root
        self.hasRootMatches = hasRootMatches
    }
}

/// `http[].rewrite` of a VirtualService: path and authority as the destination gets them.
package struct HTTPRewrite: Sendable {
    package let place: SourcePlace
    package var uri: String?
    package var authority: String?
    package var regex: RegexRewrite?

    /// `http[].rewrite.uriRegexRewrite`: each match in the path is replaced, and the query stays.
    package struct RegexRewrite: Sendable {
        package var match: Pattern
        package var replacement: String
    }
}
