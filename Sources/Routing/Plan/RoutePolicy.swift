internal import Manifests

/// What a rule asks for besides its destinations, compiled: every field of `spec.http[]` that is in effect and not a
/// condition. A field that comes into effect is a property here, or of `RouteExtras` if few rules have it, and is read
/// where a request needs it.
package struct RoutePolicy: Sendable {
    /// The limit of the whole request; nil is none.
    package let timeout: Duration?
    /// What few rules have; nil if this one has nothing of it.
    package let extras: RouteExtras?

    /// Of a route that no rule stands behind.
    package static let none = RoutePolicy(timeout: nil)

    init(timeout: Duration?, extras: RouteExtras? = nil) {
        self.timeout = timeout
        self.extras = extras
    }

    /// - Parameters:
    ///   - matched: the match that the route is for, as far as the route depends on it.
    ///   - isServed: false for a rule whose requests are answered 503, whatever it says.
    ///   - mirrors: with the numbers of their clusters.
    init(_ rule: HTTPRoute, matched: MatchedPart, isServed: Bool, mirrors: [MirrorPolicy] = []) {
        let extras = isServed ? RouteExtras(rule, matched: matched, mirrors: mirrors) : nil
        self.init(timeout: rule.timeout?.value, extras: extras)
    }
}
