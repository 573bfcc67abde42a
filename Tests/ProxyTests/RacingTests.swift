import Balancing
import Reactor
import TLS
import Testing

@testable import Proxy
@testable import Telemetry

/// What follows from the fates of two attempts, without sockets.
@Suite struct `Two attempts at a connection` {
    @Test func `are made one after the other when the first fails`() {
        var state = RaceState()
        #expect(state.hasAnother && !state.isDouble)
        #expect(state.failed(isFirst: true, "a") == .beginSecond)
        state.secondBegan()
        #expect(!state.hasAnother && !state.isDouble)
        #expect(state.failed(isFirst: false, "b") == .giveUp && state.reasons == ["a", "b"])
    }

    @Test(arguments: [true, false]) func `go on when one of them fails`(isFirst: Bool) {
        var state = RaceState()
        state.secondBegan()
        #expect(state.isDouble)
        #expect(state.failed(isFirst: isFirst, "a") == .wait && !state.isDouble)
        #expect(state.failed(isFirst: !isFirst, "b") == .giveUp && state.reasons == ["a", "b"])
    }
}

/// Endpoints with two addresses, over real sockets and TLS. A server that accepts and says nothing plays a black hole.
@Suite struct `An endpoint with addresses of both families` {
    private static let get = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    private let made = PeerCertificates.shared
    private let memory = FamilyMemory()
    private var limits: Limits {
        var limits = Limits()
        limits.connectTimeout = .seconds(2)
        return limits
    }

    private func bench(isSecure: Bool = false, isHTTP2: Bool = false) throws -> Bench {
        try Bench(
            limits: limits, isHTTP2: isHTTP2, tls: isSecure ? .secure(try made.security()) : nil, families: memory)
    }

    private func prefersIPv4(_ bench: Bench) -> Bool { memory.prefersIPv4(at: bench.clock.now.nanoseconds) }
    private func failures(_ bench: Bench) -> UInt64 {
        ConnectFailure.allCases.reduce(0) { $0 + bench.metrics.value($1) }
    }

    private func serve(_ server: Server, _ bench: Bench, isLast: Bool = false) throws {
        let endpoint = try SecurePeer(try #require(try server.accept()), made.selector())
        endpoint.meet(bench)
        #expect(endpoint.text().hasPrefix("GET / HTTP/1.1\r\n"))
        endpoint.send(isLast ? Self.ok.replacing("\r\n\r\n", with: "\r\nconnection: close\r\n\r\n") : Self.ok)
        bench.settle()
    }

    @Test func `is reached by the first of them, and the other is left alone`() throws {
        let bench = try bench()
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        let endpoint = try #require(try ipv6.accept())
        #expect(endpoint.text().hasPrefix("GET / "))
        bench.pass(.seconds(1))
        endpoint.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && !prefersIPv4(bench))
        #expect(try ipv4.accept() == nil)
    }

    @Test func `is reached by the other one at once when the first is refused, and that is remembered`() throws {
        let bench = try bench()
        let ipv4 = try bench.server(1)
        let client = try bench.client(sending: Self.get)
        let endpoint = try #require(try ipv4.accept())
        #expect(endpoint.text().hasPrefix("GET / "))
        endpoint.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
        bench.settle()
        #expect(client.text().hasSuffix("ok") && prefersIPv4(bench) && failures(bench) == 1)
        let ipv6 = try bench.server(0)
        client.send(Self.get)
        bench.settle()
        #expect(try ipv4.accept() != nil && ipv6.accept() == nil)
        #expect(failures(bench) == 1)
    }

