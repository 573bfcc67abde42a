internal import Manifests

/// The hosts of one Gateway server, ready to be intersected with a VirtualService's.
/// Source: istio-api.md §2.1 B6, B7; both sides are compared in lower case (B8).
struct ServerHosts {
    /// Per name the namespaces whose VirtualServices may serve it; nil is any.
    private var exact: [String: [String?]] = [:]
    private var suffixes: [String: [String?]] = [:]  // by `.suffix`
    private var everything: [String?] = []
    private(set) var entries: [(name: String, namespace: String?)] = []

    init(_ hosts: [Gateway.Host], gatewayNamespace: String) {
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
        if name == "*" {
            everything.append(namespace)
        } else if name.hasPrefix("*.") {
            suffixes[String(name.dropFirst()), default: []].append(namespace)
        } else {
            exact[name, default: []].append(namespace)
        }
    }

    /// For every pair of a server's host and `host`, the narrower one if one covers the other.
    func intersection(_ host: String, namespace: String) -> [String] {
        func allows(_ namespaces: [String?]) -> Bool {
            namespaces.contains { $0 == nil || $0 == namespace }
        }
        let covered =
            allows(everything) || (exact[host].map(allows) ?? false) || isUnderSuffix(host, allows)
        guard host.hasPrefix("*") else { return covered ? [host] : [] }
        let suffix = host.dropFirst()
        var names = covered ? [host] : []
        for entry in entries where entry.name != host && allows([entry.namespace]) {
            // Only names and wildcards below `host`; `*` covers `host` and not the other way round.
            if entry.name != "*", entry.name.utf8.count > host.utf8.count - 1,
                entry.name.hasSuffix(suffix)
            {
                names.append(entry.name)
            }
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
