internal import Manifests

/// The names of one port that a server redirects to HTTPS. One such server is enough for a name, whatever its Gateway
/// and the order of servers, because a virtual host either redirects or does not. Source: docs/istio.md, Redirect to
/// HTTPS.
struct Redirected {
    private var servers: [String: ServerMerger.Member] = [:]
    private var lists: [SourcePlace: [String]] = [:]
    /// The places of the hosts of VirtualServices that are among the names.
    private(set) var places: [Int] = []
    /// The server that redirects all other names of the port, if there are too many names.
    private var rest: ServerMerger.Member?

    static let nothing = Redirected()

    private init() {}

    /// Finds the names that servers redirect.
    /// - Parameters:
    ///   - bound: the hosts that objects have on each Gateway.
    ///   - most: the largest number of names; with more of them, all names of the port are redirected.
    init(_ members: [ServerMerger.Member], _ bound: BoundHosts, most: Int) {
        var seen: Set<Seen> = []
        for member in members {
            let hosts = bound.hosts(of: member.gateway)
            var list: [String] = []
            for entry in GatewayHosts.entries(of: member.server, member.gateway)
            where seen.insert(Seen(gateway: member.key, entry: entry)).inserted {
                let found = servers.count < most ? hosts.bound(to: entry) : []
                places += found.map(\.place)
                for name in [entry.name] + found.map(\.name) where servers[name] == nil {
                    servers[name] = member
                    list.append(name)
                }
            }
            lists[member.server.place] = lists[member.server.place] ?? list
        }
        if servers.count >= most || bound.end != nil { rest = members.first }
    }

    private struct Seen: Hashable {
        let gateway: String
        let entry: GatewayHosts.Entry
    }

    /// Whether each redirected name is known. If not, all names of the port are redirected.
    var isWhole: Bool { rest == nil }

    /// The server that redirects a name; nil if none does.
    func server(redirecting name: String) -> ServerMerger.Member? { servers[name] ?? rest }

    /// The names that a server redirects: its own and those of VirtualServices on it.
    func names(of member: ServerMerger.Member) -> [String] {
        lists[member.server.place] ?? []
    }
}
