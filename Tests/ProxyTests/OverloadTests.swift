import HTTP
import Octets
import Testing

@testable import Proxy

/// Who is served while memory is used up. Source: docs/behaviour.md, Overload.
@Suite struct `A worker whose memory is used up` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

    /// A call in progress, of which a message has come to its endpoint.
    private func call() throws -> (bench: Bench, client: HTTP2Peer, stream: Int, upstream: HTTP2Peer) {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.say(stream, "one")
        bench.settle()
        let upstream = HTTP2Peer(try #require(try server.accept()), isServer: true)
        for _ in 0..<3 {
            upstream.exchange()
            bench.settle()
            client.exchange()
        }
        return (bench, client, stream, upstream)
    }

    private func exchange(_ bench: Bench, _ client: HTTP2Peer, _ upstream: HTTP2Peer) {
        for _ in 0..<3 {
            client.exchange()
            bench.settle()
            upstream.exchange()
            bench.settle()
            client.exchange()
        }
    }

    @Test func `lets calls go on, and refuses new ones beside them`() throws {
        let (bench, client, first, upstream) = try call()
        bench.worker.services.memoryLevel = .exhausted
        let second = try #require(client.request(["content-type": "application/grpc"]))
        client.say(first, "two")
        exchange(bench, client, upstream)
        #expect(client.seen(second).joined().contains("grpc-status: 8"), "\(client.seen(second))")
        #expect(upstream.streams.count == 1)
        let stream = upstream.streams[0]
        #expect(upstream.seen(stream).joined().contains("two"), "\(upstream.seen(stream))")
        upstream.respond(stream, [":status": "200", "content-type": "application/grpc"])
        upstream.say(stream, "answer")
        upstream.finish(stream, trailers: ["grpc-status": "0"])
        exchange(bench, client, upstream)
        #expect(client.seen(first).joined().contains("answer"), "\(client.seen(first))")
        #expect(client.seen(first).joined().contains("grpc-status: 0") && bench.active == 0)
    }

    @Test func `takes new calls on the same connection when there is memory again`() throws {
        let (bench, client, _, upstream) = try call()
        bench.worker.services.memoryLevel = .exhausted
        _ = client.request(["content-type": "application/grpc"])
        exchange(bench, client, upstream)
        bench.worker.services.memoryLevel = .ample
        _ = try #require(client.request(["content-type": "application/grpc"]))
        exchange(bench, client, upstream)
        #expect(upstream.streams.count == 2)
    }

    @Test func `refuses the request of a new connection, and ends that`() throws {
        let bench = try Bench()
        let server = try bench.server()
        bench.worker.services.memoryLevel = .exhausted
        let client = try bench.client(sending: Self.get)
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("connection: close\r\n"), "\(text)")
        #expect(try server.accept() == nil)
        bench.pass(.seconds(2))
        _ = client.octets()
        #expect(client.isEnded)
    }

    @Test func `closes connections without requests for new ones, and keeps those that have some`() throws {
        let (bench, client, first, upstream) = try call()
        let idle = try bench.client()
        bench.worker.services.memoryLevel = .exhausted
        _ = try bench.client()
        _ = idle.octets()
        #expect(idle.isEnded)
        client.say(first, "two")
        exchange(bench, client, upstream)
        #expect(upstream.seen(upstream.streams[0]).joined().contains("two"))
    }

    @Test func `ends handshakes beyond a few, the oldest first`() throws {
        let made = PeerCertificates.shared
        let bench = try Bench()
        bench.publish(selector: try made.selector())
        bench.worker.services.memoryLevel = .exhausted
        var clients: [Peer] = []
        for _ in 0..<HandshakeQueue.mostWhenShort + 4 {
            let client = try bench.client()
            // The beginning of a ClientHello: a record of 512 octets.
            client.send([0x16, 3, 1, 2, 0, 1])
            bench.settle()
            clients.append(client)
        }
        let ended = clients.map { client in
            _ = client.octets()
            return client.isEnded
        }
        #expect(ended == clients.indices.map { $0 < 4 })
    }
}

extension Peer {
    fileprivate func send(_ octets: [UInt8]) { _ = push(octets[...]) }
}
