package import Octets

/// A Kubernetes Service. Source: Kubernetes `Service`.
package struct Service: Sendable {
    package let meta: ObjectMeta
    package var type: Kind = .clusterIP
    package var ports: [Port] = []
    /// nil if it has no selector; its endpoints are then written by hand.
    package var selector: [String: String]?
    /// `None` is headless; nil if it is not written.
    package var clusterIP: String?
    package var externalName: Located<String>?
    package var publishNotReadyAddresses = false
    /// The family of the first of `ipFamilies`; nil if it is not written.
    package var primaryFamily: Family?

    /// The values of `spec.ipFamilies`.
    package enum Family: String, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
    }

    /// The values of `spec.type`.
    package enum Kind: String, Sendable, CaseIterable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
    }

    /// An entry of `spec.ports`.
    package struct Port: Sendable {
        package let place: SourcePlace
        package let path: String
        /// Empty if the only port has no name.
        package var name: String
        package var number: Int
        package var transport: TransportProtocol = .tcp
        package var appProtocol: String?
        /// The same as `port` if it is not written.
        package var targetPort: TargetPort
    }
}

/// A port of a Pod, by number or by the name that a container gives it.
package enum TargetPort: Sendable, Hashable {
    case number(Int)
    case name(String)
}

/// The values of `protocol` of a port.
package enum TransportProtocol: String, Sendable, CaseIterable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"
}

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

/// What a gateway needs of a Pod. Source: Kubernetes `Pod`.
package struct Pod: Sendable {
    package internal(set) var meta: ObjectMeta
    package var phase: String?
    /// The Node that it runs on; nil before it has one.
    package var nodeName: String?
    /// Empty before the Pod has an address. The first one is its main address.
    package var addresses: [String] = []
    /// Whether the condition `Ready` is `True`.
    package var isReady = false
    /// Whether `metadata.deletionTimestamp` is set.
    package var isTerminating = false
    package var ports: [Port] = []

    /// A port that a container names.
    package struct Port: Sendable {
        package var name: String
        package var number: Int
        package var transport: TransportProtocol = .tcp
    }
}

/// A Secret, decoded. Source: Kubernetes `Secret`.
package struct Secret: Sendable {
    package let meta: ObjectMeta
    package var type: String?
    /// The values, decoded from Base64. Their octets are gone once `forget()` was called.
    package var data: [String: Located<SecretOctets>] = [:]
    /// Keys whose values could not be read, and which are missing in `data`.
    package var damaged: Set<String> = []

    /// Overwrites the values in memory. They keep their lengths, and their digests if these were made before.
    package func forget() { for value in data.values { value.value.forget() } }
}
