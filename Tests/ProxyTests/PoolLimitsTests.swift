import Balancing
import HTTP
import Octets
import Reactor
import Routing
import Testing

@testable import Proxy
@testable import Telemetry

/// `connectionPool` of a DestinationRule.
@Suite struct `A cluster with limits` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private func policy(_ adjust: (inout PoolPolicy) -> Void) -> PoolPolicy {
        var policy = PoolPolicy()
        adjust(&policy)
        return policy
    }

    private func inUse(_ bench: Bench) -> [Int] {
        let usage = bench.cluster.usage()
        return ClusterUsage.Resource.allCases.map(usage.count)
    }

    /// Answers what has come on all connections of the server until nothing comes any more.
    private func serve(_ bench: Bench, _ server: Server, _ known: [Peer] = []) throws -> Int {
        var (peers, answers) = (known, 0)
        while true {
            while let next = try server.accept() { peers.append(next) }
            var isQuiet = true
            for peer in peers where peer.text().contains("\r\n\r\n") {
                peer.send(Self.answer)
                bench.settle()
                (isQuiet, answers) = (false, answers + 1)
            }
            if isQuiet { return answers }
        }
    }

    @Test func `refuses what waits beyond http1MaxPendingRequests, and says so`() throws {
        let bench = try Bench(pool: policy { ($0.connections, $0.pending) = (1, 1) })
        let server = try bench.server()
        let first = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        let second = try bench.client(sending: Self.get)
        let third = try bench.client(sending: Self.get)
        let refused = third.text()
        #expect(refused.hasPrefix("HTTP/1.1 503") && refused.contains("x-envoy-overloaded: true"))
        #expect(bench.metrics.value(.clusterPendingRequests) == 1 && bench.metrics.value(.clusterConnections) >= 1)
        #expect(inUse(bench) == [1, 1, 1, 0])
        #expect(try serve(bench, server, [upstream]) == 2)
        #expect(first.text().hasSuffix("ok") && second.text().hasSuffix("ok"))
        #expect(inUse(bench) == [1, 0, 0, 0] && bench.active == 0)
    }

    @Test func `has a connection for each endpoint, however few it may have`() throws {
        let bench = try Bench(servers: 3, pool: policy { $0.connections = 1 })
        let servers = try (0..<3).map { try bench.server($0) }
        let clients = try (0..<6).map { _ in try bench.client(sending: Self.get) }
        let peers = try servers.map { try #require(try $0.accept()) }
        #expect(try servers.allSatisfy { try $0.accept() == nil })
        #expect(inUse(bench) == [3, 3, 3, 0])
        let answers = try zip(servers, peers).reduce(0) { try $0 + serve(bench, $1.0, [$1.1]) }
        #expect(answers == 6 && clients.allSatisfy { $0.text().hasSuffix("ok") })
    }

    @Test(arguments: [false, true])
    func `refuses requests in progress beyond http2MaxRequests`(isHTTP2: Bool) throws {
        let bench = try Bench(isHTTP2: isHTTP2, pool: policy { $0.requests = 2 })
        let server = try bench.server()
        let clients = try (0..<2).map { _ in try bench.client(sending: Self.get) }
        var peers: [HTTP2Peer] = []
        while isHTTP2, let peer = try server.accept() { peers.append(HTTP2Peer(peer, isServer: true)) }
        for peer in peers { peer.exchange() }
        bench.settle()
        let refused = try bench.client(sending: Self.get)
        bench.settle()
        #expect(refused.text().contains("x-envoy-overloaded: true"))
        #expect(bench.metrics.value(.clusterRequests) == 1 && bench.cluster.usage().count(.requests) == 2)
        for client in clients { client.close() }
        bench.settle()
        #expect(bench.cluster.usage().count(.requests) == 0 && bench.active == 0)
    }

    @Test func `ends a connection after maxRequestsPerConnection`() throws {
        let bench = try Bench(pool: policy { $0.requestsPerConnection = 2 })
        let server = try bench.server()
        var upstream: Peer?
        for number in 0..<4 {
            let client = try bench.client(sending: Self.get)
            if number % 2 == 0 {
                let next: Peer = try #require(try server.accept(), "request \(number)")
                upstream = next
            }
            upstream?.send(Self.answer)
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
            _ = upstream?.text()
            #expect(upstream?.isEnded == (number % 2 == 1), "request \(number)")
        }
        #expect(inUse(bench) == [0, 0, 0, 0])
    }

    @Test func `opens another connection of HTTP/2 beyond maxConcurrentStreams`() throws {
        let bench = try Bench(isHTTP2: true, pool: policy { $0.streams = 1 })
        let server = try bench.server()
        let clients = try (0..<3).map { _ in try bench.client(sending: Self.get) }
        var peers: [HTTP2Peer] = []
        while let next = try server.accept() { peers.append(HTTP2Peer(next, isServer: true)) }
        #expect(peers.count == 3)
        for peer in peers { peer.exchange() }
        bench.settle()
        for peer in peers { peer.exchange() }
        #expect(peers.allSatisfy { $0.streams.count == 1 } && clients.count == 3)
    }

    @Test func `sends again no more than maxRetries at a time`() throws {
        // Nobody listens: each request is sent again after a pause, and holds its place meanwhile.
        let bench = try Bench(servers: 1, pool: policy { $0.retries = 1 })
        let first = try bench.client(sending: Self.get)
        #expect(first.text().isEmpty && inUse(bench) == [0, 0, 0, 1])
        let second = try bench.client(sending: Self.get)
        #expect(second.text().hasPrefix("HTTP/1.1 503") && bench.metrics.value(.clusterRetries) == 1)
        for _ in 0..<3 { bench.pass(.milliseconds(200)) }
        #expect(first.text().hasPrefix("HTTP/1.1 503"))
        #expect(inUse(bench) == [0, 0, 0, 0] && bench.active == 0)
    }

    @Test func `closes a connection without requests after idleTimeout, and one that is old when it is idle`() throws {
        for (pool, wait) in [
            (policy { $0.idleTimeout = .seconds(5) }, 6), (policy { $0.lifetime = .seconds(20) }, 21),
        ] {
            let bench = try Bench(pool: pool)
            let server = try bench.server()
            let client = try bench.client(sending: Self.get)
            let upstream = try #require(try server.accept())
            upstream.send(Self.answer)
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
            bench.pass(.seconds(4))
            _ = upstream.text()
            #expect(!upstream.isEnded)
            bench.pass(.seconds(wait - 4))
            _ = upstream.text()
            #expect(upstream.isEnded && inUse(bench)[0] == 0)
        }
    }

    @Test func `lets the request of an old connection end, and sends no other there`() throws {
        let bench = try Bench(pool: policy { $0.lifetime = .seconds(2) })
        let server = try bench.server()
        let slow = try bench.client(sending: Self.get)
        let old = try #require(try server.accept())
        bench.pass(.seconds(3))
        _ = old.text()
        #expect(!old.isEnded)
        old.send(Self.answer)
        bench.settle()
        _ = old.text()
        #expect(slow.text().hasSuffix("ok") && old.isEnded)
    }

    @Test func `speaks the client's version of HTTP where useClientProtocol says so`() throws {
        let bench = try Bench(isHTTP2: true, pool: policy { $0.usesClientProtocol = true })
        let server = try bench.server()
        _ = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasPrefix("GET / HTTP/1.1\r\n"))
    }

    @Test func `has other limits from the next request on when the configuration says so`() throws {
        let bench = try Bench(pool: policy { $0.requests = 1 })
        let server = try bench.server()
        let first = try bench.client(sending: Self.get)
        #expect(try bench.client(sending: Self.get).text().hasPrefix("HTTP/1.1 503"))
        bench.publish(pool: policy { $0.requests = 2 })
        let second = try bench.client(sending: Self.get)
        #expect(inUse(bench)[2] == 2, "what is in use is forgotten")
        #expect(try bench.client(sending: Self.get).text().hasPrefix("HTTP/1.1 503"))
        bench.publish(pool: nil)
        let third = try bench.client(sending: Self.get)
        #expect(try serve(bench, server) == 3)
        for client in [first, second, third] { #expect(client.text().hasSuffix("ok")) }
        #expect(inUse(bench)[2] == 0)
    }

    @Test func `gives everything back, whatever becomes of its requests`() throws {
        let bench = try Bench(pool: policy { ($0.connections, $0.pending, $0.requests) = (3, 4, 3) })
        let server = try bench.server()
        var random = SystemRandomNumberGenerator()
        var (clients, peers): ([Peer], [Peer]) = ([], [])
        for _ in 0..<600 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1: clients.append(try bench.client(sending: Self.get))
            case 2: clients.randomElement()?.close()
            case 3: peers.randomElement()?.close()
            case 4: bench.pass(.milliseconds(30))
            default: for peer in peers.shuffled().prefix(2) where !peer.isEnded { peer.send(Self.answer) }
            }
            bench.settle()
            while let next = try server.accept() { peers.append(next) }
            #expect(inUse(bench)[0] <= 3 && inUse(bench)[1] <= 4 && inUse(bench)[2] <= 3)
        }
        for peer in clients + peers { peer.close() }
        server.close()
        for _ in 0..<40 { bench.pass(.milliseconds(500)) }
        #expect(inUse(bench) == [0, 0, 0, 0] && bench.active == 0)
    }
}
