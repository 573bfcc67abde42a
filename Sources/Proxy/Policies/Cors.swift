internal import HTTP
internal import Octets
internal import Routing

/// Cross-origin resource sharing: which pages may use an answer. Source: docs/behaviour.md, CORS.
enum Cors {
    /// What follows from a request that names an origin.
    struct Verdict: Equatable {
        /// Whether its origin may use the answer.
        let isOriginAllowed: Bool
        /// Whether it is a preflight that is answered here.
        let isAnswered: Bool
    }

    /// Notes whether the request's origin may use the answer, and answers preflights.
    static func check(_ exchange: Exchange) -> StepEnd {
        guard let rules = rules(of: exchange), let request = exchange.request.unretained,
            let verdict = request({ request in rules { verdict(on: request, $0) } })
        else { return .next }
        exchange.traits.isOriginAllowed = verdict.isOriginAllowed
        return verdict.isAnswered ? .answer(.corsPreflight) : .next
    }

    /// What the rules say of a request; nil if it names no origin.
    static func verdict(on request: HeaderBlock, _ rules: CorsRules) -> Verdict? {
        guard let origin = request.first(named: "origin"), !origin.isEmpty else { return nil }
        let isAllowed = rules.allows(origin)
        let isAnswered = isPreflight(request) && (isAllowed || rules.ignoresUnmatchedPreflights)
        return Verdict(isOriginAllowed: isAllowed, isAnswered: isAnswered)
    }

    private static func rules(of exchange: Exchange) -> Unretained<CorsRules>? {
        exchange.extras?({ $0.cors }) ?? nil
    }

    private static func isPreflight(_ request: HeaderBlock) -> Bool {
        request.first(.method) == "OPTIONS" && request.first(named: method)?.isEmpty == false
    }

    /// Says what the request's origin may do.
    static func writePreflight(to block: HeaderBlock, _ exchange: Exchange) {
        guard let rules = rules(of: exchange), let request = exchange.request.unretained else { return }
        allow(block, exchange)
        request { request in rules { writePreflight(to: block, of: request, $0) } }
    }

    /// The fields of an answer to a preflight, but the origin. `*` in a rule stands for what the request asks for.
    static func writePreflight(to block: HeaderBlock, of request: HeaderBlock, _ rules: CorsRules) {
        if rules.allowsCredentials { block.set(copying: "access-control-allow-credentials", "true") }
        write("access-control-allow-methods", rules.allowMethods, asked: method, to: block, request)
        write("access-control-allow-headers", rules.allowHeaders, asked: headers, to: block, request)
        if !rules.maxAge.isEmpty { block.set(copying: "access-control-max-age", rules.maxAge) }
    }

    private static func write(
        _ name: Octets, _ allowed: Octets, asked: Octets, to block: HeaderBlock, _ request: HeaderBlock
    ) {
        let wish = allowed == "*" ? request.first(named: asked) : allowed
        if let wish, !wish.isEmpty { block.set(copying: name, wish) }
    }

    /// Lets the page of an allowed origin see the answer.
    static func allow(_ block: HeaderBlock, _ exchange: Exchange) {
        guard exchange.traits.isOriginAllowed, let rules = rules(of: exchange),
            let request = exchange.request.unretained
        else { return }
        request { request in rules { allow(block, of: request, $0) } }
    }

    /// The fields by which the page of the request's origin sees an answer.
    static func allow(_ block: HeaderBlock, of request: HeaderBlock, _ rules: CorsRules) {
        guard let origin = request.first(named: "origin") else { return }
        block.set(copying: "access-control-allow-origin", origin)
        if rules.allowsCredentials { block.set(copying: "access-control-allow-credentials", "true") }
        if !rules.exposeHeaders.isEmpty { block.set(copying: "access-control-expose-headers", rules.exposeHeaders) }
    }

    private static let method: Octets = "access-control-request-method"
    private static let headers: Octets = "access-control-request-headers"
}
