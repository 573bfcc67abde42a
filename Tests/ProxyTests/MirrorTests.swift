import Balancing
import HTTP
import Octets
import Reactor
import Telemetry
import Testing

@testable import Proxy
@testable import Routing
@testable import Telemetry

/// Source: docs/istio.md, Mirrors.
@Suite struct `A copy of a request` {
    private static let get = "GET /x HTTP/1.1\r\nhost: a.com:80\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    private static let rule = "mirror: {host: b}"

    private func count(_ bench: Bench, _ result: MirrorResult) -> UInt64 { bench.metrics.value(result) }

    /// A bench of two endpoints, where a request goes to one and its copy to the other.
    private struct Pair {
        let bench: Bench
        let servers: [Server]
        let client: Peer

        /// The connections with a request and with its copy, and what came on them.
        func connections() throws -> (upstream: Peer, mirror: Peer, request: String, copy: String) {
            let peers = try servers.map { try #require(try $0.accept()) }
            let texts = peers.map { $0.text() }
            let mirror = try #require(texts.firstIndex { $0.contains("-shadow") }, "\(texts)")
            return (peers[1 - mirror], peers[mirror], texts[1 - mirror], texts[mirror])
        }
    }

    private func pair(sending text: String, rule: String = rule, isHTTP2: Bool = false) throws -> Pair {
        let bench = try Bench(servers: 2, isHTTP2: isHTTP2, rule: rule)
        let servers = [try bench.server(0), try bench.server(1)]
        return Pair(bench: bench, servers: servers, client: try bench.client(sending: text))
    }

    @Test func `goes to the mirror with the shadow of its authority, and its answer to nobody`() throws {
        let pair = try pair(sending: Self.get)
        let (upstream, mirror, request, copy) = try pair.connections()
        #expect(request.contains("\r\nhost: a.com:80\r\n") && copy.contains("\r\nhost: a.com-shadow:80\r\n"))
        #expect(copy.hasPrefix("GET /x HTTP/1.1\r\n") && copy.contains("\r\nx-request-id: "))
        mirror.send("HTTP/1.1 500 X\r\ncontent-length: 3\r\n\r\nbad")
        pair.bench.settle()
        #expect(pair.client.text().isEmpty && count(pair.bench, .completed) == 1)
        upstream.send(Self.ok)
        pair.bench.settle()
        #expect(pair.client.text().hasSuffix("ok") && pair.bench.active == 0)
        // The mirror's connection is kept for the next one.
        pair.client.send(Self.get)
        pair.bench.settle()
        let texts = [upstream.text(), mirror.text()]
        #expect(texts.filter { $0.hasPrefix("GET /x") }.count == 2)
    }

