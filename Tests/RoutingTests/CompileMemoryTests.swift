import Support
import Testing

@testable import Manifests
@testable import Routing

/// A plan that was made of what an earlier compilation has left is the plan of a whole compilation.
@Suite struct CompileMemoryTests {
    private static func options(_ seed: UInt64) -> CompileOptions {
        var options = CompileOptions()
        options.gatewayNamespace = "gwns"
        options.includesMeshServices = seed % 4 == 0
        options.node = seed % 2 == 0 ? "n0" : nil
        options.refusedEndpoint = { "\($0)".hasPrefix("169.254") ? "a link-local address" : nil }
        // Limits that what is compiled reaches now and then.
        if seed % 3 == 1 { options.mostMatches = 60 }
        if seed % 3 == 2 { (options.mostEndpoints, options.mostHosts) = (12, 60) }
        return options
    }

    /// All that a plan is, as text.
    private static func text(_ plan: RoutingPlan, _ table: EndpointTable) -> [String] {
        var text = [plan.renderJSON(endpoints: table)]
        text += plan.routes.map { route in
            "\(route.number) \(route.name) \(route.destinations) \(route.totalWeight) \(route.policy.timeout as Any) "
                + "\(route.policy.extras?.matched as Any) \(route.policy.extras?.mirrors as Any) "
                + "\(route.unavailable as Any) \(route.object) \(route.place)"
        }
        text += plan.tables.map { "\($0.hosts) \($0.ruleSets.map { $0.map { "\($0.route) \($0.matches.count)" } })" }
        return text + plan.diagnostics.map { "\($0) \($0.related)" }
    }

    /// The routes of some requests by each table.
    private static func answers(_ plan: RoutingPlan) -> [String] {
        plan.tables.map { table in
            let answers = requests.map { request in "\(table.match(request))" }
            return answers.joined(separator: " ")
        }
    }

    private static let requests = ["a.com", "c.a.com", "x.e.com", "s1.app.svc.cluster.local:80", "other"].flatMap {
        host in ["/", "/e7", "/p3/x", "/P3/x", "/r1"].map { TestRequest($0, host: host, headers: [("x-h", "1")]) }
    }

    @Test func `it is the plan of a whole compilation`() {
        let kept = (1...10 as ClosedRange<UInt64>).map { changes(seed: $0) }
        #expect(kept.count { $0 > 0 } > 4, "too little was used again: \(kept)")
    }

