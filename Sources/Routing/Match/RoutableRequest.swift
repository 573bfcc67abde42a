package import Octets

/// What a route table needs to know of a request. All octets belong to the request and are used during the call only.
/// They are not copied, so a conforming type hands out what it already has.
package protocol RoutableRequest: ~Copyable {
    /// `:path` with its query, normalised.
    var path: Octets { get }
    /// `:authority` or `Host` as the client sent it, port included.
    var authority: Octets { get }
    var method: Octets { get }
    var scheme: Octets { get }
    /// The first value of a header; nil if it is absent.
    /// - Parameter name: its name in lower case.
    func firstHeader(_ name: Octets) -> Octets?
    /// How many values a header has. If there are several, any number above one will do.
    func headerCount(_ name: Octets) -> Int
    /// Calls `body` with all values of a header, joined by `HeaderJoint.of` its name. It is called only if there are
    /// several.
    func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool
}

/// What joins the values of a header that came in several fields, before they are compared. It is a comma, as Envoy has
/// it. For `cookie`, which HTTP/2 clients split, it is what the upstream gets between the parts. Source: docs/istio.md,
/// Conditions; RFC 9113 §8.2.3.
package enum HeaderJoint {
    /// The joint for a header's name in lower case.
    @inlinable package static func of(_ name: Octets) -> Octets { name == "cookie" ? "; " : "," }
}

/// The result of matching one request.
package enum RouteMatch: Sendable, Hashable {
    /// `Route.number` of the first rule whose conditions hold.
    case route(Int)
    /// No host of the table fits the authority.
    case noHost
    /// The host is known and none of its rules fits. No wider host is tried.
    case noRoute
    /// Finding the rule would take more work than one request may cause (`MatchWork`). No rule is chosen, because a
    /// later rule must not get what an earlier one was to refuse.
    case tooCostly
}
