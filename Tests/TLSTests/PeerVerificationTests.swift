import Testing

@testable import TLS

private let certificates = PeerCertificates.shared

/// What became of a handshake: what the server found, and which alert the client was told.
private func outcome(_ requirement: PeerRequirement, client name: String?, version: TLSVersion = .tls13) throws
    -> (failure: VerificationError.Check?, reason: HandshakeReason, alert: String?)
{
    let line = try Line(
        try certificates.server(requirement), client: try certificates.client(name, version: version))
    var states = line.shakeHands()
    // A client of TLS 1.3 is done before the server has seen its certificate.
    if states.client == .done, case .failed(let error)? = line.client?.receive().after {
        states.client = .failed(error)
    }
    #expect((states.server == .done) == (line.server.verificationError == nil))
    if let failure = line.server.verificationError { #expect(states.server == .failed(.peerRefused(failure))) }
    guard case .failed(.peerAlert(let alert)) = states.client else {
        return (line.server.verificationError?.check, line.server.handshakeReason, nil)
    }
    return (line.server.verificationError?.check, line.server.handshakeReason, alert)
}

private func failure(_ client: String?, _ change: (inout PeerRequirement) -> Void = { _ in }) throws
    -> VerificationError.Check?
{
    try outcome(certificates.requirement("root.pem", change), client: client).failure
}

@Suite struct `The certificate of a client` {
    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `is accepted when all fits`(version: TLSVersion) throws {
        let found = try outcome(certificates.requirement(), client: "good", version: version)
        #expect(found.failure == nil && found.alert == nil)
    }

    @Test(arguments: [
        ("stranger", VerificationError.Check.authority, HandshakeReason.untrustedClient, "tlsv1 alert unknown ca"),
        ("expired", .time, .expiredClient, "sslv3 alert certificate expired"),
        ("server", .authority, .untrustedClient, "tlsv1 unsupported certificate"),
    ])
    func `is refused with the reason and its alert`(
        client: String, check: VerificationError.Check, reason: HandshakeReason, alert: String
    ) throws {
        for version in [TLSVersion.tls12, .tls13] {
            let found = try outcome(certificates.requirement(), client: client, version: version)
            #expect(found.failure == check && found.reason == reason, "\(client) \(version)")
            if client != "server" { #expect(found.alert == alert) } else { #expect(found.alert != nil) }
        }
    }

    @Test func `must be shown, unless it is optional`() throws {
        let required = try outcome(certificates.requirement(), client: nil)
        #expect(required.failure == .presence && required.reason == .noClientCertificate)
        #expect(required.alert == "tlsv13 alert certificate required")
        let old = try outcome(certificates.requirement(), client: nil, version: .tls12)
        #expect(old.failure == .presence && old.alert == "sslv3 alert handshake failure")
        #expect(try failure(nil) { $0.isOptional = true } == nil)
        #expect(try failure("stranger") { $0.isOptional = true } == .authority)
    }

    @Test func `is not verified where that is skipped, but must be shown`() throws {
        #expect(try failure("stranger") { $0.isSkipped = true } == nil)
        #expect(try failure("expired") { $0.isSkipped = true } == nil)
        #expect(try failure(nil) { $0.isSkipped = true } == .presence)
    }

    @Test(
        arguments: [
            ("client.test", true), ("CLIENT.test", true), ("x.wild.test", true), ("y.x.wild.test", false),
            ("wild.test", false), ("*.wild.test", true), (".wild.test", false), ("client.test.", false),
            ("lient.test", false), ("spiffe://cluster.local/ns/a/sa/b", true),
            ("spiffe://CLUSTER.local/ns/a/sa/b", false),
            ("spiffe://cluster.local/ns/a/sa/", false), ("spiffe://cluster.local/ns/a/sa/bb", false),
            ("a@b.test", true), ("127.0.0.1", true), ("127.0.0.2", false), ("good", false),
        ])
    func `must have one of the names`(name: String, fits: Bool) throws {
        #expect(try failure("good") { $0.names = ["no.test", name] } == (fits ? nil : .name))
    }

    @Test func `without names fits none, and the failure says so`() throws {
        let line = try Line(
            try certificates.server(certificates.requirement { $0.names = ["a.test"] }),
            client: try certificates.client("nameless"))
        line.shakeHands()
        #expect(line.server.verificationError == VerificationError(check: .name, words: "it has none"))
        #expect(line.server.handshakeReason == .clientName)
    }

    @Test func `is pinned by its digest or by its key's`() throws {
        let (hash, key) = (certificates.text("good.hash"), certificates.text("good.spki"))
        let wrong = String(repeating: "ab", count: 32)
        #expect(try failure("good") { $0.certificatePins = [wrong, hash] } == nil)
        #expect(try failure("good") { $0.certificatePins = [hash.replacing(":", with: "").lowercased()] } == nil)
        #expect(try failure("good") { $0.keyPins = [key] } == nil)
        #expect(try failure("good") { ($0.keyPins, $0.certificatePins) = ([key], [wrong]) } == nil)
        #expect(try failure("good") { $0.certificatePins = [wrong] } == .pin)
        #expect(try failure("nameless") { $0.keyPins = [key] } == .pin)
    }

    @Test func `is looked up in the revocation lists`() throws {
        #expect(try failure("revoked") == nil)
        #expect(try failure("revoked") { $0.revocations = certificates["empty.crl"] } == nil)
        #expect(try failure("revoked") { $0.revocations = certificates["root.crl"] } == .revocation)
        #expect(try failure("good") { $0.revocations = certificates["root.crl"] } == nil)
        // A list that has expired, or another authority's, tells nothing.
        #expect(try failure("good") { $0.revocations = certificates["old.crl"] } == .revocation)
        #expect(try failure("good") { $0.revocations = certificates["foreign.crl"] } == .revocation)
        let found = try outcome(
            certificates.requirement { $0.revocations = certificates["root.crl"] }, client: "revoked")
        #expect(found.reason == .revokedClient && found.alert == "sslv3 alert certificate revoked")
    }

    @Test func `may come over an authority between, and from each of several`() throws {
        #expect(try failure("chain") == nil)
        #expect(try failure("under") == .authority)
        #expect(try outcome(certificates.requirement("middle.pem"), client: "under").failure == nil)
        #expect(try outcome(certificates.requirement("both.pem"), client: "stranger").failure == nil)
        #expect(try outcome(certificates.requirement("both.pem"), client: "good").failure == nil)
    }

    @Test func `may be verified by the system's roots, which do not have a test's`() throws {
        #expect(try outcome(PeerRequirement(authorities: .system), client: "good").failure == .authority)
    }
}

@Suite struct `What a peer has to satisfy` {
    private func failure(_ requirement: PeerRequirement) -> TLSError? {
        do throws(TLSError) {
            _ = try PeerVerification(requirement)
            return nil
        } catch {
            return error
        }
    }

    @Test func `is refused with the reason when it cannot be used`() {
        for text in [[], Array("hello".utf8), certificates["root.key"], certificates["root.crl"]] {
            guard case .unusableTrust = failure(PeerRequirement(authorities: .pem(text))) else {
                Issue.record("accepted")
                continue
            }
        }
        for text in [Array("hello".utf8), certificates["root.pem"], Array(certificates["root.crl"].prefix(200))] {
            guard case .unusableRevocations = failure(certificates.requirement { $0.revocations = text }) else {
                Issue.record("accepted")
                continue
            }
        }
        for pin in ["", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 95)] {
            let found = failure(certificates.requirement { $0.certificatePins = [pin] })
            #expect(found == .unusablePin(pin, form: "64 hexadecimal digits"))
        }
        for pin in ["", String(repeating: "a", count: 44), String(repeating: "*", count: 43) + "="] {
            let found = failure(certificates.requirement { $0.keyPins = [pin] })
            #expect(found == .unusablePin(pin, form: "base64 of 32 octets"))
        }
    }

    @Test func `is refused when it is more than a server may have`() {
        let list = certificates["root.crl"]
        let many = Array(repeatElement(list, count: PEM.revocationLimit + 1).joined())
        #expect(
            failure(certificates.requirement { $0.revocations = many })
                == .tooLarge(what: "the number of revocation lists", limit: PEM.revocationLimit))
        let long = [UInt8](repeating: 10, count: PEM.mostRevocationOctets + 1)
        #expect(
            failure(certificates.requirement { $0.revocations = long })
                == .tooLarge(what: "the length of the revocation lists in octets", limit: PEM.mostRevocationOctets))
    }

    @Test func `may have as many authorities as 1 MiB has, and no more`() {
        let one = certificates["root.pem"]
        let all = Array(repeatElement(one, count: PEM.octetLimit / one.count).joined())
        #expect(all.count > PEM.octetLimit - one.count && all.count > 32 * one.count)
        #expect(failure(certificates.requirement { $0.authorities = .pem(all) }) == nil)
        let found = failure(certificates.requirement { $0.authorities = .pem(all + one) })
        #expect("\(found as Any)".contains("above the limit of 1048576"), "\(found as Any)")
    }

    @Test func `has an identity of its own with each part`() throws {
        let all = [
            certificates.requirement(), certificates.requirement("both.pem"),
            certificates.requirement { $0.revocations = certificates["root.crl"] },
            certificates.requirement { $0.revocations = certificates["empty.crl"] },
            certificates.requirement { $0.names = ["a", "b"] }, certificates.requirement { $0.names = ["ab"] },
            certificates.requirement { $0.keyPins = [certificates.text("good.spki")] },
            certificates.requirement { $0.certificatePins = [certificates.text("good.hash")] },
            certificates.requirement { $0.isOptional = true }, certificates.requirement { $0.isSkipped = true },
            PeerRequirement(authorities: .system),
        ]
        let identities = try all.map { try PeerVerification($0).identity }
        #expect(Set(identities).count == all.count)
        #expect(try PeerVerification(all[0]).identity == identities[0])
    }
}

