import Manifests
import Support
import Testing

@Suite struct `What is not in effect yet` {
    private static func rule(_ fields: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: x}
        spec: {hosts: [a.com], http: [{\(fields)}]}
        """
    }

    private static func served(_ fields: String) -> String { rule("route: [{destination: {host: a}}], " + fields) }

    private static func policy(_ fields: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: x}
        spec: {host: a, trafficPolicy: {\(fields)}}
        """
    }

    private static func server(_ fields: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: x}
        spec: {servers: [{hosts: ["*"], \(fields)}]}
        """
    }

    /// What closes a part of the one object, by its short name.
    private func closings(_ set: ManifestSet) -> [String] {
        var all: [ClosingField] = []
        for service in set.inventory.virtualServices {
            for rule in service.http { all += rule.closings }
        }
        for rule in set.inventory.destinationRules { all += rule.trafficPolicy?.closings ?? [] }
        for gateway in set.inventory.gateways { for server in gateway.servers { all += server.closings } }
        for entry in set.inventory.serviceEntries { all += entry.closings }
        return all.map(\.name)
    }

    @Test(arguments: [
        (
            served("match: [{headers: {'@request.auth.claims.sub': {exact: x}}}]"),
            "match[0].headers[\"@request.auth.claims.sub\"]"
        ),
        (
            served("match: [{withoutHeaders: {'@request.auth.claims.sub': {}}}]"),
            "match[0].withoutHeaders[\"@request.auth.claims.sub\"]"
        ),
        (policy("tunnel: {targetHost: a, targetPort: 1}"), "tunnel"),
        (server("port: {number: 80, name: a, protocol: UDP}"), "port.protocol: UDP"),
    ])
    func `closes its part where somebody closes, protects or redirects with it`(text: String, name: String) {
        let set = load(text)
        // What is served, and what is not, is known when the rules are compiled: the report is made there.
        #expect(set.diagnostics.text == "")
        #expect(closings(set) == [name])
    }

    @Test(arguments: [
        served("headers: {}"), served("headers: {request: {}, response: {set: {}}}"), served("retries: {}"),
        served("retries: {attempts: 0}"), served("corsPolicy: {}"), served("mirrors: []"),
        served("mirror: {host: b}, mirrorPercentage: {value: 0}"),
        served("mirrors: [{destination: {host: b}, percentage: {value: 0}}]"),
        served("fault: {abort: {percentage: {value: 0}, httpStatus: 418}}"),
        served("fault: {delay: {percentage: {value: 0}, fixedDelay: 1s}}"),
        served("match: [{uri: {prefix: /a}, statPrefix: ''}], rewrite: {uri: /a}"),
        policy("tls: {mode: DISABLE}"), policy("connectionPool: {http: {http2MaxRequests: 0}}"),
        policy("connectionPool: {http: {h2UpgradePolicy: DEFAULT, useClientProtocol: false}}"),
        policy("loadBalancer: {localityLbSetting: {enabled: false}}"),
        server("port: {number: 80, name: a, protocol: HTTP}, tls: {httpsRedirect: false}"),
        server("port: {number: 80, name: a, protocol: HTTP}, tls: {mode: PASSTHROUGH}"),
        server("port: {number: 80, name: a, protocol: HTTPS}, tls: {mode: PASSTHROUGH}"),
        server("port: {number: 80, name: a, protocol: TLS}, tls: {}"),
        server("port: {number: 80, name: a, protocol: Mongo}"),
    ])
    func `is not reported when it asks for nothing, or for what is so anyway`(text: String) {
        let set = load(text)
        #expect(set.diagnostics.text == "")
        #expect(closings(set) == [])
    }

    @Test(arguments: ["[1]", "{a: b}", "x", "null", "7", "[{}]", "[null]", "{}", "[]"])
    func `is judged without trust in the types of values`(value: String) {
        for fields in [
            "corsPolicy: {allowOrigins: \(value)}", "corsPolicy: \(value)", "headers: {request: {set: \(value)}}",
            "rewrite: {uri: \(value)}, match: [{uri: \(value)}]", "mirror: {host: b}, mirrorPercentage: \(value)",
            "match: [{withoutHeaders: {x: {regex: \(value)}}}]", "mirrors: \(value)",
        ] {
            let set = load(Self.served(fields))
            #expect(set.rejected.isEmpty, "\(fields): a judge must not spoil the object")
        }
        _ = load(Self.server("port: {number: 80, name: a, protocol: \(value)}, tls: {httpsRedirect: true}"))
        _ = load(Self.policy("connectionPool: \(value), tls: {mode: \(value)}"))
    }

    /// `PORTICO_GOLDEN=write swift test --filter NotInEffect` rewrites the list in docs/configuration.md.
    @Test func `is listed in the documentation with what becomes of the requests`() throws {
        let path = TestFiles.tests + "/../docs/configuration.md"
        let text = String(decoding: TestFiles.octets(path), as: UTF8.self)
        let begin = try #require(text.ranges(of: "<!-- not in effect yet: begin -->\n").first)
        let end = try #require(text.ranges(of: "<!-- not in effect yet: end -->").first)
        let wanted = Self.documentation
        if TestFiles.environment("PORTICO_GOLDEN") == "write" {
            #expect(TestFiles.write(text[..<begin.upperBound] + wanted + text[end.lowerBound...], to: path))
            return
        }
        #expect(text[begin.upperBound..<end.lowerBound] == wanted)
    }

    private static var documentation: String {
        var text = "| Field | | |\n|---|---|---|\n"
        for field in NotInEffect.fields {
            let mark = field.consequence == .closes ? "⊘" : "○"
            let when = field.circumstances.isEmpty ? "" : " " + field.circumstances
            text += "| \(field.kind) `\(field.path)` | \(mark) |\(when) |\n"
        }
        return text
    }
}
