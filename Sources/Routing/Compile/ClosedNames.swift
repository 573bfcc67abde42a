internal import Manifests

/// The names of those encrypted servers of a port that are not opened, because they have an error or ask for something
/// that is not in effect yet. A client that names one of them reaches the next wider server of the port, which may
/// demand less, for example no client certificate. That server answers 503 for these names.
struct ClosedNames {
    private var closed: [String: Unavailable] = [:]
    private var open: Set<String> = []

    static let none = ClosedNames([], broken: [], open: [])

    init(_ members: [ServerMerger.Member], broken: [ServerMerger.Member], open: [ServerMerger.Member]) {
        for member in open { self.open.formUnion(Self.names(member)) }
        for member in broken {
            for name in Self.names(member) { closed[name] = .leftOut("a server of \(member.gateway.meta.identity)") }
        }
        for member in members {
            let field = member.server.closings.first?.name ?? ""
            for name in Self.names(member) {
                closed[name] = .notInEffect("\(field) of \(member.gateway.meta.identity)")
            }
        }
        for name in self.open { closed[name] = nil }
    }

    private static func names(_ member: ServerMerger.Member) -> [String] {
        member.server.hosts.map { $0.host.lowercased() }
    }

    /// Whether the most specific server for a name is one that is not opened.
    func covers(_ name: String) -> Bool {
        guard !closed.isEmpty else { return false }
        if closed[name] != nil { return true }
        if open.contains(name) { return false }
        var rest = name.hasPrefix("*.") ? name.dropFirst(2) : name[...]
        while let dot = rest.firstIndex(of: ".") {
            let pattern = "*" + rest[dot...]
            if closed[pattern] != nil { return true }
            if open.contains(pattern) { return false }
            rest = rest[rest.index(after: dot)...]
        }
        return closed["*"] != nil && !open.contains("*")
    }

    /// The names of unopened servers whose requests would reach this server of the port.
    func names(under member: ServerMerger.Member) -> [(name: String, reason: Unavailable)] {
        let own = Self.names(member)
        let found = closed.filter { name, _ in own.contains { Self.isUnder(name, $0) } }
        return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func isUnder(_ name: String, _ pattern: String) -> Bool {
        guard name != pattern else { return false }
        return pattern == "*" || (pattern.hasPrefix("*.") && name.hasSuffix(pattern.dropFirst()))
    }
}
