internal import Balancing
internal import Manifests

extension RoutingPlan {
    /// The same tree as `renderTree` in JSON: an array of listeners.
    /// - Parameter endpoints: which endpoints the clusters have now.
    package func renderJSON(endpoints: EndpointTable) -> String {
        let endpoints = EndpointReader(endpoints)
        var writer = JSONText()
        writer.array(listeners) { listener, writer in
            writer.object {
                $0.field("bind", listener.bind)
                $0.field("port", Int(listener.port))
                $0.field("mesh", listener.isMesh)
                if let topology = listener.topology {
                    $0.field("topology", of: topology) { topology, writer in
                        writer.object { topology.write(to: &$0) }
                    }
                }
                $0.field("servers", of: servers(of: listener)) { servers, writer in
                    writer.array(servers) { server, writer in
                        writer.object { write(server, endpoints, to: &$0) }
                    }
                }
            }
        }
        return writer.text + "\n"
    }

    private enum Server {
        case clear(RouteTable)
        case tls(TLSChain, RouteTable)
        case clearRelay(Int)
        case passthrough(Passthrough)
    }

    private func servers(of listener: ListenerPlan) -> [Server] {
        let relay = listener.clearRelay.map { [Server.clearRelay($0)] } ?? []
        let clear = listener.clearTable.map { [Server.clear(tables[$0])] } ?? []
        return relay + clear + listener.chains.map { .tls($0, tables[$0.table]) }
            + listener.passthroughs.map { .passthrough($0) }
    }

    private func write(_ server: Server, _ endpoints: EndpointReader, to writer: inout JSONText) {
        switch server {
        case .clear(let table):
            writer.field("tls", false)
            writeHosts(table, endpoints, to: &writer)
        case .tls(let chain, let table):
            writer.field("tls", true)
            writer.field("serverNames", of: chain.serverNames) { $1.array($0) { $1.string($0) } }
            writer.field("certificates", of: chain.certificates) {
                $1.array($0) { $1.string($0.description) }
            }
            if let clients = chain.clients {
                writer.field("clients", of: clients) { clients, writer in writer.object { write(clients, to: &$0) } }
            }
            writer.field("gateway", "\(chain.gateway.namespace)/\(chain.gateway.name)")
            if let relay = chain.relay { return write(relay: relay, endpoints, to: &writer) }
            writeHosts(table, endpoints, to: &writer)
        case .clearRelay(let relay):
            writer.field("tls", false)
            write(relay: relay, endpoints, to: &writer)
        case .passthrough(let passthrough):
            writer.field("tls", true)
            writer.field("passthrough", true)
            writer.field("serverNames", of: passthrough.serverNames) { $1.array($0) { $1.string($0) } }
            writer.field("gateway", "\(passthrough.gateway.namespace)/\(passthrough.gateway.name)")
            write(relay: passthrough.route, endpoints, to: &writer)
        }
    }

    /// The one rule of connections that are relayed.
    private func write(relay number: Int, _ endpoints: EndpointReader, to writer: inout JSONText) {
        writer.field("tcp", of: routes[number]) { route, writer in
            writer.object {
                $0.field("route", route.name)
                $0.field("unavailable", route.unavailable?.sentence)
                write(destinationsOf: route, endpoints, protocol: "TCP", to: &$0)
            }
        }
    }

    private func write(_ clients: ClientDemand, to writer: inout JSONText) {
        writer.field("required", !clients.isOptional)
        writer.field("verified", !clients.isSkipped)
        writer.field("authorities", clients.authorities.description)
        writer.field("revocations", clients.revocations)
        writer.field("names", of: clients.names) { $1.array($0) { $1.string($0) } }
        writer.field("pins", clients.keyPins.count + clients.certificatePins.count)
    }

    private func writeHosts(_ table: RouteTable, _ endpoints: EndpointReader, to writer: inout JSONText) {
        writer.field("hosts", of: table.hostGroups) { groups, writer in
            writer.array(groups) { group, writer in
                writer.object {
                    $0.field("names", of: group.names) { $1.array($0) { $1.string($0) } }
                    $0.field("rules", of: table.ruleSets[group.ruleSet]) { rules, writer in
                        writer.array(rules) { rule, writer in
                            writer.object { write(rule, endpoints, to: &$0) }
                        }
                    }
                }
            }
        }
    }

