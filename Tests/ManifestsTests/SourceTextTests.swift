import Testing

@testable import Manifests

@Suite struct `The texts of a load` {
    @Test(arguments: [0, 1, 1000, 1 << 17, (1 << 17) + 1, 3 << 20])
    func `come back as they were, in order, small or large`(size: Int) {
        let files = (0..<12).map { number in
            ("\(number).yaml", Array(repeating: UInt8(ascii: "#"), count: size + number * (number % 2) * 40_000))
        }
        let texts = ManifestReader.load(sources: files).texts
        #expect(texts.map(\.name) == files.map(\.0))
        #expect(texts.map { Array($0.octets) } == files.map(\.1))
    }

    @Test func `can be read again, with the same objects at the same places`() throws {
        let text = """
            kind: Service
            apiVersion: v1
            metadata: {name: s}
            spec: {ports: [{port: 80}]}

            """
        let files = (0..<3).map { ("\($0).yaml", Array(text.replacing("name: s", with: "name: s\($0)").utf8)) }
        let first = ManifestReader.load(sources: files)
        let again = ManifestReader.load(sources: first.texts.map { ($0.name, $0.octets) })
        #expect(first.inventory.services.count == 3)
        #expect(again.inventory.all.map(\.identity) == first.inventory.all.map(\.identity))
        #expect(again.inventory.all.map(\.place) == first.inventory.all.map(\.place))
    }
}

@Suite struct `A field's path` {
    @Test func `is made once for all objects that have the field`() {
        let text = (0..<2).map { number in
            """
            ---
            kind: VirtualService
            apiVersion: networking.istio.io/v1
            metadata: {name: v\(number)}
            spec: {hosts: [a\(number).test], http: [{route: [{destination: {host: b}}]}]}

            """
        }.joined()
        let services = ManifestReader.load(sources: [("a", Array(text.utf8))]).inventory.virtualServices
        let paths = services.compactMap { $0.http.first?.destinations.first?.path }
        #expect(paths.count == 2 && paths[0] === paths[1])
        #expect(paths.first?.text == "spec.http[0].route[0]")
        #expect(services.first?.hosts.first?.path == "spec.hosts[0]")
    }
}
