import Manifests
import Support
import TLS
import Testing

@testable import Control
@testable import Routing

@Suite struct `What clients are verified by` {
    private var directory = CertificateDirectory()
    private let folder = TemporaryFolder()
    private static let gateway = ObjectReference(kind: "Gateway", namespace: "edge", name: "gw")

    private static func chain(_ clients: ClientDemand?, groups: [String] = []) -> TLSChain {
        TLSChain(
            serverNames: ["one.test"], certificates: [.secret(namespace: "edge", name: "s")], minVersion: nil,
            maxVersion: nil, cipherSuites: [], table: 0, gateway: gateway,
            place: SourcePlace(file: "gw.yaml", line: 7, column: 3), clients: clients, groups: groups)
    }

    private static let own = ClientDemand(isOptional: false, authorities: .secret(namespace: "edge", name: "s"))

    private static func secret(_ more: [String: String], certificate: String = "one") throws -> [String: Secret] {
        var text = try Certificates.secret(
            "s", Certificates.text("\(certificate).pem"), key: Certificates.text("one.key"))
        for (key, value) in more {
            text += "  \(key): \"" + value.split(separator: "\n").joined(separator: "\\n") + "\"\n"
        }
        let set = ManifestReader.load(sources: [("secrets.yaml", Array(text.utf8))])
        return CertificateDirectory.byName(set.inventory.secrets)
    }

    private mutating func load(
        _ secrets: [String: Secret], _ clients: ClientDemand?, groups: [String] = []
    ) -> TLSContext? {
        let chain = Self.chain(clients, groups: groups)
        let plan = RoutingPlan(
            listeners: [ListenerPlan(bind: "", port: 443, isMesh: false, clearTable: nil, chains: [chain])],
            tables: [], clusters: [], routes: [], diagnostics: [])
        directory.begin(plan)
        return directory.context(of: chain, port: 443, secrets: secrets, files: CredentialFiles(of: plan))
    }

    private var messages: [String] { directory.diagnostics.map(\.message) }

    @Test mutating func `stays the same while nothing changes, and is another with other authorities`() throws {
        let one = try Self.secret(["ca.crt": Certificates.text("one.pem")])
        let first = try #require(load(one, Self.own))
        #expect(load(one, Self.own) === first)
        #expect(first.verification != nil && messages == [])
        let other = try #require(load(try Self.secret(["ca.crt": Certificates.text("two.pem")]), Self.own))
        #expect(other !== first && other.verification !== first.verification)
        let open = try #require(load(one, nil))
        #expect(open.verification == nil)
        var named = Self.own
        named.names = ["x"]
        #expect(load(one, named)?.verification !== first.verification)
    }

    @Test mutating func `changes beside a last good certificate, whose other terms stay`() throws {
        let good = try Self.secret(["ca.crt": Certificates.text("one.pem")])
        let first = try #require(load(good, Self.own, groups: ["P-384"]))
        let bad = try Self.secret(["ca.crt": Certificates.text("two.pem")], certificate: "two")
        let second = try #require(load(bad, Self.own, groups: ["P-384"]))
        #expect(messages.count == 1 && second.verification !== first.verification)
        #expect(first.groups == "P-384" && second.groups == "P-384")
    }

    @Test mutating func `names no authorities to clients when they are too many, which is counted once`() throws {
        #expect(load(try Self.secret(["ca.crt": Certificates.text("one.pem")]), Self.own) != nil)
        #expect(directory.namesLeftOut == 0)
        let many = String(repeating: try Certificates.text("one.pem"), count: 1_000)
        let secret = try Self.secret(["ca.crt": many])
        #expect(load(secret, Self.own)?.verification != nil && directory.namesLeftOut == 1)
        #expect(load(secret, Self.own)?.verification != nil && directory.namesLeftOut == 0)
    }

    @Test mutating func `is taken from cacert before ca.crt`() throws {
        let first = try #require(load(try Self.secret(["ca.crt": Certificates.text("one.pem")]), Self.own))
        let both = try Self.secret(["cacert": Certificates.text("one.pem"), "ca.crt": "broken"])
        #expect(load(both, Self.own)?.verification === first.verification)
    }

    /// The last good authorities might trust whom the operator has just ceased to trust.
    @Test mutating func `is nobody where the authorities are missing or broken, also after good ones`() throws {
        for later in [false, true] {
            if later { #expect(load(try Self.secret(["ca.crt": Certificates.text("one.pem")]), Self.own) != nil) }
            #expect(load(try Self.secret([:]), Self.own) == nil)
            #expect(
                messages == [
                    "Secret edge/s has neither cacert nor ca.crt, for the authorities of clients; it has tls.crt, "
                        + "tls.key: no client is accepted for one.test"
                ])
            #expect(load(try Self.secret(["ca.crt": "broken"]), Self.own) == nil)
            #expect(
                messages.count == 1 && messages[0].hasPrefix("`ca.crt` of Secret edge/s cannot be used (the trusted"))
            let list = ["ca.crt": try Certificates.text("one.pem"), "ca.crl": "broken"]
            #expect(load(try Self.secret(list), Self.own) == nil)
            #expect(
                messages.count == 1 && messages[0].hasPrefix("`ca.crl` of Secret edge/s cannot be used (the certif"))
        }
    }

    @Test mutating func `is read from files`() throws {
        var clients = Self.own
        clients.authorities = .file(folder.write("ca.pem", try Certificates.text("one.pem")))
        let first = try #require(load(try Self.secret([:]), clients))
        #expect(load(try Self.secret([:]), clients) === first)
        clients.revocations = folder.path + "/none.crl"
        #expect(load(try Self.secret([:]), clients) == nil)
        #expect(messages.count == 1 && messages[0].contains("/none.crl"))
        clients.revocations = folder.write("bad.crl", "hello")
        #expect(load(try Self.secret([:]), clients) == nil)
        #expect(messages[0].contains("/bad.crl: the certificate revocation lists cannot be used"))
    }

    /// The last good certificate must not bring back what was asked of clients when it was good.
    @Test mutating func `is that of now, where the server's own certificate is the last good one`() throws {
        let good = try #require(load(try Self.secret(["ca.crt": Certificates.text("one.pem")]), Self.own))
        let broken = try Self.secret(["ca.crt": Certificates.text("two.pem")], certificate: "two")
        let kept = try #require(load(broken, Self.own))
        #expect(kept.verification !== good.verification && kept.verification != nil)
        #expect(messages.contains { $0.contains("the last good certificate is still served") })
        #expect(load(try Self.secret(["ca.crt": ""], certificate: "two"), Self.own) == nil)
    }

    @Test mutating func `is known of a Secret whose texts are forgotten`() throws {
        let secrets = try Self.secret(["ca.crt": Certificates.text("one.pem")])
        let first = try #require(load(secrets, Self.own))
        for secret in secrets.values { secret.forget() }
        #expect(load(secrets, Self.own) === first)
        var named = Self.own
        named.names = ["x"]
        #expect(load(secrets, named)?.verification != nil)
    }
}