@Suite struct `A resumed session` {
    /// The ticket of a session with `server`.
    private func ticket(from server: TLSSelector, _ context: TLSClientContext) throws -> TLSTicket {
        let line = try Line(server, client: context)
        #expect(line.shakeHands() == (.done, .done))
        _ = line.server.send(Array("hello".utf8))
        _ = line.client?.receive()
        return try #require(line.client?.ticket())
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `is taken under the same requirement and under no other`(version: TLSVersion) throws {
        let server = try certificates.server(certificates.requirement())
        let client = try certificates.client("good", version: version)
        let ticket = try ticket(from: server, client)
        let again = try Line(server, client: client, resuming: ticket)
        #expect(again.shakeHands() == (.done, .done))
        #expect(again.server.isResumed)
        // A reload without a change keeps the sessions, one that changes the list or the names does not.
        let reloaded = try Line(try certificates.server(certificates.requirement()), client: client, resuming: ticket)
        #expect(reloaded.shakeHands() == (.done, .done))
        #expect(reloaded.server.isResumed)
        let changes: [(inout PeerRequirement) -> Void] = [
            { $0.names = ["client.test"] }, { $0.isOptional = true },
            { $0.certificatePins = [certificates.text("good.hash")] },
        ]
        for change in changes {
            let other = try certificates.server(certificates.requirement("root.pem", change))
            let line = try Line(other, client: client, resuming: ticket)
            #expect(line.shakeHands() == (.done, .done))
            #expect(!line.server.isResumed && line.server.peerCertificate?.subject == "CN=good")
        }
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `does not get past another authority or a new revocation list`(version: TLSVersion) throws {
        let server = try certificates.server(certificates.requirement())
        let client = try certificates.client("revoked", version: version)
        let ticket = try ticket(from: server, client)
        let other = try Line(
            try certificates.server(certificates.requirement("foreign.pem")), client: client, resuming: ticket)
        #expect(other.shakeHands().server != .done && other.server.verificationError?.check == .authority)
        let listed = certificates.requirement { $0.revocations = certificates["root.crl"] }
        let revoked = try Line(try certificates.server(listed), client: client, resuming: ticket)
        #expect(revoked.shakeHands().server != .done && revoked.server.verificationError?.check == .revocation)
    }

    /// A ticket that was earned without a certificate is none for a server that requires one.
    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `of a server that asks for nothing is of no use to one that does`(version: TLSVersion) throws {
        let open = TLSSelector(chains: [(["*"], try TLSContext(pairs: [certificates.pair("server")]), 0)])
        let client = try certificates.client(nil, version: version)
        let ticket = try ticket(from: open, client)
        let line = try Line(try certificates.server(certificates.requirement()), client: client, resuming: ticket)
        #expect(line.shakeHands().server != .done && line.server.verificationError?.check == .presence)
    }
}

@Suite struct `The certificate of a server` {
    private func failure(_ requirement: PeerRequirement, server: String = "server", name: String = "one.example.test")
        throws -> VerificationError?
    {
        let context = try TLSContext(pairs: [certificates.pair(server)])
        let client = try TLSClientContext(verification: try PeerVerification(requirement))
        let line = try Line(TLSSelector(chains: [(["*"], context, 0)]), client: client, name: name)
        let state = line.shakeHands().client
        if let failure = line.client?.verificationError {
            #expect(state == .failed(.peerRefused(failure)))
        } else {
            #expect(state == .done)
        }
        return line.client?.verificationError
    }

    @Test func `satisfies the same checks`() throws {
        #expect(try failure(certificates.requirement()) == nil)
        #expect(try failure(certificates.requirement("foreign.pem"))?.check == .authority)
        #expect(try failure(certificates.requirement { $0.names = ["one.example.test"] }) == nil)
        #expect(try failure(certificates.requirement { $0.names = ["two.example.test"] })?.check == .name)
        #expect(try failure(certificates.requirement(), name: "two.example.test")?.check == .name)
        #expect(try failure(certificates.requirement("foreign.pem") { $0.isSkipped = true }) == nil)
        #expect(try failure(certificates.requirement(), server: "expired", name: "client.test")?.check == .time)
    }
}
