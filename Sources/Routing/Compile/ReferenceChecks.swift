internal import Manifests

/// Reports names that refer to nothing. Istio accepts them silently and serves no request for them.
struct ReferenceChecks {
    let inventory: Inventory
    let names: Names
    let problems: Problems
    private let leftOut: LeftOutObjects
    private let services: ServiceDirectory
    private let quiet: QuietServices
    /// All Gateways as `namespace/name`, and the same in order, for hints.
    private let known: Set<String>
    private let sorted: [String]

    init(
        inventory: Inventory, names: Names, problems: Problems, leftOut: LeftOutObjects, services: ServiceDirectory,
        quiet: QuietServices
    ) {
        self.quiet = quiet
        self.inventory = inventory
        self.names = names
        self.problems = problems
        self.leftOut = leftOut
        self.services = services
        known = Set(inventory.gateways.map { "\($0.meta.namespace)/\($0.meta.name)" })
        sorted = known.sorted()
    }

    /// Runs all checks.
    /// - Parameters:
    ///   - own: the Gateways that select this gateway.
    ///   - served: whether a host found a server, by its place in `attachments.hosts`.
    ///   - bound: the hosts that objects have on each Gateway.
    ///   - written: the VirtualServices without the rules of their delegates.
    func run(
        attachments: GatewayAttachments, own: [Gateway], served: [Bool], bound: BoundHosts, written: [VirtualService]
    ) {
        checkSelectors(own)
        reportClosings(own, written)
        GatewayNamespaceCheck(inventory: inventory, names: names, problems: problems).run(own)
        let mine = Dictionary(own.map { ($0.meta.reference, $0) }) { first, _ in first }
        var byName: [String: [String]] = [:]
        for gateway in inventory.gateways {
            byName[gateway.meta.name, default: []].append(gateway.meta.namespace)
        }
        // A server with an error may cover a host. That error is reported.
        let lacking = Set(own.filter(\.lacksServer).map { "\($0.meta.namespace)/\($0.meta.name)" })
        quiet.ask(names.options.limit) { index in
            let service = inventory.virtualServices[index]
            // The exportTo of a delegate is for the namespaces of those that name it.
            if !service.hosts.isEmpty { checkVisibility(service) }
            checkGateways(service, byName)
            let hosts = attachments.hosts.range(index)
            guard !service.http.isEmpty || !service.tls.isEmpty || !service.tcp.isEmpty else { return }
            let isForMesh = service.gateways.contains { $0.value == "mesh" }
            for place in hosts where served[place] && !isForMesh {
                checkShortHost(service.hosts[place - hosts.lowerBound], attachments.hosts[place], service)
            }
            guard served[hosts].contains(false) else { return }
            let gateways = GatewayAttachments.gateways(of: service, names).filter { mine[$0] != nil }.sorted()
            guard !gateways.isEmpty, lacking.isDisjoint(with: gateways) else { return }
            let all = gateways.compactMap { mine[$0] }.map {
                service.http.isEmpty ? bound.relays(of: $0) : bound.hosts(of: $0)
            }
            // A server that is dropped or not in effect has a report of its own, so its hosts count as covered.
            guard bound.end == nil else { return }
            let known = all.lazy.flatMap(\.examples).prefix(64)
            let list = Set(known).sorted().prefix(5).joined(separator: ", ")
            for place in hosts where !bound.isCovered[place] {
                reportHost(service.hosts[place - hosts.lowerBound], service, attachments.hosts[place], list)
            }
        }
    }

    /// Reports closing fields of parts that are not served, as warnings. Those of parts that are served were reported
    /// as errors.
    private func reportClosings(_ own: [Gateway], _ services: [VirtualService]) {
        for gateway in own {
            for server in gateway.servers {
                for field in server.closings { problems.add(gateway.report(field, of: server)) }
            }
        }
        quiet.ask(names.options.limit) { index in
            let service = services[index]
            for rule in service.http {
                for field in rule.closings { problems.add(service.report(field, .warning)) }
            }
        }
        for rule in inventory.destinationRules {
            for field in rule.closings { problems.add(rule.report(field, names, .warning)) }
        }
        for entry in inventory.serviceEntries {
            for field in entry.closings { problems.add(entry.report(field, .warning)) }
        }
    }

