/// An EndpointSlice (discovery.k8s.io). Source: Kubernetes `EndpointSlice`.
package struct EndpointSlice: Sendable {
    package let meta: ObjectMeta
    package var addressType: AddressType
    package var ports: [Port] = []
    package var endpoints: [Endpoint] = []

    /// The Service to which it belongs, in its own namespace. A slice without one is not used.
    package var serviceName: String? { meta.labels["kubernetes.io/service-name"] }

    /// The values of `addressType`.
    package enum AddressType: String, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
        case fqdn = "FQDN"
    }

    /// An entry of `ports`.
    package struct Port: Sendable {
        package let place: SourcePlace
        /// The name that joins it to a port of the Service; empty if it is not written.
        package var name: String
        /// nil means all ports.
        package var number: Int?
        package var transport: TransportProtocol = .tcp
        package var appProtocol: String?
    }

    /// An entry of `endpoints`.
    package struct Endpoint: Sendable {
        package let place: SourcePlace
        package let path: String
        package var addresses: [String] = []
        /// True also if it is absent.
        package var isReady = true
        package var nodeName: String?
        package var zone: String?
        package var target: ObjectReference?
    }
}

/// An Endpoints object, the older form of EndpointSlice. It is read for a Service that has no slice.
/// Source: Kubernetes `Endpoints`.
package struct Endpoints: Sendable {
    package let meta: ObjectMeta
    package var subsets: [Subset] = []

    /// An entry of `subsets`.
    package struct Subset: Sendable {
        package let place: SourcePlace
        package let path: String
        package var addresses: [Address] = []
        package var ports: [EndpointSlice.Port] = []
    }

    /// An entry of `addresses`.
    package struct Address: Sendable {
        package let place: SourcePlace
        package var ip: String
        package var target: ObjectReference?
    }
}
