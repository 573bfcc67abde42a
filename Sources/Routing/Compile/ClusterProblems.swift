internal import Manifests

// What is said of destinations that cannot be resolved, or not as meant.

extension ClusterTable {
    /// Reports something of a destination that asks for a cluster.
    func add(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, hint: String?,
        at place: SourcePlace, path: String, _ asker: Asker, related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                severity, code, message, hint: hint, at: place, object: asker.object, path: path,
                related: related))
    }

    /// The destination names a host that nothing defines.
    func reportUnknownHost(_ asker: Asker, _ host: String) {
        let written = asker.destination.host
        if let hidden = directory.hidden[host] { return reportHidden(asker, hidden) }
        if let missing = leftOut.definition(of: host) {
            return add(
                .error, "unknown-host",
                "destination host '\(written.value)' is of \(missing.identity), which \(LeftOut.sentence): "
                    + asker.fate, hint: nil, at: written.place, path: written.path, asker,
                related: missing.related)
        }
        let parts = host.split(separator: ".").map(String.init)
        var hint: String?
        if parts.count > 1, directory.byHost[names.full(parts[0], parts[1])] != nil {
            hint =
                "write the full name \(names.full(parts[0], parts[1])): a name with a dot is never completed"
        } else if let space = directory.namespaces[parts.first ?? ""],
            !written.value.contains(".")
        {
            hint =
                "a Service of this name is in namespace \(space): write \(names.full(written.value, space))"
        } else if let near = problems.nearest(to: host, among: hostNames) {
            hint = "did you mean \(near)?"
        }
        add(
            .error, "unknown-host",
            "destination host '\(written.value)' names no Service or ServiceEntry: "
                + asker.fate, hint: hint, at: written.place,
            path: written.path, asker)
    }

    private func reportHidden(_ asker: Asker, _ hidden: HiddenService) {
        let written = asker.destination.host
        let own = names.options.gatewayNamespace
        let object = hidden.meta.identity
        add(
            .error, "not-exported",
            "\(object) is not exported to namespace \(own), this gateway's (\(hidden.field)): "
                + asker.fate,
            hint: "add \(own) to what it is exported to, or run with --namespace \(object.namespace)",
            at: written.place, path: written.path, asker,
            related: [Diagnostic.Related(place: hidden.meta.place, message: "the \(object.kind)")])
    }

    /// Nothing that is written at the destination could help: the port is missing in the service.
    private func reportNoPorts(_ asker: Asker, _ service: RoutableService) {
        let (meta, message, hint) =
            switch service.origin {
            case .service(let index):
                (finder.inventory.services[index].meta, "no TCP port", "add the port to spec.ports")
            case .entries(let indexes):
                (
                    finder.inventory.serviceEntries[indexes.first ?? 0].meta, "no `ports`",
                    "add spec.ports, such as [{number: 443, name: tls, protocol: TLS}]"
                )
            }
        problems.add(
            Diagnostic(
                .error, "no-ports",
                "this \(meta.identity.kind) has \(message): requests to \(service.host) are answered 503",
                hint: hint, at: meta.place, object: meta.identity, path: "spec.ports",
                related: [
                    Diagnostic.Related(
                        place: asker.destination.host.place, message: "\(asker.object) sends requests there")
                ]))
    }

    /// The host has no such port, or several where none is named.
    func reportPort(_ asker: Asker, _ service: RoutableService, _ wanted: Int?) {
        guard !service.ports.isEmpty else { return reportNoPorts(asker, service) }
        let ports = service.ports.prefix(16).map { String($0.number) }.joined(separator: ", ")
        let more = service.ports.count - 16
        let has = "its ports are \(ports)" + (more > 0 ? " and \(more) more" : "")
        if let written = asker.destination.port {
            add(
                .error, "unknown-port",
                "\(service.host) has no port \(written.value): \(asker.fate)",
                hint: has, at: written.place, path: written.path, asker)
            return
        }
        let written = asker.destination.host
        let reason = wanted.map { ", and none is \($0), the listener's" } ?? ""
        add(
            .error, "port-needed",
            "\(service.host) has \(service.ports.count) ports\(reason): \(asker.fate)",
            hint: "say which one in port.number; \(has)", at: written.place, path: written.path, asker)
    }

    /// The host has no such subset.
    func reportSubset(
        _ asker: Asker, _ service: RoutableService, _ subset: String, _ policy: PolicyDirectory.Policy
    ) {
        guard let written = asker.destination.subset else { return }
        if let rule = leftOutPolicy(of: service) {
            return add(
                .error, "unknown-subset",
                "\(service.host) has no subset '\(subset)', for \(rule.hint): \(asker.fate)",
                hint: nil, at: written.place, path: written.path, asker, related: rule.related)
        }
        let known = policy.someSubsets
        let hint: String
        if policy.rules.isEmpty {
            hint = "no DestinationRule applies to \(service.host); subsets are defined there"
        } else {
            let list = known.sorted().prefix(8).joined(separator: ", ")
            hint =
                known.isEmpty ? "its DestinationRule defines no subsets" : "its subsets are \(list)"
        }
        let related = policy.rules.prefix(8).map {
            Diagnostic.Related(place: $0.meta.place, message: "the DestinationRule that applies")
        }
        add(
            .error, "unknown-subset",
            "\(service.host) has no subset '\(subset)': \(asker.fate)",
            hint: hint, at: written.place, path: written.path, asker, related: related)
    }

    /// The port speaks something else than what is sent.
    func reportNotSpoken(
        _ asker: Asker, _ service: RoutableService, _ port: ServicePort, _ what: NotSpoken
    ) {
        let (place, path) =
            asker.destination.port.map { ($0.place, $0.path) }
            ?? (asker.destination.host.place, asker.destination.host.path)
        switch what {
        case .tls(let saying):
            add(
                .warning, "clear-text-to-tls",
                "port \(port.number) of \(service.host) speaks TLS (\(saying)), and no DestinationRule asks for TLS: "
                    + "its requests are sent in clear text",
                hint: "write tls.mode: SIMPLE in a DestinationRule, or DISABLE if clear text is meant", at: place,
                path: path, asker)
        }
    }

    /// The host has no addresses that could be used.
    func reportUnusable(_ asker: Asker, _ service: RoutableService, _ reason: Unavailable) {
        let written = asker.destination.host
        add(
            .error, "no-addresses", "\(reason.sentence): \(asker.fate)",
            hint: "a ServiceEntry needs resolution STATIC, DNS or DYNAMIC_DNS to be reached from a gateway",
            at: written.place, path: written.path, asker)
    }
}

