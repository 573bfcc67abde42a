package import Manifests

/// Which VirtualServices use the rules of a delegate. Source: docs/istio.md, Delegates.
package struct DelegateParents: Sendable, Hashable {
    /// VirtualServices whose rules name the delegate and are served with its rules, in the order of their names.
    package private(set) var serving: [ObjectReference] = []
    /// VirtualServices whose rules name the delegate without effect, because it is not exported to their namespace.
    package private(set) var refused: [ObjectReference] = []
    /// Whether any VirtualService names it, also one that is not served here.
    package private(set) var isNamed = false

    /// The parents of all delegates, also of those that rules name and that are not among the objects.
    /// - Parameter isServed: whether a VirtualService, by its place in the list, is served by this gateway.
    package static func all(
        of services: [VirtualService], isServed: (Int) -> Bool
    ) -> [ObjectReference: DelegateParents] {
        var found: [ObjectReference: DelegateParents] = [:]
        var places: [ObjectReference: Int] = [:]
        for index in services.indices where services[index].hosts.isEmpty {
            places[services[index].meta.identity] = index
            found[services[index].meta.identity] = DelegateParents()
        }
        for index in services.indices where !services[index].hosts.isEmpty {
            let (parent, isServed) = (services[index].meta.identity, isServed(index))
            for rule in services[index].http.indices {
                guard let written = services[index].http[rule].delegate else { continue }
                let identity = written.target(from: parent.namespace)
                let isExported =
                    places[identity].map {
                        Delegation.isExported(
                            services[$0].exportTo.map(\.value), from: identity.namespace, to: parent.namespace)
                    } ?? true
                found[identity, default: DelegateParents()].add(parent, isServed, isExported)
            }
        }
        return found.mapValues(\.ordered)
    }

    private mutating func add(_ parent: ObjectReference, _ isServed: Bool, _ isExported: Bool) {
        isNamed = true
        guard isServed else { return }
        if isExported { serving.append(parent) } else { refused.append(parent) }
    }

    private var ordered: DelegateParents {
        var all = self
        all.serving = Set(serving).sorted { $0.description < $1.description }
        all.refused = Set(refused).sorted { $0.description < $1.description }
        return all
    }
}

extension Delegate {
    /// The VirtualService that is meant.
    /// - Parameter namespace: that of the rule.
    func target(from namespace: String) -> ObjectReference {
        let own = self.namespace.flatMap { $0.isEmpty ? nil : $0 } ?? namespace
        return ObjectReference(kind: "VirtualService", namespace: own, name: name)
    }
}
