internal import Manifests

/// The hosts of each Gateway beside those of the VirtualServices that are bound to it, and beside those of the ones
/// that an error took out; made when they are first asked for.
final class BoundHosts {
    private let inventory: Inventory
    private let binding: Binding
    private let leftOut: LeftOutObjects
    private let options: CompileOptions
    private var made: [String: GatewayHosts] = [:]
    private var madeForLeftOut: [String: GatewayHosts] = [:]
    /// Those of VirtualServices of many hosts, by the VirtualService.
    private var sets: [Int: HostSet] = [:]
    private static let few = 64
    /// So many pairs of hosts may still be found: a wildcard fits every host of a Gateway.
    private var room: Int
    /// By the place of a host: whether it fits a host of a Gateway that was asked for.
    private(set) var isCovered: [Bool]
    /// The VirtualService at which there was no more room: what comes behind it was not looked at.
    private(set) var end: Int?

    init(_ inventory: Inventory, binding: Binding, leftOut: LeftOutObjects, options: CompileOptions) {
        self.inventory = inventory
        self.binding = binding
        self.leftOut = leftOut
        self.options = options
        room = 2 * options.mostHosts
        isCovered = Array(repeating: false, count: binding.hosts.count)
    }

    /// With the VirtualServices on a Gateway that have rules for HTTP, by their index, and the places of their hosts.
    func hosts(of gateway: Gateway) -> GatewayHosts {
        let key = gateway.meta.reference
        if let known = made[key] { return known }
        let hosts = GatewayHosts(gateway)
        made[key] = hosts
        for service in binding.services[key] ?? [] where !options.limit.isOver && end == nil {
            guard !inventory.virtualServices[service].http.isEmpty else { continue }
            hosts.add(
                service, binding.hosts.slice(service), namespace: inventory.virtualServices[service].meta.namespace,
                set: set(service), most: room)
            if hosts.count > room { end = service }
        }
        room = max(0, room - hosts.count)
        for place in hosts.places { isCovered[place] = true }
        return hosts
    }

    private func set(_ service: Int) -> HostSet? {
        let hosts = binding.hosts.slice(service)
        guard hosts.count > Self.few else { return nil }
        if let known = sets[service] { return known }
        let set = HostSet(hosts.enumerated().lazy.map { (name: $1, number: Int32(clamping: $0)) })
        sets[service] = set
        return set
    }

    /// With the VirtualServices on a Gateway that an error took out, by their index in
    /// `LeftOutObjects.services` of this Gateway.
    func leftOut(of gateway: Gateway) -> GatewayHosts {
        let key = gateway.meta.reference
        if let known = madeForLeftOut[key] { return known }
        let hosts = GatewayHosts(gateway)
        madeForLeftOut[key] = hosts
        for (number, entry) in (leftOut.services[key] ?? []).enumerated() where !options.limit.isOver {
            hosts.add(
                number, entry.hosts[...], namespace: entry.object.identity.namespace, set: nil,
                most: options.mostHosts)
        }
        return hosts
    }
}

extension ObjectMeta {
    /// `namespace/name`.
    var reference: String { "\(namespace)/\(name)" }
}