/// What is said of a destination whose endpoints are the addresses of the host that each request names.
extension ClusterTable {
    /// Says that copies of requests have no destination there.
    func checkMirror(_ asker: Asker, _ number: Int) {
        guard case .requested = clusters[number].source else { return }
        report(
            .error, "no-addresses",
            "the endpoints of \(clusters[number].host) are those of the host that a request names, and the host of a "
                + "copy is another one, with -shadow: \(asker.fate)", asker, hint: "name a host that has addresses")
    }

    /// A cluster's policies without those that choose among endpoints that are known beforehand.
    func usable(_ policies: ClusterPolicies?, _ service: RoutableService, _ asker: Asker?) -> ClusterPolicies? {
        guard let policies else { return nil }
        let useless = [
            ("outlierDetection", policies.outliers != nil), ("consistentHash", policies.hashing != nil),
            ("localityLbSetting", policies.locality != nil), ("warmup", policies.warmup != nil),
        ].filter(\.1).map { "`\($0.0)`" }
        if let asker, !useless.isEmpty {
            report(
                .warning, "no-effect",
                "\(useless.joined(separator: ", ")) of a DestinationRule for \(service.host) has no effect: its "
                    + "endpoints are not known before a request names their host", asker, hint: nil)
        }
        return ClusterPolicies(pool: policies.pool, proxyVersion: policies.proxyVersion)
    }

    private func report(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, _ asker: Asker, hint: String?
    ) {
        let written = asker.destination.host
        problems.add(
            Diagnostic(
                severity, code, message, hint: hint, at: written.place, object: asker.object, path: written.path))
    }
}
