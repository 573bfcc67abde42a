internal import Manifests

/// The objects that were left out because of an error, by what refers to them. The report on a reference to one says
/// that, with the place of the error, and proposes no other name.
struct LeftOutObjects {
    private var byIdentity: [ObjectReference: LeftOut] = [:]
    private var byHost: [String: LeftOut] = [:]    // Services and ServiceEntries
    /// DestinationRules by host, one for each namespace; of several, one that closes.
    private var policies: [String: [String: LeftOut]] = [:]
    private var byNamespace: [ObjectKey: LeftOut] = [:]
    /// VirtualServices by `namespace/name` of a Gateway, with their completed hosts.
    private(set) var services: [String: [(object: LeftOut, hosts: [String])]] = [:]

    private struct ObjectKey: Hashable {
        let kind: String
        let namespace: String
    }

    init(_ all: [LeftOut], names: Names) {
        for object in all {
            let identity = object.identity
            byIdentity[identity] = object
            let place = ObjectKey(kind: identity.kind, namespace: identity.namespace)
            if byNamespace[place] == nil { byNamespace[place] = object }
            let hosts = object.hosts.map { names.expanded($0, namespace: identity.namespace) }
            switch identity.kind {
            case "Service": byHost[names.full(identity.name, identity.namespace).lowercased()] = object
            case "ServiceEntry": for host in hosts { byHost[host] = object }
            case "DestinationRule": for host in hosts { addPolicy(object, host) }
            case "VirtualService": add(object, hosts, names)
            default: break
            }
        }
    }

    private mutating func add(_ object: LeftOut, _ hosts: [String], _ names: Names) {
        let namespace = object.identity.namespace
        guard !hosts.isEmpty, names.isVisible(object.exportTo, from: namespace) else { return }
        for gateway in Set(object.gateways.map { names.gateway($0, namespace: namespace) }) {
            services[gateway, default: []].append((object, hosts))
        }
    }

    private mutating func addPolicy(_ object: LeftOut, _ host: String) {
        let namespace = object.identity.namespace
        if let known = policies[host]?[namespace], known.closes || !object.closes { return }
        policies[host, default: [:]][namespace] = object
    }

    /// What is known of an object that an error keeps out; nil if there is none of that identity.
    func object(_ kind: String, _ namespace: String, _ name: String) -> LeftOut? {
        byIdentity[ObjectReference(kind: kind, namespace: namespace, name: name)]
    }

    /// The Service or ServiceEntry that would have defined a host.
    func definition(of host: String) -> LeftOut? { byHost[host] }

    /// An object of one of these kinds that an error keeps out, as a reason for what lacks in its namespace; nil if
    /// none is.
    func some(_ kinds: [String], in namespace: String) -> LeftOut? {
        kinds.lazy.compactMap { byNamespace[ObjectKey(kind: $0, namespace: namespace)] }.first
    }

    /// A DestinationRule for a host in one of these namespaces; one that closes is preferred.
    func policy(of host: String, in namespaces: Set<String>) -> LeftOut? {
        guard !policies.isEmpty else { return nil }
        let places = namespaces.sorted()
        var near: LeftOut?
        func look(_ host: String) {
            guard !(near?.closes ?? false), let found = policies[host] else { return }
            for object in places.compactMap({ found[$0] }) where near == nil || object.closes {
                near = object
            }
        }
        look(host)
        var rest = host[...]
        while let dot = rest.firstIndex(of: ".") {
            look("*" + rest[dot...])
            rest = rest[rest.index(after: dot)...]
        }
        look("*")
        return near
    }
}

extension LeftOut {
    /// The end of a sentence that begins with the object's name.
    static let sentence = "was left out because of an error"

    var hint: String { "\(identity) \(Self.sentence)" }
    var related: [Diagnostic.Related] { [Diagnostic.Related(place: place, message: "its error")] }
}
