package import Manifests

extension RoutingPlan {
    /// Compiles the valid objects of a load. It never fails as a whole: a part that cannot be resolved answers 503 and
    /// has a diagnostic. Which rule wins depends on the objects alone, never on the order of files.
    /// - Parameter endpoints: the table of the same inventory; nil makes one.
    package static func compile(
        _ inventory: Inventory, endpoints: EndpointTable? = nil, options: CompileOptions
    ) -> RoutingPlan {
        var options = options
        let needsNodes = inventory.needsNodes(options)
        options.locality = options.locality ?? options.node.flatMap(inventory.locality(ofNode:))
        let table = endpoints ?? EndpointTable(inventory, refusal: options.refusedEndpoint)
        let names = Names(options: options)
        let problems = Problems()
        let leftOut = LeftOutObjects(inventory.leftOut, names: names)
        let written = inventory
        var inventory = inventory
        inventory.virtualServices = Delegation.expanded(
            written.virtualServices, names: names, problems: problems, leftOut: leftOut)
        let clusters = ClusterTable(
            inventory, table: table, names: names, problems: problems, leftOut: leftOut)
        let rules = RuleCompiler(
            inventory.virtualServices, clusters: clusters, names: names, problems: problems,
            closedBy: inventory.accessPolicies.closing(names, problems))
        let attachments = GatewayAttachments(inventory.virtualServices, names: names)

        let own = inventory.gateways.filter { Names.matches($0.selector, options.labels) }
            .sorted { Names.precedes($0.meta, $1.meta) }
        let merger = ServerMerger(own, problems: problems)
        var compiler = ListenerCompiler(
            inventory, names: names, problems: problems, rules: rules, attachments: attachments, leftOut: leftOut,
            clusters: clusters)
        let ports = merger.ports.sorted { ($0.number, $0.bind) < ($1.number, $1.bind) }
        for port in ports where !options.limit.isOver { compiler.add(port) }
        let mesh = MeshCompiler(
            services: inventory.virtualServices, names: names, rules: rules, clusters: clusters,
            attachments: attachments)
        compiler.addMesh(mesh.table(inventory))

        rules.reportNeverReached(compiler.tables)
        compiler.topologies.reportUnused(compiler.listeners)
        compiler.relays.reportUnused(attachments, own: Set(own.map(\.meta.reference)))
        let checks = ReferenceChecks(
            inventory: inventory, names: names, problems: problems, leftOut: leftOut, services: clusters.directory)
        checks.run(
            attachments: attachments, own: own, served: compiler.served, bound: compiler.bound,
            written: written.virtualServices)
        EffectChecks(
            written, names: names, problems: problems, clusters: clusters, rules: rules, own: own
        ).run()
        PolicyChecks(inventory, names: names, problems: problems, clusters: clusters, leftOut: leftOut).run()
        return RoutingPlan(
            listeners: compiler.listeners, tables: compiler.tables, clusters: clusters.clusters,
            routes: rules.routes, diagnostics: problems.sorted, questions: clusters.questions(inventory), table: table,
            needsNodes: needsNodes)
    }
}
