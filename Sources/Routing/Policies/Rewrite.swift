internal import Manifests
package import Octets

/// What a rule changes of the request's target. Source: Istio `HTTPRoute.rewrite`; docs/istio.md, Rewrites.
///
/// Thread: any. Freed by: its `RouteExtras`.
@safe package final class Rewrite: Sendable {
    /// What becomes of the path; nil if it stays.
    package let path: PathRewrite?
    /// The authority that the upstream gets, of the rule; empty if it stays.
    private let authority: Octets
    /// The authority for each destination, in the order of `Route.destinations`; it is empty if none has its own.
    private let destinationAuthorities: Slab<Octets>
    private let text: Slab<UInt8>    // all authorities; owned, as the one above

    /// Compiles the rewrite of a rule; nil if it has none.
    init?(_ rule: HTTPRoute, matched: MatchedPath) {
        let made = rule.rewrite?.regex.map { PathRewrite($0) }
        let path = made ?? rule.rewrite?.uri.map { PathRewrite($0, matched: matched) }
        let isSingle = rule.destinations.count == 1
        let own =
            rule.rewrite?.authority ?? rule.headers?.host ?? (isSingle ? rule.destinations[0].headers?.host : nil)
        var several = own == nil && !isSingle ? rule.served.map { $0.headers?.host ?? "" } : []
        if several.allSatisfy(\.isEmpty) { several = [] }
        if path == nil, own == nil, several.isEmpty { return nil }
        self.path = path
        text = Slab(Array(([own ?? ""] + several).joined().utf8))
        var used = 0
        var parts: [Octets] = []
        for part in [own ?? ""] + several {
            parts.append(text[Run(used, part.utf8.count)])
            used += part.utf8.count
        }
        authority = parts[0]
        destinationAuthorities = Slab(Array(parts.dropFirst()))
    }

    deinit {
        destinationAuthorities.free()
        text.free()
    }

    /// The authority for a destination; empty if the request's stays.
    /// - Parameter destination: its place in `Route.destinations`.
    package func authority(for destination: Int) -> Octets {
        guard authority.isEmpty, destination >= 0, destination < destinationAuthorities.count else { return authority }
        return destinationAuthorities[destination]
    }
}

extension Rewrite: CustomStringConvertible {
    package var description: String {
        var parts = path.map { [$0.description] } ?? []
        if !authority.isEmpty { parts.append("the authority becomes \(authority.string)") }
        for number in 0..<destinationAuthorities.count where !destinationAuthorities[number].isEmpty {
            parts.append("the authority for destination \(number + 1) becomes \(destinationAuthorities[number].string)")
        }
        return parts.joined(separator: ", ")
    }
}

extension HeaderOperations {
    /// The host that the operations on the request set: setting it comes before adding it.
    fileprivate var host: String? {
        (request.set + request.add).first { Self.isHost($0.name) && !$0.value.isEmpty }?.value
    }
}
