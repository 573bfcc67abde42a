internal import Kubernetes
internal import Manifests
internal import Routing

/// What an API server has said and the loader has not taken yet: the newest version of each object, decoded. Also what
/// is known of each kind: which objects there are, in which version, and how current that is.
///
/// An object of which only what the server manages has changed is no change. A complete list replaces the objects of
/// its kind. Its memory is bounded by the objects that the server has, not by the number of changes.
struct ClusterInbox {
    /// One thing that the client said, with its objects decoded.
    enum Arrival {
        case page(ResourceKind, namespace: String?, [ClusterObject], isFirst: Bool, isLast: Bool)
        case changed(ResourceKind, ClusterObject)
        case removed(ResourceKind, ServiceName)
        case state(ResourceKind, namespace: String?, ResourceState)
        case secret(SecretName, ResourceState)
    }

    /// What is known of one kind.
    struct Kind {
        /// The objects that exist, by namespace and name, with their versions.
        var known: [ServiceName: UInt64] = [:]
        /// The objects that a list has so far, by the namespace that is listed; "" is all.
        var listing: [String: Set<ServiceName>] = [:]
        /// The lists among these that have an object without a name: it may be any of those that are known.
        var nameless: Set<String> = []
        var states: [String: ResourceState] = [:]
    }

    private enum Change {
        case object(ManifestSet)
        case gone
    }

    private(set) var kinds: [String: Kind] = [:]
    private(set) var secrets: [SecretName: ResourceState] = [:]
    /// `metadata.generation` of the objects whose status is written; none if no status is.
    private(set) var generations: [ObjectReference: Int] = [:]
    /// The changes of each kind, in the order in which they came first.
    private var changes: [String: (order: [ObjectReference], newest: [ObjectReference: Change])] = [:]
    private var endpoints = EndpointChanges()
    /// Whether there is something that the main thread brings into effect without a load.
    private(set) var hasEndpoints = false
    /// Whether there is something that only a load brings into effect.
    private(set) var needsLoad = false
    /// How many events have come from the server.
    private(set) var events: UInt64 = 0
    /// Objects without a name, and octets that are not JSON: the last few.
    private var unreadable: [(kind: String, problem: Diagnostic)] = []
    private static let mostUnreadable = 20
    /// Objects whose newest version has a problem, which a load has reported or is about to.
    private var faulty: Set<ObjectReference> = []
    /// Objects of one kind that are known at a time. A list of the client has no more.
    static let mostOfKind = 300_000
    private let mostOfKind: Int
    /// By kind: objects for which there was no room.
    private var refused: [String: RefusedObjects] = [:]
    /// EndpointSlices and Pods that files define, so that those of the server do not count.
    var hidden: Set<ObjectReference> = []

    init(mostOfKind: Int = Self.mostOfKind) { self.mostOfKind = mostOfKind }

    // MARK: taking in

    /// Takes what the client said.
    mutating func apply(_ arrival: Arrival) {
        switch arrival {
        case .page(let kind, let namespace, let objects, let isFirst, let isLast):
            let scope = namespace ?? ""
            if isFirst { listBegan(kind.kind, scope) }
            for object in objects {
                if object.identity == nil { kinds[kind.kind]?.nameless.insert(scope) }
                if let name = put(kind, object) { kinds[kind.kind]?.listing[scope]?.insert(name) }
            }
            if isLast { listEnded(kind.kind, scope) }
        case .changed(let kind, let object):
            if let name = put(kind, object) { noteInLists(kind.kind, name) }
        case .removed(let kind, let name): remove(kind.kind, name)
        case .state(let kind, let namespace, let state):
            let scope = namespace ?? ""
            let old = kinds[kind.kind]?.states.updateValue(state, forKey: scope)
            if kinds[kind.kind] == nil { kinds[kind.kind] = Kind(states: [scope: state]) }
            if old.map({ Self.isReported($0) }) ?? false || Self.isReported(state) { needsLoad = true }
        case .secret(let name, let state):
            let old = secrets.updateValue(state, forKey: name)
            if old != state, old != nil || state != .current { needsLoad = true }
            if state == .absent { remove("Secret", ServiceName(namespace: name.namespace, name: name.name)) }
        }
    }