    /// Compares the plans of a world that changes. - Returns: how many routes were used again.
    private func changes(seed: UInt64) -> Int {
        let options = Self.options(seed)
        var world = ChangingWorld(seed: seed)
        var memory = CompileMemory()
        var before = Set<ObjectIdentifier>()
        var (kept, table) = (0, EndpointTable())
        for round in 0..<30 {
            let names = round == 0 ? [] : (0...Int.random(in: 0...1, using: &world.random)).map { _ in world.change() }
            let inventory = world.set.inventory
            let isOfEndpoints = names.allSatisfy { $0.hasPrefix("slice") || $0.hasPrefix("pod") }
            if round > 0, table.keepsLabels(of: inventory) {
                memory.note(table.apply(Self.changes(inventory, names)))
            } else {
                table = EndpointTable(inventory, refusal: options.refusedEndpoint)
                memory.note(nil)
            }
            if isOfEndpoints, round % 2 == 1 { continue }    // as a load that keeps its plan
            let whole = RoutingPlan.compile(inventory, endpoints: table, options: options)
            let fast = RoutingPlan.compile(inventory, endpoints: table, options: options, memory: &memory)
            let (wanted, got) = (Self.text(whole, table), Self.text(fast, table))
            let isSame =
                wanted == got && whole.clusters == fast.clusters && whole.listeners == fast.listeners
                && whole.needsNodes == fast.needsNodes && Self.answers(whole) == Self.answers(fast)
            let difference = zip(wanted, got).first { $0 != $1 }
            #expect(isSame, "seed \(seed), round \(round), \(names): \(difference as Any)")
            guard isSame else { return kept }
            let other = EndpointTable(Inventory())
            #expect(
                whole.diagnostics(with: other).map(\.description)
                    == fast.diagnostics(with: other).map(\.description))
            kept += fast.routes.count { before.contains(ObjectIdentifier($0)) }
            before = Set(fast.routes.map { ObjectIdentifier($0) })
        }
        return kept
    }

    private static func changes(_ inventory: Inventory, _ names: [String]) -> EndpointChanges {
        var changes = EndpointChanges()
        for name in names {
            let number = name.split(separator: "-")[1]
            if name.hasPrefix("slice") {
                let slice = ServiceName(namespace: "app", name: "e\(number)")
                changes.slices[slice] = .some(inventory.endpointSlices.first { ServiceName($0.meta) == slice })
            } else if name.hasPrefix("pod") {
                let pod = ServiceName(namespace: "app", name: "p\(number)")
                changes.pods[pod] = .some(inventory.pods.first { ServiceName($0.meta) == pod })
            }
        }
        return changes
    }

    @Test func `a Service with a wrong annotation does not have everything compiled again`() {
        var world = Self.many
        world["s3.yaml"] = World.service("s3", "10.0.0.3").replacing(
            "metadata: {", with: "metadata: {annotations: {portico.dev/health-check: nothing}, ")
        let (set, options) = (Self.load(world), CompileOptions())
        var memory = CompileMemory()
        let table = EndpointTable(set)
        let first = RoutingPlan.compile(set, endpoints: table, options: options, memory: &memory)
        world["v7.yaml"] = Self.rules(7, to: 7).replacing("http: [{", with: "http: [{timeout: 1s, ")
        let second = RoutingPlan.compile(Self.load(world), endpoints: table, options: options, memory: &memory)
        #expect(
            first.diagnostics.count == 1
                && second.diagnostics.map(\.description) == first.diagnostics.map(\.description))
        let old = Set(first.routes.map { ObjectIdentifier($0) })
        #expect(second.routes.count { !old.contains(ObjectIdentifier($0)) } == 1)
    }

    @Test func `a change of one object compiles no other again`() {
        var world = Self.many
        let (set, options) = (Self.load(world), CompileOptions())
        var memory = CompileMemory()
        let table = EndpointTable(set)
        let first = RoutingPlan.compile(set, endpoints: table, options: options, memory: &memory)
        world["v7.yaml"] = Self.rules(7, to: 7).replacing("http: [{", with: "http: [{timeout: 1s, ")
        let second = RoutingPlan.compile(Self.load(world), endpoints: table, options: options, memory: &memory)
        let old = Set(first.routes.map { ObjectIdentifier($0) })
        #expect(second.routes.filter { !old.contains(ObjectIdentifier($0)) }.map(\.name) == ["default/v7/0"])
        #expect(first.routes.count == 20 && second.routes.count == 20)
    }

    private static var many: [String: String] {
        var files: [String: String] = [
            "g.yaml": World.gateway("gw", "{port: {number: 80, name: h, protocol: HTTP}, hosts: ['*']}")
        ]
        for number in 0..<20 {
            files["v\(number).yaml"] = rules(number, to: number)
            files["s\(number).yaml"] = World.service("s\(number)", "10.0.0.\(number)")
        }
        return files
    }

    private static func rules(_ number: Int, to service: Int) -> String {
        World.virtualService(
            "[{\(World.to("s\(service)"))}]", name: "v\(number)", namespace: "default", hosts: "[h\(number).test]")
    }

    private static func load(_ files: [String: String]) -> Inventory {
        ManifestReader.load(sources: files.sorted { $0.key < $1.key }.map { ($0.key, Array($0.value.utf8)) }).inventory
    }
}
