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
