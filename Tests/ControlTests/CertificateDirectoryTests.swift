import Manifests
import TLS
import Testing

@testable import Control
@testable import Routing

@Suite struct `Certificates over reloads` {
    private var directory = CertificateDirectory()
    private static let gateway = ObjectReference(kind: "Gateway", namespace: "edge", name: "gw")

    private static func chain(
        _ names: [String] = ["one.test"],
        certificates: [CertificateSource] = [.secret(namespace: "edge", name: "s")],
        minVersion: Manifests.TLSVersion? = nil, suites: [String] = []
    ) -> TLSChain {
        TLSChain(
            serverNames: names, certificates: certificates, minVersion: minVersion, maxVersion: nil,
            cipherSuites: suites, table: 0, gateway: gateway,
            place: SourcePlace(file: "gw.yaml", line: 7, column: 3))
    }

    private static func secrets(_ text: String) -> [String: Secret] {
        let set = ManifestReader.load(sources: [("secrets.yaml", Array(text.utf8))])
        return CertificateDirectory.byName(set.inventory.secrets)
    }

    private static func pair(_ certificate: String, _ key: String) throws -> [String: Secret] {
        secrets(try Certificates.secret("s", Certificates.text(certificate), key: Certificates.text(key)))
    }

    private mutating func load(
        _ secrets: [String: Secret], _ chain: TLSChain = chain(), port: UInt16 = 443
    ) -> TLSContext? {
        directory.begin()
        return directory.context(of: chain, port: port, secrets: secrets)
    }

    private var messages: [String] { directory.diagnostics.map { "\($0.message); \($0.hint ?? "")" } }

    @Test mutating func `keep the same context while nothing changes`() throws {
        let secrets = try Self.pair("one.pem", "one.key")
        let first = try #require(load(secrets))
        #expect(load(secrets) === first)
        #expect(directory.diagnostics.isEmpty)
    }

    @Test mutating func `make another context for another certificate or other terms`() throws {
        let first = try #require(load(try Self.pair("one.pem", "one.key")))
        let second = try #require(load(try Self.pair("two.pem", "two.key")))
        #expect(second !== first)
        let third = try #require(load(try Self.pair("two.pem", "two.key"), Self.chain(minVersion: .v1_3)))
        #expect(third !== second)
    }

    @Test mutating func `stay the last good ones when the new are broken, round after round`() throws {
        let good = try #require(load(try Self.pair("one.pem", "one.key")))
        for _ in 0..<3 {
            #expect(load(try Self.pair("one.pem", "two.key")) === good)
            #expect(messages.count == 1)
            #expect(messages[0].hasPrefix("no usable certificate for one.test: the private key does not belong to "))
            #expect(messages[0].hasSuffix("; the last good certificate is still served"))
        }
        #expect(load([:]) === good)
        #expect(load(try Self.pair("one.pem", "one.key"), Self.chain(suites: ["NO-SUCH-SUITE"])) === good)
        #expect(load(try Self.pair("one.pem", "one.key")) === good)
        #expect(directory.diagnostics.isEmpty)
    }

    @Test mutating func `stay the last good ones when a host is added at the same time`() throws {
        let good = try #require(load(try Self.pair("one.pem", "one.key")))
        let wider = Self.chain(["new.test", "one.test"])
        #expect(load([:], wider) === good)
        #expect(load([:], wider) === good)
        #expect(load([:], Self.chain(["other.test"])) == nil)
    }

    @Test mutating func `are not given to another port, or to a server that came back`() throws {
        let good = try Self.pair("one.pem", "one.key")
        #expect(load(good) != nil)
        #expect(load([:], port: 8443) == nil)
        #expect(load(good) != nil)
        directory.begin()
        #expect(load([:]) == nil)
    }

    @Test mutating func `say precisely why there is none`() throws {
        let place = SourcePlace(file: "gw.yaml", line: 7, column: 3)
        #expect(load([:]) == nil)
        #expect(messages == [
            "no usable certificate for one.test: there is no Secret edge/s; these hosts are not served",
        ])
        #expect(directory.diagnostics[0].place == place && directory.diagnostics[0].severity == .error)
        #expect(directory.diagnostics[0].code == "invalid-credential")
        #expect(directory.diagnostics[0].object == Self.gateway)
    }

    @Test mutating func `say what a Secret lacks`() throws {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: edge}\n"
        #expect(load(Self.secrets(head)) == nil)
        #expect(messages[0].contains("Secret edge/s has neither tls.crt and tls.key nor cert and key; it is empty"))
        #expect(load(Self.secrets(head + "stringData: {tls.crt: one, ca.crt: two}")) == nil)
        #expect(messages[0].contains("nor cert and key; it has ca.crt, tls.crt"))
        #expect(load(Self.secrets(head + "stringData: {tls.crt: one, tls.key: ''}")) == nil)
        #expect(messages[0].contains("nor cert and key; it has tls.crt, tls.key"))
        #expect(load(Self.secrets(head + "stringData: {tls.crt: one, tls.key: two}")) == nil)
        #expect(messages[0].contains("no certificate: the text has no PEM block"))
    }

    @Test mutating func `may come from files`() throws {
        let folder = try Folder()
        let certificate = folder.write("c.pem", try Certificates.text("one.pem"))
        let key = folder.write("c.key", try Certificates.text("one.key"))
        let chain = Self.chain(certificates: [.files(certificate: certificate, key: key)])
        let good = try #require(load([:], chain))
        #expect(load([:], chain) === good)
        folder.remove("c.key")
        #expect(load([:], chain) === good)
        #expect(messages[0].contains("cannot read \(key): No such file or directory"))
        folder.write("c.pem", try Certificates.text("two.pem"))
        folder.write("c.key", try Certificates.text("two.key"))
        #expect(load([:], chain) !== good)
    }

    @Test mutating func `are served, with a warning, where they do not cover the host`() throws {
        let chain = Self.chain(["one.test", "two.test", "*"])
        #expect(load(try Self.pair("one.pem", "one.key"), chain) != nil)
        #expect(directory.diagnostics.map(\.code) == ["certificate-host"])
        #expect(directory.diagnostics[0].severity == .warning)
        #expect(messages[0].hasPrefix("no certificate of this server covers two.test; "))
    }
}
