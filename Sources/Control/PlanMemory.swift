internal import Manifests
internal import Routing

/// The plan of the last load, and the files that it was made of: all but those of EndpointSlices, Endpoints and
/// Pods alone. When they are the same again, the plan is the same, whatever has become of endpoints.
/// One thread at a time.
struct PlanMemory {
    private var plan: RoutingPlan?
    private var texts: [SourceText] = []
    private var gateways: Set<String> = []    // namespaces of pods that are this gateway, as the plan's messages tell

    /// The plan of a load; made anew only when more than endpoints may have changed.
    /// - Parameters:
    ///   - inventory: what comes of the set, with what is kept of older loads.
    ///   - isWhole: nothing is broken and nothing is kept.
    ///   - labels: this gateway's.
    mutating func plan(
        of set: ManifestSet, _ inventory: Inventory, isWhole: Bool, labels: [String: String], make: () -> RoutingPlan
    ) -> RoutingPlan {
        guard isWhole else {
            self = PlanMemory()
            return make()
        }
        let files = Self.files(of: inventory)
        let next = set.texts.filter { files.contains($0.name) }
        let own = Set(
            inventory.pods.lazy.filter { pod in labels.allSatisfy { pod.meta.labels[$0] == $1 } }
                .map(\.meta.namespace))
        if let plan, Self.areSame(texts, next), own == gateways { return plan }
        let made = make()
        (plan, texts, gateways) = (made, next, own)
        return made
    }

    /// Files with other objects than those of the table of endpoints.
    private static func files(of inventory: Inventory) -> Set<String> {
        let metas = [
            inventory.gateways.map(\.meta), inventory.virtualServices.map(\.meta),
            inventory.destinationRules.map(\.meta),
            inventory.serviceEntries.map(\.meta), inventory.workloadEntries.map(\.meta), inventory.services.map(\.meta),
            inventory.secrets.map(\.meta),
        ]
        var files = Set(metas.joined().lazy.map(\.place.file))
        files.formUnion(inventory.accessPolicies.lazy.map(\.place.file))
        files.formUnion(inventory.leftOut.lazy.map(\.place.file))
        return files
    }

    private static func areSame(_ left: [SourceText], _ right: [SourceText]) -> Bool {
        left.count == right.count && zip(left, right).allSatisfy { $0.name == $1.name && $0.octets == $1.octets }
    }
}
