package import Manifests

extension RoutingPlan {
    /// Compiles the good objects of a load. Never fails as a whole: what cannot be resolved answers 503
    /// by itself and is a diagnostic. Which rule wins depends on the objects alone,
    /// never on the order of files.
    package static func compile(_ inventory: Inventory, options: CompileOptions) -> RoutingPlan {
        let names = Names(options: options)
        let problems = Problems()
        let leftOut = LeftOutObjects(inventory.leftOut, names: names)
        let clusters = ClusterTable(inventory, names: names, problems: problems, leftOut: leftOut)
        let rules = RuleCompiler(
            inventory.virtualServices, clusters: clusters, names: names, problems: problems,
            closedBy: inventory.accessPolicies.closing(names, problems))
        let binding = Binding(inventory.virtualServices, names: names)

        let own = inventory.gateways.filter { Names.matches($0.selector, options.labels) }
            .sorted { Names.precedes($0.meta, $1.meta) }
        let merger = ServerMerger(own, problems: problems)
        var compiler = ListenerCompiler(
            inventory, names: names, problems: problems, rules: rules, binding: binding, leftOut: leftOut)
        let ports = merger.ports.sorted { ($0.number, $0.bind) < ($1.number, $1.bind) }
        for port in ports where !options.limit.isOver { compiler.add(port) }
        let mesh = MeshCompiler(
            services: inventory.virtualServices, names: names, rules: rules, clusters: clusters,
            binding: binding)
        compiler.addMesh(mesh.table(inventory))

        rules.reportNeverReached(compiler.tables)
        let checks = ReferenceChecks(
            inventory: inventory, names: names, problems: problems, leftOut: leftOut, services: clusters.directory)
        checks.run(binding: binding, own: own, served: compiler.served, bound: compiler.bound)
        EffectChecks(
            inventory, names: names, problems: problems, clusters: clusters, rules: rules, own: own
        ).run()
        PolicyChecks(inventory, names: names, problems: problems, clusters: clusters, leftOut: leftOut).run()
        return RoutingPlan(
            listeners: compiler.listeners, tables: compiler.tables, clusters: clusters.clusters,
            routes: rules.routes, diagnostics: problems.sorted)
    }
}
