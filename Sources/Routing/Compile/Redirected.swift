internal import Manifests

/// The names of one port that a server redirects to HTTPS. One such server is enough for a name, whatever its Gateway
/// and the order of servers, because a virtual host either redirects or does not. Source: docs/istio.md, Redirect to
/// HTTPS.
struct Redirected {
    private var owners: [String: ServerMerger.Member] = [:]
    private var lists: [SourcePlace: [String]] = [:]

    static let nothing = Redirected([]) { _ in [] }

    /// - Parameter names: the names that VirtualServices have on a server.
    init(
        _ members: [ServerMerger.Member],
        _ names: (ServerMerger.Member) -> [(service: Int, found: (names: [String], served: [Int]))]
    ) {
        for member in members {
            let hosts = ServerHosts(member.server.hosts, gatewayNamespace: member.gateway.meta.namespace)
            var list: [String] = []
            for name in hosts.entries.map(\.name) + names(member).flatMap(\.found.names)
            where owners[name] == nil {
                owners[name] = member
                list.append(name)
            }
            lists[member.server.place] = lists[member.server.place] ?? list
        }
    }

    /// The server that redirects a name; nil if none does.
    func owner(of name: String) -> ServerMerger.Member? { owners[name] }

    /// The names that a server redirects: its own and those of VirtualServices on it.
    func names(of member: ServerMerger.Member) -> [String] {
        lists[member.server.place] ?? []
    }
}
