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

extension RoutingPlan {
    /// Explains in lines of text where a request is sent: the listener, the host, each rule that was tested with its
    /// first condition that failed, and the destination; if no rule fits, the rule that came nearest. Each condition is
    /// tested by a table of its own, so the result is that of the matcher.
    /// - Parameter endpoints: which endpoints the clusters have now.
    package func explain(_ request: TextRequest, at entrance: Entrance, endpoints: EndpointTable) -> String {
        explainedLines(request, at: entrance, EndpointReader(endpoints)).map { $0.printable + "\n" }.joined()
    }

    private func explainedLines(
        _ request: TextRequest, at entrance: Entrance, _ endpoints: EndpointReader
    ) -> [String] {
        var lines: [String] = []
        guard let table = table(for: entrance, &lines) else { return lines }
        let host = RouteTable.host(of: request.authority).string.lowercased()
        guard let entry = table.entry(of: host) else {
            let names = table.hosts.map(\.name).sorted().prefix(8).joined(separator: ", ")
            lines.append(
                "host \(host): 404, none of the hosts fits" + (names.isEmpty ? "" : ": \(names)"))
            return lines
        }
        lines.append("host \(host): \(entry.name == host ? "known" : "falls under \(entry.name)")")
        explainRules(table.ruleSets[entry.ruleSet], request, endpoints, &lines)
        return lines
    }

    private func table(for entrance: Entrance, _ lines: inout [String]) -> RouteTable? {
        let found = listeners.filter {
            $0.isMesh == entrance.isMesh && (entrance.isMesh || $0.port == entrance.port)
        }
        guard
            let listener = found.first(where: { $0.clearTable != nil || entrance.serverName != nil }
            )
        else {
            let ports = listeners.filter { !$0.isMesh }.map(\.address).joined(separator: ", ")
            lines.append(
                "no listener for port \(entrance.port)"
                    + (ports.isEmpty ? "" : ": there are \(ports)"))
            return nil
        }
        guard let name = entrance.serverName else {
            lines.append(listener.isMesh ? "mesh" : "listener \(listener.address) plain text")
            return listener.clearTable.map { tables[$0] }
        }
        guard let chain = listener.chain(for: name.lowercased()) else {
            let names = listener.chains.flatMap(\.serverNames).joined(separator: ", ")
            lines.append(
                "listener \(listener.address): no TLS server for the name '\(name)': the connection is closed"
                    + (names.isEmpty ? "" : "; there are \(names)"))
            return nil
        }
        lines.append(
            "listener \(listener.address) TLS \(chain.serverNames.joined(separator: ", ")) of \(chain.gateway)"
        )
        return tables[chain.table]
    }

    private func explainRules(
        _ rules: [Rule], _ request: TextRequest, _ endpoints: EndpointReader, _ lines: inout [String]
    ) {
        var nearest: (held: Int, text: String)?
        for (number, rule) in rules.enumerated() {
            let route = routes[rule.route]
            let tries = (rule.matches.isEmpty ? [RuleMatch()] : rule.matches).map {
                MatchProbe($0, request)
            }
            if let match = tries.first(where: { $0.failed == nil }) {
                lines.append("rule \(route.name) (\(route.place)): yes, \(match.match)")
                lines += destinations(of: route, endpoints)
                return
            }
            for probe in tries {
                let text =
                    "rule \(route.name) (\(route.place)): no, not \"\(probe.failed ?? "")\""
                if probe.held > nearest?.held ?? 0 { nearest = (probe.held, text) }
                if number < Self.rulesShown { lines.append(text) }
            }
        }
        if rules.count > Self.rulesShown {
            lines.append("and \(rules.count - Self.rulesShown) rules more that do not fit")
        }
        lines.append("404: no rule of the host fits")
        if let nearest { lines.append("nearest: \(nearest.text)") }
    }

    /// The largest number of unfitting rules that are shown.
    private static let rulesShown = 50

    private func destinations(of route: Route, _ endpoints: EndpointReader) -> [String] {
        if let reason = route.unavailable { return ["-> \(reason.status): \(reason.sentence)"] }
        if let answer = route.policy.extras?.answerText { return ["-> \(answer)"] }
        return zip(route.destinations, route.shares).flatMap { destination, share in
            let cluster = clusters[destination.cluster]
            let part = route.destinations.count > 1 ? "\(share) of \(route.totalWeight) " : ""
            let details = [cluster.tls?.terms.summary].compactMap(\.self) + cluster.endpointLines(endpoints)
            return ["-> \(part)\(cluster.title)"] + details.map { "   " + $0 }
        }
    }
}

/// Tests one match item on one request, condition by condition.
private struct MatchProbe {
    let match: RuleMatch
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
    /// The server for a TLS server name: the exact one, else the longest wildcard, else `*`; nil if there is none.
    package func chain(for serverName: String) -> TLSChain? {
        var best: (length: Int, chain: TLSChain)?
        for chain in chains {
            for name in chain.serverNames {
                let length: Int
                if name == serverName, !name.isEmpty { return chain }
                if name == "*" {
                    length = 0
                } else if name.hasPrefix("*."), serverName.hasSuffix(name.dropFirst()) {
                    length = name.utf8.count
                } else {
                    continue
                }
                if length > best?.length ?? -1 { best = (length, chain) }
            }
        }
        return best?.chain
    }
}
