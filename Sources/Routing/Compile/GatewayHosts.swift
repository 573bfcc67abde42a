internal import Manifests

/// The hosts of one Gateway's servers, joined with those of the objects on it: for each host of a server, the hosts of
/// objects that fit. They are joined once for all servers of the Gateway, so that no object is examined again for each
/// server. Both sides are compared in lower case. Source: docs/istio.md, Host intersection.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: `BoundHosts`.
final class GatewayHosts {
    /// A host of a server, and the namespace whose objects may serve it; nil is any.
    struct Entry: Hashable {
        let name: String
        let namespace: String?
    }

    /// An object's names on a server: of each pair of hosts, the narrower one if one covers the other.
    struct Found {
        let service: Int
        fileprivate(set) var names: [String] = []
        /// The hosts of the object that are in a pair.
        fileprivate(set) var places: [Int] = []
    }

    /// A host of an object that fits a host of a server.
    private struct Bound {
        let service: Int32
        let place: Int32
        let host: String
    }

    /// A number of `bound`; `isOwn` says that the bound host is the narrower one.
    private struct Fit {
        let bound: Int32
        let isOwn: Bool
    }

    private struct Pair {
        let place: Int
        let entry: Int32
        let isOwn: Bool
    }

    private let gateway: Gateway
    private var numbers: [Entry: Int32] = [:]
    private var entries: [Entry] = []
    private var byNamespace: [String?: (entries: [Int32], set: HostSet)] = [:]
    private var fits: [[Fit]]    // by entry
    private var bound: [Bound] = []
    private(set) var count = 0    // of all fits
    private var known: [String: [Found]] = [:]    // by the path of the server

    init(_ gateway: Gateway) {
        self.gateway = gateway
        for server in gateway.servers + gateway.brokenServers {
            for entry in Self.entries(of: server, gateway) where numbers[entry] == nil {
                numbers[entry] = Int32(clamping: entries.count)
                entries.append(entry)
            }
        }
        fits = Array(repeating: [], count: entries.count)
        let all = entries.enumerated().map { (number: Int32(clamping: $0), entry: $1) }
        for (namespace, group) in Dictionary(grouping: all, by: \.entry.namespace) {
            let set = HostSet(group.map { (name: $0.entry.name, number: $0.number) })
            byNamespace[namespace] = (group.map(\.number), set)
        }
    }

    /// A server's hosts; `*/*` stands for all of them.
    static func entries(of server: Gateway.Server, _ gateway: Gateway) -> [Entry] {
        if server.hosts.contains(where: { $0.namespace == "*" && $0.host == "*" }) {
            return [Entry(name: "*", namespace: nil)]
        }
        return server.hosts.map { host in
            let namespace: String? =
                switch host.namespace {
                case nil, "*": nil
                case ".": gateway.meta.namespace
                case let other: other
                }
            return Entry(name: host.host.lowercased(), namespace: namespace)
        }
    }

    /// Some of the hosts as they are written, for hints.
    var examples: [String] {
        entries.prefix(64).map { entry in (entry.namespace.map { $0 + "/" } ?? "") + entry.name }
    }
}

// MARK: - To join

extension GatewayHosts {
    /// Adds an object's hosts, after those of earlier objects.
    /// - Parameters:
    ///   - hosts: in lower case.
    ///   - set: the same hosts by their index, for an object with many hosts; nil for other objects.
    ///   - most: the number of fits after which it ends.
    func add(_ service: Int, _ hosts: ArraySlice<String>, namespace: String, set: HostSet?, most: Int) {
        let groups = [nil, namespace].compactMap { byNamespace[$0] }
        let isShort = groups.reduce(0) { $0 + $1.entries.count } < hosts.count
        if let set, isShort {
            append(pairs(of: groups, hosts, set, most: most - count), service, hosts)
            return
        }
        for place in hosts.indices where count <= most {
            append(Self.pairs(place, hosts[place], groups), service, hosts)
        }
    }

