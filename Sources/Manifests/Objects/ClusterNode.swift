/// What a gateway needs of a Node: where it is, and so where the pods on it are. Source: Kubernetes `Node`.
package struct ClusterNode: Sendable {
    package let meta: ObjectMeta

    /// Where it is, by its labels; nil if they do not say it.
    package var locality: Locality? { Locality(labels: meta.labels) }
}

extension ClusterNode: ManifestObject {
    package static var kinds: [String] { ["Node"] }
}

extension ClusterNode {
    init(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        // A cluster writes the rest and not a person: it is not read, not even for unknown names.
        envelope.ignore("spec")
        envelope.finish(unknown: .harmless)
    }
}

extension Inventory {
    /// Where a node is; nil if that is not known.
    package func locality(ofNode name: String) -> Locality? {
        nodes.last { $0.meta.name == name }?.locality
    }
}
