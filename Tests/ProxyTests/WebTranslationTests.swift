import HTTP
import Octets
import Testing

@testable import Proxy

/// Source: docs/behaviour.md, gRPC-Web.
@Suite struct `A gRPC-Web call to a port that speaks gRPC` {
    private let bench: Bench
    private let server: Server

    init() throws {
        bench = try Bench(isHTTP2: true, timeout: .seconds(1))
        server = try bench.server()
    }

    private static func head(_ type: String, length: Int, _ more: String = "") -> String {
        "POST /t.T/Unary HTTP/1.1\r\nhost: a\r\ncontent-type: \(type)\r\ncontent-length: \(length)\r\n\(more)\r\n"
    }

    /// What came on the server's one stream, after a request over HTTP/1.1.
    private func upstream() throws -> (peer: HTTP2Peer, stream: Int) {
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        peer.exchange()
        bench.settle()
        peer.exchange()
        return (peer, try #require(peer.streams.first))
    }

    @Test func `is a call of gRPC there, and its trailers end the body here`() throws {
        let body = "\0\0\0\0\u{3}abc"
        let client = try bench.client(sending: Self.head("application/grpc-web+proto", length: 8) + body)
        let (peer, stream) = try upstream()
        let seen = peer.seen(stream)
        let fields = try #require(peer.fields[stream])
        #expect(fields.contains("content-type: application/grpc+proto\n"), "\(fields)")
        #expect(fields.contains("te: trailers\n") && !fields.contains("content-length"), "\(fields)")
        #expect(seen.last == body)
        peer.answer(stream, [":status": "200", "content-type": "application/grpc", "x": "y"], isEnd: false)
        peer.say(stream, "\0\0\0\0\u{2}ok")
        peer.finish(stream, trailers: ["grpc-status": "0"])
        bench.settle()
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(text)")
        #expect(text.contains("content-type: application/grpc-web+proto\r\n") && text.contains("x: y\r\n"))
        #expect(text.contains("transfer-encoding: chunked\r\n"))
        #expect(text.contains("\0\0\0\0\u{2}ok"), "\(text)")
        #expect(text.hasSuffix("\u{fffd}\0\0\0\u{f}grpc-status:0\r\n\r\n0\r\n\r\n"), "\(text.debugDescription)")
        #expect(bench.active == 0)
    }

    @Test func `has its text form decoded in any pieces`() throws {
        let client = try bench.client(sending: Self.head("application/grpc-web-text", length: 12) + "AAA")
        for piece in ["AAAN", "h", "YmM="] {
            client.send(piece)
            bench.settle()
        }
        let (peer, stream) = try upstream()
        #expect(peer.seen(stream).last == "\0\0\0\0\u{3}abc", "\(peer.seen(stream))")
        peer.answer(stream, [":status": "200", "content-type": "application/grpc+proto"], isEnd: false)
        peer.say(stream, "\0\0\0\0\u{2}ok")
        peer.finish(stream, trailers: ["grpc-status": "0"])
        bench.settle()
        let text = client.text()
        #expect(text.contains("content-type: application/grpc-web-text+proto\r\n"), "\(text)")
        // Both frames with padding of their own.
        #expect(text.contains("\r\nAAAAAAJvaw==\r\n"), "\(text)")
        #expect(text.contains("\r\ngAAAAA9ncnBjLXN0YXR1czowDQo=\r\n0\r\n\r\n"), "\(text)")
    }

    @Test(arguments: ["AAAAAAN!YWJj", "AAAAAANhYmM"])
    func `is refused when its text is not Base64`(body: String) throws {
        let client = try bench.client(
            sending: Self.head("application/grpc-web-text", length: body.utf8.count) + body)
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 200 ") && text.contains("grpc-status: 13\r\n"), "\(text)")
        #expect(text.contains("content-type: application/grpc-web-text+proto\r\n"), "\(text)")
        #expect(text.contains("grpc-message: The body of the gRPC-Web call is not Base64.\r\n"), "\(text)")
        #expect(bench.active == 0)
    }

    @Test func `gets the gateway's own answers in its form`() throws {
        server.close()
        let client = try bench.client(sending: Self.head("application/grpc-web", length: 0))
        for _ in 0..<4 { bench.pass(.seconds(1)) }
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 200 ") && text.contains("grpc-status: "), "\(text)")
        #expect(text.contains("content-type: application/grpc-web+proto\r\n") && text.hasSuffix("\r\n\r\n"), "\(text)")
    }

    @Test func `ends by its deadline with a frame of trailers`() throws {
        let client = try bench.client(
            sending: Self.head("application/grpc-web", length: 0, "grpc-timeout: 100m\r\n"))
        let (peer, stream) = try upstream()
        #expect(peer.fields[stream]?.contains("grpc-timeout: ") == true)
        peer.answer(stream, [":status": "200", "content-type": "application/grpc"], isEnd: false)
        bench.settle()
        #expect(client.text().contains("application/grpc-web+proto"))
        bench.pass(.milliseconds(200))
        let text = client.text()
        #expect(text.contains("grpc-status:4\r\n") && text.hasSuffix("0\r\n\r\n"), "\(text)")
    }

    @Test(arguments: [("503", "14"), ("404", "12"), ("200", "2")])
    func `gets a status for an answer that is no gRPC`(code: String, status: String) throws {
        let client = try bench.client(sending: Self.head("application/grpc-web", length: 0))
        let (peer, stream) = try upstream()
        peer.answer(stream, [":status": code, "content-type": "text/html", "content-length": "4"], isEnd: false)
        bench.settle()
        let text = client.text()
        #expect(text.hasPrefix("HTTP/1.1 \(code) ") && text.contains("grpc-status: \(status)\r\n"), "\(text)")
        #expect(text.contains("content-type: application/grpc-web+proto\r\n"), "\(text)")
        #expect(text.contains("content-length: 0\r\n") && text.hasSuffix("\r\n\r\n"), "\(text)")
        #expect(bench.active == 0)
    }

    @Test func `is passed on over HTTP/2, with trailers only as they are`() throws {
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        bench.settle()
        let stream = try #require(client.request(["content-type": "application/grpc-web-text"]))
        client.say(stream, "AAAAAAA=")
        client.finish(stream)
        bench.settle()
        let (peer, number) = try upstream()
        #expect(peer.seen(number).last == "\0\0\0\0\0")
        peer.answer(number, [":status": "200", "content-type": "application/grpc", "grpc-status": "5"])
        bench.settle()
        client.exchange()
        let seen = try #require(client.seen(stream).first)
        #expect(seen.contains("grpc-status: 5") && seen.contains("application/grpc-web-text+proto"), "\(seen)")
        #expect(client.seen(stream).count == 1)
    }

    /// Padding makes the client's form longer than the plain one: its window has to open for all of it.
    @Test func `may send more than a window in its text form`() throws {
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        bench.settle()
        let stream = try #require(client.request(["content-type": "application/grpc-web-text"]))
        let pieces = 100_000
        client.say(stream, String(repeating: "QQ==", count: pieces))
        client.finish(stream)
        bench.settle()
        let (peer, number) = try upstream()
        for _ in 0..<40 {
            client.exchange()
            bench.settle()
            peer.exchange()
            bench.settle()
        }
        #expect(peer.seen(number).last?.utf8.count == pieces)
    }
}

@Suite struct `A gRPC-Web call to another port` {
    @Test func `is passed on as it is`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try bench.client(
            sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web-text\r\n"
                + "content-length: 4\r\n\r\nno!!")
        let upstream = try #require(try server.accept())
        let seen = upstream.text()
        #expect(seen.contains("content-type: application/grpc-web-text\r\n") && seen.hasSuffix("no!!"), "\(seen)")
        upstream.send(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web-text\r\ncontent-length: 2\r\n\r\nab")
        bench.settle()
        #expect(client.text().hasSuffix("ab"))
    }
}
