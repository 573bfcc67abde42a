internal import Manifests
internal import Routing

/// The objects of the files, and what is wrong with them, over loads.
struct FileObjects {
    private(set) var store = ObjectStore()
    /// The last reading of the files, without its objects.
    private(set) var last = ManifestSet()
    /// What has changed since the last load that was not given up.
    private(set) var changes = ObjectChanges()

    /// Takes what a load has read.
    mutating func apply(_ set: ManifestSet) {
        changes = store.apply(set.delivery)
        last = set
        last.inventory = Inventory()
    }

    /// The load is in effect.
    mutating func settle() { changes = ObjectChanges() }

    /// EndpointSlices and Pods.
    var endpointObjects: Set<ObjectReference> {
        Set(store.inventory.endpointSlices.map(\.identity)).union(store.inventory.pods.map(\.identity))
    }
}

/// The objects of a cluster, and what is wrong with them, over loads.
struct ClusterObjects {
    private(set) var store = ObjectStore()
    /// What has changed since the last load that was not given up.
    private(set) var changes = ObjectChanges()
    private(set) var impaired: Set<ObjectReference> = []
    private(set) var rejected: Set<ObjectReference> = []
    /// The EndpointSlices and Pods among the changes.
    private(set) var endpoints = EndpointChanges()
    private var problems: [ObjectReference: [Diagnostic]] = [:]
    private var states: [Diagnostic] = []
    /// See `ClusterInbox`.
    private(set) var generations: [ObjectReference: Int] = [:]

    /// Takes what the source has gathered.
    mutating func take(_ taken: ClusterDelivery) {
        states = taken.states
        generations = taken.generations
        guard !taken.touched.isEmpty else { return }
        for identity in taken.touched {
            if !problems.isEmpty { problems[identity] = nil }
            if !impaired.isEmpty { impaired.remove(identity) }
            if !rejected.isEmpty { rejected.remove(identity) }
        }
        problems.merge(taken.problems) { $1 }
        impaired.formUnion(taken.impaired)
        rejected.formUnion(taken.rejected)
        changes.append(store.apply(taken.delivery))
        endpoints.merge(store.endpointChanges(of: taken.touched))
    }

    /// The load is in effect.
    mutating func settle() {
        changes = ObjectChanges()
        endpoints = EndpointChanges()
    }

    var isWhole: Bool { impaired.isEmpty && rejected.isEmpty && store.kept.isEmpty }

    /// The problems of all objects, in the order of their names.
    var diagnostics: [Diagnostic] {
        states + problems.sorted { $0.key.description < $1.key.description }.flatMap(\.value)
    }
}

/// The objects of files and of a cluster as one inventory. If both have the same object, the file's counts: a file is
/// named on the command line of this gateway, the cluster is everybody's. It is a finding.
struct JoinedObjects {
    private(set) var inventory: Inventory
    private(set) var changes: ObjectChanges
    private(set) var problems: ManifestSet
    let kept: [ObjectReference]
    let isWhole: Bool

    init(_ files: FileObjects, _ cluster: ClusterObjects) {
        inventory = files.store.inventory
        changes = files.changes
        changes.append(cluster.changes)
        problems = files.last
        problems.diagnostics += cluster.diagnostics
        problems.rejected.formUnion(cluster.rejected)
        kept = files.store.kept + cluster.store.kept
        isWhole = files.last.isWhole && files.store.kept.isEmpty && cluster.isWhole
        for list in Inventory.lists { join(list, cluster.store.inventory) }
        inventory.leftOut += cluster.store.inventory.leftOut
    }

    private mutating func join(_ list: some ObjectList, _ cluster: Inventory) {
        let added = cluster[keyPath: list.path]
        guard !inventory[keyPath: list.path].isEmpty else {
            inventory[keyPath: list.path] = added
            return
        }
        guard !added.isEmpty else { return }
        var places: [ObjectReference: SourcePlace] = [:]
        for object in inventory[keyPath: list.path] { places[object.identity] = object.place }
        for object in added {
            guard let place = places[object.identity] else {
                inventory[keyPath: list.path].append(object)
                continue
            }
            problems.diagnostics.append(
                Diagnostic(
                    .warning, "defined-twice", "\(object.identity) is in a file and in the cluster: the file's counts",
                    hint: "remove one of the two", at: place, object: object.identity,
                    related: [.init(place: object.place, message: "the cluster's, which has no effect")]))
        }
    }
}

extension ObjectChanges {
    /// Adds changes that came after these. An object that both name stands in it twice.
    mutating func append(_ later: ObjectChanges) {
        added += later.added
        changed += later.changed
        moved += later.moved
        removed += later.removed
    }

    /// Whether the objects are the same, and stand where they stood.
    var keepsPlaces: Bool { added.isEmpty && moved.isEmpty && removed.isEmpty }

    /// Whether an object of that kind has come, gone, changed or moved.
    func hasKind(_ kind: String) -> Bool { hasKind(of: [kind]) }

    /// Whether an object of one of these kinds is among them.
    func hasKind(of kinds: Set<String>) -> Bool {
        [added, changed, moved, removed].joined().contains { kinds.contains($0.kind) }
    }
}

extension EndpointChanges {
    /// Leaves out what others define.
    mutating func leaveOut(_ objects: Set<ObjectReference>) {
        for object in objects {
            let name = ServiceName(namespace: object.namespace, name: object.name)
            if object.kind == "EndpointSlice" { slices[name] = nil } else { pods[name] = nil }
        }
    }
}
