internal import Manifests
internal import Routing

/// The objects in effect by identity, whatever their source: the newest valid version of each object. An object that
/// becomes invalid, or whose source cannot be read, keeps its last good version; an object that is gone is removed.
/// Sources deliver what they have (`ObjectDelivery`): files all of their objects, a watch of an API server some.
///
/// It is a value, so a load that is given up leaves no trace. Secrets of older versions have no octets any more.
struct ObjectStore {
    /// The objects in effect, and in `leftOut` the objects that were never valid.
    private(set) var inventory = Inventory()
    /// Objects of which an older version is in effect.
    private(set) var kept: [ObjectReference] = []
    /// Objects in effect that lack a part; any newer version is preferred.
    private var impaired: Set<ObjectReference> = []
    /// Where each object is in its list. It is made at the first delivery of some objects, because a delivery of all
    /// objects replaces the lists.
    private var places: [ObjectReference: Int]?

    /// Takes a delivery.
    /// - Returns: how the objects in effect differ from those before.
    mutating func apply(_ delivery: ObjectDelivery) -> ObjectChanges {
        switch delivery.scope {
        case .all(let isUnread): replace(with: delivery, isUnread)
        case .some(let gone): update(with: delivery, gone)
        }
    }
}

// MARK: - All objects of a source

extension ObjectStore {
    private mutating func replace(
        with delivery: ObjectDelivery, _ isUnread: (SourcePlace) -> Bool
    ) -> ObjectChanges {
        var changes = ObjectChanges()
        var merged = delivery.objects
        kept = []
        places = nil
        for list in Inventory.lists { merge(list, delivery, isUnread, into: &merged, &changes) }
        let older = Set(kept)
        merged.leftOut.removeAll { older.contains($0.identity) }
        impaired = delivery.impaired.subtracting(older).union(impaired.intersection(older))
        inventory = merged
        return changes
    }

    private mutating func merge<List: ObjectList>(
        _ list: List, _ delivery: ObjectDelivery, _ isUnread: (SourcePlace) -> Bool, into merged: inout Inventory,
        _ changes: inout ObjectChanges
    ) {
        let new = merged[keyPath: list.path]
        let old = inventory[keyPath: list.path]
        var isOld = Array(repeating: false, count: new.count)
        let places = old.isEmpty ? [:] : Self.places(new)
        for object in old {
            let identity = object.identity
            if let index = places[identity] {
                isOld[index] = true
                if delivery.impaired.contains(identity), !impaired.contains(identity) {
                    merged[keyPath: list.path][index] = object
                    kept.append(identity)
                } else {
                    changes.note(object, new[index])
                }
            } else if delivery.rejected.contains(identity) || isUnread(object.place) {
                merged[keyPath: list.path].append(object)
                kept.append(identity)
            } else {
                changes.removed.append(identity)
            }
        }
        for (object, isOld) in zip(new, isOld) where !isOld { changes.added.append(object.identity) }
    }

    private static func places(_ objects: [some StoredObject]) -> [ObjectReference: Int] {
        var places: [ObjectReference: Int] = [:]
        places.reserveCapacity(objects.count)
        for (index, object) in objects.enumerated() { places[object.identity] = index }
        return places
    }
}

// MARK: - Endpoints

extension ObjectStore {
    /// What the store has of these objects, as far as they are EndpointSlices and Pods.
    func endpointChanges(of touched: [ObjectReference]) -> EndpointChanges {
        var changes = EndpointChanges()
        for identity in touched {
            let name = ServiceName(namespace: identity.namespace, name: identity.name)
            let place = places?[identity]
            switch identity.kind {
            case "EndpointSlice": changes.slices[name] = .some(place.map { inventory.endpointSlices[$0] })
            case "Pod": changes.pods[name] = .some(place.map { inventory.pods[$0] })
            default: continue
            }
        }
        return changes
    }
}

// MARK: - Some objects of a source

extension ObjectStore {
    private mutating func update(with delivery: ObjectDelivery, _ gone: [ObjectReference]) -> ObjectChanges {
        var changes = ObjectChanges()
        var touched = delivery.rejected.union(gone)
        for list in Inventory.lists { touched.formUnion(list.identities(in: delivery.objects)) }
        kept.removeAll { touched.contains($0) }
        makePlaces()
        for list in Inventory.lists {
            put(list, delivery, &changes)
            for identity in gone where list.holds(identity) { remove(identity, list, &changes) }
        }
        // Objects that were never valid are left out; the others are kept.
        let rejected = delivery.rejected.filter { places?[$0] != nil }
        kept += rejected.sorted { $0.description < $1.description }
        let older = Set(kept)
        inventory.leftOut.removeAll { touched.contains($0.identity) }
        inventory.leftOut += delivery.objects.leftOut.filter { !older.contains($0.identity) }
        return changes
    }

    private mutating func put<List: ObjectList>(
        _ list: List, _ delivery: ObjectDelivery, _ changes: inout ObjectChanges
    ) {
        for object in delivery.objects[keyPath: list.path] {
            let identity = object.identity
            let isImpaired = delivery.impaired.contains(identity)
            guard let place = places?[identity] else {
                places?[identity] = inventory[keyPath: list.path].count
                inventory[keyPath: list.path].append(object)
                changes.added.append(identity)
                if isImpaired { impaired.insert(identity) }
                continue
            }
            if isImpaired, !impaired.contains(identity) {
                kept.append(identity)
                continue
            }
            if !isImpaired { impaired.remove(identity) }
            changes.note(inventory[keyPath: list.path][place], object)
            inventory[keyPath: list.path][place] = object
        }
    }

    /// Removes an object; the last one of the list takes its place.
    private mutating func remove<List: ObjectList>(
        _ identity: ObjectReference, _ list: List, _ changes: inout ObjectChanges
    ) {
        guard let place = places?[identity], let last = inventory[keyPath: list.path].popLast() else { return }
        places?[identity] = nil
        if place < inventory[keyPath: list.path].count {
            inventory[keyPath: list.path][place] = last
            places?[last.identity] = place
        }
        impaired.remove(identity)
        changes.removed.append(identity)
    }

    private mutating func makePlaces() {
        guard places == nil else { return }
        var made: [ObjectReference: Int] = [:]
        for list in Inventory.lists {
            for (place, identity) in list.identities(in: inventory).enumerated() { made[identity] = place }
        }
        places = made
    }
}
