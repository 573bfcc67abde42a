package import Balancing
package import Manifests

/// What is known of the endpoints of Kubernetes Services: EndpointSlices, the older Endpoints, and Pods with
/// their labels. A routing plan names services and labels; this table says which endpoints they are now, and
/// changes without a new plan.
///
/// It keeps of the objects what choosing needs, in memory of its own. A value, for one thread at a time.
/// Endpoints and Pods are read for the sake of plain files; Istio reads neither.
/// Source: docs/istio.md, Endpoints; docs/istio.md, ServiceEntry endpoints.
package struct EndpointTable: Sendable {
    private var slices: [ServiceName: [KnownSlice]] = [:]    // each service's in the order they came
    private var services: [ServiceName: ServiceName] = [:]    // by the name of a slice
    private var legacy: [ServiceName: KnownSlice] = [:]
    private var users = PodUsers()
    private var pods: PodIndex
    private let nodes: NodePlaces
    private let refusal: @Sendable (EndpointAddress) -> String?

    package init() {
        pods = PodIndex(keys: [])
        nodes = NodePlaces()
        refusal = { _ in nil }
    }

    /// - Parameter refusal: what an endpoint is, for a message, when it must not be sent to; else nil.
    package init(_ inventory: Inventory, refusal: @escaping @Sendable (EndpointAddress) -> String? = { _ in nil }) {
        self.refusal = refusal
        pods = PodIndex(keys: Self.labelKeys(inventory))
        nodes = NodePlaces(inventory.nodes)
        slices.reserveCapacity(inventory.endpointSlices.count)
        services.reserveCapacity(inventory.endpointSlices.count)
        for pod in inventory.pods { pods.set(ServiceName(pod.meta), pod) }
        for slice in inventory.endpointSlices { set(ServiceName(slice.meta), slice) }
        for object in inventory.endpoints {
            let (service, known) = (ServiceName(object.meta).detached, KnownSlice(object))
            legacy[service] = known
            users.add(known.podKeys, service)
        }
    }

    /// The same table for another holder that will change it: changes copy nothing large, and what both have of the
    /// objects they share.
    package func separate() -> EndpointTable {
        var other = self
        other.slices.reserveCapacity(slices.count)
        other.services.reserveCapacity(services.count)
        other.users.separate()
        other.pods.separate()
        return other
    }

    /// Whether the labels that anybody asks for are those that this table keeps, and the Nodes are where it has them.
    package func keepsLabels(of inventory: Inventory) -> Bool {
        pods.keys == Self.labelKeys(inventory) && nodes == NodePlaces(inventory.nodes)
    }

    /// The kinds of objects that say which labels are asked for, and where the Nodes are.
    package static let kindsWithLabels: Set<String> = ["DestinationRule", "Service", "ServiceEntry", "Node"]

    /// The labels that anybody asks for: of most pods' labels nothing is kept.
    private static func labelKeys(_ inventory: Inventory) -> Set<String> {
        var keys: Set<String> = []
        for rule in inventory.destinationRules {
            for subset in rule.subsets {
                keys.formUnion(subset.labels.keys)
                keys.formUnion(subset.trafficPolicy?.preferenceKeys ?? [])
            }
            keys.formUnion(rule.trafficPolicy?.preferenceKeys ?? [])
        }
        if !inventory.destinationRules.isEmpty { keys.formUnion(Locality.Topology.all + [Locality.label]) }
        for service in inventory.services { keys.formUnion((service.selector ?? [:]).keys) }
        for entry in inventory.serviceEntries { keys.formUnion((entry.workloadSelector ?? [:]).keys) }
        return Set(keys.map(\.detached))
    }

    // MARK: changes

    /// Takes changed objects, and tells whose endpoints may be others now.
    package mutating func apply(_ changes: EndpointChanges) -> EndpointConcern {
        var concern = EndpointConcern()
        for (name, slice) in changes.slices {
            if let service = services[name] { concern.services.insert(service) }
            set(name, slice)
            if let service = services[name] { concern.services.insert(service) }
        }
        for (name, pod) in changes.pods {
            guard let keys = pods.set(name, pod) else { continue }
            for key in keys { concern.services.formUnion(users.services(of: key)) }
            concern.podNamespaces.insert(name.namespace)
        }
        return concern
    }

    private mutating func set(_ name: ServiceName, _ slice: EndpointSlice?) {
        let service = slice.flatMap { slice in
            slice.serviceName.map { ServiceName(namespace: name.namespace, name: $0.detached) }
        }
        let old = services[name]
        let place = old.flatMap { slices[$0]?.firstIndex { $0.name == name.name } }
        if let old, let place, let known = slices[old]?[place] { users.remove(known.podKeys, old) }
        if let old, let place, old != service {
            slices[old]?.remove(at: place)
            if slices[old]?.isEmpty == true { slices[old] = nil }
            services[name] = nil
        }
        guard let slice, let service else { return }
        services[name.detached] = service
        let known = KnownSlice(slice)
        users.add(known.podKeys, service)
        if let place, old == service {
            slices[service]?[place] = known
        } else {
            slices[service, default: []].append(known)
        }
    }

    // MARK: questions

    /// What an endpoint is, when it must not be sent to.
    func refusal(of endpoint: EndpointAddress) -> String? { refusal(endpoint) }

    /// Whether pods themselves are the cluster's endpoints, so that each pod of the namespace may concern it.
    package func selectsPods(_ source: EndpointSource) -> Bool {
        switch source {
        case .dns, .requested, .unavailable: false
        case .workloads(let lookup): lookup.selector != nil
        case .service(let lookup):
            !lookup.selector.isEmpty && legacy[lookup.service] == nil
                && !(slices[lookup.service] ?? []).contains { !$0.isOfNames }
        }
    }

    /// How many endpoints a cluster of a whole Service has by its objects' own count, doubles counted twice; nil when
    /// they have to be looked at.
    func addressCount(of source: EndpointSource) -> Int? {
        guard case .service(let lookup) = source, lookup.labels.isEmpty else { return nil }
        let knownSlices = slices[lookup.service] ?? legacy[lookup.service].map { [$0] } ?? []
        return knownSlices.isEmpty ? nil : knownSlices.reduce(0) { $0 + $1.addressCount }
    }

    /// All endpoints of the cluster's port, whatever their labels; nil when no object says anything of them.
    /// - Parameter withLabels: whether endpoints of a Service come with their places and the labels of their pods.
    func found(_ source: EndpointSource, withLabels: Bool) -> [LabeledEndpoint]? {
        switch source {
        case .service(let lookup): found(lookup, withLabels)
        case .workloads(let lookup): found(lookup)
        case .dns, .requested, .unavailable: nil
        }
    }

    /// All endpoints of the service's port, whatever their labels; nil when none of its objects is known.
    private func found(_ lookup: ServiceLookup, _ withLabels: Bool) -> [LabeledEndpoint]? {
        let own = (slices[lookup.service] ?? []).filter { !$0.isOfNames }
        if !own.isEmpty { return endpoints(own, lookup, withLabels) }
        if let object = legacy[lookup.service] { return endpoints([object], lookup, withLabels) }
        guard !lookup.selector.isEmpty else { return nil }
        let selected = pods.selected(by: lookup.selector, namespace: lookup.service.namespace)
        guard !selected.isEmpty else { return nil }
        var found = DistinctEndpoints()
        for pod in selected where pod.isUsable || lookup.publishesNotReady {
            guard let address = pod.addresses.first, let number = pod.number(of: lookup.target) else { continue }
            found.add(address, number, pod.labels, withLabels ? locality(of: pod) : nil)
        }
        return found.endpoints
    }

    private func locality(of pod: KnownPod) -> Locality? { Locality(labels: pod.labels) ?? nodes[pod.node] }

    /// All endpoints of a ServiceEntry's port, whatever their labels.
    private func found(_ lookup: WorkloadLookup) -> [LabeledEndpoint] {
        var found = DistinctEndpoints()
        for endpoint in lookup.endpoints {
            found.add(endpoint.address, endpoint.weight, endpoint.labels, endpoint.locality)
        }
        guard let selector = lookup.selector else { return found.endpoints }
        for pod in pods.selected(by: selector, namespace: lookup.namespace) where pod.isUsable {
            guard let address = pod.addresses.first else { continue }
            found.add(address, lookup.port, pod.labels, locality(of: pod))
        }
        return found.endpoints
    }

    private func endpoints(
        _ knownSlices: [KnownSlice], _ lookup: ServiceLookup, _ withLabels: Bool
    ) -> [LabeledEndpoint] {
        var found = DistinctEndpoints()
        let preferred = Self.reachedByTheFirst(of: knownSlices, lookup)
        for (known, group) in knownSlices.lazy.flatMap({ known in known.groups.lazy.map { (known, $0) } }) {
            guard let number = group.number(of: lookup) else { continue }
            for endpoint in group.endpoints {
                if known.isIPv6 != lookup.prefersIPv6, let pod = endpoint.pod, preferred.contains(pod) { continue }
                for address in endpoint.addresses {
                    let labels = withLabels ? pods.labels(target: endpoint.pod, address: address) : nil
                    found.add(address, number, labels, withLabels ? endpoint.locality(labels, nodes: nodes) : nil)
                }
            }
        }
        return found.endpoints
    }

    /// Pods that have an address of the Service's first family: where both families have slices, such a pod is one
    /// endpoint and not two. Source: docs/istio.md, Endpoints.
    private static func reachedByTheFirst(of knownSlices: [KnownSlice], _ lookup: ServiceLookup) -> Set<ServiceName> {
        guard knownSlices.contains(where: { $0.isIPv6 }), knownSlices.contains(where: { !$0.isIPv6 }) else { return [] }
        var pods: Set<ServiceName> = []
        for known in knownSlices where known.isIPv6 == lookup.prefersIPv6 {
            for group in known.groups where group.number(of: lookup) != nil {
                pods.formUnion(group.endpoints.lazy.compactMap(\.pod))
            }
        }
        return pods
    }

    /// All objects of endpoints: of which Service each is, and where it stands.
    var objects: some Sequence<(service: ServiceName, object: ObjectReference, place: SourcePlace)> {
        let ofSlices = slices.lazy.flatMap { service, knownSlices in
            knownSlices.lazy.map { (service: service, object: $0.identity(in: service.namespace), place: $0.place) }
        }
        let older = legacy.lazy.map { service, known in
            (service: service, object: known.identity(in: service.namespace), place: known.place)
        }
        return [AnySequence(ofSlices), AnySequence(older)].joined()
    }

    /// Where the service's EndpointSlices of DNS names stand, which are of no use.
    func unusedSlices(of service: ServiceName) -> [SourcePlace] {
        (slices[service] ?? []).filter(\.isOfNames).map(\.place)
    }
}

