import Manifests
import Routing
import Support
import Testing

/// Objects damaged by chance: lines left out, doubled, swapped between files, values replaced.
/// Whatever is left must compile, be shown and answer, without a trap.
@Suite struct `A plan of damaged objects` {
    private static let values = [
        "'*'", "a", "a.b", "65536", "0", "-1", "[]", "{}", "''", "'*.'", "test/grpc", "./x", "/",
        "mesh", "GRPC", "HTTPS",
        "9223372036854775807", "[a, a, a]", "{exact: ''}", "{prefix: ''}", "{regex: '('}", "'.'",
        "None", "1e9",
    ]

    @Test(arguments: [1, 2, 3]) func `always answers`(seed: UInt64) {
        var random = FixedRandom(state: seed)
        let names = [
            "canary-mesh", "canary-edge", "grpc-test-namespace", "main-server", "three-replicas",
        ]
        let files =
            names.map { TestFiles.text("\(TestFiles.tests)/Fixtures/seeds/\($0).yaml") }
            + ["references", "ports"].map {
                TestFiles.text("\(TestFiles.tests)/RoutingTests/Golden/Problems/\($0).yaml")
            }
        var options = CompileOptions()
        options.includesMeshServices = true
        let request = TextRequest(
            path: "/helloworld.Greeter/SayHello?x=1", authority: "server.test:8000", method: "POST",
            scheme: "http",
            headers: [("version", "200"), ("version", "100")])
        for _ in 0..<150 {
            let sources = files.enumerated().map { number, text in
                var lines = text.split(separator: "\n").map(String.init)
                for _ in 0..<Int.random(in: 0...3, using: &random) { damage(&lines, &random) }
                return (name: "\(number).yaml", octets: Array(lines.joined(separator: "\n").utf8))
            }
            let set = ManifestReader.load(sources: sources)
            let compiled = Compiled(set.inventory, options)
            let plan = compiled.plan
            #expect(!compiled.tree.isEmpty && !compiled.json.isEmpty)
            for table in plan.tables {
                guard case .route(let number) = table.match(request) else { continue }
                let cluster = plan.routes[number].destination(random: random.next())
                #expect(cluster < plan.clusters.count)
            }
            for listener in plan.listeners {
                _ = compiled.explain(
                    request, at: Entrance(port: listener.port, isMesh: listener.isMesh))
            }
        }
    }

    private func damage(_ lines: inout [String], _ random: inout FixedRandom) {
        let place = Int.random(in: 0..<lines.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: lines.remove(at: place)
        case 1: lines.insert(lines[place], at: place)
        case 2: lines.swapAt(place, Int.random(in: 0..<lines.count, using: &random))
        default:
            guard let colon = lines[place].firstIndex(of: ":") else { return }
            let value = Self.values[Int.random(in: 0..<Self.values.count, using: &random)]
            lines[place] = String(lines[place][...colon]) + " " + value
        }
    }
}
