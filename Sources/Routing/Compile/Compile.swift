package import Manifests

extension RoutingPlan {
    /// Compiles the valid objects of a load. It never fails as a whole: a part that cannot be resolved answers 503 and
    /// has a diagnostic. Which rule wins depends on the objects alone, never on the order of files.
    /// - Parameter endpoints: the table of the same inventory; nil makes one.
    package static func compile(
        _ inventory: Inventory, endpoints: EndpointTable? = nil, options: CompileOptions
    ) -> RoutingPlan {
        var memory = CompileMemory()
        let table = endpoints ?? EndpointTable(inventory, refusal: options.refusedEndpoint)
        return compile(inventory, endpoints: table, options: options, memory: &memory)
    }

    /// The same plan, made faster of what an earlier compilation has left.
    /// - Parameter memory: of a compilation with the same options, perhaps with another `limit`; it is replaced by what
    ///   this one leaves.
    package static func compile(
        _ inventory: Inventory, endpoints table: EndpointTable, options: CompileOptions, memory: inout CompileMemory
    ) -> RoutingPlan {
        if let plan = compiled(inventory, table, options, &memory) { return plan }
        // Near a limit the order counts in which objects are looked at.
        memory.attached = nil
        return compiled(inventory, table, options, &memory) ?? RoutingPlan()
    }

    /// - Returns: nil if a limit was reached with what an earlier compilation has left of hosts; `memory` is as before.
    private static func compiled(
        _ inventory: Inventory, _ table: EndpointTable, _ options: CompileOptions, _ memory: inout CompileMemory
    ) -> RoutingPlan? {
        var options = options
        let needsNodes = inventory.needsNodes(options)
        options.locality = options.locality ?? options.node.flatMap(inventory.locality(ofNode:))
        let names = Names(options: options)
        let problems = Problems()
        let leftOut = LeftOutObjects(inventory.leftOut, names: names)
        let written = inventory
        var inventory = inventory
        let (services, roots) = Delegation.expanded(
            written.virtualServices, names: names, problems: problems, leftOut: leftOut)
        inventory.virtualServices = services
        let clusters = ClusterTable(
            inventory, table: table, names: names, problems: problems, leftOut: leftOut, memory: memory)
        var versions: [ObjectVersion?] = ObjectVersion.all(written.virtualServices)
        for root in roots { versions[root] = nil }
        let rules = RuleCompiler(
            services, clusters: clusters, names: names, problems: problems,
            closedBy: inventory.accessPolicies.closing(names, problems), versions: versions, memory: memory.rules)
        let parts = Parts(names, problems, leftOut, clusters, rules)
        let (compiler, attached) = listeners(inventory, written, parts, memory.attached)
        guard let attached else { return nil }
        let plans = clusters.settled
        let (found, kept) = EndpointChecks(
            clusters: plans, table: table, known: memory.known(clusters)
        ).ask(clusters.questions)
        memory = CompileMemory()
        memory.frame = clusters.frame
        memory.clusters = clusters.kept
        memory.rules = rules.kept
        memory.attached = attached.bound.end == nil ? attached : nil
        memory.endpoints = kept
        return RoutingPlan(
            listeners: compiler.listeners, tables: compiler.tables, clusters: plans, routes: rules.routes,
            diagnostics: problems.sorted, questions: clusters.questions, found: found,
            needsNodes: needsNodes)
    }

    /// What all steps of a compilation share.
    private struct Parts {
        let names: Names
        let problems: Problems
        let leftOut: LeftOutObjects
        let clusters: ClusterTable
        let rules: RuleCompiler

        init(
            _ names: Names, _ problems: Problems, _ leftOut: LeftOutObjects, _ clusters: ClusterTable,
            _ rules: RuleCompiler
        ) {
            (self.names, self.problems, self.leftOut) = (names, problems, leftOut)
            (self.clusters, self.rules) = (clusters, rules)
        }
    }

    /// Compiles the listeners with their tables, and reports what has no effect.
    /// - Parameter written: the objects without the rules of their delegates.
    /// - Returns: nil for what is kept if a limit was reached with what was known.
    private static func listeners(
        _ inventory: Inventory, _ written: Inventory, _ parts: Parts, _ known: AttachmentMemory?
    ) -> (compiler: ListenerCompiler, attached: AttachmentMemory?) {
        let (names, problems, leftOut) = (parts.names, parts.problems, parts.leftOut)
        let (clusters, rules) = (parts.clusters, parts.rules)
        let own = inventory.gateways.filter { Names.matches($0.selector, names.options.labels) }
            .sorted { Names.precedes($0.meta, $1.meta) }
        let basis = AttachmentBasis(inventory, own: own, versions: rules.versions)
        let known = known.flatMap { $0.basis == basis ? $0 : nil }
        let attachments = known?.attachments ?? GatewayAttachments(inventory.virtualServices, names: names)
        let bound =
            known?.bound
            ?? BoundHosts(basis.services, attachments: attachments, leftOut: leftOut, options: names.options)
        bound.limit = names.options.limit
        let quiet = QuietServices(
            rules.versions, known: known.map { $0.frame === clusters.frame ? $0.quiet : [] } ?? [], problems: problems)
        let merger = ServerMerger(own, problems: problems)
        var compiler = ListenerCompiler(
            inventory, names: names, problems: problems, rules: rules, attachments: attachments, bound: bound,
            leftOut: leftOut, clusters: clusters)
        let ports = merger.ports.sorted { ($0.number, $0.bind) < ($1.number, $1.bind) }
        for port in ports where !names.options.limit.isOver { compiler.add(port) }
        let mesh = MeshCompiler(
            services: inventory.virtualServices, names: names, rules: rules, clusters: clusters,
            attachments: attachments)
        compiler.addMesh(mesh.table(inventory))

        rules.reportNeverReached(compiler.tables)
        compiler.topologies.reportUnused(compiler.listeners)
        compiler.relays.reportUnused(attachments, own: Set(own.map(\.meta.reference)))
        let checks = ReferenceChecks(
            inventory: inventory, names: names, problems: problems, leftOut: leftOut, services: clusters.directory,
            quiet: quiet)
        checks.run(
            attachments: attachments, own: own, served: compiler.served, bound: compiler.bound,
            written: written.virtualServices)
        EffectChecks(
            written, names: names, problems: problems, clusters: clusters, rules: rules, own: own, quiet: quiet
        ).run()
        PolicyChecks(inventory, names: names, problems: problems, clusters: clusters, leftOut: leftOut).run()
        if known != nil, bound.end != nil { return (compiler, nil) }
        return (
            compiler,
            AttachmentMemory(
                basis: basis, attachments: attachments, bound: bound, quiet: quiet.kept, frame: clusters.frame)
        )
    }
}

extension CompileMemory {
    /// What need not be asked of endpoints; nil: everything has to be.
    fileprivate func known(_ clusters: ClusterTable) -> KnownEndpoints? {
        guard let endpoints, let concern, clusters.memory != nil else { return nil }
        return KnownEndpoints(memory: endpoints, origins: clusters.origins, concern: concern)
    }
}