    /// Notes which generation an object that was taken in has. A load reports it, also if nothing else has changed.
    mutating func note(generation: Int, of identity: ObjectReference) {
        let name = ServiceName(namespace: identity.namespace, name: identity.name)
        guard kinds[identity.kind]?.known[name] != nil else { return }
        if generations.updateValue(generation, forKey: identity) != generation { needsLoad = true }
    }

    /// Whether a state is a diagnostic of the load.
    private static func isReported(_ state: ResourceState) -> Bool {
        switch state {
        case .absent, .refused: true
        case .current, .unreachable: false
        }
    }

    /// - Returns: the object's name; nil if it has none.
    private mutating func put(_ resource: ResourceKind, _ object: ClusterObject) -> ServiceName? {
        events += 1
        let kind = resource.kind
        guard let identity = object.identity else {
            if unreadable.count >= Self.mostUnreadable { unreadable.removeFirst() }
            unreadable += object.set.diagnostics.map { (kind, $0) }
            needsLoad = true
            return nil
        }
        let name = ServiceName(namespace: identity.namespace, name: identity.name)
        guard hasRoom(resource, name) else { return nil }
        let old = kinds[kind, default: Kind()].known.updateValue(object.version, forKey: name)
        guard old != object.version else { return name }
        note(identity, .object(withUndelivered(object.set, identity)))
        // The store decides which version of a faulty object counts.
        let isWhole = object.set.rejected.isEmpty && (object.set.impaired.isEmpty || old == nil)
        // What was said of a problem has to go when the problem does.
        if object.set.rejected.isEmpty, object.set.impaired.isEmpty {
            if faulty.remove(identity) != nil { needsLoad = true }
        } else {
            faulty.insert(identity)
        }
        switch kind {
        case "EndpointSlice" where isWhole: noteSlice(identity, name, object.set.inventory.endpointSlices.first)
        case "Pod" where isWhole: notePod(identity, name, object.set.inventory.pods.first)
        // Of a faulty one the load reports the problem.
        default: needsLoad = true
        }
        return name
    }

    /// A faulty version behind a good one that no load has taken yet: both are delivered, so that the good one is the
    /// one that stays in effect. EndpointSlices and Pods may wait for hours, because their changes need no load.
    private func withUndelivered(_ set: ManifestSet, _ identity: ObjectReference) -> ManifestSet {
        guard set.rejected.contains(identity), case .object(let before) = changes[identity.kind]?.newest[identity],
            before.impaired.isEmpty,
            // With a rejected one it is the good one before that.
            before.rejected.isEmpty || !before.inventory.endpointSlices.isEmpty || !before.inventory.pods.isEmpty
        else { return set }
        var both = set
        both.inventory = before.inventory
        return both
    }

    /// Whether there may be one more object of a kind, if it is one more.
    private mutating func hasRoom(_ kind: ResourceKind, _ name: ServiceName) -> Bool {
        guard let known = kinds[kind.kind]?.known, known.count >= mostOfKind, known[name] == nil else {
            changeRefused(kind.kind) { $0.remove(name) }
            return true
        }
        if refused[kind.kind, default: RefusedObjects(kind, most: mostOfKind)].insert(name) { needsLoad = true }
        return false
    }

    /// Changes what is known of refused objects, if there are any. The last one takes its report along.
    private mutating func changeRefused(_ kind: String, _ change: (inout RefusedObjects) -> Void) {
        guard !refused.isEmpty, var objects = refused.removeValue(forKey: kind) else { return }
        change(&objects)
        if objects.isEmpty { needsLoad = true } else { refused[kind] = objects }
    }

    /// Kinds whose refused objects would have room now, so that they are worth another list.
    var kindsToList: [ResourceKind] {
        refused.values.filter { $0.haveRoom(beside: kinds[$0.kind.kind]?.known.count ?? 0) }.map(\.kind)
    }

