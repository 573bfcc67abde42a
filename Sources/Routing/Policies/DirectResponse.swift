internal import Manifests

/// The answer of a rule that the gateway gives by itself. Source: Istio `HTTPRoute.directResponse`.
package struct DirectResponse: Sendable {
    /// From 200 to 600.
    package let status: Int
    /// At most 1 MiB; empty for the statuses 204 and 304, which have no body.
    package let body: [UInt8]

    init(_ source: HTTPDirectResponse) {
        status = source.status
        body = source.body
    }
}
