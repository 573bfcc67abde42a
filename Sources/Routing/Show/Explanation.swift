internal import Manifests
internal import Octets

/// Where a request arrives.
package struct Entrance: Sendable {
    /// The port number of the Gateway's server; ignored on the mesh.
    package var port: UInt16
    /// The TLS server name; nil is clear text, empty is TLS without a name.
    package var serverName: String?
    /// Whether it arrives at the mesh listener.
    package var isMesh = false

    /// Makes an entrance; by default in clear text.
    package init(port: UInt16, serverName: String? = nil, isMesh: Bool = false) {
        self.port = port
        self.serverName = serverName
        self.isMesh = isMesh
    }
}

/// Where a request is sent, and why.
package struct Explanation: Sendable {
    /// The listener, the host, each rule that was tested with its first condition that failed, and what the rule does
    /// that holds; if none holds, the rule that came nearest. Printable.
    package fileprivate(set) var lines: [String] = []
    /// The name of the route whose rule holds; nil if there is none.
    package fileprivate(set) var route: String?
    /// Whether the request goes to a destination that has endpoints, or gets the answer that its rule gives.
    package fileprivate(set) var isServed = false

    package var text: String { lines.map { $0 + "\n" }.joined() }

    /// As a JSON object.
    package var json: String {
        var writer = JSONText()
        writer.object {
            $0.field("served", isServed)
            $0.field("route", route)
            $0.field("steps", of: lines) { $1.array($0) { $1.string($0) } }
        }
        return writer.text + "\n"
    }
}

extension RoutingPlan {
    /// Explains where a request is sent. Each condition is tested by a table of its own, so the result is that of the
    /// matcher.
    /// - Parameter endpoints: which endpoints the clusters have now.
    package func explain(_ request: TextRequest, at entrance: Entrance, endpoints: EndpointTable) -> Explanation {
        var found = Explanation()
        explain(request, at: entrance, EndpointReader(endpoints), &found)
        found.lines = found.lines.map(\.printable)
        return found
    }

    private func explain(
        _ request: TextRequest, at entrance: Entrance, _ endpoints: EndpointReader, _ found: inout Explanation
    ) {
        guard let table = table(for: entrance, endpoints, &found) else { return }
        let host = RouteTable.host(of: request.authority).string.lowercased()
        guard let entry = table.entry(of: host) else {
            let names = table.hosts.map(\.name).sorted().prefix(8).joined(separator: ", ")
            found.lines.append("host \(host): 404, none of the hosts fits" + (names.isEmpty ? "" : ": \(names)"))
            return
        }
        found.lines.append("host \(host): \(entry.name == host ? "known" : "falls under \(entry.name)")")
        explainRules(table.ruleSets[entry.ruleSet], request, endpoints, &found)
    }

    private func table(
        for entrance: Entrance, _ endpoints: EndpointReader, _ explained: inout Explanation
    ) -> RouteTable? {
        let found = listeners.filter {
            $0.isMesh == entrance.isMesh && (entrance.isMesh || $0.port == entrance.port)
        }
        guard
            let listener = found.first(where: {
                $0.clearTable != nil || $0.clearRelay != nil || entrance.serverName != nil
            })
        else {
            let ports = listeners.filter { !$0.isMesh }.map(\.address).joined(separator: ", ")
            explained.lines.append(
                "no listener for port \(entrance.port)"
                    + (ports.isEmpty ? "" : ": there are \(ports)"))
            return nil
        }
        if let relay = listener.relay(serverName: entrance.serverName?.lowercased()) {
            let how = entrance.serverName == nil ? "TCP" : "TLS \(entrance.serverName ?? "")"
            explained.lines.append(
                "listener \(listener.address) \(how): connections are relayed, requests are not looked at")
            explained.lines.append("rule \(routes[relay].name) (\(routes[relay].place))")
            show(routes[relay], endpoints, protocol: "TCP", failure: "closed", &explained)
            return nil
        }
        guard let name = entrance.serverName else {
            explained.lines.append(listener.isMesh ? "mesh" : "listener \(listener.address) plain text")
            return listener.clearTable.map { tables[$0] }
        }
        guard let chain = listener.chain(for: name.lowercased()) else {
            let names = listener.chains.flatMap(\.serverNames).joined(separator: ", ")
            explained.lines.append(
                "listener \(listener.address): no TLS server for the name '\(name)': the connection is closed"
                    + (names.isEmpty ? "" : "; there are \(names)"))
            return nil
        }
        explained.lines.append(
            "listener \(listener.address) TLS \(chain.serverNames.joined(separator: ", ")) of \(chain.gateway)"
        )
        return tables[chain.table]
    }

