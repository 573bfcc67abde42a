package import Balancing

/// One destination: a service's port, perhaps one subset of it.
package struct ClusterPlan: Sendable, Hashable {
    /// Istio's name: `outbound|8888|v1|main-server.default.svc.cluster.local`.
    package let name: String
    /// The service's host.
    package let host: String
    /// The service's port, not the endpoints'.
    package let port: Int
    /// Empty: the whole service.
    package let subset: String
    /// Whether requests are sent as HTTP/2; gRPC always is.
    package let isHTTP2: Bool
    /// How an endpoint is chosen.
    package let policy: BalancingPolicy
    /// Where its endpoints come from.
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

/// An endpoint and its weight.
package struct PlannedEndpoint: Sendable, Hashable {
    /// Its address.
    package let address: EndpointAddress
    /// At least 1.
    package let weight: Int
}

/// A name to resolve.
package struct PlannedName: Sendable, Hashable {
    /// The name.
    package let host: String
    /// The port of its addresses.
    package let port: UInt16
    /// The weight of each address, at least 1.
    package let weight: Int
}