    @Test func `gets the body as it comes`() throws {
        let pair = try pair(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")
        let (upstream, mirror, request, copy) = try pair.connections()
        #expect(request.hasSuffix("abc") && copy.hasSuffix("abc"))
        pair.client.send("def")
        pair.bench.settle()
        #expect(upstream.text() == "def" && mirror.text() == "def")
        upstream.send(Self.ok)
        pair.bench.settle()
        #expect(pair.client.text().hasSuffix("ok") && pair.bench.worker.exchanges.mirrors.count == 1)
        mirror.send(Self.ok)
        pair.bench.settle()
        #expect(count(pair.bench, .completed) == 1 && pair.bench.worker.exchanges.mirrors.count == 0)
    }

    @Test func `of a gRPC call has its messages and trailers`() throws {
        let bench = try Bench(servers: 2, isHTTP2: true, rule: Self.rule)
        let servers = [try bench.server(0), try bench.server(1)]
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.say(stream, "one")
        bench.settle()
        let peers = try servers.map { HTTP2Peer(try #require(try $0.accept()), isServer: true) }
        for peer in peers { peer.exchange() }
        bench.settle()
        client.say(stream, "two")
        client.finish(stream, trailers: ["x-end": "yes"])
        bench.settle()
        for peer in peers { peer.exchange() }
        for peer in peers {
            let seen = peer.seen(peer.streams[0])
            #expect(seen.count == 3 && seen[1] == "onetwo" && seen[2].contains("x-end: yes"), "\(seen)")
        }
    }

    @Test func `is made once, however often the request is tried`() throws {
        let pair = try pair(sending: Self.get, rule: "mirror: {host: b}, retries: {attempts: 2, retryOn: 5xx}")
        let (upstream, mirror, _, _) = try pair.connections()
        upstream.send("HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")
        pair.bench.settle()
        for _ in 0..<5 { pair.bench.pass(.milliseconds(100)) }
        mirror.send(Self.ok)
        pair.bench.settle()
        let again = [upstream.text(), mirror.text()] + (try pair.servers.compactMap { try $0.accept()?.text() })
        #expect(again.filter { $0.hasPrefix("GET") }.count == 1 && !again.contains { $0.contains("-shadow") })
    }

    @Test func `fails without harm when its mirror is not there, or breaks off`() throws {
        let bench = try Bench(servers: 2, rule: Self.rule)
        let server = try bench.server(0)
        // The second endpoint does not listen: request and copy each fail there once.
        var peers: [Peer] = []
        for _ in 0..<2 {
            let client = try bench.client(sending: Self.get)
            for _ in 0..<4 { bench.pass(.milliseconds(100)) }
            while let peer = try server.accept() { peers.append(peer) }
            for peer in peers where peer.text().hasPrefix("GET") { peer.send(Self.ok) }
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
        let pair = try pair(sending: Self.get)
        let (upstream, mirror, _, _) = try pair.connections()
        mirror.close()
        pair.bench.settle()
        #expect(count(pair.bench, .failed) == 1)
        upstream.send(Self.ok)
        pair.bench.settle()
        #expect(pair.client.text().hasSuffix("ok"))
    }

    @Test func `is given up with a request that its client breaks off`() throws {
        let pair = try pair(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")
        let (_, mirror, _, _) = try pair.connections()
        pair.client.close()
        pair.bench.settle()
        _ = mirror.text()
        #expect(mirror.isEnded && count(pair.bench, .dropped) == 1 && pair.bench.active == 0)
    }

    @Test func `is given up when its mirror does not take it`() throws {
        let pair = try pair(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n")
        let peers = try pair.servers.map { try #require(try $0.accept()) }
        // Only the endpoint reads; which of the two it is, its octets tell.
        var first = peers.map { $0.text() }
        let upstream = try #require(first.firstIndex { !$0.contains("-shadow") })
        let piece = String(repeating: "x", count: 40_000)
        for _ in 0..<100 {
            pair.client.send(piece)
            pair.bench.settle()
            first[upstream] += peers[upstream].text()
        }
        #expect(count(pair.bench, .dropped) == 1)
        peers[upstream].send(Self.ok)
        pair.bench.settle()
        #expect(pair.client.text().hasSuffix("ok"))
    }

    @Test func `is given up when its mirror says nothing`() throws {
        let pair = try pair(sending: Self.get)
        let (upstream, mirror, _, _) = try pair.connections()
        upstream.send(Self.ok)
        pair.bench.settle()
        #expect(pair.client.text().hasSuffix("ok"))
        pair.bench.pass(Mirrors.longestTime - .seconds(1))
        #expect(pair.bench.worker.exchanges.mirrors.count == 1)
        pair.bench.pass(.seconds(2))
        _ = mirror.text()
        #expect(mirror.isEnded && count(pair.bench, .failed) == 1 && pair.bench.worker.exchanges.mirrors.count == 0)
    }

    @Test func `is not made beyond the limit`() throws {
        let bench = try Bench(servers: 2, isHTTP2: true, rule: Self.rule)
        let servers = [try bench.server(0), try bench.server(1)]
        var clients: [Peer] = []
        for _ in 0..<(Mirrors.most + 5) { clients.append(try bench.client(sending: Self.get)) }
        #expect(bench.worker.exchanges.mirrors.count == Mirrors.most && count(bench, .dropped) == 5)
        #expect(bench.active == Mirrors.most + 5)
        for client in clients { client.close() }
        // A turn takes a few of them.
        for _ in 0..<20 where bench.active > 0 { bench.settle() }
        #expect(bench.active == 0)
        _ = servers
    }

    @Test func `waits for a connection without its request`() throws {
        var limits = Limits()
        limits.upstreamConnections = 1
        let bench = try Bench(limits: limits, servers: 1, rule: Self.rule)
        let server = try bench.server()
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasSuffix("abc") && bench.worker.exchanges.mirrors.count == 1)
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
        let copy = upstream.text()
        #expect(copy.contains("host: a-shadow\r\n") && copy.hasSuffix("abc"), "\(copy)")
        upstream.send(Self.ok)
        bench.settle()
        #expect(count(bench, .completed) == 1)
    }

    @Test func `is drawn by its share`() throws {
        #expect(try RuleReading.extras("mirror: {host: b}, mirrorPercentage: {value: 0}") == nil)
        #expect(try RuleReading.extras("mirror: {host: b}, mirrorPercentage: {}") == nil)
        let both = try RuleReading.extras(
            "mirrors: [{destination: {host: b}}, {destination: {host: c}, percentage: {value: 5}}]")
        #expect(both?.mirrors.map(\.share) == [RequestShare(percentage: 100), RequestShare(percentage: 5)])
    }

    @Test(arguments: [
        ("a.com", "a.com-shadow"), ("a.com:80", "a.com-shadow:80"), ("10.0.0.1", "10.0.0.1-shadow"),
        ("[::1]:80", "[::1]:80"), ("", ""),
    ])
    func `has the shadow of an authority`(authority: String, shadow: String) {
        let (input, output) = (OctetBuffer(capacity: 64), OctetBuffer(capacity: 64))
        input.append(text: authority)
        Mirrors.append(shadowOf: input.octets, to: output)
        #expect(output.octets.string == shadow)
    }

    /// Source: envoyproxy/envoy source/common/router/shadow_writer_impl.cc: copies have a router of their own.
    @Test func `counts among the requests and on the connections of its cluster`() throws {
        var pool = PoolPolicy()
        (pool.requests, pool.requestsPerConnection) = (3, 2)
        let bench = try Bench(servers: 2, rule: Self.rule, pool: pool)
        let servers = [try bench.server(0), try bench.server(1)]
        let client = try bench.client(sending: Self.get)
        let pair = Pair(bench: bench, servers: servers, client: client)
        let (upstream, mirror, _, _) = try pair.connections()
        let usage = bench.cluster.usage()
        #expect(usage.count(.requests) == 2)
        // The request takes the last place, and its copy has none.
        let other = try bench.client(sending: Self.get)
        #expect(usage.count(.requests) == 3 && count(bench, .dropped) == 1)
        #expect(bench.metrics.value(.clusterRequests) == 1)
        mirror.send(Self.ok)
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && usage.count(.requests) == 1)
        other.close()
        bench.settle()
        #expect(usage.count(.requests) == 0 && bench.worker.exchanges.mirrors.count == 0)
    }

    /// Source: envoyproxy/envoy source/common/router/shadow_writer_impl.cc: copies have a router of their own.
    @Test func `is one of the requests that a connection may have`() throws {
        var pool = PoolPolicy()
        pool.requestsPerConnection = 2
        let bench = try Bench(rule: Self.rule, pool: pool)
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        var peers = [try #require(try server.accept()), try #require(try server.accept())]
        var copies = 0
        for round in 1...2 {
            for peer in peers {
                let text = peer.text()
                #expect(text.hasPrefix("GET /x HTTP/1.1\r\n"), "round \(round): \(text)")
                if text.contains("-shadow") { copies += 1 }
                peer.send(Self.ok)
            }
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
            // Either connection has had its two after the second round, whichever of them were copies.
            for peer in peers { #expect(peer.text().isEmpty && peer.isEnded == (round == 2)) }
            client.send(Self.get)
            bench.settle()
        }
        #expect(copies == 2)
        peers = [try #require(try server.accept()), try #require(try server.accept())]
        #expect(peers.allSatisfy { $0.text().hasPrefix("GET /x") })
    }

    @Test(arguments: [("500 X", 1), ("200 OK", 0)])
    func `counts for those who watch its endpoint`(answer: String, ejected: Int) throws {
        let bench = try Bench(servers: 2, rule: Self.rule)
        let servers = [try bench.server(0), try bench.server(1)]
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (1, 100)
        bench.cluster.detectOutliers(policy, wake: {})
        let pair = Pair(bench: bench, servers: servers, client: try bench.client(sending: Self.get))
        let (upstream, mirror, _, _) = try pair.connections()
        mirror.send("HTTP/1.1 \(answer)\r\ncontent-length: 0\r\n\r\n")
        upstream.send(Self.ok)
        bench.settle()
        #expect(pair.client.text().hasSuffix("ok") && bench.cluster.detector?.totals.ejected == ejected)
    }

    @Test func `that is cut counts for those who watch its endpoint`() throws {
        let bench = try Bench(servers: 2, rule: Self.rule)
        let servers = [try bench.server(0), try bench.server(1)]
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (1, 100)
        bench.cluster.detectOutliers(policy, wake: {})
        let pair = Pair(bench: bench, servers: servers, client: try bench.client(sending: Self.get))
        let (_, mirror, _, _) = try pair.connections()
        mirror.close()
        bench.settle()
        #expect(bench.cluster.detector?.totals.ejected == 1 && count(bench, .failed) == 1)
    }
}
