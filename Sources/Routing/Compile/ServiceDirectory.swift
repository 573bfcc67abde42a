internal import Manifests

/// A port of a service to which requests can be routed.
struct ServicePort: Sendable {
    let number: Int
    let name: String
    let isHTTP2: Bool
    /// Why requests to it cannot be sent; nil: they can.
    var notSpoken: NotSpoken?
    let place: SourcePlace
}

/// A protocol that a port declares and that Portico does not speak to it; the text says where it declares that.
enum NotSpoken: Sendable {
    case tls(String)

    /// The protocol of a Service's port; nil if Portico speaks it. Source: docs/istio.md, Protocol of a port.
    init?(appProtocol: String?, name: String) {
        let text = (appProtocol ?? name).lowercased()
        let saying = appProtocol.map { "its appProtocol is \($0)" } ?? "it is named \(name)"
        if text == "kubernetes.io/wss" || ["https", "tls"].contains(text.prefix { $0 != "-" }) {
            self = .tls(saying)
        } else {
            return nil
        }
    }

    init?(_ name: PortProtocol?) {
        switch name {
        case .https, .tls: self = .tls("its protocol is \(name?.rawValue ?? "")")
        default: return nil
        }
    }
}

/// The service that a host of a destination stands for.
struct RoutableService: Sendable {
    enum Origin: Sendable {
        case service(Int)    // index into the inventory
        case entries([Int])    // ServiceEntries of one namespace, oldest first
    }
    let host: String
    let namespace: String
    let origin: Origin
    let ports: [ServicePort]
    /// The place of each port, if there are many.
    private let places: [Int: Int]
    private static let fewPorts = 16

    init(host: String, namespace: String, origin: Origin, ports: [ServicePort]) {
        self.host = host
        self.namespace = namespace
        self.origin = origin
        self.ports = ports
        let isMany = ports.count > Self.fewPorts
        places = isMany ? Dictionary(ports.enumerated().map { ($1.number, $0) }) { first, _ in first } : [:]
    }

    /// The port of this number; nil if the service has none.
    func port(_ number: Int) -> ServicePort? {
        guard places.isEmpty else { return places[number].map { ports[$0] } }
        return ports.first { $0.number == number }
    }
}

/// A Service or ServiceEntry that is not exported to this gateway's namespace.
struct HiddenService: Sendable {
    let meta: ObjectMeta
    /// The field that says so.
    let field: String
}

/// All hosts that a destination can name. Source: docs/istio.md, Service hosts.
struct ServiceDirectory {
    private(set) var byHost: [String: RoutableService] = [:]
    /// By host: what would be there if it were exported to this gateway's namespace.
    private(set) var hidden: [String: HiddenService] = [:]
    /// The first namespace with a visible Service of a name, for hints.
    private(set) var namespaces: [String: String] = [:]

    init(_ inventory: Inventory, names: Names) {
        byHost.reserveCapacity(inventory.services.count + inventory.serviceEntries.count)
        namespaces.reserveCapacity(inventory.services.count)
        for (index, service) in inventory.services.enumerated() {
            let exportTo = Self.exportTo(service)
            let host = names.full(service.meta.name, service.meta.namespace).lowercased()
            guard names.isVisible(exportTo, from: service.meta.namespace) else {
                hidden[host] = HiddenService(meta: service.meta, field: "annotation \(Self.exportToName)")
                continue
            }
            let namespace = service.meta.namespace
            namespaces[service.meta.name] = min(namespaces[service.meta.name] ?? namespace, namespace)
            byHost[host] = RoutableService(
                host: host, namespace: service.meta.namespace, origin: .service(index),
                ports: service.ports.filter { $0.transport == .tcp }.map(Self.port))
        }
        add(inventory.serviceEntries, names)
    }

    /// Adds ServiceEntries. The oldest one of a host wins, and others of its namespace add their ports.
    private mutating func add(_ entries: [ServiceEntry], _ names: Names) {
        let order = entries.indices.sorted { Names.precedes(entries[$0].meta, entries[$1].meta) }
        var merged: [String: Merged] = [:]
        for index in order {
            let entry = entries[index]
            guard names.isVisible(entry.exportTo.map(\.value), from: entry.meta.namespace) else {
                for host in entry.hosts {
                    let entry = HiddenService(meta: entry.meta, field: "spec.exportTo")
                    hidden[host.value.lowercased()] = hidden[host.value.lowercased()] ?? entry
                }
                continue
            }
            let namespace = entry.meta.namespace
            let ports = entry.ports.map(Self.port)
            for host in Set(entry.hosts.map { $0.value.lowercased() }) where byHost[host] == nil {
                guard merged[host, default: Merged(namespace: namespace)].namespace == namespace else { continue }
                merged[host, default: Merged(namespace: namespace)].add(index, ports)
            }
        }
        for (host, found) in merged {
            byHost[host] = RoutableService(
                host: host, namespace: found.namespace, origin: .entries(found.entries), ports: found.ports)
        }
    }

    /// The ServiceEntries of a host, as far as they were added.
    private struct Merged {
        let namespace: String
        private(set) var entries: [Int] = []
        private(set) var ports: [ServicePort] = []
        private var numbers: Set<Int> = []    // of the ports, once there is a second entry

        init(namespace: String) { self.namespace = namespace }

        /// Adds an entry. All hosts of the first entry share one array of ports.
        mutating func add(_ index: Int, _ own: [ServicePort]) {
            guard !entries.isEmpty else {
                entries = [index]
                ports = own
                return
            }
            if numbers.isEmpty { numbers = Set(ports.map(\.number)) }
            let more = own.filter { !numbers.contains($0.number) }
            guard !more.isEmpty else { return }
            numbers.formUnion(more.map(\.number))
            entries.append(index)
            ports += more
        }
    }

    private static let exportToName = "networking.istio.io/exportTo"

    private static func exportTo(_ service: Service) -> [String] {
        guard let list = service.meta.annotations[exportToName] else { return [] }
        return list.split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
    }

    private static func port(_ port: Service.Port) -> ServicePort {
        ServicePort(
            number: port.number, name: port.name, isHTTP2: speaksHTTP2(port.appProtocol, port.name),
            notSpoken: NotSpoken(appProtocol: port.appProtocol, name: port.name), place: port.place)
    }

    private static func port(_ port: ServiceEntry.Port) -> ServicePort {
        ServicePort(
            number: port.number, name: port.name, isHTTP2: port.protocol?.isHTTP2 ?? false,
            notSpoken: NotSpoken(port.protocol), place: port.place)
    }

    /// Whether a port's `appProtocol`, or else its name, says HTTP/2. Source: docs/istio.md, Protocol of a port.
    static func speaksHTTP2(_ appProtocol: String?, _ name: String) -> Bool {
        let text = (appProtocol ?? name).lowercased()
        if text == "kubernetes.io/h2c" { return true }
        let word = text.prefix { $0 != "-" }
        return ["http2", "grpc", "h2c"].contains(word)
    }
}
