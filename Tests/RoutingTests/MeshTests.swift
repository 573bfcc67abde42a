import Manifests
import Octets
import Routing
import Support
import Testing

/// The listener of `--mesh`: the reserved gateway `mesh`.
@Suite struct `The mesh listener` {
    private func plan(_ names: [String], services: Bool = false) throws -> (RoutingPlan, RouteTable) {
        let sources = names.map {
            (name: $0, octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml"))
        }
        var options = CompileOptions()
        options.includesMeshServices = services
        let plan = RoutingPlan.compile(
            ManifestReader.load(sources: sources).inventory, options: options)
        let listener = plan.listeners.first { $0.isMesh }
        let table = try #require(listener?.clearTable)
        return (plan, plan.tables[table])
    }

    private func cluster(
        _ plan: RoutingPlan, _ table: RouteTable, _ host: String, _ headers: [(String, String)] = []
    ) -> String {
        guard case .route(let number) = table.match(TestRequest("/x", host: host, headers: headers))
        else { return "404" }
        return plan.routes[number].destinations.map { plan.clusters[$0.cluster].name }.joined(
            separator: ",")
    }

    @Test(arguments: ["", ".default", ".default.svc", ".default.svc.cluster.local"])
    func `routes the seed by its header and the authority's port`(suffix: String) throws {
        let (plan, table) = try plan(["canary-mesh"])
        let name = "k8s-combat-service-istio-mesh"
        let full = name + ".default.svc.cluster.local"
        #expect(
            cluster(plan, table, "\(name)\(suffix):50051", [("version", "100")])
                == "outbound|50051|v1|\(full)")
        #expect(
            cluster(plan, table, "\(name)\(suffix):50051", [("version", "200")])
                == "outbound|50051|v2|\(full)")
        #expect(cluster(plan, table, "\(name)\(suffix):50051") == "outbound|50051|v1|\(full)")
        #expect(cluster(plan, table, "\(name)\(suffix):8081") == "outbound|8081|v1|\(full)")
        #expect(cluster(plan, table, "\(name)\(suffix):7") == "404")
        #expect(cluster(plan, table, "other:50051") == "404")
    }

    @Test func `serves other Services by their names when asked to`() throws {
        let (plan, table) = try plan(
            ["canary-mesh", "main-server", "grpc-test-namespace"], services: true)
        #expect(
            cluster(plan, table, "main-server:8888")
                == "outbound|8888||main-server.default.svc.cluster.local")
        #expect(
            cluster(plan, table, "server.test") == "outbound|8000||server.test.svc.cluster.local")
        #expect(cluster(plan, table, "server") == "outbound|8000||server.test.svc.cluster.local")
        #expect(
            cluster(plan, table, "k8s-combat-service-istio-mesh:50051", [("version", "200")])
                == "outbound|50051|v2|k8s-combat-service-istio-mesh.default.svc.cluster.local")
    }
}
