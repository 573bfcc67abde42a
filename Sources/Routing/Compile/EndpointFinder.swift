internal import Balancing
internal import Manifests

/// An endpoint before subsets are taken.
struct FoundEndpoint {
    let address: EndpointAddress
    let weight: Int
    /// nil: the pod behind it is not known.
    let labels: [String: String]?
}

struct FoundName {
    let name: PlannedName
    let labels: [String: String]
}

/// What is known of the endpoints of one service port.
enum FoundEndpoints {
    case endpoints([FoundEndpoint])
    case names([FoundName])
    /// Nothing but the service's own name is known.
    case ownName(PlannedName)
    case alias(String)    // ExternalName: another host of the directory
    case none(Unavailable)
}

/// Finds endpoints: EndpointSlices, else Endpoints, else selected Pods, else the name itself.
/// Endpoints and Pods are read for the sake of plain files; Istio reads neither.
/// Source: docs/istio.md, Endpoints; docs/istio.md, ServiceEntry endpoints.
struct EndpointFinder {
    let inventory: Inventory
    private let pods: PodIndex
    private var slices: [String: [Int]] = [:]    // by namespace/service
    private var unused: [String: [Int]] = [:]    // by namespace/service; of DNS names
    private var legacy: [String: Int] = [:]
    private var workloads = WorkloadIndex()

    init(_ inventory: Inventory) {
        self.inventory = inventory
        pods = PodIndex(inventory.pods)
        slices.reserveCapacity(inventory.endpointSlices.count)
        for (index, slice) in inventory.endpointSlices.enumerated() {
            guard let service = slice.serviceName else { continue }
            guard slice.addressType != .fqdn else {
                unused["\(slice.meta.namespace)/\(service)", default: []].append(index)
                continue
            }
            slices["\(slice.meta.namespace)/\(service)", default: []].append(index)
        }
        for (index, object) in inventory.endpoints.enumerated() {
            legacy["\(object.meta.namespace)/\(object.meta.name)"] = index
        }
        for (index, entry) in inventory.workloadEntries.enumerated() { workloads.add(entry, index) }
    }

    /// The endpoints of one port of a service, before subsets are taken.
    func endpoints(of record: ServiceRecord, port: ServicePort, directory: ServiceDirectory)
        -> FoundEndpoints
    {
        switch record.origin {
        case .service(let index): endpoints(of: inventory.services[index], record, port, directory)
        case .entries(let indexes):
            endpoints(of: indexes, record, port)
        }
    }

    /// The EndpointSlices of a Service that have DNS names and are therefore not used.
    func unusedSlices(of record: ServiceRecord) -> [ObjectMeta] {
        guard case .service(let index) = record.origin else { return [] }
        let service = inventory.services[index].meta
        return (unused["\(service.namespace)/\(service.name)"] ?? []).map { inventory.endpointSlices[$0].meta }
    }

    // MARK: Kubernetes

