internal import Manifests

/// Where the Nodes of a cluster are, by their names.
struct NodePlaces: Sendable, Equatable {
    private var places: [String: Locality] = [:]

    init() {}

    init(_ nodes: [ClusterNode]) {
        for node in nodes { places[node.meta.name.detached] = node.locality?.detached }
    }

    /// Where a Node is; nil if that is not known.
    subscript(_ name: String) -> Locality? { name.isEmpty ? nil : places[name] }
}
