package import Octets

/// What a route table looks at in one request. All octets belong to the request and are only used
/// during the call; nothing is copied, so a conformer hands out what it already holds.
package protocol RoutableRequest: ~Copyable {
    /// `:path`, with its query; dot segments are already resolved.
    var path: Octets { get }
    /// `:authority` or `Host` as the client sent it, port included.
    var authority: Octets { get }
    var method: Octets { get }
    var scheme: Octets { get }
    /// The first value of a header; nil when it is absent.
    /// - Parameter name: in lower case.
    func firstHeader(_ name: Octets) -> Octets?
    /// How many values a header has; of several, any number above one.
    func headerCount(_ name: Octets) -> Int
    /// Calls `body` with the values of a header joined by `HeaderJoint.of` its name; only called when there
    /// are several.
    func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool
}

/// What stands between the values of a header that came in several fields, as Envoy joins them before it
/// matches: a comma, and of `cookie`, which HTTP/2 clients split, what the upstream gets between them.
/// Source: docs/istio.md, Conditions; RFC 9113 §8.2.3.
package enum HeaderJoint {
    @inlinable package static func of(_ name: Octets) -> Octets { name == "cookie" ? "; " : "," }
}

/// What a route table says of one request.
package enum RouteMatch: Sendable, Hashable {
    /// `Route.number` of the first rule whose conditions hold.
    case route(Int)
    /// No host of the table fits the authority.
    case noHost
    /// The host is known, none of its rules fits. There is no second try with a wider host.
    case noRoute
    /// To find the rule would take longer than one request may keep its worker (`MatchWork`). No rule is
    /// chosen: one that comes later must not get what an earlier one was to refuse.
    case tooCostly
}
