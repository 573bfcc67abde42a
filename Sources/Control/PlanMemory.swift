internal import Manifests
internal import Routing

/// The plan of the last load. It is the plan of the next load, too, if that changes no objects other than
/// EndpointSlices, Endpoints and Pods, because a plan has nothing of these. For one thread at a time.
struct PlanMemory {
    private var plan: RoutingPlan?
    /// Namespaces of pods that are this gateway; the plan's messages name them.
    private var gateways: Set<String> = []

    /// The plan of a load; made anew only if more than endpoints may have changed.
    /// - Parameters:
    ///   - inventory: the objects in effect.
    ///   - changes: how they differ from the objects of the last load.
    ///   - isWhole: whether nothing is broken and nothing is kept.
    ///   - labels: the labels of this gateway.
    ///   - make: makes a plan of the inventory.
    mutating func plan(
        of inventory: Inventory, _ changes: ObjectChanges, isWhole: Bool, labels: [String: String],
        make: () -> RoutingPlan
    ) -> RoutingPlan {
        guard isWhole else {
            self = PlanMemory()
            return make()
        }
        let own = Set(
            inventory.pods.lazy.filter { pod in labels.allSatisfy { pod.meta.labels[$0] == $1 } }
                .map(\.meta.namespace))
        if let plan, Self.isOfEndpoints(changes), own == gateways { return plan }
        let made = make()
        (plan, gateways) = (made, own)
        return made
    }

    /// Whether only objects changed from which the table of endpoints is made. Objects that moved in their files count
    /// as changed, because messages of a plan have their lines.
    private static func isOfEndpoints(_ changes: ObjectChanges) -> Bool {
        let kinds = EndpointSlice.kinds + Endpoints.kinds + Pod.kinds
        return [changes.added, changes.changed, changes.moved, changes.removed].joined()
            .allSatisfy { kinds.contains($0.kind) }
    }
}
