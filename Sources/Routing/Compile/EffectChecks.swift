internal import Manifests

/// Reports objects and conditions that have no effect here, for any reason that no other check reports. What is usual
/// in a folder with the objects of a whole mesh is a note.
struct EffectChecks {
    let inventory: Inventory
    let names: Names
    let problems: Problems
    let clusters: ClusterTable
    let rules: RuleCompiler
    /// The Gateways that select this gateway, and all Gateways, as `namespace/name`.
    let own: Set<String>
    let known: Set<String>
    let quiet: QuietServices

    init(
        _ inventory: Inventory, names: Names, problems: Problems, clusters: ClusterTable, rules: RuleCompiler,
        own: [Gateway], quiet: QuietServices
    ) {
        self.quiet = quiet
        self.inventory = inventory
        self.names = names
        self.problems = problems
        self.clusters = clusters
        self.rules = rules
        self.own = Set(own.map { "\($0.meta.namespace)/\($0.meta.name)" })
        known = Set(inventory.gateways.map { "\($0.meta.namespace)/\($0.meta.name)" })
    }

    func run() {
        checkDelegates()
        quiet.ask(names.options.limit) { index in
            let service = inventory.virtualServices[index]
            if !service.hosts.isEmpty, isForOthers(service.gateways, index) { reportUnattached(service) }
        }
        for (service, matches, contexts) in rules.neverHolding() {
            let here = Here(inventory.virtualServices[service], contexts, names)
            for (match, object) in matches {
                checkMatch(match, of: object, inventory.virtualServices[service].meta.namespace, here)
            }
        }
        checkEntries()
        checkWorkloads()
    }

    private func add(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, hint: String? = nil,
        at place: SourcePlace, _ object: ObjectReference, path: String
    ) {
        problems.add(Diagnostic(severity, code, message, hint: hint, at: place, object: object, path: path))
    }

    // MARK: VirtualServices

    /// The delegates that rules name.
    private func delegates() -> Set<String> {
        var names: Set<String> = []
        for index in inventory.virtualServices.indices {
            for rule in inventory.virtualServices[index].http.indices {
                guard let delegate = inventory.virtualServices[index].http[rule].delegate else { continue }
                let own = inventory.virtualServices[index].meta.namespace
                names.insert("\(delegate.namespace ?? own)/\(delegate.name)")
            }
        }
        return names
    }

    /// Reports delegates that no rule names.
    private func checkDelegates() {
        // By index, because copying a VirtualService counts a dozen references.
        let hostless = inventory.virtualServices.indices.filter { inventory.virtualServices[$0].hosts.isEmpty }
        let named = hostless.isEmpty ? [] : delegates()
        for service in hostless.lazy.map({ inventory.virtualServices[$0] })
        where !named.contains("\(service.meta.namespace)/\(service.meta.name)") {
            add(
                .warning, "no-hosts",
                "without hosts this VirtualService is for a rule with `delegate`, and none names it: it is not served",
                hint: "add hosts", at: service.meta.place, service.meta.identity, path: "spec")
        }
    }

    /// Whether all Gateways of a VirtualService exist and are for another gateway. If no Gateway at all is for this
    /// one, each Gateway has a report of its own.
    private func isForOthers(_ written: [Located<String>], _ index: Int) -> Bool {
        guard !own.isEmpty, !written.isEmpty else { return false }
        return written.allSatisfy { gateway in
            guard gateway.value != "mesh" else { return false }
            let wanted = names.gateway(gateway.value, namespace: inventory.virtualServices[index].meta.namespace)
            return !own.contains(wanted) && known.contains(wanted)
        }
    }

    private func reportUnattached(_ service: VirtualService) {
        guard let first = service.gateways.first else { return }
        let wanted = GatewayAttachments.gateways(of: service, names)
        add(
            .note, "for-another-gateway",
            "this VirtualService is not served here: \(wanted.sorted().joined(separator: ", ")) "
                + (wanted.count == 1 ? "is" : "are") + " for another gateway",
            at: first.place, service.meta.identity, path: first.path)
    }

    /// Where a VirtualService is served.
    private struct Here {
        /// The Gateways as it names them.
        let wanted: Set<String>
        private var gateways: Set<String> = []
        private var ports: Set<Int> = []

        init(_ service: VirtualService, _ contexts: [RuleContext], _ names: Names) {
            wanted = GatewayAttachments.gateways(of: service, names)
            for context in contexts {
                switch context {
                case .gateway(let key, let port):
                    gateways.insert(key)
                    ports.insert(port)
                case .mesh: gateways.insert("mesh")
                }
            }
        }

        /// Whether it is served on a Gateway.
        func has(_ gateway: String) -> Bool { gateways.contains(gateway) }
        /// Whether it is served on a port; the mesh has every port.
        func hasPort(_ port: Int) -> Bool { ports.contains(port) || gateways.contains("mesh") }
    }

    /// Reports the first condition of a match that does not depend on the request and does not hold.
    /// - Parameters:
    ///   - object: the object that has the match, which may be a delegate.
    ///   - namespace: the namespace of the names of Gateways.
    private func checkMatch(_ match: HTTPMatch, of object: ObjectReference, _ namespace: String, _ here: Here) {
        let asked = match.gateways.map {
            $0.value == "mesh" ? "mesh" : names.gateway($0.value, namespace: namespace)
        }
        let isForMesh = here.wanted.contains("mesh")
        let reason: String
        var severity = Diagnostic.Severity.warning
        if let first = asked.first, !asked.contains(where: here.has) {
            let isListed = asked.contains(where: here.wanted.contains)
            reason =
                isListed
                ? "\(first) is not served by this gateway" : "\(first) is not among the gateways of this VirtualService"
            if isListed { severity = .note }
        } else if let port = match.port?.value, !here.hasPort(port) {
            reason = "no server of its Gateways has the port \(port)"
        } else if let space = match.sourceNamespace, !space.isEmpty, space != names.options.gatewayNamespace {
            reason = "this gateway works in the namespace \(names.options.gatewayNamespace), not in \(space)"
            if isForMesh { severity = .note }
        } else {
            let missing = match.sourceLabels.filter { names.options.labels[$0.key] != $0.value }
            let list = missing.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ", ")
            reason = list.isEmpty ? "its conditions exclude each other" : "this gateway does not have the label \(list)"
            if isForMesh { severity = .note }
        }
        add(
            severity, "never-holds", "this match never holds here: \(reason)", at: match.place,
            object, path: match.path.text)
    }

    // MARK: Endpoints

    private func checkEntries() {
        for index in inventory.serviceEntries.indices {
            let exportTo = inventory.serviceEntries[index].exportTo
            let namespace = inventory.serviceEntries[index].meta.namespace
            guard let first = exportTo.first, !names.isVisible(exportTo.map(\.value), from: namespace) else { continue }
            add(
                .note, "not-exported",
                "this ServiceEntry is not exported to namespace \(names.options.gatewayNamespace), this gateway's",
                at: first.place, inventory.serviceEntries[index].meta.identity, path: first.path)
        }
    }

    /// Reports WorkloadEntries that no ServiceEntry selects.
    private func checkWorkloads() {
        guard !inventory.workloadEntries.isEmpty else { return }
        let selectors = WorkloadSelectors(inventory.serviceEntries)
        for entry in inventory.workloadEntries
        where !selectors.select(entry.workload.labels, namespace: entry.meta.namespace) {
            add(
                .note, "not-selected", "no ServiceEntry of namespace \(entry.meta.namespace) selects this workload",
                at: entry.meta.place, entry.meta.identity, path: "spec.labels")
        }
    }
}
