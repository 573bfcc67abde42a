internal import Manifests

/// What a rule asks for besides its destinations, compiled: every field of `spec.http[]` that is in effect and not a
/// condition. A field that comes into effect is a property here and is read where a request needs it.
package struct RoutePolicy: Sendable {
    /// The limit of the whole request; nil is none.
    package let timeout: Duration?

    /// Of a route that no rule stands behind.
    package static let none = RoutePolicy(timeout: nil)

    init(timeout: Duration?) { self.timeout = timeout }

    init(_ rule: HTTPRoute) { self.init(timeout: rule.timeout?.value) }
}
