internal import Manifests

/// The names of one port that a server asks to redirect to HTTPS. One such server is enough for a name,
/// whichever Gateway it is of and in whichever order they come: a virtual host redirects or does not.
/// Source: istio-api.md §2.9.
struct Redirected {
    private var owners: [String: ServerMerger.Member] = [:]
    private var lists: [SourcePlace: [String]] = [:]
    /// The places of the VirtualServices' hosts among them.
    private(set) var places: [Int] = []
    /// There are so many that each other name of the port counts as one of them.
    private var rest: ServerMerger.Member?

    static let nothing = Redirected()

    private init() {}

    /// - Parameters:
    ///   - bound: what VirtualServices have on the servers.
    ///   - most: so many names there may be.
    init(_ members: [ServerMerger.Member], _ bound: BoundHosts, most: Int) {
        var seen: Set<Seen> = []
        for member in members {
            let hosts = bound.hosts(of: member.gateway)
            var list: [String] = []
            for entry in GatewayHosts.entries(of: member.server, member.gateway)
            where seen.insert(Seen(gateway: member.key, entry: entry)).inserted {
                let found = owners.count < most ? hosts.bound(to: entry) : []
                places += found.map(\.place)
                for name in [entry.name] + found.map(\.name) where owners[name] == nil {
                    owners[name] = member
                    list.append(name)
                }
            }
            lists[member.server.place] = lists[member.server.place] ?? list
        }
        if owners.count >= most || bound.end != nil { rest = members.first }
    }

    private struct Seen: Hashable {
        let gateway: String
        let entry: GatewayHosts.Entry
    }

    /// Whether each name is known by itself; else all names of the port are redirected.
    var isWhole: Bool { rest == nil }

    /// The server that asks for the redirect of a name.
    func owner(of name: String) -> ServerMerger.Member? { owners[name] ?? rest }

    /// A server's own names, and those of VirtualServices on it.
    func names(of member: ServerMerger.Member) -> [String] {
        lists[member.server.place] ?? []
    }
}
