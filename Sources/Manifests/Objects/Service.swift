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
