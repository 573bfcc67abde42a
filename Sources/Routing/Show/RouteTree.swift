internal import Balancing
internal import Manifests

extension RoutingPlan {
    /// The routes in effect as an indented tree: listener, host, rule, destination, endpoints.
    /// - Parameter endpoints: which endpoints the clusters have now.
    package func renderTree(endpoints: EndpointTable) -> String {
        var tree = TreeText(endpoints: endpoints)
        if listeners.isEmpty {
            tree.line(
                0, "no listeners: no Gateway is for this gateway, and no route is for the mesh")
        }
        for listener in listeners {
            if let topology = listener.topology { tree.line(0, "listener \(listener.address): \(topology)") }
            if let relay = listener.clearRelay {
                tree.line(0, "listener \(listener.address) TCP")
                render(relay: routes[relay], to: &tree)
            }
            if let table = listener.clearTable {
                tree.line(0, listener.isMesh ? "mesh" : "listener \(listener.address) plain text")
                render(tables[table], to: &tree)
            }
            for chain in listener.chains {
                let certificates = chain.certificates.map(\.description).joined(separator: ", ")
                tree.line(
                    0,
                    "listener \(listener.address) TLS \(chain.serverNames.joined(separator: ", "))"
                        + " with \(certificates.isEmpty ? "no certificate" : certificates)"
                        + (chain.clients.map { "; \($0)" } ?? "") + (chain.relay == nil ? "" : ", then TCP"))
                if let relay = chain.relay {
                    render(relay: routes[relay], to: &tree)
                } else {
                    render(tables[chain.table], to: &tree)
                }
            }
            for passthrough in listener.passthroughs {
                let names = passthrough.serverNames.joined(separator: ", ")
                tree.line(0, "listener \(listener.address) TLS \(names) passed through")
                render(relay: routes[passthrough.route], to: &tree)
            }
        }
        return tree.text
    }

    private func render(_ table: RouteTable, to tree: inout TreeText) {
        if table.hosts.isEmpty { tree.line(1, "no routes: every request is answered 404") }
        for group in table.hostGroups {
            tree.line(1, "host \(group.names.joined(separator: ", "))")
            for rule in table.ruleSets[group.ruleSet] { render(rule, to: &tree) }
        }
    }

    private func render(relay route: Route, to tree: inout TreeText) {
        tree.line(1, "rule \(route.name)")
        if let reason = route.unavailable { tree.line(2, "-> closed: \(reason.sentence)") }
        for (destination, share) in zip(route.destinations, route.shares) {
            let cluster = clusters[destination.cluster]
            let part = route.destinations.count > 1 ? "\(share) of \(route.totalWeight) " : ""
            tree.line(2, "-> \(part)\(cluster.title(protocol: "TCP"))")
            for line in cluster.policies?.lines ?? [] { tree.line(3, line) }
            if let tls = cluster.tls { tree.line(3, tls.terms.summary) }
            for line in cluster.endpointLines(tree.endpoints, failure: "closed") { tree.line(3, line) }
        }
    }

    private func render(_ rule: Rule, to tree: inout TreeText) {
        let route = routes[rule.route]
        let timeout = route.timeout.map { ", timeout \($0.milliseconds)" } ?? ""
        tree.line(2, "rule \(route.name)\(timeout)")
        for (index, match) in rule.matches.enumerated() {
            tree.line(3, "\(index == 0 ? "if" : "or") \(match)")
        }
        if let reason = route.unavailable { tree.line(3, "-> \(reason.status): \(reason.sentence)") }
        for line in route.policy.extras?.policyLines ?? [] { tree.line(3, line) }
        if let answer = route.policy.extras?.answerText { tree.line(3, "-> \(answer)") }
        for (destination, share) in zip(route.destinations, route.shares) {
            let cluster = clusters[destination.cluster]
            let part = route.destinations.count > 1 ? "\(share) of \(route.totalWeight) " : ""
            tree.line(3, "-> \(part)\(cluster.title)")
            for line in cluster.policies?.lines ?? [] { tree.line(4, line) }
            if let tls = cluster.tls { tree.line(4, tls.terms.summary) }
            for line in cluster.endpointLines(tree.endpoints) { tree.line(4, line) }
        }
        for mirror in route.policy.extras?.mirrors ?? [] {
            tree.line(3, "copies of \(mirror.share.text) -> \(clusters[mirror.cluster].title)")
        }
    }
}

