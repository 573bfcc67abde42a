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

    private func compiled(_ names: [String]) -> Compiled {
        let sources = names.map {
            (
                name: $0 + ".yaml",
                octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml")
            )
        }
        let set = ManifestReader.load(sources: sources)
        return Compiled(set.inventory)
    }

    @Test(arguments: seeds) func `are as its golden file says`(names: [String]) {
        let compiled = compiled(names)
        let found = compiled.tree + "-----\n" + compiled.plan.diagnostics.text
        #expect(Fixtures.matchesGolden(found, names.joined(separator: "+") + ".txt"))
    }

    @Test func `are the same as JSON`() {
        #expect(
            Fixtures.matchesGolden(
                compiled(["canary-mesh", "canary-edge"]).json, "canary.json"))
    }

    @Test func `do not depend on the order of the files`() {
        let names = Self.seeds.flatMap { $0 }
        let sources = Set(names).sorted().map {
            (
                name: $0 + ".yaml",
                octets: TestFiles.octets("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml")
            )
        }
        let forwards = Compiled(ManifestReader.load(sources: sources).inventory)
        let backwards = Compiled(ManifestReader.load(sources: sources.reversed()).inventory)
        #expect(forwards.tree == backwards.tree)
    }
}

@Suite struct `The problems of meaning` {
    @Test(arguments: ["references", "ports", "names", "credentials", "connections"])
    func `are told with place and remedy`(name: String) {
        let path = "\(TestFiles.tests)/RoutingTests/Golden/Problems/\(name).yaml"
        let set = ManifestReader.load(sources: [
            (name: name + ".yaml", octets: TestFiles.octets(path))
        ])
        #expect(!set.hasErrors, "\(set.diagnostics.text)")
        let compiled = Compiled(set.inventory)
        let found = compiled.tree + "-----\n" + compiled.plan.diagnostics.text
        #expect(Fixtures.matchesGolden(found, "Problems/\(name).txt"))
    }
}