    private func write(_ rule: Rule, _ endpoints: EndpointReader, to writer: inout JSONText) {
        let route = routes[rule.route]
        writer.field("route", route.name)
        writer.field("matches", of: rule.matches) { $1.array($0) { $1.string($0.description) } }
        writer.field("timeout", route.timeout?.milliseconds)
        let policies = route.policy.extras?.policies ?? []
        let others = policies.filter { $0.field == nil }
        if !others.isEmpty { writer.field("policies", of: others) { $1.array($0) { $1.string($0.value) } } }
        if route.unavailable == .redirectedToHTTPS {
            writer.field("redirect", "https")
        } else {
            writer.field("unavailable", route.unavailable?.sentence)
        }
        if let answer = route.policy.extras?.answerText { writer.field("answer", answer) }
        for policy in policies { if let field = policy.field { writer.field(field, policy.value) } }
        write(destinationsOf: route, endpoints, protocol: nil, to: &writer)
    }

    /// - Parameter name: the protocol, where it does not follow from the port.
    private func write(
        destinationsOf route: Route, _ endpoints: EndpointReader, protocol name: String?, to writer: inout JSONText
    ) {
        let weighted = Array(zip(route.destinations, route.weights))
        writer.field("destinations", of: weighted) { weighted, writer in
            writer.array(weighted) { destination, writer in
                writer.object {
                    $0.field("weight", Int(clamping: destination.1))
                    write(clusters[destination.0.cluster], endpoints, protocol: name, to: &$0)
                }
            }
        }
        if let mirrors = route.policy.extras?.mirrors, !mirrors.isEmpty {
            writer.field("mirrors", of: mirrors) { mirrors, writer in
                writer.array(mirrors) { mirror, writer in
                    writer.object {
                        $0.field("share", mirror.share.text)
                        write(clusters[mirror.cluster], endpoints, protocol: nil, to: &$0)
                    }
                }
            }
        }
        writer.field("file", route.place.file)
        writer.field("line", route.place.isInFile ? route.place.line : nil)
        writer.field("column", route.place.isInFile ? route.place.column : nil)
    }

    private func write(
        _ cluster: ClusterPlan, _ endpoints: EndpointReader, protocol name: String?, to writer: inout JSONText
    ) {
        writer.field("cluster", cluster.name)
        writer.field("host", cluster.host)
        writer.field("port", cluster.port)
        writer.field("subset", cluster.subset)
        writer.field("protocol", name ?? (cluster.isHTTP2 ? "HTTP/2" : "HTTP/1.1"))
        writer.field("balancing", cluster.balancing)
        cluster.policies?.write(to: &writer)
        if let tls = cluster.tls { writer.field("tls", tls.terms.summary) }
        if case .unavailable(let reason) = cluster.source {
            return writer.field("unavailable", reason.sentence)
        }
        if case .requested(let names) = cluster.source {
            return writer.field("requested", of: names) { names, writer in
                writer.object {
                    $0.field("under", "\(names)")
                    $0.field("port", Int(names.port))
                }
            }
        }
        let locality = cluster.policies?.locality
        switch endpoints.endpoints(of: cluster.source, by: locality) {
        case .endpoints(let found):
            let list = found.map { (name: "\($0.address)", weight: $0.weight, rank: $0.rank) }
            write("endpoints", list, locality, to: &writer)
        case .names(let names):
            let list = names.map { (name: "\($0.host):\($0.port)", weight: $0.weight, rank: $0.rank) }
            write("dns", list, locality, to: &writer)
        }
    }

    private func write(
        _ field: String, _ list: [(name: String, weight: Int, rank: Int)], _ locality: LocalityPolicy?,
        to writer: inout JSONText
    ) {
        writer.field(field, of: list) { list, writer in
            writer.array(list) { item, writer in
                writer.object {
                    $0.field("address", item.name)
                    $0.field("weight", item.weight)
                    if let locality { $0.field(locality.rankName, locality.number(of: item.rank)) }
                }
            }
        }
    }
}