    private func checkSelectors(_ own: [Gateway]) {
        let labels = names.options.labels
        for gateway in inventory.gateways where !Names.matches(gateway.selector, labels) {
            let wanted = gateway.selector.filter { labels[$0.key] != $0.value }.map {
                "\($0.key)=\($0.value)"
            }.sorted()
            problems.add(
                Diagnostic(
                    own.isEmpty ? .warning : .note, "selector-of-another",
                    "this Gateway is for another gateway: its selector "
                        + "asks for \(wanted.joined(separator: ", "))",
                    hint: "to serve it here, run with "
                        + wanted.map { "--label \($0)" }.joined(separator: " "),
                    at: gateway.meta.place, object: gateway.meta.identity, path: "spec.selector"))
        }
    }

    private func checkVisibility(_ service: VirtualService) {
        guard let first = service.exportTo.first,
            !names.isVisible(service.exportTo.map(\.value), from: service.meta.namespace)
        else { return }
        problems.add(
            Diagnostic(
                .warning, "not-exported",
                "this VirtualService is not exported to namespace \(names.options.gatewayNamespace), "
                    + "this gateway's: it is not served",
                hint: "add the namespace to exportTo, or run with --namespace",
                at: first.place, object: service.meta.identity, path: first.path))
    }

    /// Warns about a host without a dot: it means a Service, also at a gateway, where clients rarely ask for Services.
    /// There is no warning if such a Service exists, or if the rules are for the mesh, too.
    private func checkShortHost(_ host: Located<String>, _ full: String, _ service: VirtualService) {
        guard full != host.value.lowercased(), services.byHost[full] == nil
        else { return }
        problems.add(
            Diagnostic(
                .warning, "short-host",
                "`\(host.value)` has no dot and means \(full) here: requests for the host \(host.value) "
                    + "do not come to this VirtualService",
                hint: "write the whole name that clients ask for, such as \(host.value).example.com, "
                    + "or \"*\" for any name",
                at: host.place, object: service.meta.identity, path: host.path))
    }

    private func checkGateways(_ service: VirtualService, _ byName: [String: [String]]) {
        if service.gateways.isEmpty {
            // A delegate has no hosts, and with `--mesh` the rules were meant for the mesh.
            guard !service.hosts.isEmpty, !names.options.includesMeshServices else { return }
            problems.add(
                Diagnostic(
                    .warning, "mesh-only",
                    "without gateways this VirtualService is for the mesh only and not served at the edge",
                    hint: "add gateways: [namespace/name]", at: service.meta.place,
                    object: service.meta.identity, path: "spec"))
        }
        for written in service.gateways where written.value != "mesh" {
            let wanted = names.gateway(written.value, namespace: service.meta.namespace)
            guard !known.contains(wanted) else { continue }
            let parts = wanted.split(separator: "/").map(String.init)
            if parts.count == 2, let object = leftOut.object("Gateway", parts[0], parts[1]) {
                problems.add(
                    Diagnostic(
                        .error, "unknown-gateway",
                        "\(object.hint): no rule of this VirtualService is served there",
                        at: written.place, object: service.meta.identity, path: written.path,
                        related: object.related))
                continue
            }
            let name = parts.last ?? wanted
            var near = byName[name]?.min().map { "\($0)/\(name)" }
            near = near ?? problems.nearest(to: wanted, among: sorted)
            problems.add(
                Diagnostic(
                    .error, "unknown-gateway",
                    "there is no Gateway \(wanted): no rule of this VirtualService is served there",
                    hint: near.map { "did you mean \($0)?" }, at: written.place,
                    object: service.meta.identity,
                    path: written.path))
        }
    }

    /// Reports a host that no server of its Gateways covers.
    /// - Parameter list: hosts of these servers, for a hint.
    private func reportHost(_ host: Located<String>, _ service: VirtualService, _ name: String, _ list: String) {
        problems.add(
            Diagnostic(
                .warning, "host-not-in-gateway",
                "no server of its Gateways covers the host '\(host.value)'"
                    + (name == host.value.lowercased() ? "" : ", which means \(name)") + ": it is not served",
                hint: list.isEmpty ? nil : "their hosts are \(list)", at: host.place,
                object: service.meta.identity, path: host.path))
    }
}
