internal import Balancing
internal import Manifests

/// Compiles the `tls` and `tcp` rules of VirtualServices, for the servers that carry connections instead of requests.
/// Source: docs/istio.md, TLS routes; docs/istio.md, TCP routes.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class RelayCompiler {
    private let services: [VirtualService]
    private let names: Names
    private let problems: Problems
    private let rules: RuleCompiler
    private let clusters: ClusterTable
    private let bound: BoundHosts
    /// The route of each server that was asked for; nil if it has none.
    private var tcpRoutes: [ServerKey: Int?] = [:]
    private var routes: [RouteKey: Int] = [:]
    /// What became of each rule or match on the servers that were compiled.
    private var uses: [Part: Use] = [:]

    /// A match of a `tls` rule, or a `tcp` rule as a whole.
    struct Part: Hashable {
        let service: Int
        let rule: Int
        let match: Int?
    }

    private enum Use {
        case used
        case hidden(Diagnostic)
    }

    private struct RouteKey: Hashable {
        let name: String
        let clusters: [Int]
    }

    private struct ServerKey: Hashable {
        let gateway: String
        let path: String

        init(_ member: ServerMerger.Member) {
            gateway = member.key
            path = member.server.path
        }
    }

    init(
        _ services: [VirtualService], names: Names, problems: Problems, rules: RuleCompiler, clusters: ClusterTable,
        bound: BoundHosts
    ) {
        self.services = services
        self.names = names
        self.problems = problems
        self.rules = rules
        self.clusters = clusters
        self.bound = bound
    }

    // MARK: tcp

    /// The route of all connections of a server that carries TCP, decrypted or in clear text: that of the first rule
    /// in order which is for the server. nil if there is none.
    func tcpRoute(of member: ServerMerger.Member) -> Int? {
        if let known = tcpRoutes[ServerKey(member)] { return known }
        var winner: (route: Int, service: Int, rule: TCPRoute)?
        for found in bound.relays(of: member.gateway).found(on: member.server) where !names.options.limit.isOver {
            let service = services[found.service]
            for (index, rule) in service.tcp.enumerated() where applies(rule, service, member) {
                let part = Part(service: found.service, rule: index, match: nil)
                if let winner {
                    hide(part, unreached(rule, service, behind: services[winner.service], winner.rule.place))
                    continue
                }
                uses[part] = .used
                reportIgnored(rule.matches, service)
                let made = route(
                    "tcp/\(index)", rule.destinations, isBroken: rule.isBroken, service, rule.place, member)
                winner = (made, found.service, rule)
            }
        }
        let route = winner?.route ?? (bound.end == nil ? nil : closedRoute(.tooManyHosts, member))
        tcpRoutes[ServerKey(member)] = .some(route)
        if route == nil { reportUnused(member, field: "tcp") }
        return route
    }

    private func applies(_ rule: TCPRoute, _ service: VirtualService, _ member: ServerMerger.Member) -> Bool {
        rule.matches.isEmpty || rule.matches.contains { applies($0, service, member) }
    }

    /// Whether a match is for a server, by its port and its Gateway; a gateway has no other conditions.
    private func applies(_ match: ConnectionMatch, _ service: VirtualService, _ member: ServerMerger.Member) -> Bool {
        if let port = match.port?.value, port != member.server.port.number.value { return false }
        guard !match.gateways.isEmpty else { return true }
        return match.gateways.contains {
            $0.value != "mesh" && names.gateway($0.value, namespace: service.meta.namespace) == member.key
        }
    }

    // MARK: tls

    /// The server names of one server that passes TLS on.
    /// - Parameter taken: names of the port that are taken; those of this server are added.
    /// - Returns: what fits; `taken.isOver` says that some does not.
    func passthroughs(of member: ServerMerger.Member, _ taken: inout TakenNames) -> [Passthrough] {
        var result: [Passthrough] = []
        for found in bound.relays(of: member.gateway).found(on: member.server) where !names.options.limit.isOver {
            guard add(found.service, of: member, &taken, to: &result) else { return result }
        }
        if result.isEmpty { reportUnused(member, field: "tls") }
        return result
    }

    /// Adds what one VirtualService passes on at a server; false if there is no room for all of it.
    private func add(
        _ serviceNumber: Int, of member: ServerMerger.Member, _ taken: inout TakenNames, to result: inout [Passthrough]
    ) -> Bool {
        let service = services[serviceNumber]
        for (index, rule) in service.tls.enumerated() {
            for (position, match) in rule.matches.enumerated() where applies(match, service, member) {
                let part = Part(service: serviceNumber, rule: index, match: position)
                let wanted = Self.serverNames(of: match, service)
                if let first = taken.taker(of: wanted), first.part != part {
                    hide(part, duplicate(match, service, first))
                }
                if taken.taker(of: wanted) != nil { continue }
                guard taken.add(wanted, part, match.place) else { return false }
                uses[part] = .used
                reportIgnored([match], service)
                let route = route(
                    "tls/\(index)", rule.destinations, isBroken: rule.isBroken, service, rule.place, member)
                result.append(Passthrough(serverNames: wanted, route: route, gateway: member.gateway.meta.identity))
            }
        }
        return true
    }

    /// The names of a match in lower case, each once. If one could not be read, they are all hosts of its
    /// VirtualService, whose connections are then closed.
    private static func serverNames(of match: ConnectionMatch, _ service: VirtualService) -> [String] {
        let written = match.lacksNames ? service.hosts : match.sniHosts
        var seen: Set<String> = []
        let all = written.map { $0.value.lowercased() }.filter { seen.insert($0).inserted }
        return all.contains("*") ? ["*"] : all
    }

    // MARK: routes

    private func route(
        _ name: String, _ destinations: [RouteDestination], isBroken: Bool, _ service: VirtualService,
        _ place: SourcePlace, _ member: ServerMerger.Member
    ) -> Int {
        let reason = rules.closedBy ?? (isBroken ? .brokenRule : nil)
        let chosen = (reason == nil ? destinations.weighted : []).map { entry in
            let asker = ClusterTable.Asker(
                object: service.meta.identity, destination: entry.destination, isRelay: true)
            return (
                cluster: clusters.number(of: asker, listenerPort: member.server.port.number.value),
                weight: entry.weight
            )
        }
        let name = "\(service.meta.namespace)/\(service.meta.name)/\(name)"
        let key = RouteKey(name: name, clusters: chosen.map(\.cluster))
        if let known = routes[key] { return known }
        for choice in chosen {
            reportPolicies(
                of: choice.cluster, destinations, service, isTLS: name.split(separator: "/").dropFirst(2).first == "tls"
            )
            reportNameless(choice.cluster, destinations, service, member)
        }
        let made = rules.addRoute(
            name, clusters: chosen,
            unavailable: reason ?? (chosen.isEmpty ? .brokenRule : nil), object: service.meta.identity, place: place)
        routes[key] = made
        return made
    }

    /// Says what of a destination's policies is not for connections, or may not be meant for them.
    private func reportPolicies(
        of number: Int, _ destinations: [RouteDestination], _ service: VirtualService, isTLS: Bool
    ) {
        guard let first = destinations.first else { return }
        let cluster = clusters.clusters[number]
        func warn(_ message: String, _ hint: String) {
            problems.add(
                Diagnostic(
                    .warning, "no-effect", message, hint: hint, at: first.place, object: service.meta.identity,
                    path: first.path.text))
        }
        if let key = cluster.policies?.hashing?.key, key != .sourceAddress {
            warn(
                "`consistentHash` of \(cluster.host) hashes a part of requests, which relayed connections do not have: "
                    + "they are spread at random", "write useSourceIp: true")
        }
        if isTLS, cluster.tls != nil {
            warn(
                "clients' TLS is passed on to \(cluster.host) inside of the TLS that its DestinationRule asks for",
                "write tls.mode: DISABLE for this port in a DestinationRule if the endpoints end the clients' TLS")
        }
    }

    /// Says that connections in clear text name no host, where one is needed.
    private func reportNameless(
        _ number: Int, _ destinations: [RouteDestination], _ service: VirtualService, _ member: ServerMerger.Member
    ) {
        let cluster = clusters.clusters[number]
        guard case .requested = cluster.source, member.server.tls == nil, let first = destinations.first else { return }
        problems.add(
            Diagnostic(
                .error, "no-addresses",
                "the endpoints of \(cluster.host) are those of the TLS server name that a client asks for, and a "
                    + "client in clear text asks for none: its connections are closed",
                hint: "use a `tls` rule on a server of protocol TLS", at: first.place, object: service.meta.identity,
                path: first.path.text))
    }

    /// A route that closes its connections.
    func closedRoute(_ reason: Unavailable, _ member: ServerMerger.Member) -> Int {
        rules.addRoute(
            "\(member.key)/closed", clusters: [], unavailable: reason, object: member.gateway.meta.identity,
            place: member.server.place)
    }

    private func hide(_ part: Part, _ report: @autoclosure () -> Diagnostic) {
        if uses[part] == nil { uses[part] = .hidden(report()) }
    }
}