/// The namespace and name of a Service, an EndpointSlice or a Pod.
package struct ServiceName: Hashable, Sendable {
    package let namespace: String
    package let name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// The name of the object that this metadata is of.
    package init(_ meta: ObjectMeta) {
        namespace = meta.namespace
        name = meta.name
    }

    /// See `String.detached`.
    var detached: ServiceName { ServiceName(namespace: namespace.detached, name: name.detached) }
}

/// What a source of objects says has changed since it last said so: by namespace and name the new object, or nil
/// when it was removed.
package struct EndpointChanges: Sendable {
    package var slices: [ServiceName: EndpointSlice?] = [:]
    package var pods: [ServiceName: Pod?] = [:]
    package init() {}

    /// Adds changes that came later.
    package mutating func merge(_ later: EndpointChanges) {
        slices.merge(later.slices) { $1 }
        pods.merge(later.pods) { $1 }
    }
}

/// Whose endpoints may be others after a change.
package struct EndpointConcern: Sendable {
    /// Services whose endpoints may be others.
    package var services: Set<ServiceName> = []
    /// Also whoever selects pods of these namespaces.
    package var podNamespaces: Set<String> = []
}

/// What a cluster's source comes to.
package enum FoundEndpoints: Sendable, Hashable {
    /// Empty: nobody is ready.
    case endpoints([PlannedEndpoint])
    /// All addresses of all names.
    case names([PlannedName])
}

