internal import Manifests

/// What a reload keeps: objects that were good and are broken now, and whatever came from files that
/// cannot be read now.
///
/// One thread at a time.
struct LastGood {
    /// What the last merge returned.
    private var last = Inventory()
    private var impaired: Set<ObjectReference> = []
    /// Objects of the last merge that are older versions.
    private(set) var kept: [ObjectReference] = []

    /// The inventory to serve after a load.
    mutating func merge(_ set: ManifestSet) -> Inventory {
        kept = []
        guard !set.isWhole else {
            last = set.inventory
            impaired = []
            return set.inventory
        }
        var merged = set.inventory
        merge(\.gateways, \.meta, set, last, into: &merged)
        merge(\.virtualServices, \.meta, set, last, into: &merged)
        merge(\.destinationRules, \.meta, set, last, into: &merged)
        merge(\.serviceEntries, \.meta, set, last, into: &merged)
        merge(\.workloadEntries, \.meta, set, last, into: &merged)
        merge(\.services, \.meta, set, last, into: &merged)
        merge(\.endpointSlices, \.meta, set, last, into: &merged)
        merge(\.endpoints, \.meta, set, last, into: &merged)
        merge(\.pods, \.meta, set, last, into: &merged)
        merge(\.secrets, \.meta, set, last, into: &merged)
        mergeAccessPolicies(set, last, into: &merged)
        let again = Set(kept)
        merged.leftOut.removeAll { again.contains($0.identity) }
        last = merged
        impaired = set.impaired.subtracting(kept)
        return merged
    }

    /// These are not decoded, so they break with their files alone.
    private mutating func mergeAccessPolicies(
        _ set: ManifestSet, _ last: Inventory, into merged: inout Inventory
    ) {
        let known = Set(merged.accessPolicies.map(\.identity))
        for old in last.accessPolicies
        where !known.contains(old.identity) && Self.isBroken(old.place.file, set.brokenFiles) {
            merged.accessPolicies.append(old)
            kept.append(old.identity)
        }
    }

    private static func places<Kind>(
        _ objects: [Kind], _ meta: KeyPath<Kind, ObjectMeta>
    ) -> [ObjectReference: Int] {
        var places: [ObjectReference: Int] = [:]
        places.reserveCapacity(objects.count)
        for (index, object) in objects.enumerated() { places[object[keyPath: meta].identity] = index }
        return places
    }

    private mutating func merge<Kind>(
        _ kind: WritableKeyPath<Inventory, [Kind]>, _ meta: KeyPath<Kind, ObjectMeta>, _ set: ManifestSet,
        _ last: Inventory, into merged: inout Inventory
    ) {
        guard !last[keyPath: kind].isEmpty else { return }
        let places = Self.places(merged[keyPath: kind], meta)
        for old in last[keyPath: kind] {
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

    /// The file itself, or a folder above it, could not be read. By the file's own path, since there may be
    /// thousands of broken files.
    private static func isBroken(_ file: String, _ broken: Set<String>) -> Bool {
        guard !broken.isEmpty else { return false }
        if broken.contains(file) { return true }
        return file.indices.contains { index in
            file[index] == "/" && (broken.contains(String(file[..<index])) || broken.contains(String(file[...index])))
        }
    }
}
