import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Telemetry

/// What becomes of requests whose endpoint has closed its connection, when it is a write that finds that out.
/// Source: docs/behaviour.md, Retries.
@Suite struct `A write that fails` {
    private static let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private func resent(_ bench: Bench) -> UInt64 {
        bench.metrics.value(.retries, RetryReason.connectionLost.rawValue)
    }

    /// Lets the longest pause before another try pass.
    private func pause(_ bench: Bench) {
        for _ in 0..<6 { bench.pass(.milliseconds(100)) }
    }

    /// A gRPC call that was sent to its endpoint.
    private func begin() throws -> (bench: Bench, server: Server, client: HTTP2Peer, stream: Int, socket: Peer) {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        return (bench, server, client, stream, try #require(try server.accept()))
    }

    /// A gRPC call that has reached its endpoint, and waits there for its answer.
    private func call() throws -> (
        bench: Bench, server: Server, client: HTTP2Peer, stream: Int, socket: Peer, upstream: HTTP2Peer
    ) {
        let (bench, server, client, stream, socket) = try begin()
        let upstream = HTTP2Peer(socket, isServer: true)
        for _ in 0..<3 {
            upstream.exchange()
            bench.settle()
        }
        return (bench, server, client, stream, socket, upstream)
    }

    /// The kernel refuses what is written to a connection whose other end is closed; what came before is there. The
    /// call that found that out goes elsewhere.
    @Test func `leaves what the endpoint said before to be read`() throws {
        let (bench, server, client, first, socket, upstream) = try call()
        let second = try #require(client.request(["content-type": "application/grpc"]))
        bench.clock.meanwhile = {
            upstream.goAway()
            upstream.answer(upstream.streams[0], [":status": "200", "grpc-status": "0"])
            socket.close()
        }
        bench.settle()
        client.exchange()
        #expect(client.seen(first).joined().contains("grpc-status: 0"), "\(client.seen(first))")
        #expect(client.seen(second).isEmpty, "\(client.seen(second))")
        pause(bench)
        let other = HTTP2Peer(try #require(try server.accept()), isServer: true)
        other.exchange()
        #expect(other.streams.count == 1 && resent(bench) == 1)
    }

    /// An endpoint that ends takes connections with it that nobody has accepted: the first write says so.
    @Test func `has a request sent again of which the kernel took nothing`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try bench.client()
        client.send(Self.post)
        bench.worker.turn(isHurried: true)
        let unused = try #require(try server.accept())
        bench.clock.meanwhile = { unused.close() }
        bench.settle()
        pause(bench)
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasSuffix("hello"))
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
        #expect(resent(bench) == 1)
    }

    /// The kernel has accepted the connection, and taken the call, for a process that ends. Source: RFC 9113 §3.4.
    @Test(arguments: [true, false])
    func `or a connection that ends has a call sent again unless the server has begun to speak`(speaks: Bool) throws {
        let (bench, server, client, stream, socket) = try begin()
        if speaks { HTTP2Peer(socket, isServer: true).exchange() }
        socket.close()
        bench.settle()
        pause(bench)
        client.exchange()
        #expect(resent(bench) == (speaks ? 0 : 1))
        #expect(client.seen(stream).joined().contains("grpc-status: 14") == speaks, "\(client.seen(stream))")
        #expect(try (server.accept() == nil) == speaks)
    }

    @Test func `has a call sent again of which the kernel took nothing, beside one that it took`() throws {
        let (bench, server, client, first, socket, _) = try call()
        let second = try #require(client.request(["content-type": "application/grpc"]))
        client.say(second, "hello")
        bench.clock.meanwhile = { socket.close() }
        bench.settle()
        client.exchange()
        #expect(client.seen(first).joined().contains("grpc-status: 14"), "\(client.seen(first))")
        #expect(client.seen(second).isEmpty, "\(client.seen(second))")
        pause(bench)
        let other = HTTP2Peer(try #require(try server.accept()), isServer: true)
        for _ in 0..<3 {
            other.exchange()
            bench.settle()
        }
        #expect(other.streams.count == 1 && resent(bench) == 1)
        #expect(other.seen(other.streams[0]).joined().hasSuffix("hello"), "\(other.seen(other.streams[0]))")
    }

    /// Source: RFC 9112 §9.5 (a server may answer before it has the whole request, and close).
    @Test func `leaves the answer of an endpoint that wants no more of the body`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasSuffix("hello"))
        client.send("w")
        bench.clock.meanwhile = {
            upstream.send("HTTP/1.1 413 X\r\ncontent-length: 3\r\n\r\nbad")
            upstream.close()
        }
        bench.settle()
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix("bad"), "\(answer)")
        #expect(bench.active == 0)
    }
}
