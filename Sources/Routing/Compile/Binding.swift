internal import Manifests

/// Which VirtualServices hang on which Gateway, in Istio's order. Source: istio-api.md §2.1, §2.3.
struct Binding {
    /// VirtualServices by `namespace/name` of a Gateway, and by `mesh`.
    private(set) var services: [String: [Int]] = [:]
    /// Their hosts, completed and in lower case.
    private(set) var hosts = HostLists()

    init(_ all: [VirtualService], names: Names) {
        hosts.reserve(all.count)
        for service in all {
            hosts.append(
                service.hosts.lazy.map { names.expanded($0.value, namespace: service.meta.namespace) })
        }
        let order = all.indices.compactMap { Place(all[$0], index: $0, names) }.sorted()
        for place in order {
            for gateway in Self.gateways(of: all[place.index], names) {
                services[gateway, default: []].append(place.index)
            }
        }
    }

    /// What decides the order; taken out once, since sorting looks at it often.
    private struct Place: Comparable {
        let rank: Int
        let age: ObjectMeta.Age
        let index: Int

        init?(_ service: VirtualService, index: Int, _ names: Names) {
            guard let rank = Binding.rank(service, names) else { return nil }
            self.rank = rank
            self.index = index
            age = service.meta.age
        }

        static func < (left: Place, right: Place) -> Bool {
            left.rank != right.rank ? left.rank < right.rank : left.age < right.age
        }
    }

    /// What a VirtualService names: `namespace/name` each, or `mesh`.
    static func gateways(of service: VirtualService, _ names: Names) -> Set<String> {
        guard !service.gateways.isEmpty else { return ["mesh"] }
        return Set(
            service.gateways.map {
                $0.value == "mesh"
                    ? "mesh" : names.gateway($0.value, namespace: service.meta.namespace)
            })
    }

    /// Private ones first, then those for named namespaces, then public ones; nil: not for us.
    private static func rank(_ service: VirtualService, _ names: Names) -> Int? {
        let exportTo = service.exportTo.map(\.value)
        guard names.isVisible(exportTo, from: service.meta.namespace) else { return nil }
        if exportTo.isEmpty || exportTo.contains("*") { return 2 }
        return exportTo.allSatisfy { $0 == "." || $0 == service.meta.namespace } ? 0 : 1
    }
}

/// The hosts of all VirtualServices, one list behind the other: an array for each would be an allocation
/// for each.
struct HostLists {
    private var all: [String] = []
    private var starts: [Int32] = [0]

    mutating func reserve(_ services: Int) {
        all.reserveCapacity(services)
        starts.reserveCapacity(services + 1)
    }

    mutating func append(_ hosts: some Sequence<String>) {
        all.append(contentsOf: hosts)
        starts.append(Int32(clamping: all.count))
    }

    /// The places of a VirtualService's hosts.
    func range(_ service: Int) -> Range<Int> { Int(starts[service])..<Int(starts[service + 1]) }

    /// How many there are of all VirtualServices.
    var count: Int { all.count }

    /// A host by its place.
    subscript(place: Int) -> String { all[place] }
}
