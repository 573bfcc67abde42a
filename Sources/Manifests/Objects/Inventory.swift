/// All valid objects of a load, in the order of the files. No two have the same identity.
package struct Inventory: Sendable {
    package var gateways: [Gateway] = []
    package var virtualServices: [VirtualService] = []
    package var destinationRules: [DestinationRule] = []
    package var serviceEntries: [ServiceEntry] = []
    package var workloadEntries: [WorkloadEntry] = []
    package var services: [Service] = []
    package var endpointSlices: [EndpointSlice] = []
    package var endpoints: [Endpoints] = []
    package var pods: [Pod] = []
    package var nodes: [ClusterNode] = []
    package var secrets: [Secret] = []
    package var accessPolicies: [AccessPolicy] = []
    /// Objects that are in none of these lists because of an error.
    package var leftOut: [LeftOut] = []

    package init() {}

    private func metas(_ list: some ObjectList) -> [ObjectMeta] {
        self[keyPath: list.path].compactMap { ($0 as? any ManifestObject)?.meta }
    }

    /// The metadata of all objects, kind by kind.
    package var all: [ObjectMeta] {
        Self.lists.flatMap { metas($0) }
    }
}