/// Appends indented lines.
private struct TreeText {
    let endpoints: EndpointReader
    private(set) var text = ""

    init(endpoints: EndpointTable) { self.endpoints = EndpointReader(endpoints) }

    mutating func line(_ depth: Int, _ content: String) {
        text += String(repeating: "  ", count: depth) + content.printable + "\n"
    }
}

extension RouteTable {
    /// The hosts, grouped by shared rules, in the order in which they were added.
    var hostGroups: [(names: [String], ruleSet: Int)] {
        var groups: [(names: [String], ruleSet: Int)] = []
        var places: [Int: Int] = [:]
        for host in hosts {
            if let place = places[host.ruleSet] {
                groups[place].names.append(host.name)
            } else {
                places[host.ruleSet] = groups.count
                groups.append(([host.name], host.ruleSet))
            }
        }
        return groups
    }
}

extension ListenerPlan {
    /// `bind:port`, with `*` for every address.
    package var address: String {
        if bind.hasPrefix("unix:") { return bind }
        return "\(bind.isEmpty ? "*" : bind.contains(":") ? "[\(bind)]" : bind):\(port)"
    }
}

extension Route {
    /// The weight of each destination.
    package var shares: [UInt64] {
        var before: UInt64 = 0
        return destinations.map { destination in
            defer { before = destination.upTo }
            return destination.upTo - before
        }
    }
}

extension ClusterPlan {
    /// The name of its way to choose.
    var balancing: String { policies?.hashing?.table.name ?? policy.rawValue }

    var title: String { title(protocol: "HTTP/\(isHTTP2 ? "2" : "1.1")") }

    /// The same for traffic of another protocol.
    func title(protocol name: String) -> String {
        let part = subset.isEmpty ? "" : " subset \(subset)"
        return "\(host):\(port)\(part), \(name), \(balancing)"
    }

    /// The lines of a cluster's endpoints, one per endpoint.
    /// - Parameter failure: what becomes of traffic when there is none.
    func endpointLines(_ endpoints: EndpointReader, failure: String = "503") -> [String] {
        if case .unavailable(let reason) = source { return ["\(failure): \(reason.sentence)"] }
        if case .requested(let names) = source {
            return ["the host of each request, if it is under \(names), by DNS, port \(names.port)"]
        }
        let locality = policies?.locality
        return switch endpoints.endpoints(of: source, by: locality) {
        case .endpoints(let found) where found.isEmpty: ["nobody is ready: \(failure)"]
        case .endpoints(let found):
            found.map {
                "\($0.address)" + ($0.weight == 1 ? "" : " weight \($0.weight)") + (locality?.text(of: $0.rank) ?? "")
            }
        case .names(let names):
            names.map {
                "\($0.host):\($0.port) by DNS" + ($0.weight == 1 ? "" : " weight \($0.weight)")
                    + (locality?.text(of: $0.rank) ?? "")
            }
        }
    }
}

extension CertificateSource: CustomStringConvertible {
    package var description: String {
        switch self {
        case .secret(let namespace, let name): "Secret \(namespace)/\(name)"
        case .files(let certificate, _): "file \(certificate)"
        case .mesh: "Istio's agent"
        case .refused(let name): "nothing: \(name) is refused"
        }
    }
}

extension Duration {
    /// The duration as text, such as `5s` or `1500ms`.
    package var milliseconds: String {
        let (seconds, attoseconds) = components
        guard attoseconds != 0 else { return "\(seconds)s" }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? "\(seconds)s" : "\(whole + attoseconds / 1_000_000_000_000_000)ms"
    }
}