    /// The hosts of servers that fit one host of an object.
    private static func pairs(
        _ place: Int, _ host: String, _ groups: [(entries: [Int32], set: HostSet)]
    ) -> [Pair] {
        var pairs: [Pair] = []
        for (_, set) in groups {
            set.forEach(covering: host) { pairs.append(Pair(place: place, entry: $0, isOwn: true)) }
            guard host.hasPrefix("*") else { continue }
            pairs += set.below(host).map { Pair(place: place, entry: $0, isOwn: false) }
        }
        return pairs
    }

    /// The pairs of all hosts of an object that has more hosts than the Gateway: it goes through those of the Gateway.
    private func pairs(
        of groups: [(entries: [Int32], set: HostSet)], _ hosts: ArraySlice<String>, _ set: HostSet, most: Int
    ) -> [Pair] {
        var pairs: [Pair] = []
        for number in groups.joined(\.entries) where pairs.count <= most {
            let name = entries[Int(number)].name
            set.forEach(covering: name) {
                let place = hosts.startIndex + Int($0)
                pairs.append(Pair(place: place, entry: number, isOwn: hosts[place] == name))
            }
            guard name.hasPrefix("*") else { continue }
            pairs += set.below(name).map {
                Pair(place: hosts.startIndex + Int($0), entry: number, isOwn: true)
            }
        }
        return pairs.sorted { $0.place < $1.place }
    }

    private func append(_ pairs: [Pair], _ service: Int, _ hosts: ArraySlice<String>) {
        var last = -1
        for pair in pairs {
            if pair.place != last {
                let (number, place) = (Int32(clamping: service), Int32(clamping: pair.place))
                bound.append(Bound(service: number, place: place, host: hosts[pair.place]))
                last = pair.place
            }
            fits[Int(pair.entry)].append(Fit(bound: Int32(clamping: bound.count - 1), isOwn: pair.isOwn))
        }
        count += pairs.count
    }
}

// MARK: - What was found

extension GatewayHosts {
    /// The objects that have names on a server, in the order in which they were added. To be called when all are added.
    func found(on server: Gateway.Server) -> [Found] {
        if let found = known[server.path] { return found }
        let found = find(server)
        known[server.path] = found
        return found
    }

    private func find(_ server: Gateway.Server) -> [Found] {
        let wanted = Self.entries(of: server, gateway)
        var found: [Found] = []
        var last: Int32 = -1
        for (number, position) in ordered(wanted) {
            let bound = bound[Int(number)]
            if found.last?.service != Int(bound.service) { found.append(Found(service: Int(bound.service))) }
            if number != last { found[found.count - 1].places.append(Int(bound.place)) }
            last = number
            found[found.count - 1].names.append(position == 0 ? bound.host : wanted[Int(position) - 1].name)
        }
        return found
    }

    /// The fits of several hosts: the number of the bound host, and 0 for its own name, otherwise the position of the
    /// server's host, from 1.
    private func ordered(_ wanted: [Entry]) -> [(bound: Int32, position: Int32)] {
        var keys: [UInt64] = []
        var lists = 0
        for (position, entry) in wanted.enumerated() {
            guard let number = numbers[entry], !fits[Int(number)].isEmpty else { continue }
            lists += 1
            keys += fits[Int(number)].map {
                UInt64(UInt32(bitPattern: $0.bound)) << 32 | ($0.isOwn ? 0 : UInt64(position + 1))
            }
        }
        if lists > 1 { keys.sort() }
        var last: UInt64?
        return keys.compactMap { key in
            defer { last = key }
            return key == last ? nil : (Int32(truncatingIfNeeded: key >> 32), Int32(truncatingIfNeeded: key))
        }
    }

    /// The bound hosts that fit a host of a server: the narrower name, and the place of the bound host.
    func bound(to entry: Entry) -> [(name: String, place: Int)] {
        guard let number = numbers[entry] else { return [] }
        return fits[Int(number)].map { fit in
            let bound = bound[Int(fit.bound)]
            return (fit.isOwn ? bound.host : entry.name, Int(bound.place))
        }
    }

    /// The places of all bound hosts that fit a host of a server.
    var places: some Sequence<Int> { bound.lazy.map { Int($0.place) } }
}

extension Collection {
    fileprivate func joined<Part: Sequence>(_ part: KeyPath<Element, Part>) -> some Sequence<Part.Element> {
        lazy.flatMap { $0[keyPath: part] }
    }
}
