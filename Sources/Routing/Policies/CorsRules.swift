internal import Manifests
package import Octets
internal import Patterns

/// Which pages of other origins may use a rule. Source: Istio `CorsPolicy`; docs/istio.md, CORS.
///
/// Thread: any. Freed by: its `RouteExtras`.
@safe package final class CorsRules: Sendable {
    /// Each value is empty if its header is not sent; `*` stands for what the request asks for.
    package let allowMethods: Octets
    /// The value of `access-control-allow-headers`.
    package let allowHeaders: Octets
    /// The value of `access-control-expose-headers`; empty if it is not sent.
    package let exposeHeaders: Octets
    /// In seconds, in decimal; empty if it is not sent.
    package let maxAge: Octets
    /// Whether pages may send cookies and other credentials.
    package let allowsCredentials: Bool
    /// Whether a preflight of a foreign origin is answered here and not sent to the upstream.
    package let ignoresUnmatchedPreflights: Bool
    private let origins: [StringMatch]
    private let text: Slab<UInt8>    // of the values above; freed in `deinit`

    init(_ source: CorsPolicy) {
        origins = source.allowOrigins
        allowsCredentials = source.allowCredentials ?? false
        ignoresUnmatchedPreflights = source.ignoresUnmatchedPreflights
        let parts = [
            source.allowMethods.joined(separator: ","), source.allowHeaders.joined(separator: ","),
            source.exposeHeaders.joined(separator: ","), source.maxAge.map { "\($0.components.seconds)" } ?? "",
        ]
        text = Slab(Array(parts.joined().utf8))
        var used = 0
        var made: [Octets] = []
        for part in parts {
            made.append(text[Run(used, part.utf8.count)])
            used += part.utf8.count
        }
        (allowMethods, allowHeaders, exposeHeaders, maxAge) = (made[0], made[1], made[2], made[3])
    }

    deinit { text.free() }

    /// Whether a page of that origin may use the rule.
    package func allows(_ origin: Octets) -> Bool {
        var work = MatchWork()
        return origins.contains { holds($0, origin, &work) }
    }

    private func holds(_ match: StringMatch, _ origin: Octets, _ work: inout MatchWork) -> Bool {
        func isEqual(_ text: String, _ octets: Octets) -> Bool { text.utf8.elementsEqual(octets.array) }
        return switch match {
        case .exact("*"): true
        case .exact(let text): text.utf8.count == origin.count && isEqual(text, origin)
        case .prefix(let text): text.utf8.count <= origin.count && isEqual(text, origin.prefix(text.utf8.count))
        case .regex(let pattern): pattern.matches(origin, &work)
        case .present: false
        }
    }
}

extension CorsRules: CustomStringConvertible {
    package var description: String {
        let names = origins.map { match in
            switch match {
            case .exact(let text): text
            case .prefix(let text): "\(text)…"
            case .regex(let pattern): "/\(pattern.source)/"
            case .present: "any"
            }
        }
        let parts = [
            names.isEmpty ? "no origin" : names.joined(separator: ", "),
            allowMethods.isEmpty ? nil : "methods \(allowMethods.string)",
            allowHeaders.isEmpty ? nil : "headers \(allowHeaders.string)",
            exposeHeaders.isEmpty ? nil : "exposed headers \(exposeHeaders.string)",
            maxAge.isEmpty ? nil : "kept for \(maxAge.string)s", allowsCredentials ? "with credentials" : nil,
            ignoresUnmatchedPreflights ? "other preflights answered here" : nil,
        ]
        return "CORS for " + parts.compactMap(\.self).joined(separator: "; ")
    }
}
