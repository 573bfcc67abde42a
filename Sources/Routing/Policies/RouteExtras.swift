internal import Manifests

/// The policies that few rules have. A rule without any of them has no such object, and its requests pay one check for
/// it. Each policy is a type of its own, in a file of its own in this folder, which compiles it from the decoded rule.
/// What it does to a request is in `Proxy/Policies/`.
package final class RouteExtras: Sendable {
    /// The answer that the gateway gives by itself; nil if requests go to a destination.
    package let directResponse: DirectResponse?
    /// What is tried again; nil is Istio's default.
    package let retries: RetryPolicy?
    /// What is done to a share of requests on purpose.
    package let fault: FaultPolicy?
    /// Where copies of requests go.
    package let mirrors: [MirrorPolicy]

    /// Compiles the policies of a rule; nil if it has none.
    /// - Parameter mirrors: with the numbers of their clusters.
    init?(_ rule: HTTPRoute, mirrors: [MirrorPolicy] = []) {
        self.mirrors = mirrors
        directResponse = rule.directResponse.map(DirectResponse.init)
        retries = rule.retries.map(RetryPolicy.init)
        fault = rule.fault.flatMap(FaultPolicy.init)
        guard directResponse != nil || retries != nil || fault != nil || !mirrors.isEmpty else { return nil }
    }

    /// Whether the gateway answers by itself, so that the rule needs no destination.
    package var hasAnswer: Bool { directResponse != nil }
}
