internal import Manifests
package import Octets

/// The policies that few rules have. A rule without any of them has no such object, and its requests pay one check for
/// it. Each policy is a type of its own, in a file of its own in this folder, which compiles it from the decoded rule.
/// What it does to a request is in `Proxy/Policies/`. Workers follow the policies of the hot path without counting
/// references, because all of them use the same objects.
///
/// Thread: any. Freed by: the last route that has it.
package final class RouteExtras: Sendable {
    /// The answer that the gateway gives by itself; nil if requests go to a destination.
    package let directResponse: DirectResponse?
    /// Where clients are sent; nil if requests go to a destination.
    package let redirect: Redirect?
    /// What is tried again; nil is Istio's default.
    package let retries: RetryPolicy?
    /// What is done to a share of requests on purpose.
    package let fault: FaultPolicy?
    /// Where copies of requests go.
    package let mirrors: [MirrorPolicy]
    // The objects behind these never change, and `kept` keeps them.
    /// What becomes of the request's path and authority.
    package let rewrite: Unretained<Rewrite>?
    package let headers: Unretained<HeaderPolicy>?
    /// Which pages of other origins may use the rule; nil for a rule that answers by itself.
    package let cors: Unretained<CorsRules>?
    /// The match that the route is for, as far as the route depends on it.
    let matched: MatchedPart
    private let kept: (rewrite: Rewrite?, headers: HeaderPolicy?, cors: CorsRules?)    // what is not counted above

    /// Compiles the policies of a rule; nil if it has none.
    /// - Parameter mirrors: with the numbers of their clusters.
    init?(_ rule: HTTPRoute, matched: MatchedPart = .any, mirrors: [MirrorPolicy] = []) {
        self.matched = matched
        self.mirrors = mirrors
        directResponse = rule.redirect == nil ? rule.directResponse.map(DirectResponse.init) : nil
        redirect = rule.redirect.map { Redirect($0, matched: matched.path) }
        retries = rule.retries.map(RetryPolicy.init)
        fault = rule.fault.flatMap(FaultPolicy.init)
        let hasAnswer = directResponse != nil || redirect != nil
        kept = (
            rewrite: hasAnswer ? nil : Rewrite(rule, matched: matched.path), headers: HeaderPolicy(rule),
            cors: hasAnswer ? nil : rule.cors.map(CorsRules.init)
        )
        rewrite = kept.rewrite.unretained
        headers = kept.headers.unretained
        cors = kept.cors.unretained
        let hasOwn = kept.rewrite != nil || kept.headers != nil || kept.cors != nil
        if !hasAnswer, !hasOwn, retries == nil, fault == nil, mirrors.isEmpty, matched.statPrefix == nil { return nil }
    }

    /// Whether the gateway answers by itself, so that the rule needs no destination.
    package var hasAnswer: Bool { directResponse != nil || redirect != nil }
}