    @Test func `is reached by the other one soon when the first says nothing`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        let hole = try #require(try ipv6.accept())
        bench.pass(.milliseconds(200))
        #expect(try ipv4.accept() == nil && bench.metrics.value(.connectRace) == 0)
        bench.pass(.milliseconds(100))
        try serve(ipv4, bench)
        #expect(bench.metrics.value(.connectRace) == 1)
        #expect(client.text().hasSuffix("ok") && prefersIPv4(bench) && failures(bench) == 0)
        _ = hole.octets()
        #expect(hole.isEnded)
        #expect(try ipv6.accept() == nil)
    }

    @Test func `is reached by the first when that is ready before the other one`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(300))
        let other = try #require(try ipv4.accept())
        try serve(ipv6, bench)
        #expect(client.text().hasSuffix("ok") && !prefersIPv4(bench))
        _ = other.octets()
        #expect(other.isEnded)
    }

    @Test func `fails when both are refused, and says so of each`() throws {
        let bench = try bench()
        let client = try bench.client(sending: Self.get)
        for _ in 0..<3 { bench.pass(.milliseconds(250)) }
        #expect(client.text().hasPrefix("HTTP/1.1 503 "))
        let reasons = bench.worker.upstreams.lastFailure
        #expect(
            reasons.hasPrefix("unix:\(bench.name)-0: ") && reasons.contains("; unix:\(bench.name)-1: "), "\(reasons)")
        #expect(!prefersIPv4(bench) && bench.active == 0)
    }

    @Test func `fails in the time of one connection when both say nothing`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(300))
        let silent = (try #require(try ipv6.accept()), try #require(try ipv4.accept()))
        bench.pass(.milliseconds(1600))
        #expect(client.text().isEmpty && failures(bench) == 0)
        bench.pass(.milliseconds(200))
        #expect(failures(bench) == 2)
        _ = (silent.0.octets(), silent.1.octets())
        #expect(silent.0.isEnded && silent.1.isEnded)
    }

    @Test func `takes the second when the first breaks while both are tried`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        let first = try #require(try ipv6.accept())
        bench.pass(.milliseconds(300))
        first.close()
        bench.settle()
        #expect(client.text().isEmpty)
        try serve(ipv4, bench)
        #expect(client.text().hasSuffix("ok") && prefersIPv4(bench) && failures(bench) == 1)
    }

    /// The second attempt is no second connection: a request behind the first one gets one of its own.
    @Test func `has a connection made for each of two requests while it is tried twice`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let one = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(300))
        let two = try bench.client(sending: Self.get)
        #expect(try ipv6.accept() != nil && ipv6.accept() != nil && ipv6.accept() == nil)
        try serve(ipv4, bench, isLast: true)
        bench.pass(.milliseconds(300))
        try serve(ipv4, bench, isLast: true)
        #expect(one.text().hasSuffix("ok") && two.text().hasSuffix("ok"))
    }

    @Test func `drops both attempts when the process ends, and a client that goes leaves nothing`() throws {
        let bench = try bench(isSecure: true)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(300))
        client.close()
        bench.settle()
        let peers = (try #require(try ipv6.accept()), try #require(try ipv4.accept()))
        bench.worker.connections.closeAll()
        _ = (peers.0.octets(), peers.1.octets())
        #expect(peers.0.isEnded && peers.1.isEnded && bench.active == 0)
    }
}

/// The same for octets that are relayed, behind TLS of ours.
@Suite struct `A relay to an endpoint with addresses of both families` {
    private let made = PeerCertificates.shared
    private let memory = FamilyMemory()

    private func begin() throws -> (bench: Bench, client: Peer, ipv6: Peer, ipv4: Peer) {
        let bench = try Bench(
            tls: .secure(try made.security { $0.needsHost = false }), relays: ListenerRelays(clear: 0),
            families: memory)
        let (ipv6, ipv4) = (try bench.server(0), try bench.server(1))
        let client = try bench.client(sending: "hello")
        bench.pass(.milliseconds(300))
        return (bench, client, try #require(try ipv6.accept()), try #require(try ipv4.accept()))
    }

    @Test(arguments: [true, false]) func `goes by the one that is ready first`(isFirst: Bool) throws {
        let (bench, client, ipv6, ipv4) = try begin()
        let endpoint = try SecurePeer(isFirst ? ipv6 : ipv4, made.selector())
        let loser = isFirst ? ipv4 : ipv6
        endpoint.meet(bench)
        #expect(endpoint.text() == "hello")
        endpoint.send("welcome")
        bench.settle()
        #expect(client.text() == "welcome")
        _ = loser.octets()
        #expect(loser.isEnded && bench.metrics.relays.active == 1)
    }

    @Test func `goes on by the second when the first breaks, and ends when that does`() throws {
        let (bench, client, ipv6, ipv4) = try begin()
        ipv6.close()
        bench.settle()
        #expect(bench.metrics.relays.active == 1)
        ipv4.close()
        bench.settle()
        _ = client.octets()
        #expect(client.isEnded && bench.metrics.relays.active == 0)
    }

    @Test func `leaves no attempt behind when its client resets`() throws {
        let (bench, client, ipv6, ipv4) = try begin()
        Socket.abort(client.descriptor)
        client.close()
        bench.settle()
        bench.worker.connections.closeAll()
        _ = (ipv6.octets(), ipv4.octets())
        #expect(ipv6.isEnded && ipv4.isEnded && bench.metrics.relays.active == 0)
    }
}