    private mutating func remove(_ kind: String, _ name: ServiceName) {
        events += 1
        changeRefused(kind) { $0.remove(name) }
        for scope in kinds[kind, default: Kind()].listing.keys { kinds[kind]?.listing[scope]?.remove(name) }
        guard kinds[kind]?.known.removeValue(forKey: name) != nil else { return }
        let identity = ObjectReference(kind: kind, namespace: name.namespace, name: name.name)
        generations[identity] = nil
        if faulty.remove(identity) != nil { needsLoad = true }
        note(identity, .gone)
        switch kind {
        case "EndpointSlice": noteSlice(identity, name, nil)
        case "Pod": notePod(identity, name, nil)
        default: needsLoad = true
        }
    }

    /// A change between two pages of a list is part of the list.
    private mutating func noteInLists(_ kind: String, _ name: ServiceName) {
        for scope in kinds[kind]?.listing.keys.filter({ $0.isEmpty || $0 == name.namespace }) ?? [] {
            kinds[kind]?.listing[scope]?.insert(name)
        }
    }

    private mutating func listBegan(_ kind: String, _ scope: String) {
        kinds[kind, default: Kind()].listing[scope] = []
        kinds[kind]?.nameless.remove(scope)
        changeRefused(kind) { $0.listBegan(scope) }
    }

    private mutating func listEnded(_ kind: String, _ scope: String) {
        guard let listed = kinds[kind]?.listing.removeValue(forKey: scope) else { return }
        // An object that the server cannot name any more is not gone, and which one it is nobody knows.
        if kinds[kind]?.nameless.contains(scope) ?? false { return }
        if kinds[kind]?.nameless.isEmpty ?? false, unreadable.contains(where: { $0.kind == kind }) {
            unreadable.removeAll { $0.kind == kind }
            needsLoad = true
        }
        let gone = kinds[kind]?.known.keys.filter {
            !listed.contains($0) && (scope.isEmpty || $0.namespace == scope)
        }
        for name in gone ?? [] { remove(kind, name) }
    }

    private mutating func note(_ identity: ObjectReference, _ change: Change) {
        if changes[identity.kind] == nil { changes[identity.kind] = ([], [:]) }
        if changes[identity.kind]?.newest.updateValue(change, forKey: identity) == nil {
            changes[identity.kind]?.order.append(identity)
        }
    }

    private mutating func noteSlice(_ identity: ObjectReference, _ name: ServiceName, _ slice: EndpointSlice?) {
        guard !hidden.contains(identity) else { return }
        endpoints.slices[name] = .some(slice)
        hasEndpoints = true
    }

    private mutating func notePod(_ identity: ObjectReference, _ name: ServiceName, _ pod: Pod?) {
        guard !hidden.contains(identity) else { return }
        endpoints.pods[name] = .some(pod)
        hasEndpoints = true
    }

    /// Forgets all Secrets but these.
    mutating func keepSecrets(_ names: Set<SecretName>) {
        secrets = secrets.filter { names.contains($0.key) }
        for name in kinds["Secret"]?.known.keys.map({ $0 }) ?? []
        where !names.contains(SecretName(namespace: name.namespace, name: name.name)) {
            remove("Secret", name)
        }
    }

    // MARK: taking out

    /// Takes the changes that need no load.
    mutating func takeEndpoints() -> EndpointChanges {
        defer {
            endpoints = EndpointChanges()
            hasEndpoints = false
        }
        return endpoints
    }

    private func tooMany(of kind: String) -> Diagnostic {
        Diagnostic(
            .error, "too-many-objects",
            "the server has more than \(mostOfKind) objects of kind \(kind): further ones are not used",
            hint: "watch fewer namespaces with --watch-namespace",
            at: SourcePlace(file: "kubernetes:\(kind)", line: 0, column: 0))
    }

    /// Takes all changes, for a load.
    mutating func take() -> ClusterDelivery {
        let whole = unreadable.map(\.problem) + refused.keys.sorted().map(tooMany)
        var taken = ClusterDelivery(states: whole + stateDiagnostics)
        taken.generations = generations
        for kind in changes.keys.sorted() {
            guard let (order, newest) = changes[kind] else { continue }
            var sets: [ManifestSet] = []
            sets.reserveCapacity(order.count)
            for identity in order {
                taken.touched.append(identity)
                switch newest[identity] {
                case .object(let set): sets.append(set)
                case .gone: taken.gone.append(identity)
                case nil: continue
                }
            }
            taken.add(sets, kind: kind)
        }
        changes = [:]
        needsLoad = false
        return taken
    }
}
