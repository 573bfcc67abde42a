internal import Manifests

/// The names of those encrypted servers of a port that are not opened, because they have an error or ask for something
/// that is not in effect yet. A client that names one of them reaches the next wider server of the port, which may
/// demand less, for example no client certificate. That server answers 503 for these names.
struct ClosedNames {
    private let closed: [String: Unavailable]
    private var open: Set<String> = []
    /// The names of `closed` in order, and as a set that finds those below a wildcard.
    private let sorted: [(key: String, value: Unavailable)]
    private let set: HostSet

    static let none = ClosedNames([], broken: [], open: [])

    init(_ members: [ServerMerger.Member], broken: [ServerMerger.Member], open: [ServerMerger.Member]) {
        var closed: [String: Unavailable] = [:]
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
        self.closed = closed
        sorted = closed.sorted { $0.key < $1.key }
        set = HostSet(sorted.enumerated().lazy.map { (name: $1.key, number: Int32(clamping: $0)) })
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
        guard !closed.isEmpty else { return [] }
        var found: Set<Int32> = []
        for pattern in Set(Self.names(member)) where pattern.hasPrefix("*") { found.formUnion(set.below(pattern)) }
        return found.sorted().map { (sorted[Int($0)].key, sorted[Int($0)].value) }
    }
}
