import Manifests
import Testing

@Suite struct `Certificates of clients in a Gateway` {
    private static func server(_ tls: String) -> ManifestSet {
        load(
            """
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: x}
            spec: {servers: [{hosts: ["*"], port: {number: 443, name: a, protocol: HTTPS}, tls: {\(tls)}}]}
            """)
    }

    private static let hash = String(repeating: "0A", count: 32)
    private static let colons = Array(repeating: "0a", count: 32).joined(separator: ":")
    private static let key = String(repeating: "b", count: 43) + "="

    @Test(arguments: [
        "mode: MUTUAL, credentialName: c, subjectAltNames: [a.com, 'spiffe://a/ns/b/sa/c']",
        "mode: OPTIONAL_MUTUAL, credentialName: c, caCrl: /crl, caCertCredentialName: d",
        "mode: MUTUAL, credentialName: c, verifyCertificateHash: ['\(hash)'], verifyCertificateSpki: ['\(key)']",
        "mode: MUTUAL, credentialName: c, verifyCertificateHash: ['\(colons)']",
        "mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /ca, caCrl: /crl",
        "mode: SIMPLE, credentialName: c, ecdhCurves: [P-256, X25519]",
    ])
    func `are in effect without a report`(tls: String) {
        let set = Self.server(tls)
        #expect(set.diagnostics.text == "")
        #expect(set.inventory.gateways.first?.servers.count == 1)
    }

    @Test(arguments: [
        ("verifyCertificateHash: [abc]", "`abc` is no SHA-256 digest"),
        ("verifyCertificateHash: ['\(String(repeating: "0", count: 95))']", "is no SHA-256 digest"),
        ("verifyCertificateSpki: ['\(hash)']", "is no SHA-256 digest"),
        ("subjectAltNames: ['']", "a name is empty"),
        ("ecdhCurves: [P-1]", "none of the key exchanges is known"),
    ])
    func `are refused where they can fit nobody`(field: String, message: String) {
        let set = Self.server("mode: MUTUAL, credentialName: c, \(field)")
        #expect(set.diagnostics.contains { $0.severity == .error && $0.message.contains(message) })
        #expect(set.inventory.gateways.first?.servers.isEmpty == true)
        #expect(set.inventory.gateways.first?.brokenServers.count == 1)
    }

    @Test(arguments: [
        "caCertificates: /ca", "caCertCredentialName: d", "caCrl: /crl", "subjectAltNames: [x]",
        "verifyCertificateSpki: ['\(key)']", "verifyCertificateHash: ['\(hash)']", "insecureSkipVerify: true",
    ])
    func `are said to have no effect with SIMPLE`(field: String) {
        let set = Self.server("mode: SIMPLE, credentialName: c, \(field)")
        #expect(set.diagnostics.map(\.code) == ["no-effect"])
        #expect(set.inventory.gateways.first?.servers.count == 1)
    }

    @Test func `are of no concern to AUTO_PASSTHROUGH, which is not applicable`() {
        let set = Self.server("mode: AUTO_PASSTHROUGH")
        #expect(set.diagnostics.map(\.code) == ["not-applicable"])
        #expect(set.inventory.gateways.first?.servers.isEmpty == true)
    }

    @Test func `that are not verified earn a warning`() {
        #expect(
            Self.server("mode: MUTUAL, credentialName: c, insecureSkipVerify: true").diagnostics.map(\.code) == [
                "weak-tls"
            ])
        let beside = Self.server("mode: MUTUAL, credentialName: c, caCertificates: /ca")
        #expect(beside.diagnostics.map(\.code) == ["no-effect"])
    }
}