/// Which server names of a port are taken, and by whom.
struct TakenNames {
    struct Taker {
        /// nil for a server that terminates TLS.
        let part: RelayCompiler.Part?
        let name: String
        let place: SourcePlace
    }

    private var takers: [String: Taker] = [:]
    /// How many more names there may be in this load.
    private(set) var room: Int
    /// Whether names were left out because there were too many; that is reported once.
    private(set) var isOver = false

    init(room: Int) { self.room = room }

    /// nil: all of them are free.
    func taker(of names: [String]) -> Taker? { names.lazy.compactMap { self.takers[$0] }.first }

    /// Gives names to whoever takes them, except for those that have one.
    /// - Returns: false if there would be too many names.
    mutating func add(_ names: [String], _ part: RelayCompiler.Part?, _ place: SourcePlace) -> Bool {
        guard names.count <= room else {
            isOver = true
            return false
        }
        room -= names.count
        for name in names where takers[name] == nil { takers[name] = Taker(part: part, name: name, place: place) }
        return true
    }
}

// MARK: - What is wrong

extension RelayCompiler {
    /// Reports rules and matches that no server uses. To be called when all ports are compiled.
    /// - Parameter own: the Gateways that select this gateway, as `namespace/name`.
    func reportUnused(_ attachments: GatewayAttachments, own: Set<String>) {
        for index in services.indices where !services[index].tls.isEmpty || !services[index].tcp.isEmpty {
            let service = services[index]
            guard !GatewayAttachments.gateways(of: service, names).isDisjoint(with: own) else { continue }
            for (position, rule) in service.tls.enumerated() {
                for (match, written) in rule.matches.enumerated() {
                    report(
                        Part(service: index, rule: position, match: match), service, written.place, written.path,
                        "no server of its Gateways that passes TLS on (mode PASSTHROUGH) fits its hosts, port and "
                            + "gateways")
                }
            }
            for (position, rule) in service.tcp.enumerated() {
                report(
                    Part(service: index, rule: position, match: nil), service, rule.place, rule.path,
                    "no server of its Gateways that carries TCP (protocols TCP, MONGO, REDIS, MYSQL, or TLS that is "
                        + "terminated) fits its hosts, port and gateways")
            }
        }
    }

