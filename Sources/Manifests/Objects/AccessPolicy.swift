/// An AuthorizationPolicy or a RequestAuthentication (security.istio.io). Neither is in effect yet, so only its
/// selector is read: a gateway that it selects must not serve requests without it. Source: Istio `AuthorizationPolicy`,
/// `RequestAuthentication`.
package struct AccessPolicy: Sendable {
    package let identity: ObjectReference
    package let place: SourcePlace
    /// `spec.selector.matchLabels`; empty only if the policy cannot be read, so that it may select any workload.
    package let selector: [String: String]
    package let version: UInt64
    package let layout: UInt64

    package static let kinds = ["AuthorizationPolicy", "RequestAuthentication"]
}
