internal import Manifests

/// For each Gateway: its hosts joined with those of the VirtualServices on it, and with those of VirtualServices that
/// have an error. A join is made when it is first needed. The next compilation goes on with it if nothing of this has
/// changed.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the next memory.
final class BoundHosts {
    private let services: [AttachedService]
    private let attachments: GatewayAttachments
    private let leftOut: LeftOutObjects
    private let mostHosts: Int
    /// Ends a join early. It is that of the compilation that uses the hosts now.
    var limit: LoadLimit
    private var made: [String: GatewayHosts] = [:]
    private var madeForLeftOut: [String: GatewayHosts] = [:]
    private var madeForRelays: [String: GatewayHosts] = [:]
    /// By VirtualService: its hosts, if there are many.
    private var sets: [Int: HostSet] = [:]
    /// How many hosts of a VirtualService are searched one by one; of more, a set is made.
    private static let linearHosts = 64
    /// How many more pairs of hosts may be found. A limit is needed because a wildcard fits every host of a Gateway.
    private var room: Int
    /// By the place of a host: whether it fits a host of a Gateway that was joined.
    private(set) var isCovered: [Bool]
    /// The VirtualService at which the limit was reached; those after it were not examined.
    private(set) var end: Int?

    init(
        _ services: [AttachedService], attachments: GatewayAttachments, leftOut: LeftOutObjects, options: CompileOptions
    ) {
        self.services = services
        self.attachments = attachments
        self.leftOut = leftOut
        mostHosts = options.mostHosts
        limit = options.limit
        room = 2 * options.mostHosts
        isCovered = Array(repeating: false, count: attachments.hosts.count)
    }

    /// A Gateway's hosts, joined with the VirtualServices on it that have rules for HTTP. Owners are their indices, and
    /// places are those of `GatewayAttachments.hosts`.
    func hosts(of gateway: Gateway) -> GatewayHosts { join(gateway, &made) { $0.hasRequests } }

    /// A Gateway's hosts, joined with the VirtualServices on it that have rules for connections. Owners are their
    /// indices, and places are those of `GatewayAttachments.hosts`.
    func relays(of gateway: Gateway) -> GatewayHosts { join(gateway, &madeForRelays) { $0.hasConnections } }

    private func join(
        _ gateway: Gateway, _ made: inout [String: GatewayHosts], _ isWanted: (AttachedService) -> Bool
    ) -> GatewayHosts {
        let key = gateway.meta.reference
        if let known = made[key] { return known }
        let hosts = GatewayHosts(gateway)
        for service in attachments.services[key] ?? [] where end == nil {
            // A join that was ended early must not be found by the next compilation.
            guard !limit.isOver else { return hosts }
            guard isWanted(services[service]) else { continue }
            hosts.add(
                service, attachments.hosts.slice(service), namespace: services[service].namespace, set: set(service),
                most: room)
            if hosts.count > room { end = service }
        }
        made[key] = hosts
        room = max(0, room - hosts.count)
        for place in hosts.places { isCovered[place] = true }
        return hosts
    }

    private func set(_ service: Int) -> HostSet? {
        let hosts = attachments.hosts.slice(service)
        guard hosts.count > Self.linearHosts else { return nil }
        if let known = sets[service] { return known }
        let set = HostSet(hosts.enumerated().lazy.map { (name: $1, number: Int32(clamping: $0)) })
        sets[service] = set
        return set
    }

    /// A Gateway's hosts, joined with the VirtualServices on it that have an error. Owners are their indices in
    /// `LeftOutObjects.services` of this Gateway.
    func leftOut(of gateway: Gateway) -> GatewayHosts {
        let key = gateway.meta.reference
        if let known = madeForLeftOut[key] { return known }
        let hosts = GatewayHosts(gateway)
        for (index, entry) in (leftOut.services[key] ?? []).enumerated() {
            guard !limit.isOver else { return hosts }
            hosts.add(
                index, entry.hosts[...], namespace: entry.object.identity.namespace, set: nil, most: mostHosts)
        }
        madeForLeftOut[key] = hosts
        return hosts
    }
}

extension ObjectMeta {
    /// The object as `namespace/name`.
    var reference: String { "\(namespace)/\(name)" }
}
