/// An AuthorizationPolicy or a RequestAuthentication (security.istio.io). Neither is in effect yet, so it is
/// read for whom it is alone: what selects this gateway must not be served without it.
package struct AccessPolicy: Sendable {
    package let identity: ObjectReference
    package let place: SourcePlace
    /// `spec.selector.matchLabels`; never empty.
    package let selector: [String: String]
    package let version: UInt64

    package static let kinds = ["AuthorizationPolicy", "RequestAuthentication"]
}
