import Testing

@testable import TLS

private let certificates = Certificates.shared

@Suite struct `A TLS handshake` {
    @Test(arguments: [(TLSVersion.tls12, "TLSv1.2"), (.tls13, "TLSv1.3")])
    func `succeeds with both versions`(version: TLSVersion, label: String) throws {
        let client = try certificates.client(minVersion: version, maxVersion: version)
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.protocolVersion == label)
        #expect(line.server.serverName == "one.example.test")
        #expect(line.server.cipherSuite.contains("AES"))
        #expect(line.client?.send(Array("hello".utf8)) == .octets(5))
        #expect(line.server.receive().octets == Array("hello".utf8))
        #expect(line.server.send(Array("there".utf8)) == .octets(5))
        #expect(line.client?.receive().octets == Array("there".utf8))
    }

    @Test func `fails below the lowest version`() throws {
        let context = try certificates.context("ec", minVersion: .tls13)
        let client = try certificates.client(maxVersion: .tls12)
        let line = try Line(selector((["*"], context)), client: client)
        let states = line.shakeHands()
        #expect(states.server == .failed(.handshakeFailed("unsupported protocol")))
        #expect(states.client == .failed(.peerAlert("tlsv1 alert protocol version")))
        #expect(line.server.handshake() == states.server)
    }

    @Test func `serves TLS 1.0 only when asked to`() throws {
        let client = try certificates.client(minVersion: .tls10, maxVersion: .tls10)
        let modern = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(modern.shakeHands().server == .failed(.handshakeFailed("unsupported protocol")))
        let old = try certificates.context("ec", minVersion: .tls10)
        let line = try Line(selector((["*"], old)), client: client)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.protocolVersion == "TLSv1")
    }

    @Test(
        arguments: [
            (["http/1.1", "h2"], true), (["h2"], true), (["http/1.1"], false), (["spdy/3"], nil),
            ([], nil),
            (["h2c", "http/1.0"], nil),
        ] as [([String], Bool?)])
    func `prefers h2, then http/1.1, and goes on without`(offer: [String], chosen: Bool?) throws {
        let client = try certificates.client(protocols: offer)
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.negotiatedHTTP2 == chosen)
        #expect(line.client?.negotiatedHTTP2 == chosen)
    }

    @Test(arguments: [
        ("ECDHE-RSA-AES128-GCM-SHA256", CertificateReport.KeyType.rsa),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", .ecdsa),
    ])
    func `shows the certificate that the client can check`(
        suite: String, key: CertificateReport.KeyType
    ) throws {
        let client = try certificates.client(maxVersion: .tls12, cipherSuites: [suite])
        let line = try Line(
            selector((["*"], try certificates.context("rsa", "ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.client?.peerCertificate?.keyType == key)
        #expect(line.server.cipherSuite == suite)
    }

    /// The first ClientHello's key share is of no use: a HelloRetryRequest makes the client send
    /// another, after the chain was chosen.
    @Test func `asks again when the client guessed another key exchange`() throws {
        let table = selector(
            (["*"], try certificates.context("wild")),
            (["one.example.test"], try certificates.context("ec")))
        let line = try Line(table, client: try certificates.client(groups: ["P-521", "P-256"]))
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.chainNumber == 1)
        #expect(line.server.negotiatedHTTP2 == true)
        let other = try Line(table, client: try certificates.client(groups: ["P-521"]))
        guard case .failed(.handshakeFailed) = other.shakeHands().server else {
            Issue.record("P-521 alone was accepted")
            return
        }
        #expect(other.server.handshakeReason == .noSharedCipher)
    }

    @Test(arguments: ["X25519", "P-256", "P-384"])
    func `goes with each of the groups alone`(group: String) throws {
        let context = try certificates.context("ec")
        let line = try Line(selector((["*"], context)), client: try certificates.client(groups: [group]))
        #expect(line.shakeHands() == (.done, .done))
    }

    /// What an operator's counters tell apart.
    @Test func `that fails has a reason`() throws {
        let context = try certificates.context("ec", minVersion: .tls13)
        let old = try Line(selector((["*"], context)), client: try certificates.client(maxVersion: .tls12))
        #expect(old.shakeHands().server != .done && old.server.handshakeReason == .protocolVersion)
        let suite = "ECDHE-RSA-AES128-GCM-SHA256"
        let rsaOnly = try certificates.client(maxVersion: .tls12, cipherSuites: [suite])
        let other = try Line(selector((["*"], try certificates.context("ec"))), client: rsaOnly)
        #expect(other.shakeHands().server != .done && other.server.handshakeReason == .noSharedCipher)
        let stranger = try TLSClientContext(trusted: certificates["bare.pem"])
        let distrusted = try Line(selector((["*"], try certificates.context("ec"))), client: stranger)
        #expect(distrusted.shakeHands().server != .done && distrusted.server.handshakeReason == .certificate)
        let client = try certificates.client()
        let unknown = try Line(selector((["a.test"], context)), client: client, name: "no.test")
        #expect(unknown.shakeHands().server != .done && unknown.server.handshakeReason == .unknownServerName)
        #expect(unknown.server.isHelloRead)
    }

    @Test
    func `sends the chain of the certificate, so that a client with the root alone trusts it`()
        throws
    {
        let certificate = TLSContext.Certificate(
            chain: certificates["chain.pem"], key: certificates["ec.key"])
        let context = try TLSContext(certificates: [certificate])
        let line = try Line(selector((["*"], context)), client: try certificates.client())
        #expect(line.shakeHands() == (.done, .done))
    }

    @Test func `is refused by a client that does not know the CA`() throws {
        let client = try TLSClientContext(trusted: certificates["bare.pem"])
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        let states = line.shakeHands()
        #expect(states.client == .failed(.untrusted("unable to get local issuer certificate")))
        #expect(states.server == .failed(.peerAlert("tlsv1 alert unknown ca")))
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.0.0.2", false), ("localhost", true), ("else.test", false),
    ])
    func `is refused by a client that called another name`(name: String, fits: Bool) throws {
        let selector = selector((["*"], try certificates.context("ec")))
        let line = try Line(selector, client: try certificates.client(), name: name)
        #expect((line.shakeHands().client == .done) == fits)
    }
}

@Suite struct `A server name` {
    @Test(arguments: [
        ("one.example.test", 0), ("ONE.Example.TEST", 0), ("two.example.test", 1),
        ("deep.two.example.test", 1), ("x.deep.example.test", 2), ("y.x.deep.example.test", 2),
        ("deep.example.test", 1),
    ])
    func `chooses the exact, then the longest chain`(name: String, number: Int) throws {
        let context = try certificates.context("wild")
        let table = selector(
            (["one.example.test"], context), (["*.example.test"], context),
            (["*.deep.example.test"], context))
        let client = try TLSClientContext(verifiesPeer: false)
        let line = try Line(table, client: client, name: name)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.chainNumber == number)
        #expect(line.server.serverName == name.lowercased())
    }

    @Test func `that fits no chain is refused before the ServerHello`() throws {
        let table = selector((["one.example.test"], try certificates.context("ec")))
        let line = try Line(table, client: try certificates.client(), name: "no.test")
        let states = line.shakeHands()
        #expect(states.server == .failed(.unknownServerName("no.test")))
        #expect(states.client == .failed(.peerAlert("tlsv1 unrecognized name")))
        #expect(line.server.chainNumber == -1)
    }

    @Test func `that is missing reaches only the chain without condition`() throws {
        let client = try TLSClientContext(verifiesPeer: false)
        let context = try certificates.context("ec")
        let named = try Line(
            selector((["one.example.test"], context)), client: client, name: "127.0.0.1")
        #expect(named.shakeHands().server == .failed(.unknownServerName(nil)))
        let open = try Line(
            selector((["one.example.test"], context), (["*"], context)), client: client,
            name: "127.0.0.1")
        #expect(open.shakeHands().server == .done)
        #expect(open.server.serverName == nil)
        #expect(open.server.chainNumber == 1)
    }

    @Test func `decides the versions too`() throws {
        let table = selector(
            (["one.example.test"], try certificates.context("ec", maxVersion: .tls12)),
            (["*"], try certificates.context("ec")))
        let line = try Line(table, client: try certificates.client())
        line.shakeHands()
        #expect(line.server.protocolVersion == "TLSv1.2")
        let other = try Line(table, client: try certificates.client(), name: "localhost")
        other.shakeHands()
        #expect(other.server.protocolVersion == "TLSv1.3")
    }

    @Test(
        arguments: [
            [], [0], [0, 3, 0, 0, 0], [0, 4, 0, 0, 1, 97, 98], [0, 5, 0, 0, 2, 97],
            [0, 4, 1, 0, 1, 97],
            [0, 4, 0, 0, 1, 0], [0, 4, 0, 0, 1, 200], [0, 8, 0, 0, 1, 97, 0, 0, 1, 98],
            [255, 255, 0, 255, 255, 97],
            [1, 4, 0, 1, 1] + Array(repeating: 97, count: 257),
        ] as [[UInt8]])
    func `is not read from a malformed extension`(octets: [UInt8]) {
        #expect(
            unsafe octets.withUnsafeBytes { unsafe ServerNames.hostName(inExtension: $0) } == nil)
    }

    @Test func `is read in lower case and without its last dot`() {
        let octets: [UInt8] = [0, 7, 0, 0, 4] + Array("A.b.".utf8)
        #expect(
            unsafe octets.withUnsafeBytes { unsafe ServerNames.hostName(inExtension: $0) } == "a.b")
    }

    @Test func `claimed twice stays with the first`() {
        var names = ServerNames()
        names.add(["a.test", "*.b.test"], chain: 0)
        names.add(["A.test", "*.b.test", "c.test"], chain: 1)
        #expect(names.chain(for: "a.test") == 0)
        #expect(names.chain(for: "x.b.test") == 0)
        #expect(names.chain(for: "c.test") == 1)
        #expect(names.chain(for: "b.test") == nil)
    }
}
