package import Balancing

/// One destination: a service's port, perhaps one subset of it.
package struct ClusterPlan: Sendable, Hashable {
    /// Istio's name: `outbound|8888|v1|main-server.default.svc.cluster.local`.
    package let name: String
    package let host: String
    /// The service's port, not the endpoints'.
    package let port: Int
    /// Empty: the whole service.
    package let subset: String
    /// Whether requests are sent as HTTP/2; gRPC always is.
    package let isHTTP2: Bool
    package let policy: BalancingPolicy
    package let source: EndpointSource
}

/// Where a cluster's endpoints come from.
package enum EndpointSource: Sendable, Hashable {
    /// Empty: nobody is ready.
    case endpoints([PlannedEndpoint])
    /// All addresses of all names.
    case dns([PlannedName])
    case unavailable(Unavailable)
}

package struct PlannedEndpoint: Sendable, Hashable {
    package let address: EndpointAddress
    /// At least 1.
    package let weight: Int
}

/// A name to resolve.
package struct PlannedName: Sendable, Hashable {
    package let host: String
    package let port: UInt16
    package let weight: Int
}
