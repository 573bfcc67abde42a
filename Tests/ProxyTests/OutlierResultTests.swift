import Balancing
import HTTP
import Octets
import Reactor
import Routing
import Testing

@testable import Proxy

/// What of a request counts against its endpoint. Source: docs/behaviour.md, Outliers.
@Suite struct `An endpoint that is watched` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

    private func watched(
        servers: Int = 2, isHTTP2: Bool = false, timeout: Duration? = nil, errors: Int = 2
    ) throws -> Bench {
        let bench = try Bench(servers: servers, isHTTP2: isHTTP2, timeout: timeout)
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (errors, 100)
        bench.cluster.detectOutliers(policy, wake: {})
        return bench
    }

    private func ejected(_ bench: Bench) -> Int { bench.cluster.detector?.totals.ejected ?? -1 }

    /// One request to the one endpoint, answered by that.
    private func exchange(_ bench: Bench, _ server: Server, _ upstream: inout Peer?, _ answer: String) throws {
        let client = try bench.client(sending: Self.get)
        if let next = try server.accept() { upstream = next }
        upstream?.send(answer)
        bench.settle()
        #expect(client.text().hasPrefix("HTTP/1.1 "))
    }

    @Test func `is ejected by its answers, and a good one begins anew`() throws {
        let bench = try watched(servers: 1)
        let server = try bench.server()
        var upstream: Peer?
        for (status, after) in [(500, 0), (200, 0), (503, 0), (503, 1)] {
            try exchange(bench, server, &upstream, "HTTP/1.1 \(status) X\r\ncontent-length: 0\r\n\r\n")
            #expect(ejected(bench) == after, "\(status)")
        }
        let refused = try bench.client(sending: Self.get)
        #expect(refused.text().hasPrefix("HTTP/1.1 503"))
        _ = bench.cluster.settle(at: bench.clock.now.nanoseconds)
        _ = bench.cluster.settle(at: bench.clock.now.nanoseconds + 40_000_000_000)
        try exchange(bench, server, &upstream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    }

    @Test func `is ejected when it refuses connections, and the others serve`() throws {
        let bench = try watched()
        let server = try bench.server(1)    // nobody listens for the other
        var upstream: Peer?
        for _ in 0..<6 { try exchange(bench, server, &upstream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") }
        #expect(ejected(bench) == 1)
    }

    @Test func `is ejected when it closes instead of answering`() throws {
        let bench = try watched(servers: 1)
        let server = try bench.server()
        for _ in 0..<2 {
            let client = try bench.client(sending: Self.get)
            try server.accept()?.close()
            bench.settle()
            #expect(client.text().hasPrefix("HTTP/1.1 503"))
        }
        #expect(ejected(bench) == 1)
    }

    @Test func `is ejected when it does not answer in time, and not when its client goes`() throws {
        let bench = try watched(servers: 1, timeout: .seconds(1))
        let server = try bench.server()
        for _ in 0..<3 { try bench.client(sending: Self.get).close() }
        bench.settle()
        #expect(ejected(bench) == 0)
        for number in 1...2 {
            let client = try bench.client(sending: Self.get)
            while try server.accept() != nil {}
            bench.pass(.milliseconds(1100))
            #expect(client.text().hasPrefix("HTTP/1.1 504") && ejected(bench) == number / 2)
        }
    }

    /// A call's deadline runs from its header section. Who sends no message gets no answer.
    @Test func `is not ejected when the time is over before all of the request has come`() throws {
        let bench = try watched(servers: 1, isHTTP2: true, errors: 1)
        let server = try bench.server()
        for isWhole in [false, true] {
            let client = HTTP2Peer(try bench.client(), isServer: false)
            let fields = ["content-type": "application/grpc", "te": "trailers", "grpc-timeout": "1S"]
            let stream = try #require(client.request(fields))
            if isWhole { client.finish(stream) }
            bench.settle()
            while try server.accept() != nil {}
            bench.pass(.milliseconds(1100))
            client.exchange()
            #expect(client.seen(stream).joined().contains("grpc-status: 4"), "\(client.seen(stream))")
            #expect(ejected(bench) == (isWhole ? 1 : 0))
        }
    }

    @Test func `is ejected when it does not answer the handshake of a WebSocket in time`() throws {
        let bench = try watched(servers: 1, timeout: .seconds(1), errors: 1)
        let server = try bench.server()
        let fields = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        let client = try bench.client(
            sending: "GET / HTTP/1.1\r\nhost: a\r\n\(fields)sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        while try server.accept() != nil {}
        bench.pass(.milliseconds(1100))
        #expect(client.text().hasPrefix("HTTP/1.1 504") && ejected(bench) == 1)
    }

    /// The endpoint gives no window for what waits.
    @Test func `is ejected when it does not take a body in time`() throws {
        let bench = try watched(servers: 1, isHTTP2: true, errors: 1)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let fields = ["content-type": "application/grpc", "te": "trailers", "grpc-timeout": "1S"]
        let stream = try #require(client.request(fields))
        bench.settle()
        let endpoint = try #require(try server.accept())
        for _ in 0..<4 {
            client.say(stream, String(repeating: "b", count: 60_000))
            bench.settle()
            client.exchange()
            _ = endpoint.octets()
        }
        bench.pass(.milliseconds(1100))
        client.exchange()
        #expect(client.seen(stream).joined().contains("grpc-status: 4") && ejected(bench) == 1)
    }

    @Test func `is not ejected for a limit of its cluster`() throws {
        var pool = PoolPolicy()
        (pool.connections, pool.pending) = (1, 1)
        let bench = try Bench(pool: pool)
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (1, 100)
        bench.cluster.detectOutliers(policy, wake: {})
        _ = try bench.server()
        let clients = try (0..<4).map { _ in try bench.client(sending: Self.get) }
        #expect(clients.count { $0.text().hasPrefix("HTTP/1.1 503") } == 2 && ejected(bench) == 0)
    }

    @Test(arguments: [
        (14, true), (13, true), (2, true), (12, true), (4, true), (0, false), (5, false), (8, false), (16, false),
    ])
    func `is judged by the status of a gRPC call, where it comes`(status: Int, isError: Bool) throws {
        for isInTrailers in [false, true] {
            let bench = try watched(servers: 1, isHTTP2: true, errors: 1)
            let server = try bench.server()
            let client = HTTP2Peer(try bench.client(), isServer: false)
            let call = try #require(client.request(["content-type": "application/grpc", "te": "trailers"]))
            client.finish(call)
            bench.settle()
            let upstream = HTTP2Peer(try #require(try server.accept()), isServer: true)
            upstream.exchange()
            bench.settle()
            upstream.exchange()
            let stream = try #require(upstream.streams.first)
            let fields = [":status": "200", "content-type": "application/grpc"]
            if isInTrailers {
                upstream.respond(stream, fields)
                bench.settle()
                #expect(ejected(bench) == 0)
                upstream.finish(stream, trailers: ["grpc-status": "\(status)"])
            } else {
                upstream.respond(stream, fields.merging(["grpc-status": "\(status)"]) { $1 }, isEnd: true)
            }
            bench.settle()
            #expect(ejected(bench) == (isError ? 1 : 0), "status \(status), trailers: \(isInTrailers)")
        }
    }
}