    private func endpoints(
        of service: Service, _ record: ServiceRecord, _ port: ServicePort,
        _ directory: ServiceDirectory
    ) -> FoundEndpoints {
        if service.type == .externalName {
            guard let external = service.externalName?.value.lowercased() else {
                return .none(.noAddresses(host: record.host))
            }
            if external != record.host, directory.records[external] != nil {
                return .alias(external)
            }
            return .ownName(
                PlannedName(host: external, port: UInt16(clamping: port.number), weight: 1))
        }
        let key = "\(service.meta.namespace)/\(service.meta.name)"
        if let indexes = slices[key] { return .endpoints(fromSlices(indexes, service, port)) }
        if let index = legacy[key] {
            return .endpoints(fromLegacy(inventory.endpoints[index], service, port))
        }
        if let selector = service.selector, !selector.isEmpty {
            let selected = pods.selected(by: selector, namespace: service.meta.namespace)
            if !selected.isEmpty { return .endpoints(fromPods(selected, service, port)) }
        }
        return .ownName(
            PlannedName(
                host: record.host, port: UInt16(clamping: dnsPort(service, port)), weight: 1))
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

    private func fromSlices(_ indexes: [Int], _ service: Service, _ port: ServicePort)
        -> [FoundEndpoint]
    {
        var found = Distinct()
        for index in indexes {
            let slice = inventory.endpointSlices[index]
            guard let number = number(in: slice.ports, service, port) else { continue }
            for endpoint in slice.endpoints where endpoint.isReady {
                for address in endpoint.addresses {
                    let labels = pods.labels(
                        target: endpoint.target, namespace: slice.meta.namespace, address: address)
                    found.add(address, number, labels)
                }
            }
        }
        return found.endpoints
    }

    private func fromLegacy(_ object: Endpoints, _ service: Service, _ port: ServicePort)
        -> [FoundEndpoint]
    {
        var found = Distinct()
        for subset in object.subsets {
            guard let number = number(in: subset.ports, service, port) else { continue }
            for address in subset.addresses {
                let labels = pods.labels(
                    target: address.target, namespace: object.meta.namespace, address: address.ip)
                found.add(address.ip, number, labels)
            }
        }
        return found.endpoints
    }

    /// Joined by the port's name; a port without number stands for all.
    private func number(in ports: [EndpointSlice.Port], _ service: Service, _ port: ServicePort)
        -> Int?
    {
        guard let joined = ports.first(where: { $0.name == port.name && $0.transport == .tcp })
        else { return nil }
        if let number = joined.number { return number }
        if case .number(let number) = target(service, port) { return number }
        return port.number
    }

    private func fromPods(_ selected: [Pod], _ service: Service, _ port: ServicePort)
        -> [FoundEndpoint]
    {
        var found = Distinct()
        for pod in selected where isUsable(pod, service.publishNotReadyAddresses) {
            guard let address = pod.addresses.first else { continue }
            switch target(service, port) {
            case .number(let number): found.add(address, number, pod.meta.labels)
            case .name(let name):
                guard
                    let named = pod.ports.first(where: { $0.name == name && $0.transport == .tcp })
                else { continue }
                found.add(address, named.number, pod.meta.labels)
            }
        }
        return found.endpoints
    }

    private func isUsable(_ pod: Pod, _ publishesNotReady: Bool) -> Bool {
        let isUp = pod.phase == nil || pod.phase == "Running"
        return publishesNotReady || (isUp && pod.isReady && !pod.isTerminating)
    }

    // MARK: ServiceEntries

    private func endpoints(of entries: [Int], _ record: ServiceRecord, _ port: ServicePort) -> FoundEndpoints {
        func declared(_ index: Int) -> ServiceEntry.Port? {
            inventory.serviceEntries[index].ports.first { $0.number == port.number }
        }
        guard let index = entries.first(where: { declared($0) != nil }), let declared = declared(index) else {
            return .none(.unknownPort(host: record.host, port: port.number))
        }
        let entry = inventory.serviceEntries[index]
        switch entry.resolution?.value ?? .none {
        case .none: return .none(.noAddresses(host: record.host))
        case .dynamicDNS: return .none(.notInEffect("resolution DYNAMIC_DNS"))
        case .static: return .endpoints(fromWorkloads(entry, declared))
        case .dns, .dnsRoundRobin: return fromNames(entry, declared, record.host)
        }
    }

    private func fromWorkloads(_ entry: ServiceEntry, _ port: ServiceEntry.Port) -> [FoundEndpoint] {
        var found = Distinct()
        for workload in members(of: entry) {
            let address = workload.address.value
            if address.hasPrefix("unix://") {
                found.add(
                    .unix(path: String(address.dropFirst("unix://".count))), workload.weight,
                    workload.labels)
            } else if !address.isEmpty {
                found.add(address, number(workload, port), workload.labels, weight: workload.weight)
            }
        }
        if let selector = entry.workloadSelector {
            for pod in pods.selected(by: selector, namespace: entry.meta.namespace)
            where isUsable(pod, false) {
                guard let address = pod.addresses.first else { continue }
                found.add(address, port.targetPort ?? port.number, pod.meta.labels)
            }
        }
        return found.endpoints
    }

    private func fromNames(_ entry: ServiceEntry, _ port: ServiceEntry.Port, _ host: String)
        -> FoundEndpoints
    {
        let all = members(of: entry)
        guard !all.isEmpty else {
            let number = UInt16(clamping: port.targetPort ?? port.number)
            return .names([
                FoundName(name: PlannedName(host: host, port: number, weight: 1), labels: [:])
            ])
        }
        return .names(
            all.filter { !$0.address.value.isEmpty }.map {
                FoundName(
                    name: PlannedName(
                        host: $0.address.value, port: UInt16(clamping: number($0, port)),
                        weight: max($0.weight, 1)),
                    labels: $0.labels)
            })
    }

    private func members(of entry: ServiceEntry) -> [Workload] {
        guard let selector = entry.workloadSelector else { return entry.endpoints }
        return workloads.candidates(selector, entry.meta.namespace)
            .map { inventory.workloadEntries[$0].workload }.filter { Names.matches(selector, $0.labels) }
    }

    private func number(_ workload: Workload, _ port: ServiceEntry.Port) -> Int {
        workload.ports[port.name] ?? port.targetPort ?? port.number
    }

    /// Endpoints without doubles, in the order they were found.
    private struct Distinct {
        private(set) var endpoints: [FoundEndpoint] = []
        private var known: Set<EndpointAddress> = []

        /// Adds an IP address, unless it was found before.
        mutating func add(
            _ address: String, _ port: Int, _ labels: [String: String]?, weight: Int = 1
        ) {
            guard let port = UInt16(exactly: port), port > 0 else { return }
            add(.ip(address, port: port), weight, labels)
        }

        /// Adds an address, unless it was found before.
        mutating func add(_ address: EndpointAddress, _ weight: Int, _ labels: [String: String]?) {
            guard known.insert(address).inserted else { return }
            endpoints.append(
                FoundEndpoint(address: address, weight: max(weight, 1), labels: labels))
        }
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

    /// Adds a WorkloadEntry and its place in the inventory.
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
