internal import Manifests

/// Which VirtualServices hang on which Gateway, in Istio's order. Source: istio-api.md §2.1, §2.3.
struct Binding {
    /// VirtualServices by `namespace/name` of a Gateway, and by `mesh`.
    private(set) var services: [String: [Int]] = [:]
    /// Their hosts, completed and in lower case.
    private(set) var hosts = HostLists()

    init(_ all: [VirtualService], names: Names) {
        hosts.reserve(all.count)
        var order: [Place] = []
        order.reserveCapacity(all.count)
        // By index, and in one round: to copy a VirtualService is a dozen counts of references.
        for index in all.indices {
            let namespace = all[index].meta.namespace
            hosts.append(all[index].hosts.lazy.map { names.expanded($0.value, namespace: namespace) })
            if let place = Place(all, index, names) { order.append(place) }
        }
        order.sort()
        for place in order {
            let namespace = all[place.index].meta.namespace
            for gateway in Self.gateways(all[place.index].gateways, namespace, names) {
                services[gateway, default: []].append(place.index)
            }
        }
    }

    /// What decides the order; taken out once, since sorting looks at it often.
    private struct Place: Comparable {
        let rank: Int
        let age: ObjectMeta.Age
        let index: Int

        init?(_ all: [VirtualService], _ index: Int, _ names: Names) {
            let exportTo = all[index].exportTo
            guard let rank = Binding.rank(exportTo, all[index].meta.namespace, names) else { return nil }
            self.rank = rank
            self.index = index
            age = all[index].meta.age
        }

        static func < (left: Place, right: Place) -> Bool {
            left.rank != right.rank ? left.rank < right.rank : left.age < right.age
        }
    }

    /// What a VirtualService names: `namespace/name` each, or `mesh`.
    static func gateways(of service: VirtualService, _ names: Names) -> Set<String> {
        Set(gateways(service.gateways, service.meta.namespace, names))
    }

    /// Each once.
    private static func gateways(
        _ written: [Located<String>], _ namespace: String, _ names: Names
    ) -> [String] {
        guard !written.isEmpty else { return ["mesh"] }
        let all = written.map {
            $0.value == "mesh" ? "mesh" : names.gateway($0.value, namespace: namespace)
        }
        return all.count == 1 ? all : Array(Set(all))
    }

    /// Private ones first, then those for named namespaces, then public ones; nil: not for us.
    private static func rank(
        _ written: [Located<String>], _ namespace: String, _ names: Names
    ) -> Int? {
        guard !written.isEmpty else { return 2 }
        let exportTo = written.map(\.value)
        guard names.isVisible(exportTo, from: namespace) else { return nil }
        if exportTo.contains("*") { return 2 }
        return exportTo.allSatisfy { $0 == "." || $0 == namespace } ? 0 : 1
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

    /// A VirtualService's hosts, by their places.
    func slice(_ service: Int) -> ArraySlice<String> { all[range(service)] }

    /// How many there are of all VirtualServices.
    var count: Int { all.count }

    /// A host by its place.
    subscript(place: Int) -> String { all[place] }
}
