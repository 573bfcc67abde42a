import HTTP
import Octets
import Testing

@Suite struct `The HTTP/1.1 serializer` {
    private func block(_ fields: [(StaticString, StaticString)]) -> HeaderBlock {
        let headers = HeaderBlock()
        for (name, value) in fields { headers.append(stable: Octets(name), Octets(value)) }
        return headers
    }

    private func request(
        _ fields: [(StaticString, StaticString)], _ framing: HTTP1Framing = .none
    ) throws(HTTP1WriteError) -> String {
        let output = OctetBuffer()
        try HTTP1Serializer.writeRequest(block(fields), framing: framing, to: output)
        return output.octets.string
    }

    private func response(
        _ fields: [(StaticString, StaticString)], _ framing: HTTP1Framing = .none,
        _ connection: HTTP1Serializer.Connection = .keep
    ) throws(HTTP1WriteError) -> String {
        let output = OctetBuffer()
        try HTTP1Serializer.writeResponse(block(fields), framing: framing, connection: connection, to: output)
        return output.octets.string
    }

    private let get: [(StaticString, StaticString)] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a:1"), (":path", "/x?y")]

    @Test func `writes a request line, host, fields and nothing that belongs to another hop`() throws {
        let text = try request(
            get + [
                ("cookie", "a=0"), ("x-a", "1"), ("connection", "x-b"), ("cookie", "b=1"), ("host", "other"),
                ("keep-alive", "1"), ("transfer-encoding", "gzip"), ("upgrade", "h2c"), ("te", "trailers"),
                ("http2-settings", "x"), ("proxy-connection", "x"), ("x-a", "2"),
            ])
        let start = "GET /x?y HTTP/1.1\r\nhost: a:1\r\n"
        #expect(text == "\(start)cookie: a=0; b=1\r\nx-a: 1\r\nte: trailers\r\nx-a: 2\r\n\r\n")
    }

    @Test func `makes the framing itself`() throws {
        let post: [(StaticString, StaticString)] =
            [(":method", "POST"), (":authority", "a"), (":path", "/"), ("content-length", "7")]
        let start = "POST / HTTP/1.1\r\nhost: a\r\n"
        #expect(try request(post, .length(7)) == "\(start)content-length: 7\r\n\r\n")
        #expect(try request(post, .chunked) == "\(start)transfer-encoding: chunked\r\n\r\n")
        #expect(try request(post, .none) == "\(start)content-length: 0\r\n\r\n")
        #expect(try request(get) == "GET /x?y HTTP/1.1\r\nhost: a:1\r\n\r\n")
    }

    @Test func `writes another path and authority when told so`() throws {
        let output = OctetBuffer()
        try HTTP1Serializer.writeRequest(
            block(get), path: "/z", authority: "b", framing: .none, connection: .upgradeToWebSocket, to: output)
        #expect(
            output.octets.string
                == "GET /z HTTP/1.1\r\nhost: b\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    }

    @Test func `writes responses`() throws {
        #expect(
            try response([(":status", "200"), ("x", "y"), ("content-length", "9")], .chunked, .close)
                == "HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        #expect(
            try response([(":status", "200"), ("content-length", "9")], .none)
                == "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        #expect(
            try response([(":status", "204"), ("content-length", "0")], .length(0))
                == "HTTP/1.1 204 No Content\r\n\r\n")
        #expect(try response([(":status", "103"), ("link", "x")]) == "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        #expect(try response([(":status", "599")], .length(0)) == "HTTP/1.1 599 Unknown\r\ncontent-length: 0\r\n\r\n")
    }

    @Test func `never writes a field that could end its line`() throws {
        let text = try request(
            get + [
                ("x-a", "1\r\nevil: 2"), ("x-b", "a\u{0}b"), ("x\r\nevil", "1"), ("x c", "1"), ("", "1"),
                ("cookie", "a\nb"), ("cookie", "c"), ("x-d", "kept"),
            ])
        #expect(text == "GET /x?y HTTP/1.1\r\nhost: a:1\r\ncookie: c\r\nx-d: kept\r\n\r\n")
    }

    @Test func `refuses start lines that could be read otherwise`() {
        func fails(_ method: StaticString, _ authority: StaticString, _ path: StaticString) -> HTTP1WriteError? {
            do throws(HTTP1WriteError) {
                _ = try request([(":method", method), (":authority", authority), (":path", path)])
                return nil
            } catch { return error }
        }
        #expect(fails("GET", "a", "/") == nil)
        #expect(fails("OPTIONS", "a", "*") == nil)
        #expect(fails("GE T", "a", "/") == .invalidMethod)
        #expect(fails("", "a", "/") == .invalidMethod)
        #expect(fails("CONNECT", "a", "/") == .invalidMethod)
        #expect(fails("GET", "a", "/ HTTP/1.1\r\n") == .invalidTarget)
        #expect(fails("GET", "a", "") == .invalidTarget)
        #expect(fails("GET", "a", "*") == .invalidTarget)
        #expect(fails("GET", "a", "x") == .invalidTarget)
        #expect(fails("GET", "a\r\nx: y", "/") == .invalidAuthority)
        #expect(fails("GET", "u@a", "/") == .invalidAuthority)
        #expect(throws: HTTP1WriteError.invalidStatus) { try response([(":status", "20")]) }
        #expect(throws: HTTP1WriteError.invalidStatus) { try response([("x", "20")]) }
    }

    @Test func `frames chunks`() {
        let output = OctetBuffer()
        HTTP1Serializer.writeChunk("abc", to: output)
        HTTP1Serializer.writeChunk("", to: output)
        HTTP1Serializer.writeChunkStart(0x1a2b3c, to: output)
        HTTP1Serializer.writeLastChunk(to: output)
        #expect(output.octets.string == "3\r\nabc\r\n1a2b3c\r\n0\r\n\r\n")
    }

    @Test func `writes what the parser reads`() throws {
        let text = crlf("POST /a HTTP/1.1\nhost: a\nx: 1\ncookie: c\ncontent-length: 3\n\nabc")
        let headers = HeaderBlock()
        var parser = HTTP1Parser(role: .request(.http), limits: .request)
        let written = OctetBuffer()
        try unsafe text.withUnsafeBytes { _ = try unsafe parser.next(Octets($0), headers: headers) }
        try HTTP1Serializer.writeRequest(headers, framing: .length(3), to: written)
        written.append(stableText: "abc")
        #expect(written.octets.array == text)
        let chunked = OctetBuffer()
        try HTTP1Serializer.writeRequest(headers, framing: .chunked, to: chunked)
        for part: Octets in ["a", "bc"] { HTTP1Serializer.writeChunk(part, to: chunked) }
        HTTP1Serializer.writeLastChunk(to: chunked)
        let reading = HTTP1Reading.requests(chunked.octets.array)
        #expect(reading.bodies == ["abc"] && reading.ends == 1)
        #expect(reading.lines == headers.lines.filter { !$0.hasPrefix("content-length") })
    }
}

extension OctetBuffer {
    fileprivate func append(stableText text: Octets) { append(text) }
}
