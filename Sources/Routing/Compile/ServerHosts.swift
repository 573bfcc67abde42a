internal import Manifests

/// The hosts of one server of a Gateway, ready to be intersected with those of VirtualServices.
/// Both sides are compared in lower case. Source: docs/istio.md, Host intersection.
struct ServerHosts {
    /// By name: the namespaces whose VirtualServices may serve it; nil is any namespace.
    private var exact: [String: [String?]] = [:]
    private var suffixes: [String: [String?]] = [:]    // by `.suffix`
    private var everything: [String?] = []
    private(set) var entries: [(name: String, namespace: String?)] = []
    /// The entries other than `*`.
    private var backwards = BackwardNames()

    init(_ hosts: [Gateway.Host], gatewayNamespace: String) {
        defer { backwards.sort() }
        if hosts.contains(where: { $0.namespace == "*" && $0.host == "*" }) {
            add("*", nil)
            return
        }
        for host in hosts {
            let namespace: String? =
                switch host.namespace {
                case nil, "*": nil
                case ".": gatewayNamespace
                case let other: other
                }
            add(host.host.lowercased(), namespace)
        }
    }

    private mutating func add(_ name: String, _ namespace: String?) {
        entries.append((name, namespace))
        if name != "*" { backwards.append(name, number: entries.count - 1) }
        if name == "*" {
            everything.append(namespace)
        } else if name.hasPrefix("*.") {
            suffixes[String(name.dropFirst()), default: []].append(namespace)
        } else {
            exact[name, default: []].append(namespace)
        }
    }

    /// For every host of the server: the narrower of it and `host`, if one of the two covers the other.
    func intersection(_ host: String, namespace: String) -> [String] {
        func allows(_ namespaces: [String?]) -> Bool {
            namespaces.contains { $0 == nil || $0 == namespace }
        }
        let covered =
            allows(everything) || (exact[host].map(allows) ?? false) || isUnderSuffix(host, allows)
        guard host.hasPrefix("*") else { return covered ? [host] : [] }
        var names = covered ? [host] : []
        // Only names and wildcards that `host` covers: `*` covers `host`, but not the other way round.
        for entry in backwards.numbers(endingWith: host.dropFirst()).map({ entries[$0] })
        where entry.name != host && entry.name.utf8.count > host.utf8.count - 1
            && allows([entry.namespace])
        {
            names.append(entry.name)
        }
        return names
    }

    private func isUnderSuffix(_ host: String, _ allows: ([String?]) -> Bool) -> Bool {
        guard !suffixes.isEmpty else { return false }
        var index = host.startIndex
        while let dot = host[index...].firstIndex(of: ".") {
            if dot > host.startIndex, let found = suffixes[String(host[dot...])], allows(found) {
                return true
            }
            index = host.index(after: dot)
        }
        return false
    }
}

/// Names in the order of their reversed octets, so that all names with one suffix are neighbours.
struct BackwardNames {
    private var all: [(octets: [UInt8], number: Int)] = []

    /// Adds a name; `sort` must follow.
    mutating func append(_ name: String, number: Int) { all.append((name.utf8.reversed(), number)) }

    /// Sorts the names, after the last one was added.
    mutating func sort() { all.sort { $0.octets.lexicographicallyPrecedes($1.octets) } }

    /// The numbers of the names with this suffix, ascending. It does not examine the other names.
    func numbers(endingWith suffix: Substring) -> [Int] {
        let wanted = Array(suffix.utf8.reversed())
        return all[first(wanted)...].prefix { $0.octets.starts(with: wanted) }.map(\.number).sorted()
    }

    /// Whether a name has this suffix.
    func hasName(endingWith suffix: Substring) -> Bool {
        let wanted = Array(suffix.utf8.reversed())
        return all[first(wanted)...].first?.octets.starts(with: wanted) ?? false
    }

    private func first(_ wanted: [UInt8]) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].octets.lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
