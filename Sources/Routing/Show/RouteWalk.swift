internal import Manifests

/// A line of the tree of routes.
struct RouteLine {
    /// How deep it stands, in steps.
    var depth: Int
    /// What it says, without indentation.
    let text: String
    /// What it is about.
    var role = Role.detail

    /// What a line is about, for whoever compares two trees.
    enum Role {
        /// A part that has lines of its own below it.
        /// - Parameter names: by which the part is found in another tree, the most exact one first.
        case part(names: [String])
        /// A fact of the part above.
        case detail
        /// An endpoint, or that there is none.
        case endpoint
    }
}

/// Goes through the routes in effect, line by line: listener, host, rule, destination, endpoints.
struct RouteWalk {
    private let plan: RoutingPlan
    private let endpoints: EndpointReader
    typealias Visit = (RouteLine) -> Void

    init(_ plan: RoutingPlan, _ endpoints: EndpointReader) {
        self.plan = plan
        self.endpoints = endpoints
    }

    /// Calls `visit` with each line, in the order in which they are shown.
    func walk(_ visit: Visit) {
        if plan.listeners.isEmpty {
            visit(
                RouteLine(depth: 0, text: "no listeners: no Gateway is for this gateway, and no route is for the mesh"))
        }
        for listener in plan.listeners {
            if let topology = listener.topology { part(0, "listener \(listener.address): \(topology)", visit) }
            if let relay = listener.clearRelay {
                part(0, "listener \(listener.address) TCP", visit)
                walk(relay: plan.routes[relay], visit)
            }
            if let table = listener.clearTable {
                part(0, listener.isMesh ? "mesh" : "listener \(listener.address) plain text", visit)
                walk(plan.tables[table], visit)
            }
            for chain in listener.chains { walk(chain, of: listener, visit) }
            for passthrough in listener.passthroughs {
                let names = passthrough.serverNames.joined(separator: ", ")
                part(0, "listener \(listener.address) TLS \(names) passed through", visit)
                walk(relay: plan.routes[passthrough.route], visit)
            }
        }
    }

    private func part(_ depth: Int, _ text: String, names: [String]? = nil, _ visit: Visit) {
        visit(RouteLine(depth: depth, text: text, role: .part(names: names ?? [text])))
    }

    private func walk(_ chain: TLSChain, of listener: ListenerPlan, _ visit: Visit) {
        let name = "listener \(listener.address) TLS \(chain.serverNames.joined(separator: ", "))"
        let certificates = chain.certificates.map(\.description).joined(separator: ", ")
        let text =
            name + " with \(certificates.isEmpty ? "no certificate" : certificates)"
            + (chain.clients.map { "; \($0)" } ?? "") + (chain.relay == nil ? "" : ", then TCP")
        part(0, text, names: [name], visit)
        if let relay = chain.relay {
            walk(relay: plan.routes[relay], visit)
        } else {
            walk(plan.tables[chain.table], visit)
        }
    }

    private func walk(_ table: RouteTable, _ visit: Visit) {
        if table.hosts.isEmpty { visit(RouteLine(depth: 1, text: "no routes: every request is answered 404")) }
        for group in table.hostGroups {
            let names = group.names.joined(separator: ", ")
            part(1, "host \(names)", names: [names, group.names.first ?? ""], visit)
            for rule in table.ruleSets[group.ruleSet] { walk(rule, visit) }
        }
    }

    private func walk(relay route: Route, _ visit: Visit) {
        part(1, "rule \(route.name)", visit)
        destinations(of: route, at: 2, protocol: "TCP", failure: "closed", visit)
    }

    private func walk(_ rule: Rule, _ visit: Visit) {
        let route = plan.routes[rule.route]
        let conditions = rule.matches.map(\.description)
        let timeout = route.timeout.map { ", timeout \($0.milliseconds)" } ?? ""
        part(
            2, "rule \(route.name)\(timeout)",
            names: ["\(route.object) \(conditions.joined(separator: " or "))", route.name], visit)
        for (index, condition) in conditions.enumerated() {
            visit(RouteLine(depth: 3, text: "\(index == 0 ? "if" : "or") \(condition)"))
        }
        destinations(of: route, at: 3, protocol: nil, failure: nil, visit)
    }

    /// What a route does: why it serves nothing, its policies, its answer, its destinations, its mirrors.
    /// - Parameters:
    ///   - name: the protocol, where it does not follow from the port.
    ///   - failure: what becomes of traffic that goes nowhere; nil: the status of the answer.
    func destinations(of route: Route, at depth: Int, protocol name: String?, failure: String?, _ visit: Visit) {
        if let reason = route.unavailable {
            visit(RouteLine(depth: depth, text: "-> \(failure ?? "\(reason.status)"): \(reason.sentence)"))
        }
        for policy in route.policy.extras?.policies ?? [] { visit(RouteLine(depth: depth, text: policy.line)) }
        if let answer = route.policy.extras?.answerText { visit(RouteLine(depth: depth, text: "-> \(answer)")) }
        for (destination, weight) in zip(route.destinations, route.weights) {
            let cluster = plan.clusters[destination.cluster]
            let share = route.destinations.count > 1 ? "\(weight) of \(route.totalWeight) " : ""
            let title = name.map(cluster.title(protocol:)) ?? cluster.title
            part(depth, "-> \(share)\(title)", names: [title, cluster.name], visit)
            details(of: cluster, at: depth + 1, failure: failure ?? "503", visit)
        }
        for mirror in route.policy.extras?.mirrors ?? [] {
            let title = plan.clusters[mirror.cluster].title
            visit(RouteLine(depth: depth, text: "copies of \(mirror.share.text) -> \(title)"))
        }
    }

    private func details(of cluster: ClusterPlan, at depth: Int, failure: String, _ visit: Visit) {
        for line in cluster.policies?.lines ?? [] { visit(RouteLine(depth: depth, text: line)) }
        if let tls = cluster.tls { visit(RouteLine(depth: depth, text: tls.terms.summary)) }
        let role: RouteLine.Role =
            switch cluster.source {
            case .unavailable, .requested: .detail
            default: .endpoint
            }
        for line in cluster.endpointLines(endpoints, failure: failure) {
            visit(RouteLine(depth: depth, text: line, role: role))
        }
    }
}
