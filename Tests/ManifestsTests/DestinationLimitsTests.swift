import Manifests
import Testing

@Suite struct `Lists of a DestinationRule` {
    private func problems(_ balancer: String) -> [String] {
        let text = """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d}
            spec: {host: a, trafficPolicy: {loadBalancer: \(balancer)}}
            """
        let set = ManifestReader.load(sources: [("case.yaml", Array(text.utf8))])
        return set.diagnostics.filter { $0.severity == .error }.map(\.message)
    }

    private func names(_ count: Int) -> String { (0..<count).map { "n\($0)" }.joined(separator: ", ") }

    @Test func `have at most 256 labels and places, each of which is compared with each endpoint`() {
        func labels(_ count: Int) -> [String] {
            problems("{localityLbSetting: {enabled: true, failoverPriority: [\(names(count))]}}")
        }
        #expect(labels(256).isEmpty)
        #expect(labels(257) == ["more than 256 labels"])
        let places = (0..<257).map { "r\($0): 1" }.joined(separator: ", ")
        let found = problems("{localityLbSetting: {enabled: true, distribute: [{from: a, to: {\(places)}}]}}")
        #expect(found.contains("`to` names more than 256 places"))
    }

    @Test func `keep a cookie within what browsers keep`() {
        func cookie(_ octets: Int) -> [String] {
            let path = "/" + String(repeating: "x", count: octets - 1)
            return problems("{consistentHash: {httpCookie: {name: c, ttl: 1s, path: \(path)}}}")
        }
        #expect(cookie(4096).isEmpty)
        #expect(cookie(4097) == ["the path and attributes of a cookie have at most 4096 octets"])
    }
}
