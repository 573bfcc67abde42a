import Manifests
import Testing

@testable import Routing

@Suite struct `Clients of a server` {
    private static func server(_ tls: String, name: String = "https", hosts: String = "[a.com]") -> String {
        "{port: {number: 443, name: \(name), protocol: HTTPS}, hosts: \(hosts), tls: {\(tls)}}"
    }

    private static func secret(_ name: String, namespace: String = "gwns") -> String {
        "---\n{apiVersion: v1, kind: Secret, metadata: {name: \(name), namespace: \(namespace)}, stringData: {a: b}}\n"
    }

    private static func world(_ tls: String, secrets: String = secret("c")) -> World {
        World(
            World.virtualService("[{\(World.to("a"))}]") + secrets, gateways: World.gateway("gw", server(tls)))
    }

    private static func demand(_ tls: String, secrets: String = secret("c")) throws -> ClientDemand? {
        let chain = try #require(world(tls, secrets: secrets).plan.listeners.first?.chains.first)
        return chain.clients
    }

    @Test func `are asked for nothing with SIMPLE`() throws {
        #expect(try Self.demand("mode: SIMPLE, credentialName: c, subjectAltNames: [x]") == nil)
    }

    @Test func `need a certificate with MUTUAL, and may show one with OPTIONAL_MUTUAL`() throws {
        let mutual = try #require(try Self.demand("mode: MUTUAL, credentialName: c"))
        #expect(mutual == ClientDemand(isOptional: false, authorities: .secret(namespace: "gwns", name: "c")))
        let optional = try #require(try Self.demand("mode: OPTIONAL_MUTUAL, credentialName: c"))
        #expect(optional == ClientDemand(isOptional: true, authorities: .secret(namespace: "gwns", name: "c")))
    }

    /// Source: docs/istio.md, Client certificates.
    @Test func `need one of the mesh with ISTIO_MUTUAL`() throws {
        let world = Self.world("mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://td/ns/a/sa/b']")
        let chain = try #require(world.plan.listeners.first?.chains.first)
        #expect(chain.certificates == [.mesh] && world.decoded.diagnostics.text == "" && world.codes == [])
        #expect(
            chain.clients == ClientDemand(isOptional: false, authorities: .mesh, names: ["spiffe://td/ns/a/sa/b"]))
    }

    @Test func `have to satisfy every field`() throws {
        let hash = String(repeating: "0a", count: 32)
        let key = String(repeating: "b", count: 43) + "="
        let demand = try Self.demand(
            "mode: MUTUAL, credentialName: c, caCrl: /crl, subjectAltNames: [x, 'spiffe://y'], "
                + "insecureSkipVerify: true, verifyCertificateSpki: ['\(key)'], verifyCertificateHash: ['\(hash)']")
        #expect(
            demand
                == ClientDemand(
                    isOptional: false, authorities: .secret(namespace: "gwns", name: "c"), revocations: "/crl",
                    names: ["x", "spiffe://y"], keyPins: [key], certificatePins: [hash], isSkipped: true))
    }

    /// Source: docs/istio.md, Client certificates.
    @Test(arguments: [
        ("credentialName: c", secret("c") + secret("c-cacert"), "Secret gwns/c-cacert"),
        ("credentialName: c", secret("c") + secret("c-cacert", namespace: "app"), "Secret gwns/c"),
        ("credentialName: 'kubernetes://gwns/c'", secret("c") + secret("c-cacert"), "Secret gwns/c-cacert"),
        ("credentialNames: [c, d]", secret("c") + secret("d") + secret("d-cacert"), "Secret gwns/c"),
        (
            "credentialName: c, caCertCredentialName: e", secret("c") + secret("c-cacert") + secret("e"),
            "Secret gwns/e"
        ),
        ("serverCertificate: /c, privateKey: /k, caCertificates: /ca", "", "file /ca"),
        ("tlsCertificates: [{serverCertificate: /c, privateKey: /k}], caCertificates: /ca", "", "file /ca"),
    ])
    func `are verified by the authorities that Istio looks up`(tls: String, secrets: String, source: String) throws {
        let demand = try #require(try Self.demand("mode: MUTUAL, \(tls)", secrets: secrets))
        #expect(demand.authorities.description == source)
    }

    @Test(arguments: [
        ("credentialName: app/c", "refused-credential"),
        ("credentialName: c, caCertCredentialName: app/e", "refused-credential"),
        ("credentialName: c, caCertCredentialName: 'configmap://gwns/e'", "refused-credential"),
        ("credentialName: c, caCertCredentialName: e", "unknown-secret"),
    ])
    func `find nobody to verify them where the name may not be used`(tls: String, code: String) throws {
        let world = Self.world("mode: MUTUAL, \(tls)")
        #expect(world.plan.diagnostics.filter { $0.severity == .error }.map(\.code) == [code])
        let chain = try #require(world.plan.listeners.first?.chains.first)
        #expect(chain.clients != nil)
    }

    /// A broken `NAME-cacert` is not passed over.
    @Test func `find nobody to verify them where the Secret of the authorities has an error`() throws {
        let broken = "---\n{apiVersion: v1, kind: Secret, metadata: {name: c-cacert, namespace: gwns}, data: 5}\n"
        let demand = try #require(
            try Self.demand("mode: MUTUAL, credentialName: c", secrets: Self.secret("c") + broken))
        #expect(demand.authorities == .refused("c-cacert"))
    }

    @Test func `are in what routes prints`() {
        let world = Self.world("mode: MUTUAL, credentialName: c, caCrl: /crl, subjectAltNames: [x, z]")
        #expect(
            world.tree.contains(
                "listener *:443 TLS a.com with Secret gwns/c; clients need a certificate of Secret gwns/c "
                    + "less those of file /crl, names x or z\n"))
        #expect(world.json.contains("\"clients\""))
        #expect(
            Self.world("mode: OPTIONAL_MUTUAL, credentialName: c, insecureSkipVerify: true").tree
                .contains("; clients may show a certificate, which is not verified\n"))
    }
}
