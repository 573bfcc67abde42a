internal import Balancing
internal import Manifests

/// What is known of where a service's port has its endpoints.
enum FoundSource {
    case source(EndpointSource)
    /// Nothing but a name outside of the definitions.
    case ownName(PlannedName)
    case none(Unavailable)
}

/// Finds what the endpoints of a service's port are found by: EndpointSlices, else Endpoints, else selected Pods,
/// else the name itself for a Service; workloads or names for a ServiceEntry.
/// Source: docs/istio.md, Endpoints; docs/istio.md, ServiceEntry endpoints.
///
/// It remembers what it found of a ServiceEntry, so that many subsets of one entry do not each go through all of its
/// endpoints.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: `ClusterTable`.
final class SourceFinder {
    let inventory: Inventory
    private var workloads = WorkloadIndex()
    private var endpoints: [EntryPort: [LabeledEndpoint]] = [:]
    private var names: [EntryPort: ByLabel<PlannedName>] = [:]

    private struct EntryPort: Hashable {
        let entry: Int
        let port: Int
    }

    init(_ inventory: Inventory) {
        self.inventory = inventory
        for (index, entry) in inventory.workloadEntries.enumerated() { workloads.add(entry, index) }
    }

    /// - Parameter labels: of the subset.
    func source(
        of routable: RoutableService, port: ServicePort, labels: [String: String], directory: ServiceDirectory
    ) -> FoundSource {
        switch routable.origin {
        case .service(let index): source(of: inventory.services[index], routable, port, labels, directory)
        case .entries(let indexes): source(of: indexes, routable, port, labels)
        }
    }

    /// Whether a service's endpoints are another host's.
    func isAlias(_ routable: RoutableService, _ directory: ServiceDirectory) -> Bool {
        guard case .service(let index) = routable.origin, inventory.services[index].type == .externalName,
            let external = inventory.services[index].externalName?.value.lowercased()
        else { return false }
        return external != routable.host && directory.byHost[external] != nil
    }

    // MARK: Kubernetes

    private func source(
        of service: Service, _ routable: RoutableService, _ port: ServicePort, _ labels: [String: String],
        _ directory: ServiceDirectory
    ) -> FoundSource {
        guard service.type == .externalName else { return .source(.service(lookup(service, routable, port, labels))) }
        guard let external = service.externalName?.value.lowercased() else {
            return .none(.noAddresses(host: routable.host))
        }
        let name = PlannedName(host: external, port: UInt16(clamping: port.number), weight: 1)
        guard external != routable.host, let other = directory.byHost[external] else { return .ownName(name) }
        return .source(source(ofAlias: other, port, name, directory))
    }

    /// The endpoints of another host of the directory; its name where none are known. Subsets count for nothing.
    private func source(
        ofAlias other: RoutableService, _ port: ServicePort, _ name: PlannedName, _ directory: ServiceDirectory
    ) -> EndpointSource {
        guard let same = other.port(port.number) ?? other.ports.first else { return .dns([name]) }
        if case .service(let index) = other.origin {
            let service = inventory.services[index]
            guard service.type != .externalName else { return .dns([name]) }
            return .service(lookup(service, other, same, [:], fallback: name))
        }
        guard case .source(let found) = source(of: other, port: same, labels: [:], directory: directory),
            case .workloads = found
        else { return .dns([name]) }
        return found
    }

    private func lookup(
        _ service: Service, _ routable: RoutableService, _ port: ServicePort, _ labels: [String: String],
        fallback: PlannedName? = nil
    ) -> ServiceLookup {
        ServiceLookup(
            service: ServiceName(service.meta).detached, port: port.number, portName: port.name.detached,
            target: target(service, port), selector: (service.selector ?? [:]).detached,
            publishesNotReady: service.publishNotReadyAddresses,
            prefersIPv6: service.primaryFamily == .ipv6, labels: labels.detached,
            fallback: fallback
                ?? PlannedName(host: routable.host, port: UInt16(clamping: dnsPort(service, port)), weight: 1))
    }

    /// A headless name resolves to the pods, which listen on the target port.
    private func dnsPort(_ service: Service, _ port: ServicePort) -> Int {
        guard service.clusterIP == "None", case .number(let number) = target(service, port) else {
            return port.number
        }
        return number
    }

    private func target(_ service: Service, _ port: ServicePort) -> TargetPort {
        service.ports.first { $0.number == port.number && $0.transport == .tcp }?.targetPort
            ?? .number(port.number)
    }

    // MARK: ServiceEntries

    private func source(
        of entries: [Int], _ routable: RoutableService, _ port: ServicePort, _ labels: [String: String]
    ) -> FoundSource {
        func declared(_ index: Int) -> ServiceEntry.Port? {
            inventory.serviceEntries[index].ports.first { $0.number == port.number }
        }
        guard let index = entries.first(where: { declared($0) != nil }), let declared = declared(index) else {
            return .none(.unknownPort(host: routable.host, port: port.number))
        }
        let entry = inventory.serviceEntries[index]
        switch entry.resolution?.value ?? .none {
        case .none: return .none(.noAddresses(host: routable.host))
        case .dynamicDNS: return requested(declared, routable.host, labels)
        case .static: return .source(.workloads(lookup(index, declared, routable.host, labels)))
        case .dns, .dnsRoundRobin: return .source(.dns(names(index, declared, routable.host, labels)))
        }
    }

