internal import Manifests

/// How an endpoint names the pod behind it.
enum PodKey: Hashable, Sendable {
    case pod(ServiceName)
    case address(String)
}

/// What the table keeps of an EndpointSlice, or of an Endpoints object: the ready endpoints.
struct KnownSlice: Sendable {
    private let kind: String
    let name: String
    /// Endpoints that have the same ports: one of a slice, several of an Endpoints object.
    let groups: [Group]
    /// Its addresses are DNS names, which is of no use.
    let isOfNames: Bool
    /// Whether its `addressType` is IPv6: a dual-stack pod is in a slice of each type.
    let isIPv6: Bool
    let place: SourcePlace

    struct Group: Sendable {
        let ports: [Port]    // TCP
        let endpoints: [Ready]

        /// Joined by the port's name; a port without number stands for all.
        func number(of lookup: ServiceLookup) -> Int? {
            guard let joined = ports.first(where: { $0.name == lookup.portName }) else { return nil }
            if let number = joined.number { return number }
            if case .number(let number) = lookup.target { return number }
            return lookup.port
        }
    }

    /// A port of the slice; endpoints serve all of them.
    struct Port: Sendable {
        let name: String
        let number: Int?

        static func tcp(_ ports: [EndpointSlice.Port]) -> [Port] {
            ports.filter { $0.transport == .tcp }.map { Port(name: $0.name.detached, number: $0.number) }
        }
    }

    struct Ready: Sendable {
        let addresses: [String]
        /// The pod behind it, if the object says so.
        let pod: ServiceName?
        /// Its zone; empty if the object does not say it. The region is on the Node.
        let zone: String
        /// The name of its Node; empty if the object does not say it.
        let node: String

        /// Where it is, with what the labels of its pod and its Node tell.
        func locality(_ labels: [String: String]?, nodes: NodePlaces) -> Locality? {
            var place = labels.flatMap { Locality(labels: $0) } ?? nodes[node] ?? Locality()
            if place.zone.isEmpty { place.zone = zone }
            return place.isUnknown ? nil : place
        }

        init(
            _ addresses: [String], target: ObjectReference?, namespace: String, zone: String = "", node: String = ""
        ) {
            self.zone = zone.detached
            self.node = node.detached
            self.addresses = addresses.map(\.detached)
            pod = target.flatMap { target in
                guard target.kind == "Pod" else { return nil }
                let space = target.namespace.isEmpty ? namespace : target.namespace
                return ServiceName(namespace: space, name: target.name).detached
            }
        }
    }

    /// The identity of the EndpointSlice or Endpoints.
    func identity(in namespace: String) -> ObjectReference {
        ObjectReference(kind: kind, namespace: namespace, name: name)
    }

    /// Of all ready endpoints.
    var addressCount: Int { groups.reduce(0) { $0 + $1.endpoints.reduce(0) { $0 + $1.addresses.count } } }

    /// By what pods' labels are looked up for its endpoints: if the pod that an endpoint names is not known, one with
    /// its address counts.
    var podKeys: some Sequence<PodKey> {
        groups.lazy.flatMap(\.endpoints).flatMap { endpoint in
            (endpoint.pod.map { [.pod($0)] } ?? []) + endpoint.addresses.map { .address($0) }
        }
    }

    init(_ slice: EndpointSlice) {
        kind = "EndpointSlice"
        name = slice.meta.name.detached
        isOfNames = slice.addressType == .fqdn
        isIPv6 = slice.addressType == .ipv6
        place = slice.meta.place
        let ready = slice.endpoints.filter(\.isReady).map {
            Ready(
                $0.addresses, target: $0.target, namespace: slice.meta.namespace, zone: $0.zone ?? "",
                node: $0.nodeName ?? "")
        }
        groups = isOfNames ? [] : [Group(ports: Port.tcp(slice.ports), endpoints: ready)]
    }

    init(_ object: Endpoints) {
        kind = "Endpoints"
        name = object.meta.name.detached
        isOfNames = false
        isIPv6 = false
        place = object.meta.place
        groups = object.subsets.map { subset in
            let ready = subset.addresses.map {
                Ready([$0.ip], target: $0.target, namespace: object.meta.namespace)
            }
            return Group(ports: Port.tcp(subset.ports), endpoints: ready)
        }
    }
}
