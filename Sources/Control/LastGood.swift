internal import Manifests

/// What a reload keeps: objects that were good and are broken now, and whatever came from files that
/// cannot be read now. The control plane's thread only.
struct LastGood {
    private var inventory = Inventory()
    private var impaired: Set<ObjectReference> = []
    /// Objects of the last merge that are older versions.
    private(set) var kept: [ObjectReference] = []

    /// The inventory to serve after a load.
    mutating func merge(_ set: ManifestSet) -> Inventory {
        kept = []
        var merged = set.inventory
        merge(\.gateways, \.meta, set, into: &merged)
        merge(\.virtualServices, \.meta, set, into: &merged)
        merge(\.destinationRules, \.meta, set, into: &merged)
        merge(\.serviceEntries, \.meta, set, into: &merged)
        merge(\.workloadEntries, \.meta, set, into: &merged)
        merge(\.services, \.meta, set, into: &merged)
        merge(\.endpointSlices, \.meta, set, into: &merged)
        merge(\.endpoints, \.meta, set, into: &merged)
        merge(\.pods, \.meta, set, into: &merged)
        merge(\.secrets, \.meta, set, into: &merged)
        inventory = merged
        impaired = set.impaired.subtracting(kept)
        return merged
    }

    private mutating func merge<Kind>(
        _ kind: WritableKeyPath<Inventory, [Kind]>, _ meta: KeyPath<Kind, ObjectMeta>, _ set: ManifestSet,
        into merged: inout Inventory
    ) {
        guard !inventory[keyPath: kind].isEmpty else { return }
        var places: [ObjectReference: Int] = [:]
        for (index, object) in merged[keyPath: kind].enumerated() { places[object[keyPath: meta].identity] = index }
        for old in inventory[keyPath: kind] {
            let identity = old[keyPath: meta].identity
            if let index = places[identity] {
                guard set.impaired.contains(identity), !impaired.contains(identity) else { continue }
                merged[keyPath: kind][index] = old
            } else {
                let file = old[keyPath: meta].place.file
                guard set.rejected.contains(identity) || Self.isBroken(file, set.brokenFiles) else { continue }
                merged[keyPath: kind].append(old)
            }
            kept.append(identity)
        }
    }

    /// The file itself, or a folder above it, could not be read.
    private static func isBroken(_ file: String, _ broken: Set<String>) -> Bool {
        broken.contains(file) || broken.contains { file.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }
    }
}