    /// Names that requests choose have no labels.
    private func requested(_ port: ServiceEntry.Port, _ host: String, _ labels: [String: String]) -> FoundSource {
        let number = UInt16(clamping: port.targetPort ?? port.number)
        guard labels.isEmpty, let names = RequestedNames(host: host, port: number) else {
            return .none(.noAddresses(host: host))
        }
        return .source(.requested(names))
    }

    private func lookup(
        _ index: Int, _ port: ServiceEntry.Port, _ host: String, _ labels: [String: String]
    ) -> WorkloadLookup {
        let entry = inventory.serviceEntries[index]
        return WorkloadLookup(
            host: host, servicePort: port.number, endpoints: endpoints(index, port),
            selector: entry.workloadSelector?.detached, namespace: entry.meta.namespace.detached,
            port: port.targetPort ?? port.number, labels: labels.detached)
    }

    private func endpoints(_ index: Int, _ port: ServiceEntry.Port) -> [LabeledEndpoint] {
        let key = EntryPort(entry: index, port: port.number)
        if let known = endpoints[key] { return known }
        var found = DistinctEndpoints()
        for workload in members(of: inventory.serviceEntries[index]) {
            let (address, labels) = (workload.address.value, workload.labels.detached)
            let locality = workload.whereabouts?.detached
            if address.hasPrefix("unix://") {
                found.add(.unix(path: String(address.dropFirst("unix://".count))), workload.weight, labels, locality)
            } else if !address.isEmpty {
                found.add(address.detached, number(workload, port), labels, locality, weight: workload.weight)
            }
        }
        endpoints[key] = found.endpoints
        return found.endpoints
    }

    private func names(
        _ index: Int, _ port: ServiceEntry.Port, _ host: String, _ labels: [String: String]
    ) -> [PlannedName] {
        let all = names(index, port)
        guard all.count > 0 else {
            let number = UInt16(clamping: port.targetPort ?? port.number)
            return labels.isEmpty ? [PlannedName(host: host, port: number, weight: 1)] : []
        }
        var visits = 0
        return all.having(labels, &visits).filter { !$0.host.isEmpty }
    }

    /// Of all members, also those without an address.
    private func names(_ index: Int, _ port: ServiceEntry.Port) -> ByLabel<PlannedName> {
        let key = EntryPort(entry: index, port: port.number)
        if let known = names[key] { return known }
        let all = members(of: inventory.serviceEntries[index])
        let found = all.map {
            PlannedName(
                host: $0.address.value, port: UInt16(clamping: number($0, port)), weight: max($0.weight, 1),
                traits: EndpointTraits($0))
        }
        let byLabel = ByLabel(found, labels: all.map(\.allLabels))
        names[key] = byLabel
        return byLabel
    }

    private func members(of entry: ServiceEntry) -> [Workload] {
        guard let selector = entry.workloadSelector else { return entry.endpoints }
        return workloads.candidates(selector, entry.meta.namespace)
            .map { inventory.workloadEntries[$0].workload }.filter { Names.matches(selector, $0.labels) }
    }

    private func number(_ workload: Workload, _ port: ServiceEntry.Port) -> Int {
        workload.ports[port.name] ?? port.targetPort ?? port.number
    }
}

extension EndpointTraits {
    /// nil if it has neither labels nor a place.
    fileprivate init?(_ workload: Workload) {
        guard !workload.labels.isEmpty || workload.whereabouts != nil else { return nil }
        self.init(labels: workload.allLabels.detached, locality: workload.whereabouts?.detached)
    }
}

/// WorkloadEntries by namespace and label, so that no selector looks at all of them.
private struct WorkloadIndex {
    private struct Label: Hashable {
        let namespace: String
        let key: String
        let value: String
    }

    private var all: [String: [Int]] = [:]    // by namespace
    private var byLabel: [Label: [Int]] = [:]

    /// Makes an entry known by its namespace and each of its labels; `index` is what `candidates` gives back.
    mutating func add(_ entry: WorkloadEntry, _ index: Int) {
        let namespace = entry.meta.namespace
        all[namespace, default: []].append(index)
        for (key, value) in entry.workload.labels {
            byLabel[Label(namespace: namespace, key: key, value: value), default: []].append(index)
        }
    }

    /// Those that have one label of the selector, of which there are fewest, in their order.
    func candidates(_ selector: [String: String], _ namespace: String) -> [Int] {
        let lists = selector.map { byLabel[Label(namespace: namespace, key: $0.key, value: $0.value)] ?? [] }
        return lists.min { $0.count < $1.count } ?? all[namespace] ?? []
    }
}
