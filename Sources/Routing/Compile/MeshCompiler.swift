internal import Manifests
internal import Patterns

/// Compiles the table of the reserved gateway `mesh`: what a sidecar would accept from inside the cluster.
struct MeshCompiler {
    let services: [VirtualService]
    let names: Names
    let rules: RuleCompiler
    let clusters: ClusterTable
    let attachments: GatewayAttachments

    /// The table for `--mesh`.
    func table(_ inventory: Inventory) -> TableAssembler {
        var table = TableAssembler()
        var short: [(name: String, namespace: String, ruleList: Int)] = []
        for index in attachments.services["mesh"] ?? [] where !services[index].http.isEmpty {
            let ruleList = rules.ruleList(index, .mesh)
            guard !rules.ruleLists[ruleList].isEmpty else { continue }
            for place in attachments.hosts.range(index) {
                let host = attachments.hosts[place]
                for alias in aliases(host) { table.add(ruleList, host: alias) }
                if let found = service(of: host) {
                    short.append((found.name, found.namespace, ruleList))
                }
            }
        }
        if names.options.includesMeshServices { addServices(inventory, &table, &short) }
        addShort(short, &table)
        return table
    }

    /// Adds short names. A name alone means the service in this gateway's namespace, else the first that has the name.
    private func addShort(
        _ all: [(name: String, namespace: String, ruleList: Int)], _ table: inout TableAssembler
    ) {
        let own = all.filter { $0.namespace == names.options.gatewayNamespace }
        let others = all.filter { $0.namespace != names.options.gatewayNamespace }
        var namespaces: [String: String] = [:]
        for entry in own + others
        where namespaces[entry.name, default: entry.namespace] == entry.namespace {
            namespaces[entry.name] = entry.namespace
            table.add(entry.ruleList, host: entry.name)
        }
    }

    /// A full name, and its shorter forms that end before the cluster's domain.
    private func aliases(_ host: String) -> [String] {
        guard let found = service(of: host) else { return [host] }
        return [host, "\(found.name).\(found.namespace).svc", "\(found.name).\(found.namespace)"]
    }

    private func service(of host: String) -> (name: String, namespace: String)? {
        let end = ".svc.\(names.options.clusterDomain)"
        guard host.hasSuffix(end), !host.hasPrefix("*") else { return nil }
        let labels = host.dropLast(end.count).split(separator: ".")
        return labels.count == 2 ? (String(labels[0]), String(labels[1])) : nil
    }

    /// Adds the services that no VirtualService names. Requests for them are sent to them, to the authority's port.
    private func addServices(
        _ inventory: Inventory, _ table: inout TableAssembler,
        _ short: inout [(name: String, namespace: String, ruleList: Int)]
    ) {
        for service in inventory.services {
            let host = names.full(service.meta.name, service.meta.namespace).lowercased()
            guard !table.has(host), let routable = clusters.directory.byHost[host],
                !routable.ports.isEmpty
            else { continue }
            var ruleList = RuleList()
            for port in routable.ports {
                let route = rules.addRoute(
                    "\(service.meta.namespace)/\(service.meta.name)/\(port.number)",
                    clusters: [(clusters.number(of: routable, port: port), 1)], unavailable: nil,
                    object: service.meta.identity, place: service.meta.place)
                let isOnly = routable.ports.count == 1
                let conditions = isOnly ? [] : [Condition(.port, .exact(String(port.number)))]
                ruleList.rules.append(
                    Rule(matches: [RuleMatch(conditions: conditions)], route: route))
            }
            let number = rules.addRuleList(ruleList)
            for alias in aliases(host) { table.add(number, host: alias) }
            short.append((service.meta.name.lowercased(), service.meta.namespace, number))
        }
    }
}
