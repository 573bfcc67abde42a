package import Balancing
package import Manifests

/// One destination: a service's port, perhaps one subset of it. It names where endpoints come from; which they
/// are is `EndpointTable`'s.
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
    /// What its DestinationRule says beyond that; nil for nothing.
    package var policies: ClusterPolicies?
    /// TLS to its endpoints; nil: they are spoken to in clear text.
    @Rare package var tls: UpstreamTLSPlan? = nil

    /// What makes it the same cluster in another plan.
    package var identity: ClusterIdentity {
        ClusterIdentity(host: host, port: port, subset: subset, policy: policy)
    }
}

/// Where a cluster's endpoints come from.
package enum EndpointSource: Sendable, Hashable {
    /// Objects of a Kubernetes Service.
    case service(ServiceLookup)
    /// A ServiceEntry's own endpoints and the pods that it selects.
    case workloads(WorkloadLookup)
    /// All addresses of all names.
    case dns([PlannedName])
    /// All addresses of the host that a request or a connection names.
    case requested(RequestedNames)
    case unavailable(Unavailable)

    /// The namespace of the pods that it may select.
    package var namespace: String? {
        switch self {
        case .service(let lookup): lookup.service.namespace
        case .workloads(let lookup): lookup.namespace
        case .dns, .requested, .unavailable: nil
        }
    }

    /// The labels of the subset, all of which must be on an endpoint; nil for sources without endpoints to choose from.
    var labels: [String: String]? {
        switch self {
        case .service(let lookup): lookup.labels
        case .workloads(let lookup): lookup.labels
        case .dns, .requested, .unavailable: nil
        }
    }

    /// What is looked up by DNS when no object says anything of the endpoints; nil for a subset, which a name
    /// cannot tell apart.
    var fallback: PlannedName? {
        guard case .service(let lookup) = self, lookup.labels.isEmpty else { return nil }
        return lookup.fallback
    }
}

/// What the endpoints of a Service's port are found by.
package struct ServiceLookup: Sendable, Hashable {
    /// By which EndpointSlices and Endpoints are found: they name their Service, not its ports.
    package let service: ServiceName
    /// As destinations give it; pods may serve it on another one, which is `target`.
    package let port: Int
    /// The name of the Service's port; empty if it has none.
    package let portName: String
    /// The port of the pods.
    package let target: TargetPort
    /// The pods, where neither EndpointSlices nor Endpoints are known; empty selects none.
    package let selector: [String: String]
    /// `spec.publishNotReadyAddresses`: whether endpoints that are not ready are used.
    package let publishesNotReady: Bool
    /// Which of its two addresses a pod is reached by, where EndpointSlices of both families name it.
    package let prefersIPv6: Bool
    /// A subset's; all must be on the endpoint.
    package let labels: [String: String]
    /// What is looked up by DNS when nothing is known of the Service's endpoints.
    package let fallback: PlannedName
}

/// What the endpoints of a ServiceEntry's port with resolution STATIC are found by.
package struct WorkloadLookup: Sendable, Hashable {
    package let host: String
    /// The port of the ServiceEntry, not the endpoints'.
    package let servicePort: Int
    /// The entry's own, or the WorkloadEntries that it selects.
    package let endpoints: [LabeledEndpoint]
    /// Selects pods as well; nil selects none.
    package let selector: [String: String]?
    /// The namespace of the ServiceEntry.
    package let namespace: String
    /// The port of selected pods.
    package let port: Int
    /// A subset's; all must be on the endpoint.
    package let labels: [String: String]
}

/// An endpoint before subsets are taken.
package struct LabeledEndpoint: Sendable, Hashable {
    /// Where it listens.
    package let address: EndpointAddress
    /// At least 1.
    package let weight: Int
    /// nil: the pod behind it is not known.
    package let labels: [String: String]?
    /// Where it is; nil: that is not known, or was not asked.
    @Rare package var locality: Locality? = nil

    /// Its labels, and those of its place; nil if nothing is known.
    var allLabels: [String: String]? {
        guard let locality else { return labels }
        return (labels ?? [:]).merging(locality.labels) { $1 }
    }
}

/// An endpoint that a plan has itself, because an object of the configuration lists it.
package struct PlannedEndpoint: Sendable, Hashable {
    /// Where requests are sent, without a look-up.
    package let address: EndpointAddress
    /// One of the other family, by which it is reached as well; nil: there is none.
    package let other: EndpointAddress?
    /// At least 1.
    package let weight: Int
    /// What its cluster's `LocalityPolicy` says of it; 0 without one.
    package let rank: Int

    /// Makes an endpoint with a weight of at least 1.
    package init(address: EndpointAddress, other: EndpointAddress? = nil, weight: Int, rank: Int = 0) {
        self.address = address
        self.other = other
        self.weight = weight
        self.rank = rank
    }

    /// The other address of each endpoint that has one.
    package static func others(_ endpoints: [PlannedEndpoint]) -> [EndpointAddress: EndpointAddress] {
        var others: [EndpointAddress: EndpointAddress] = [:]
        for endpoint in endpoints where endpoint.other != nil { others[endpoint.address] = endpoint.other }
        return others
    }
}

/// A name to resolve.
package struct PlannedName: Sendable, Hashable {
    package let host: String
    /// The port of its addresses.
    package let port: UInt16
    /// The weight of each address, at least 1.
    package let weight: Int
    /// What the cluster's `LocalityPolicy` says of it; 0 without one.
    package var rank = 0
    /// Of an entry of a ServiceEntry that has any.
    @Rare var traits: EndpointTraits? = nil
}

/// What an endpoint is preferred by.
struct EndpointTraits: Sendable, Hashable {
    let labels: [String: String]
    let locality: Locality?
}
