internal import HTTP
internal import Octets
internal import Routing

/// Cross-origin resource sharing: which pages may use an answer. Source: docs/behaviour.md, CORS.
enum Cors {
    /// Notes whether the request's origin may use the answer, and answers preflights.
    static func check(_ exchange: Exchange) -> StepEnd {
        guard let rules = rules(of: exchange), let request = exchange.request.unretained,
            let origin = request({ $0.first(named: "origin") }), !origin.isEmpty
        else { return .next }
        exchange.traits.isOriginAllowed = rules { $0.allows(origin) }
        guard request({ isPreflight($0) }) else { return .next }
        let isAnswered = exchange.traits.isOriginAllowed || rules { $0.ignoresUnmatchedPreflights }
        return isAnswered ? .answer(.corsPreflight) : .next
    }

    private static func rules(of exchange: Exchange) -> Unretained<CorsRules>? {
        exchange.extras?({ $0.cors }) ?? nil
    }

    private static func isPreflight(_ request: HeaderBlock) -> Bool {
        request.first(.method) == "OPTIONS" && request.first(named: method)?.isEmpty == false
    }

    /// Says what the origin may do.
    static func writePreflight(to block: HeaderBlock, _ exchange: Exchange) {
        guard let rules = rules(of: exchange) else { return }
        allow(block, exchange)
        rules { rules in
            if rules.allowsCredentials { block.set(copying: "access-control-allow-credentials", "true") }
            write("access-control-allow-methods", rules.allowMethods, asked: method, to: block, exchange)
            write("access-control-allow-headers", rules.allowHeaders, asked: headers, to: block, exchange)
            if !rules.maxAge.isEmpty { block.set(copying: "access-control-max-age", rules.maxAge) }
        }
    }

    /// `*` stands for what the request asks for.
    private static func write(
        _ name: Octets, _ allowed: Octets, asked: Octets, to block: HeaderBlock, _ exchange: Exchange
    ) {
        let wish = allowed == "*" ? exchange.request.unretained?({ $0.first(named: asked) }) ?? nil : allowed
        if let wish, !wish.isEmpty { block.set(copying: name, wish) }
    }

    /// Lets the page of an allowed origin see the answer.
    static func allow(_ block: HeaderBlock, _ exchange: Exchange) {
        guard exchange.traits.isOriginAllowed, let rules = rules(of: exchange),
            let origin = exchange.request.unretained?({ $0.first(named: "origin") }) ?? nil
        else { return }
        block.set(copying: "access-control-allow-origin", origin)
        rules { rules in
            if rules.allowsCredentials { block.set(copying: "access-control-allow-credentials", "true") }
            if !rules.exposeHeaders.isEmpty {
                block.set(copying: "access-control-expose-headers", rules.exposeHeaders)
            }
        }
    }

    private static let method: Octets = "access-control-request-method"
    private static let headers: Octets = "access-control-request-headers"
}
