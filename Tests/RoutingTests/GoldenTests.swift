import Manifests
import Routing
import Support
import Testing

/// What `portico routes` prints for the configurations the project was asked for, and the problems of
/// meaning found in them. `PORTICO_GOLDEN=write swift test --filter RoutingTests` rewrites the files.
@Suite struct `The routes of a seed` {
    static let seeds = [
        ["main-server", "main-server.endpoints"], ["main-server"], ["hello-world-http"],
        ["grpc-test-namespace"],
        ["canary-mesh", "canary-edge"], ["canary-mesh"], ["three-replicas"],
    ]

    private func plan(_ names: [String]) -> RoutingPlan {
        let sources = names.map {
            (
                name: $0 + ".yaml",
                octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml")
            )
        }
        let set = ManifestReader.load(sources: sources)
        return RoutingPlan.compile(set.inventory, options: CompileOptions())
    }

    @Test(arguments: seeds) func `are as its golden file says`(names: [String]) {
        let plan = plan(names)
        let found = plan.renderTree() + "-----\n" + plan.diagnostics.text
        #expect(Fixtures.matchesGolden(found, names.joined(separator: "+") + ".txt"))
    }

    @Test func `are the same as JSON`() {
        #expect(
            Fixtures.matchesGolden(
                plan(["canary-mesh", "canary-edge"]).renderJSON(), "canary.json"))
    }

    @Test func `do not depend on the order of the files`() {
        let names = Self.seeds.flatMap { $0 }
        let sources = Set(names).sorted().map {
            (
                name: $0 + ".yaml",
                octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml")
            )
        }
        let options = CompileOptions()
        let forwards = RoutingPlan.compile(
            ManifestReader.load(sources: sources).inventory, options: options)
        let backwards = RoutingPlan.compile(
            ManifestReader.load(sources: sources.reversed()).inventory, options: options)
        #expect(forwards.renderTree() == backwards.renderTree())
    }
}

@Suite struct `The problems of meaning` {
    @Test(arguments: ["references", "ports", "names", "credentials"])
    func `are told with place and remedy`(name: String) {
        let path = "\(TestFiles.tests)/RoutingTests/Golden/Problems/\(name).yaml"
        let set = ManifestReader.load(sources: [
            (name: name + ".yaml", octets: TestFiles.octets(path))
        ])
        #expect(!set.hasErrors, "\(set.diagnostics.text)")
        let plan = RoutingPlan.compile(set.inventory, options: CompileOptions())
        let found = plan.renderTree() + "-----\n" + plan.diagnostics.text
        #expect(Fixtures.matchesGolden(found, "Problems/\(name).txt"))
    }
}
