import HTTP
import Reactor
import Routing
import Testing

@testable import Proxy
@testable import Telemetry

/// Source: docs/limits.md, How reaching a limit is counted.
@Suite struct `A limit that is reached is counted` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let grpc = ["content-type": "application/grpc"]

    private func count(_ bench: Bench, _ limits: ReachedLimit...) -> [UInt64] { limits.map { bench.metrics.value($0) } }

    /// A request that was answered; both of its connections are idle now.
    private func answered(_ bench: Bench) throws -> (client: Peer, endpoint: Peer) {
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let endpoint = try #require(try server.accept())
        bench.settle()
        _ = endpoint.octets()
        endpoint.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
        return (client, endpoint)
    }

    @Test func `when a connection of either side is idle for too long, and its client does not close it`() throws {
        var limits = Limits()
        limits.connectionAge = nil
        let bench = try Bench(limits: limits)
        let (client, endpoint) = try answered(bench)
        bench.pass(.seconds(61))
        #expect(count(bench, .upstreamIdleTimeout, .idleTimeout) == [1, 0])
        bench.pass(.seconds(3_600))
        #expect(count(bench, .upstreamIdleTimeout, .idleTimeout, .lingerTimeout) == [1, 1, 0])
        bench.pass(.seconds(2))
        bench.pass(.seconds(2))
        #expect(count(bench, .idleTimeout, .lingerTimeout) == [1, 1])
        _ = (client.octets(), endpoint.octets())
        #expect(client.isEnded && endpoint.isEnded)
    }

    @Test func `when an endpoint or a client is silent, and does not answer PING`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        _ = try #require(client.request(Self.grpc))
        bench.settle()
        let endpoint = HTTP2Peer(try #require(try server.accept()), isServer: true)
        endpoint.exchange()
        bench.settle()
        bench.pass(.seconds(31))
        #expect(count(bench, .upstreamKeepalivePing, .upstreamKeepalive, .keepalivePing) == [1, 0, 0])
        bench.pass(.seconds(11))
        #expect(count(bench, .upstreamKeepalivePing, .upstreamKeepalive) == [1, 1])

        let other = try Bench(isHTTP2: true)
        let quiet = HTTP2Peer(try other.client(), isServer: false)
        _ = try #require(quiet.request(Self.grpc))
        let busy = try other.server()
        other.settle()
        quiet.exchange()
        _ = try #require(quiet.request(Self.grpc))
        other.settle()
        _ = try busy.accept()
        other.pass(.seconds(46))
        #expect(count(other, .keepalivePing, .keepalive) == [1, 0])
        other.pass(.seconds(21))
        #expect(count(other, .keepalivePing, .keepalive) == [1, 1])
    }

    @Test func `when a client cancels so fast that it has to pause`() throws {
        let bench = try Bench(isHTTP2: true)
        _ = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        for _ in 0..<1_500 {
            guard let stream = client.request(Self.grpc) else { break }
            client.reset(stream, code: ErrorCode.cancel)
            if count(bench, .resetPause) == [1] { break }
            bench.settle()
        }
        #expect(count(bench, .resetPause) == [1])
    }

    @Test func `when a client's bodies that nobody takes close its connection's window`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let part = String(repeating: "x", count: 60_000)
        var taken = 0
        while taken < 8_388_608, let stream = client.request(Self.grpc) {
            bench.settle()
            client.say(stream, part)
            bench.settle()
            taken += part.utf8.count
            #expect(count(bench, .heldBodies) == (taken < 8_388_608 - 100_000 ? [0] : count(bench, .heldBodies)))
        }
        for _ in 0..<3 {
            guard let stream = client.request(Self.grpc) else { break }
            client.say(stream, part)
            bench.settle()
        }
        #expect(count(bench, .heldBodies) == [1])
        #expect(try server.accept() != nil)
    }

    @Test func `when a client's further requests are not read, because it has to take an answer first`() throws {
        let bench = try Bench()
        _ = try bench.server()
        let client = try bench.client(sending: Self.get)
        let further = Array(String(repeating: Self.get, count: 40_000).utf8)
        var sent = 0
        while sent < further.count {
            let count = client.push(further[sent...])
            guard count > 0 else { break }
            sent += count
            bench.settle()
        }
        #expect(sent < further.count && count(bench, .unreadInput) == [1])
    }

    @Test func `when a local answer has more to say than fits into its message`() throws {
        for (length, reached) in [(1_024, UInt64(0)), (1_025, 1)] {
            let text = String(repeating: "x", count: length)
            let bench = try Bench(rule: "directResponse: {status: 503, body: {string: \(text)}}")
            let answer = try bench.client(
                sending: "POST /a.B/C HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\n"
                    + "content-length: 0\r\n\r\n"
            ).text()
            #expect(answer.contains("\r\ngrpc-message: xxx") && count(bench, .localMessage) == [reached])
        }
    }

    @Test func `when a client's connection has many pools of its own`() throws {
        let bench = try Bench(servers: 36, proxyVersion: .v1)
        let client = try bench.client()
        for number in 0..<36 {
            let server = try bench.server(number)
            client.send(Self.get)
            bench.settle()
            let endpoint = try #require(try server.accept())
            bench.settle()
            #expect(endpoint.text().hasPrefix("PROXY "))
            endpoint.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            endpoint.finish()
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
        #expect(count(bench, .clientPools) == [1])
    }
}
