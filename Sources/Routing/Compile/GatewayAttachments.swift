internal import Manifests

/// Which VirtualServices are bound to which Gateway, in Istio's order.
/// Source: docs/istio.md, Gateway references; docs/istio.md, Order of VirtualServices.
struct GatewayAttachments {
    /// VirtualServices by `namespace/name` of a Gateway, and by `mesh`.
    private(set) var services: [String: [Int]] = [:]
    /// The hosts of all VirtualServices, completed and in lower case.
    private(set) var hosts = HostLists()

    init(_ all: [VirtualService], names: Names) {
        hosts.reserve(all.count)
        var order: [Precedence] = []
        order.reserveCapacity(all.count)
        // By index and in one round, because copying a VirtualService counts a dozen references.
        for index in all.indices {
            let namespace = all[index].meta.namespace
            hosts.append(all[index].hosts.lazy.map { names.expanded($0.value, namespace: namespace) })
            // Without hosts it is a delegate, which serves nothing by itself.
            if !all[index].hosts.isEmpty, let precedence = Precedence(all, index, names) { order.append(precedence) }
        }
        order.sort()
        for place in order {
            let namespace = all[place.index].meta.namespace
            for gateway in Self.gateways(all[place.index].gateways, namespace, names) {
                services[gateway, default: []].append(place.index)
            }
        }
    }

    /// What decides the order. It is read once, because sorting compares it often.
    private struct Precedence: Comparable {
        let breadth: Int
        let age: ObjectMeta.Age
        let index: Int

        init?(_ all: [VirtualService], _ index: Int, _ names: Names) {
            let exportTo = all[index].exportTo
            guard let found = GatewayAttachments.breadth(exportTo, all[index].meta.namespace, names) else { return nil }
            breadth = found
            self.index = index
            age = all[index].meta.age
        }

        static func < (left: Precedence, right: Precedence) -> Bool {
            left.breadth != right.breadth ? left.breadth < right.breadth : left.age < right.age
        }
    }

    /// The Gateways that a VirtualService names, as `namespace/name` or `mesh`.
    static func gateways(of service: VirtualService, _ names: Names) -> Set<String> {
        Set(gateways(service.gateways, service.meta.namespace, names))
    }

    /// The same, each Gateway once.
    private static func gateways(
        _ written: [Located<String>], _ namespace: String, _ names: Names
    ) -> [String] {
        guard !written.isEmpty else { return ["mesh"] }
        let all = written.map {
            $0.value == "mesh" ? "mesh" : names.gateway($0.value, namespace: namespace)
        }
        return all.count == 1 ? all : Array(Set(all))
    }

    /// 0 for a VirtualService of its namespace alone, 1 for one of named namespaces, 2 for a public one; nil if it is
    /// not visible to this gateway.
    private static func breadth(
        _ written: [Located<String>], _ namespace: String, _ names: Names
    ) -> Int? {
        guard !written.isEmpty else { return 2 }
        let exportTo = written.map(\.value)
        guard names.isVisible(exportTo, from: namespace) else { return nil }
        if exportTo.contains("*") { return 2 }
        return exportTo.allSatisfy { $0 == "." || $0 == namespace } ? 0 : 1
    }
}

/// The hosts of all VirtualServices in one array, which saves an allocation for each VirtualService.
struct HostLists {
    private var all: [String] = []
    private var starts: [Int32] = [0]

    /// Makes room for the hosts of that many VirtualServices.
    mutating func reserve(_ services: Int) {
        all.reserveCapacity(services)
        starts.reserveCapacity(services + 1)
    }

    /// Appends the hosts of the next VirtualService.
    mutating func append(_ hosts: some Sequence<String>) {
        all.append(contentsOf: hosts)
        starts.append(Int32(clamping: all.count))
    }

    /// The places of a VirtualService's hosts.
    func range(_ service: Int) -> Range<Int> { Int(starts[service])..<Int(starts[service + 1]) }

    /// A VirtualService's hosts, by their places.
    func slice(_ service: Int) -> ArraySlice<String> { all[range(service)] }

    var count: Int { all.count }

    subscript(place: Int) -> String { all[place] }
}
