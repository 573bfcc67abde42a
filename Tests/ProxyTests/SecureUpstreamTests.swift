import HTTP
import Support
import TLS
import Testing

@testable import Proxy
@testable import Telemetry

/// Connections to endpoints in TLS, over real handshakes.
@Suite struct `An endpoint in TLS` {
    private let made = PeerCertificates.shared
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private func ask(_ bench: Bench, _ host: String = "a.test") throws -> Peer {
        try bench.client(sending: "GET / HTTP/1.1\r\nhost: \(host)\r\n\r\n")
    }

    private func accept(_ server: Server, _ selector: TLSSelector) throws -> SecurePeer {
        try SecurePeer(try #require(try server.accept()), selector)
    }

    @Test func `is asked by its host's name, and answers`() throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        let client = try ask(bench, "a.test:8443")
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        #expect(endpoint.progress == .done && endpoint.tls.serverName == "a.test")
        #expect(endpoint.tls.negotiatedProtocol == nil)
        #expect(endpoint.text().hasPrefix("GET / HTTP/1.1\r\n"))
        endpoint.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("\r\n\r\nok"))
    }

    @Test(
        arguments: [
            ("good", "ca.pem", "c.test", HandshakeFailure.wrongName),
            ("good", "other.pem", "a.test", .unknownAuthority),
            ("old", "ca.pem", "a.test", .notValidNow), ("good", "ca.pem", "10.0.0.1", .wrongName),
        ])
    func `that shows the wrong certificate fails as a connection does`(
        certificate: String, authority: String, host: String, fault: HandshakeFailure
    ) throws {
        let bench = try Bench(tls: .secure(try made.security(authority: authority)))
        let server = try bench.server()
        let client = try ask(bench, host)
        for _ in 0..<3 {    // the first try and two more, with pauses
            let endpoint = try accept(server, made.selector(certificate))
            endpoint.meet(bench)
            #expect(endpoint.progress != .done)
            #expect(endpoint.text().isEmpty)
            bench.pass(.milliseconds(250))
        }
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 503 ") && text.hasSuffix(": \(fault.sentence)"), "\(text)")
        #expect(bench.metrics.value(ConnectFailure.handshake) == 3)
        #expect(Situation.handshakeFailed(fault).outcome.details.hasSuffix("{remote_connection_failure|\(fault.name)}"))
    }

    @Test(arguments: ["good.b.test", "127.0.0.1"])
    func `may have the name by a wildcard or as an address`(host: String) throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        _ = try ask(bench, host)
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        #expect(endpoint.progress == .done)
        #expect(endpoint.tls.serverName == (host == "127.0.0.1" ? nil : host))
    }

    @Test(
        arguments: [
            (["x.org", "spiffe://td/ns/app/sa/web"], nil, true), (["x.org"], nil, false),
            ([], "spiffe://td/ns/app/sa/", true), ([], "spiffe://td/ns/other/sa/", false),
        ] as [([String], String?, Bool)])
    func `has one of the names that are written, or an account of the mesh`(
        names: [String], prefix: String?, isAccepted: Bool
    ) throws {
        let security = try made.security { peer in
            peer = UpstreamSecurity.Peer()
            peer.serverName = "any.org"
            peer.names = names
            peer.uriPrefix = prefix
        }
        let bench = try Bench(tls: .secure(security))
        let server = try bench.server()
        _ = try ask(bench)
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        #expect((endpoint.progress == .done) == isAccepted && endpoint.tls.serverName == "any.org")
    }

    @Test func `chooses the protocol by ALPN`() throws {
        let bench = try Bench(isHTTP2: true, tls: .secure(try made.security()))
        let server = try bench.server()
        let client = try ask(bench)
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        #expect(endpoint.tls.negotiatedHTTP2 == true && endpoint.text().hasPrefix("PRI * HTTP/2.0"))
        #expect(client.text().isEmpty)
    }

    @Test func `of Istio's mesh hears so by ALPN`() throws {
        let bench = try Bench(tls: .secure(try made.security { $0.isMesh = true }))
        let server = try bench.server()
        _ = try ask(bench)
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        #expect(endpoint.tls.negotiatedProtocol == "http/1.1" && endpoint.text().hasPrefix("GET / HTTP/1.1\r\n"))
    }

    @Test func `has connections of its own for each host, and keeps them`() throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        var endpoints: [String: SecurePeer] = [:]
        for host in ["a.test", "x.b.test", "A.TEST", "a.test"] {
            let client = try ask(bench, host)
            let name = host.lowercased()
            if endpoints[name] == nil {
                let endpoint = try accept(server, made.selector())
                endpoint.meet(bench)
                endpoints[name] = endpoint
            }
            #expect(endpoints[name]?.text().hasPrefix("GET ") == true, "\(host)")
            endpoints[name]?.send(Self.answer)
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
        #expect(try server.accept() == nil)
    }

    @Test func `has connections for a bounded number of hosts`() throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        var waiting: [Peer] = []
        for number in 0..<Upstreams.mostHosts {
            waiting.append(try ask(bench, "h\(number).b.test"))
            bench.settle()
        }
        let last = try ask(bench, "more.b.test")
        #expect(last.text().hasPrefix("HTTP/1.1 503 ") && bench.metrics.value(.upstreamHosts) == 1)
        // One becomes idle: its place is for another host.
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        endpoint.send(Self.answer)
        bench.settle()
        #expect(waiting[0].text().hasSuffix("ok"))
        let next = try ask(bench, "more.b.test")
        #expect(next.text().isEmpty)
        var count = 0
        while try server.accept() != nil { count += 1 }
        #expect(count == Upstreams.mostHosts)
    }

    @Test func `has no more time for the handshake than to connect`() throws {
        var limits = Limits()
        limits.connectTimeout = .seconds(2)
        let bench = try Bench(limits: limits, tls: .secure(try made.security()))
        let server = try bench.server()
        let client = try ask(bench)
        let silent = try #require(try server.accept())
        bench.pass(.milliseconds(1900))
        #expect(client.text().isEmpty && !silent.octets().isEmpty && !silent.isEnded)
        bench.pass(.milliseconds(200))
        _ = silent.octets()
        #expect(silent.isEnded && bench.metrics.value(ConnectFailure.timedOut) == 1)
        for _ in 0..<4 { bench.pass(.seconds(2)) }
        #expect(client.text().hasPrefix("HTTP/1.1 503 "))
    }

    @Test func `resumes its session on the next connection`() throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        let selector = try made.selector()
        for number in 0..<3 {
            let client = try ask(bench)
            let endpoint = try accept(server, selector)
            endpoint.meet(bench)
            #expect(endpoint.text().hasPrefix("GET ") && endpoint.tls.isResumed == (number > 0))
            endpoint.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
    }

    @Test func `that wants a certificate gets ours, or says that it got none`() throws {
        let bench = try Bench(tls: .secure(try made.security(identity: "client")))
        let server = try bench.server()
        _ = try ask(bench)
        let satisfied = try accept(server, made.selector(demandsCertificate: true))
        satisfied.meet(bench)
        #expect(satisfied.progress == .done && satisfied.tls.peerCertificate?.dnsNames == ["client.test"])

        let bare = try Bench(tls: .secure(try made.security()))
        let other = try bare.server()
        let client = try ask(bare)
        for _ in 0..<3 {
            // Our side of TLS 1.3 is done before the endpoint has looked.
            let endpoint = try accept(other, made.selector(demandsCertificate: true))
            endpoint.meet(bare)
            #expect(endpoint.progress != .done)
            bare.pass(.milliseconds(250))
        }
        #expect(client.text().hasSuffix(HandshakeFailure.certificateRequired.sentence))
    }

    @Test func `that speaks no TLS is not taken for one`() throws {
        let bench = try Bench(tls: .secure(try made.security()))
        let server = try bench.server()
        let client = try ask(bench)
        for _ in 0..<3 {
            let endpoint = try #require(try server.accept())
            #expect(endpoint.octets().first == 0x16)
            endpoint.send("HTTP/1.1 400 Bad Request\r\n\r\n")
            bench.settle()
            bench.pass(.milliseconds(250))
        }
        #expect(client.text().hasSuffix(HandshakeFailure.notTLS.sentence))
    }

    @Test func `is not sent to without its certificates`() throws {
        let bench = try Bench(tls: .unavailable("there is no Secret edge/c"))
        let server = try bench.server()
        let client = try bench.client(
            sending: "POST /a.B/C HTTP/1.1\r\nhost: a.test\r\ncontent-type: application/grpc\r\n"
                + "content-length: 0\r\n\r\n")
        #expect(client.text().contains("grpc-message: there is no Secret edge/c"))
        #expect(try server.accept() == nil)
    }

    @Test func `loses its idle connections when its settings are gone`() throws {
        let security = try made.security()
        let bench = try Bench(tls: .secure(security))
        let server = try bench.server()
        let client = try ask(bench)
        let endpoint = try accept(server, made.selector())
        endpoint.meet(bench)
        _ = endpoint.text()
        endpoint.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
        bench.publishEmpty()
        #expect(endpoint.tls.handshake() == .done)
        security.leave()
        bench.publishEmpty()
        var room = [UInt8](repeating: 0, count: 64)
        #expect(unsafe room.withUnsafeMutableBytes { unsafe endpoint.tls.read(into: $0) } == .closed)
    }
}
