internal import Kubernetes
internal import Manifests

/// What a load takes of an API server: the newest versions of the objects that have changed.
struct ClusterDelivery {
    /// Valid objects, and in `leftOut` what is known of objects with an error.
    var objects = Inventory()
    var impaired: Set<ObjectReference> = []
    var rejected: Set<ObjectReference> = []
    var gone: [ObjectReference] = []
    /// All objects that have changed or are gone.
    var touched: [ObjectReference] = []
    var problems: [ObjectReference: [Diagnostic]] = [:]
    /// See `ClusterInbox`.
    var generations: [ObjectReference: Int] = [:]
    /// What is wrong with the kinds as a whole, such as permissions that lack.
    var states: [Diagnostic]

    init(states: [Diagnostic]) { self.states = states }

    /// For the store of objects.
    var delivery: ObjectDelivery {
        ObjectDelivery(objects: objects, impaired: impaired, rejected: rejected, scope: .some(gone: gone))
    }

    /// Adds what was decoded of one kind: valid objects, those left out, and what is wrong with each.
    mutating func add(_ sets: [ManifestSet], kind: String) {
        for list in Inventory.lists where list.holds(ObjectReference(kind: kind, namespace: "", name: "")) {
            objects.add(list, sets)
        }
        for set in sets {
            objects.leftOut += set.inventory.leftOut
            impaired.formUnion(set.impaired)
            rejected.formUnion(set.rejected)
            for problem in set.diagnostics {
                if let object = problem.object { problems[object, default: []].append(problem) }
            }
        }
    }
}

extension Inventory {
    fileprivate mutating func add(_ list: some ObjectList, _ sets: [ManifestSet]) {
        self[keyPath: list.path] += sets.flatMap { $0.inventory[keyPath: list.path] }
    }
}

extension ClusterInbox {
    /// What is wrong with the kinds as a whole, for `check`, the log and the admin pages.
    var stateDiagnostics: [Diagnostic] {
        var found: [Diagnostic] = []
        for (kind, entry) in kinds.sorted(by: { $0.key < $1.key }) {
            for (scope, state) in entry.states.sorted(by: { $0.key < $1.key }) {
                let place = SourcePlace(
                    file: "kubernetes:\(scope.isEmpty ? "" : scope + "/")\(kind)", line: 0, column: 0)
                switch state {
                case .refused(let permission):
                    found.append(
                        Diagnostic(
                            .error, "kubernetes-permission",
                            "objects of kind \(kind) cannot be read: \(permission) lacks",
                            hint: "grant it by a Role", at: place))
                case .absent:
                    found.append(
                        Diagnostic(.note, "kubernetes-absent", "the server has no objects of kind \(kind)", at: place))
                case .current, .unreachable: continue
                }
            }
        }
        return found + secretDiagnostics
    }

    private var secretDiagnostics: [Diagnostic] {
        secrets.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }.compactMap { name, state in
            guard case .refused(let permission) = state else { return nil }
            let identity = ObjectReference(kind: "Secret", namespace: name.namespace, name: name.name)
            // A list of authorities beside a Secret of certificates may be missing.
            let isOptional = name.name.hasSuffix(SecretNames.authoritiesSuffix)
            return Diagnostic(
                isOptional ? .warning : .error, "kubernetes-permission",
                "this Secret cannot be read: \(permission) lacks; server names that need it have no certificate",
                hint: "grant it by a Role with resourceNames: [\(name.name)]",
                at: SourcePlace(file: "kubernetes:\(name.namespace)/Secret/\(name.name)", line: 0, column: 0),
                object: identity)
        }
    }
}
