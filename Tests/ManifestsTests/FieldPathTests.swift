import Testing

@testable import Manifests

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