/// Endpoints without doubles, in the order they were found.
struct DistinctEndpoints {
    private(set) var endpoints: [LabeledEndpoint] = []
    private var addresses: Set<EndpointAddress> = []    // empty until there are more than `linearCount`
    /// How many endpoints are compared one by one; of more, a set of their addresses is kept.
    private static let linearCount = 12

    /// Adds an endpoint by its IP address. A port outside 1 to 65535 is left out.
    mutating func add(
        _ address: String, _ port: Int, _ labels: [String: String]?, _ locality: Locality?, weight: Int = 1
    ) {
        guard let port = UInt16(exactly: port), port > 0 else { return }
        add(.ip(address, port: port), weight, labels, locality)
    }

    /// Adds an endpoint, unless its address is there already.
    mutating func add(
        _ address: EndpointAddress, _ weight: Int, _ labels: [String: String]?, _ locality: Locality?
    ) {
        if endpoints.count <= Self.linearCount {
            if endpoints.contains(where: { $0.address == address }) { return }
            if endpoints.count == Self.linearCount { addresses = Set(endpoints.map(\.address)).union([address]) }
        } else if !addresses.insert(address).inserted {
            return
        }
        endpoints.append(
            LabeledEndpoint(address: address, weight: max(weight, 1), labels: labels, locality: locality))
    }
}
