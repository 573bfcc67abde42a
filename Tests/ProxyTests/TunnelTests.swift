import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Telemetry

/// Source: RFC 8441; docs/behaviour.md, WebSockets.
@Suite struct `A WebSocket that crosses versions of HTTP` {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let hello =
        "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: \(key)\r\n"
        + "sec-websocket-version: 13\r\n\r\n"

    private func http2Client(_ bench: Bench) throws -> HTTP2Peer {
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        bench.settle()
        client.exchange()
        return client
    }

    /// Both sides speak until nothing moves.
    private func exchange(_ bench: Bench, _ peers: HTTP2Peer...) {
        for _ in 0..<4 {
            bench.settle()
            for peer in peers { peer.exchange() }
        }
    }

    @Test func `comes over HTTP/2 and goes to HTTP/1.1`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try http2Client(bench)
        let stream = try #require(client.connect("websocket", ["sec-websocket-protocol": "chat"]))
        client.say(stream, "early")
        bench.settle()
        let upstream = try #require(try server.accept())
        let request = upstream.text()
        #expect(request.hasPrefix("GET /chat HTTP/1.1\r\nhost: a\r\n"), "\(request)")
        for line in [
            "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-protocol: chat",
        ] {
            #expect(request.contains("\r\n\(line)\r\n"), "\(line): \(request)")
        }
        #expect(request.contains("\r\nsec-websocket-key: ") && request.hasSuffix("\r\n\r\n"), "\(request)")
        upstream.send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                + "sec-websocket-accept: x\r\nsec-websocket-protocol: chat\r\n\r\nhi")
        exchange(bench, client)
        #expect(upstream.text() == "early")
        let head = try #require(client.seen(stream).first)
        #expect(head.hasPrefix(":status: 200 ") && head.contains("sec-websocket-protocol: chat"), "\(head)")
        #expect(!head.contains("accept") && client.seen(stream).last == "hi")
        client.say(stream, "more")
        exchange(bench, client)
        #expect(upstream.text() == "more")
        // The client's END_STREAM is the end of a TCP connection's side; what the upstream still says arrives.
        client.finish(stream)
        exchange(bench, client)
        #expect(upstream.text() == "" && upstream.isEnded)
        upstream.send("bye")
        upstream.close()
        exchange(bench, client)
        #expect(client.seen(stream).last == "hibye" && client.ended.contains(stream))
        #expect(bench.active == 0)
    }

    @Test func `comes over HTTP/1.1 and goes to HTTP/2`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = try bench.client(sending: Self.hello + "early")
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        exchange(bench, peer)
        let stream = try #require(peer.streams.first)
        let fields = try #require(peer.fields[stream])
        #expect(fields.contains(":method: CONNECT\n") && fields.contains(":protocol: websocket\n"), "\(fields)")
        #expect(fields.contains(":path: /chat\n") && !fields.contains("sec-websocket-key"), "\(fields)")
        #expect(peer.seen(stream).count == 1)
        peer.respond(stream, [":status": "200", "sec-websocket-protocol": "chat"])
        exchange(bench, peer)
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"), "\(answer)")
        #expect(answer.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "\(answer)")
        #expect(answer.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "\(answer)")
        #expect(peer.seen(stream).last == "early")
        peer.say(stream, "hi")
        exchange(bench, peer)
        #expect(client.text() == "hi")
        peer.finish(stream)
        exchange(bench, peer)
        #expect(client.text() == "" && client.isEnded && bench.active == 0)
    }

    @Test func `stays on HTTP/2`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = try http2Client(bench)
        let stream = try #require(client.connect("websocket"))
        bench.settle()
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        exchange(bench, peer, client)
        let number = try #require(peer.streams.first)
        #expect(peer.fields[number]?.contains(":protocol: websocket\n") == true)
        peer.respond(number, [":status": "200"])
        exchange(bench, peer, client)
        #expect(client.seen(stream).first?.hasPrefix(":status: 200") == true)
        client.say(stream, "a")
        peer.say(number, "b")
        exchange(bench, peer, client)
        #expect(peer.seen(number).last == "a" && client.seen(stream).last == "b")
        client.finish(stream)
        exchange(bench, peer, client)
        #expect(peer.ended.contains(number))
        peer.finish(number)
        exchange(bench, peer, client)
        #expect(client.ended.contains(stream) && bench.active == 0)
    }

    @Test func `is refused by the upstream in the client's version`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = try bench.client(sending: Self.hello)
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        exchange(bench, peer)
        peer.respond(try #require(peer.streams.first), [":status": "403"], isEnd: true)
        exchange(bench, peer)
        #expect(client.text().hasPrefix("HTTP/1.1 403 ") && client.isEnded && bench.active == 0)
    }

    @Test(arguments: [("webtransport", "501"), ("connect-udp", "501")])
    func `is the only protocol that CONNECT is served for`(name: String, status: String) throws {
        let bench = try Bench()
        _ = try bench.server()
        let client = try http2Client(bench)
        let stream = try #require(client.connect(name))
        exchange(bench, client)
        #expect(client.seen(stream).first?.hasPrefix(":status: \(status) ") == true, "\(client.seen(stream))")
        #expect(client.seen(stream).last?.contains("websocket only") == true)
    }

    @Test func `is broken off with its client`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try http2Client(bench)
        let stream = try #require(client.connect("websocket"))
        bench.settle()
        let upstream = try #require(try server.accept())
        _ = upstream.text()
        client.reset(stream, code: ErrorCode.cancel)
        bench.settle()
        #expect(upstream.text() == "" && upstream.isEnded && bench.active == 0)
    }

    @Test func `holds no other request while its endpoint has not announced itself, and is given up then`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let socket = try bench.client(sending: Self.hello)
        let upstream = try #require(try server.accept())
        let client = try http2Client(bench)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.finish(stream)
        bench.settle()
        // The preface, our SETTINGS and the call have come; the WebSocket has not.
        let octets = upstream.octets()
        let text = String(decoding: octets.filter { $0 >= 32 && $0 < 127 }, as: UTF8.self)
        #expect(text.hasPrefix("PRI * HTTP/2.0SM") && text.contains("application/grpc"), "\(text)")
        #expect(!text.contains("websocket") && !text.contains("/chat"), "\(text)")
        bench.pass(.seconds(14))
        #expect(socket.text().isEmpty && bench.active == 2)
        for _ in 0..<4 {
            bench.pass(.seconds(16))
            _ = try server.accept()?.octets()
        }
        let answer = socket.text()
        #expect(answer.hasPrefix("HTTP/1.1 503 "), "\(answer)")
        #expect(bench.metrics.value(.waitingTimeout) > 0)
    }

    @Test func `goes out once its endpoint has announced that it takes WebSockets`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let gone = try bench.client(sending: Self.hello)
        let socket = try bench.client(sending: Self.hello)
        gone.close()
        bench.settle()
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        exchange(bench, peer)
        #expect(peer.streams.count == 1)
        peer.respond(try #require(peer.streams.first), [":status": "200"])
        exchange(bench, peer)
        #expect(socket.text().hasPrefix("HTTP/1.1 101 "))
        bench.pass(.seconds(60))
        #expect(bench.active == 1 && bench.metrics.value(.waitingTimeout) == 0)
    }
}