    private func report(
        _ part: Part, _ service: VirtualService, _ place: SourcePlace, _ path: FieldPath, _ reason: String
    ) {
        switch uses[part] {
        case .used: break
        case .hidden(let report): problems.add(report)
        case nil:
            problems.add(
                Diagnostic(
                    .warning, "never-holds", "this is for no connection here: \(reason)", at: place,
                    object: service.meta.identity, path: path.text))
        }
    }

    private func unreached(
        _ rule: TCPRoute, _ service: VirtualService, behind winner: VirtualService, _ place: SourcePlace
    ) -> Diagnostic {
        Diagnostic(
            .warning, "unreachable",
            "this rule gets no connection: \(winner.meta.identity) has a `tcp` rule for the same server that comes "
                + "first, and that gets all of them",
            hint: "write `match` with another port, or use another server", at: rule.place,
            object: service.meta.identity, path: rule.path.text,
            related: [Diagnostic.Related(place: place, message: "gets all connections")])
    }

    private func duplicate(
        _ match: ConnectionMatch, _ service: VirtualService, _ taker: TakenNames.Taker
    ) -> Diagnostic {
        let what = taker.part == nil ? "a server that terminates TLS has" : "an earlier match of the port has"
        return Diagnostic(
            .error, "server-name-taken",
            "this match gets no connection, for none of its server names: \(what) the name \(taker.name)",
            hint: "name each server name in one place", at: match.place, object: service.meta.identity,
            path: match.path.text, related: [Diagnostic.Related(place: taker.place, message: "has the name")])
    }

    /// Warns about conditions that a sidecar would test. Source: docs/istio.md, TCP routes.
    private func reportIgnored(_ matches: [ConnectionMatch], _ service: VirtualService) {
        for condition in matches.flatMap(\.ignored) {
            problems.add(
                Diagnostic(
                    .warning, "no-effect",
                    "a gateway does not test `\(condition.value)`: the match holds for connections from and to any "
                        + "address and workload",
                    hint: "use `port`, `gateways` or `sniHosts`, or close the port to others by a network policy",
                    at: condition.place, object: service.meta.identity, path: condition.path))
        }
    }

    private func reportUnused(_ member: ServerMerger.Member, field: String) {
        let number = member.server.port.number
        let fate = field == "tcp" ? "it is not opened" : "its connections are closed"
        problems.add(
            Diagnostic(
                .warning, "listener-without-routes",
                "no VirtualService has a `\(field)` rule for this server of port \(number.value): \(fate)",
                hint: "a VirtualService with `\(field)` rules names it as gateways: [\(member.key)]"
                    + (field == "tls" ? "; to serve `http` rules, write tls.mode: SIMPLE" : ""),
                at: number.place, object: member.gateway.meta.identity, path: number.path))
    }
}
