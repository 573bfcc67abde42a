package import Octets

/// A Kubernetes Service.
package struct Service: Sendable {
    package let meta: ObjectMeta
    package var type: Kind = .clusterIP
    package var ports: [Port] = []
    /// nil: no selector, endpoints are given by hand.
    package var selector: [String: String]?
    /// `None` is headless; nil when not written.
    package var clusterIP: String?
    package var externalName: Located<String>?
    package var publishNotReadyAddresses = false

    package enum Kind: String, Sendable, CaseIterable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
    }

    package struct Port: Sendable {
        package let place: SourcePlace
        package let path: String
        /// Empty when the only port has no name.
        package var name: String
        package var number: Int
        package var transport: Transport = .tcp
        package var appProtocol: String?
        /// `port` itself when not written.
        package var targetPort: TargetPort
    }
}

/// A port of a pod: by number or by the name a container gives it.
package enum TargetPort: Sendable, Hashable {
    case number(Int)
    case name(String)
}

package enum Transport: String, Sendable, CaseIterable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"
}

/// An EndpointSlice (discovery.k8s.io).
package struct EndpointSlice: Sendable {
    package let meta: ObjectMeta
    package var addressType: AddressType
    package var ports: [Port] = []
    package var endpoints: [Endpoint] = []

    /// The Service it belongs to, in its own namespace; slices without are of no use.
    package var serviceName: String? { meta.labels["kubernetes.io/service-name"] }

    package enum AddressType: String, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
        case fqdn = "FQDN"
    }

    package struct Port: Sendable {
        package let place: SourcePlace
        /// Empty when not written; joins the Service's port names.
        package var name: String
        /// nil: all ports.
        package var number: Int?
        package var transport: Transport = .tcp
        package var appProtocol: String?
    }

    package struct Endpoint: Sendable {
        package let place: SourcePlace
        package let path: String
        package var addresses: [String] = []
        /// Absent counts as ready.
        package var isReady = true
        package var isTerminating = false
        package var hostname: String?
        package var nodeName: String?
        package var zone: String?
        package var target: ObjectReference?
    }
}

/// A Kubernetes Endpoints object: the older form of EndpointSlice, read when no slice exists.
package struct Endpoints: Sendable {
    package let meta: ObjectMeta
    package var subsets: [Subset] = []

    package struct Subset: Sendable {
        package let place: SourcePlace
        package let path: String
        package var addresses: [Address] = []
        package var notReadyAddresses: [Address] = []
        package var ports: [EndpointSlice.Port] = []
    }

    package struct Address: Sendable {
        package let place: SourcePlace
        package var ip: String
        package var hostname: String?
        package var nodeName: String?
        package var target: ObjectReference?
    }
}

/// What a gateway needs of a Pod.
package struct Pod: Sendable {
    package let meta: ObjectMeta
    package var phase: String?
    /// Empty before the pod has an address. The first is the pod's main address.
    package var addresses: [String] = []
    /// The condition `Ready` is `True`.
    package var isReady = false
    /// `metadata.deletionTimestamp` is set.
    package var isTerminating = false
    package var ports: [Port] = []

    package struct Port: Sendable {
        package var name: String
        package var number: Int
        package var transport: Transport = .tcp
    }
}

/// A Kubernetes Secret, decoded.
package struct Secret: Sendable {
    package let meta: ObjectMeta
    package var type: String?
    package var data: [String: Located<SecretOctets>] = [:]
    /// Keys whose values could not be read: they are missing in `data`.
    package var damaged: Set<String> = []

    /// Overwrites the values in memory. They keep their lengths, and their digests if these were asked for.
    package func forget() { for value in data.values { value.value.forget() } }
}
