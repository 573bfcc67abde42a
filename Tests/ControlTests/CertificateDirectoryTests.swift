import Glibc
import Manifests
import Support
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
            cipherSuites: suites.enumerated().map {
                CipherChoice(name: $1, place: SourcePlace(file: "gw.yaml", line: 9, column: $0))
            }, table: 0, gateway: gateway, place: SourcePlace(file: "gw.yaml", line: 7, column: 3))
    }

    private static func secrets(_ text: String) -> [String: Secret] {
        let set = ManifestReader.load(sources: [("secrets.yaml", Array(text.utf8))])
        return CertificateDirectory.byName(set.inventory.secrets)
    }

    private static func pair(_ certificate: String, _ key: String) throws -> [String: Secret] {
        secrets(try Certificates.secret("s", Certificates.text(certificate), key: Certificates.text(key)))
    }

    private static let otherBlock = "\"-----BEGIN hunter2-----\\naGk=\\n-----END hunter2-----\\n\""

    private mutating func load(
        _ secrets: [String: Secret], _ chain: TLSChain = chain(), port: UInt16 = 443
    ) -> TLSContext? {
        directory.begin()
        let plan = RoutingPlan(
            listeners: [ListenerPlan(bind: "", port: port, isMesh: false, clearTable: nil, chains: [chain])],
            tables: [], clusters: [], routes: [], diagnostics: [])
        return directory.context(of: chain, port: port, secrets: secrets, files: CredentialFiles(of: plan))
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
        let third = try #require(load(try Self.pair("two.pem", "two.key"), Self.chain(minVersion: .tls13)))
        #expect(third !== second)
    }

    @Test mutating func `stay the last good ones when the new are broken, round after round`() throws {
        let good = try #require(load(try Self.pair("one.pem", "one.key")))
        for _ in 0..<3 {
            #expect(load(try Self.pair("one.pem", "two.key")) === good)
            #expect(messages.count == 1)
            #expect(messages[0].hasPrefix("`tls.key` of Secret edge/s cannot be used (the private key does not"))
            #expect(messages[0].contains("): the last good certificate is still served for one.test"))
        }
        #expect(load([:]) === good)
        #expect(
            messages == [
                "there is no Secret edge/s: the last good certificate is still served for one.test; "
            ])
        #expect(directory.diagnostics.map(\.severity) == [.note])
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
        let chain = Self.chain(certificates: [.files(certificate: "/nowhere", key: "/nowhere")])
        #expect(load([:], chain) == nil)
        let problem = try #require(directory.diagnostics.first)
        #expect(problem.message.hasSuffix(": handshakes for one.test fail"))
        #expect(problem.place == chain.place && problem.severity == .error)
        #expect(problem.code == "invalid-credential" && problem.object == Self.gateway)
    }

    /// The plan has said so, at the name: see Credentials.
    @Test mutating func `say nothing of a Secret that is missing or refused`() {
        #expect(load([:]) == nil)
        #expect(directory.diagnostics.isEmpty)
        #expect(load([:], Self.chain(certificates: [.refused("other/s")])) == nil)
        #expect(directory.diagnostics.isEmpty)
    }

    @Test mutating func `say at the value what is wrong with it`() throws {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: edge}\nstringData:\n"
        let lines = { (text: String) in "\"" + text.replacing("\n", with: "\\n") + "\"" }
        let (one, key, two) = (
            lines(try Certificates.text("one.pem")), lines(try Certificates.text("one.key")),
            lines(try Certificates.text("two.key"))
        )
        let cases: [(certificate: String, key: String, line: Int, says: String)] = [
            ("''", key, 5, "`tls.crt` of Secret edge/s is empty"),
            (one, "''", 6, "`tls.key` of Secret edge/s is empty"),
            ("hunter2hunter2", key, 5, "`tls.crt` of Secret edge/s cannot be used (no certificate: the text has"),
            (Self.otherBlock, key, 5, "the text holds a block of another kind instead"),
            (key, one, 5, "the text holds a PRIVATE KEY instead; are certificate and key exchanged?"),
            (one, two, 6, "`tls.key` of Secret edge/s cannot be used (the private key does not belong"),
            (one, "hunter2hunter2", 6, "(no private key: the text has no PEM block"),
            ("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", key, 5, "no certificate: the text has no PEM block"),
            ("12345678", key, 3, "`tls.crt` of Secret edge/s cannot be read"),
        ]
        for each in cases {
            #expect(load(Self.secrets(head + "  tls.crt: \(each.certificate)\n  tls.key: \(each.key)\n")) == nil)
            let problem = try #require(directory.diagnostics.first)
            #expect(directory.diagnostics.count == 1 && problem.severity == .error)
            #expect(problem.message.contains(each.says), "\(problem.message)")
            #expect(problem.message.hasSuffix(": handshakes for one.test fail"))
            #expect(problem.place.file == "secrets.yaml" && (problem.place.line == each.line || each.line == 3))
            #expect(each.certificate.hasPrefix("LS0t") == (problem.hint?.contains("still in Base64") == true))
            #expect(problem.object?.kind == "Secret" && problem.related.first?.place.line == 7)
            #expect(!directory.diagnostics.text.contains("hunter2") && !directory.diagnostics.text.contains("12345678"))
        }
    }

    @Test mutating func `are served without the cipher suites that OpenSSL cannot do`() throws {
        let secrets = try Self.pair("one.pem", "one.key")
        let suites = ["ECDHE-ECDSA-AES128-GCM-SHA256", "DES-CBC3-SHA", "fake"]
        let first = try #require(load(secrets, Self.chain(suites: suites)))
        #expect(directory.diagnostics.map(\.code) == ["unsupported-cipher-suite"])
        #expect(directory.diagnostics.map(\.severity) == [.warning])
        #expect(directory.diagnostics.first?.place.column == 1)
        #expect(load(secrets, Self.chain(suites: suites)) === first)
        for none in [["DES-CBC3-SHA"], ["fake"]] {
            let chain = Self.chain(["other.test"], suites: none)
            #expect(load(secrets, chain, port: 8443) == nil)
            let problem = try #require(directory.diagnostics.last)
            #expect(problem.code == "no-cipher-suite" && problem.severity == .error && problem.place.line == 9)
            #expect(problem.message.hasSuffix("can be used: handshakes for other.test fail"))
            #expect(!problem.message.contains("certificate"))
        }
    }

    @Test mutating func `say what a Secret lacks`() throws {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: edge}\n"
        #expect(load(Self.secrets(head)) == nil)
        #expect(messages[0].contains("Secret edge/s has neither tls.crt and tls.key nor cert and key; it is empty"))
        #expect(load(Self.secrets(head + "stringData: {tls.crt: one, ca.crt: two}")) == nil)
        #expect(messages[0].contains("nor cert and key; it has ca.crt, tls.crt"))
    }

    @Test mutating func `may come from files`() throws {
        let folder = TemporaryFolder()
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

    @Test mutating func `are not waited for: a FIFO or a device is no file`() throws {
        let folder = TemporaryFolder()
        let fifo = folder.path + "/fifo"
        #expect(unsafe mkfifo(fifo, 0o600) == 0)
        defer { unsafe unlink(fifo) }
        for path in [fifo, "/dev/zero", folder.path] {
            #expect(load([:], Self.chain(certificates: [.files(certificate: path, key: path)])) == nil)
            #expect(messages[0].contains("cannot read \(path): it is no regular file; name the file itself"))
        }
    }

    @Test mutating func `are served, with a warning, where they do not cover the host`() throws {
        let chain = Self.chain(["one.test", "two.test", "*"])
        #expect(load(try Self.pair("one.pem", "one.key"), chain) != nil)
        #expect(directory.diagnostics.map(\.code) == ["certificate-host"])
        #expect(directory.diagnostics[0].severity == .warning)
        #expect(messages[0].hasPrefix("no certificate of this server covers two.test; "))
    }

    @Test mutating func `need the text of a Secret once, for all servers that use it`() throws {
        let secrets = try Self.pair("one.pem", "one.key")
        let first = try #require(load(secrets))
        for secret in secrets.values { secret.forget() }
        #expect(load(secrets) === first)
        // Another server beside it, and other terms: made of what OpenSSL holds.
        #expect(load(secrets, Self.chain(minVersion: .tls13)) != nil)
        #expect(load(secrets, Self.chain(["other.one.test"])) != nil)
        #expect(!directory.diagnostics.contains { $0.severity == .error })
        // The same text, read anew.
        #expect(load(try Self.pair("one.pem", "one.key"), Self.chain(["other.one.test"])) != nil)
        let unused = try Self.pair("two.pem", "two.key")
        for secret in unused.values { secret.forget() }
        #expect(load(unused, Self.chain(["new.test"]), port: 8443) == nil)
        #expect(messages[0].contains("the last good version of Secret edge/s is not kept for servers that it was not"))
    }
}