    private func explainRules(
        _ rules: [Rule], _ request: TextRequest, _ endpoints: EndpointReader, _ explained: inout Explanation
    ) {
        var nearest: (held: Int, text: String)?
        for (index, rule) in rules.enumerated() {
            let route = routes[rule.route]
            let tries = (rule.matches.isEmpty ? [RuleMatch()] : rule.matches).map {
                MatchProbe($0, request)
            }
            if let match = tries.first(where: { $0.failed == nil }) {
                explained.lines.append("rule \(route.name) (\(route.place)): yes, \(match.match)")
                if let timeout = route.timeout { explained.lines.append("timeout \(timeout.milliseconds)") }
                show(route, endpoints, &explained)
                return
            }
            for probe in tries {
                let text =
                    "rule \(route.name) (\(route.place)): no, not \"\(probe.failed ?? "")\""
                if probe.held > nearest?.held ?? 0 { nearest = (probe.held, text) }
                if index < Self.mostRules { explained.lines.append(text) }
            }
        }
        if rules.count > Self.mostRules {
            explained.lines.append("and \(rules.count - Self.mostRules) rules more that do not fit")
        }
        explained.lines.append("404: no rule of the host fits")
        if let nearest { explained.lines.append("nearest: \(nearest.text)") }
    }

    /// The largest number of unfitting rules that are shown.
    private static let mostRules = 50

    private func show(
        _ route: Route, _ endpoints: EndpointReader, protocol name: String? = nil, failure: String? = nil,
        _ explained: inout Explanation
    ) {
        explained.route = route.name
        explained.isServed = serves(route, endpoints)
        RouteWalk(self, endpoints).destinations(of: route, at: 0, protocol: name, failure: failure) {
            explained.lines.append(String(repeating: "   ", count: $0.depth) + $0.text)
        }
    }

    /// Whether each destination that gets requests has endpoints, or names that may have some.
    private func serves(_ route: Route, _ endpoints: EndpointReader) -> Bool {
        guard route.unavailable == nil || route.unavailable == .redirectedToHTTPS else { return false }
        return zip(route.destinations, route.weights).allSatisfy { destination, weight in
            let cluster = clusters[destination.cluster]
            if case .unavailable = cluster.source { return weight == 0 }
            if case .requested = cluster.source { return true }
            return switch endpoints.endpoints(of: cluster.source, by: cluster.policies?.locality) {
            case .endpoints(let found): weight == 0 || !found.isEmpty
            case .names: true
            }
        }
    }
}

/// Tests one match item on one request, condition by condition.
private struct MatchProbe {
    let match: RuleMatch
    /// How many conditions hold.
    private(set) var held = 0
    private(set) var failed: String?

    init(_ match: RuleMatch, _ request: TextRequest) {
        self.match = match
        let parts =
            (match.path.map { [RuleMatch(path: $0)] } ?? [])
            + match.conditions.map { RuleMatch(conditions: [$0]) }
        for part in parts {
            let table = RouteTable(
                hosts: [HostEntry(name: "*", ruleSet: 0)],
                ruleSets: [[Rule(matches: [part], route: 0)]])
            if table.match(request) == .route(0) {
                held += 1
            } else if failed == nil {
                failed = part.description
            }
        }
    }
}

extension RouteTable {
    /// The host that decides: the exact one, else the longest wildcard, else `*`.
    fileprivate func entry(of host: String) -> HostEntry? {
        if let exact = hosts.first(where: { $0.name == host }) { return exact }
        let wild = hosts.filter {
            $0.name.hasPrefix("*.") && host.hasSuffix($0.name.dropFirst())
                && host.utf8.count >= $0.name.utf8.count
        }
        return wild.max { $0.name.utf8.count < $1.name.utf8.count }
            ?? hosts.first { $0.name == "*" }
    }
}

extension ListenerPlan {
    /// The server for a TLS server name: the exact one, else the longest wildcard, else `*`; nil if there is none, or
    /// if the connection keeps its TLS.
    package func chain(for serverName: String) -> TLSChain? {
        guard case .chain(let number) = choice(for: serverName) else { return nil }
        return chains[number]
    }

    /// The route to which the octets of a connection are relayed; nil if they are requests, or nobody's.
    /// - Parameter serverName: the TLS server name, empty for TLS without a name; nil is clear text.
    package func relay(serverName: String?) -> Int? {
        guard let serverName else { return clearRelay }
        return switch choice(for: serverName) {
        case .chain(let number): chains[number].relay
        case .passthrough(let number): passthroughs[number].route
        case nil: clearRelay
        }
    }

    private enum Choice { case chain(Int), passthrough(Int) }

    private func choice(for serverName: String) -> Choice? {
        var best: (length: Int, choice: Choice)?
        let all =
            chains.enumerated().map { ($1.serverNames, Choice.chain($0)) }
            + passthroughs.enumerated().map { ($1.serverNames, Choice.passthrough($0)) }
        for (names, choice) in all {
            for name in names {
                let length: Int
                if name == serverName, !name.isEmpty { return choice }
                if name == "*" {
                    length = 0
                } else if name.hasPrefix("*."), serverName.hasSuffix(name.dropFirst()) {
                    length = name.utf8.count
                } else {
                    continue
                }
                if length > best?.length ?? -1 { best = (length, choice) }
            }
        }
        return best?.choice
    }
}
