import HTTP
import Octets
import Testing

@Suite struct `An HTTP/1.1 response` {
    @Test func `becomes the header block that HTTP/2 would give`() {
        let reading = HTTP1Reading.responses(
            crlf(
                """
                HTTP/1.1 200 OK
                Server: x
                Connection: x-foo
                X-Foo: 1
                Content-Length: 2

                hi
                """))
        #expect(reading.lines == [":status: 200", "server: x", "content-length: 2"])
        #expect(reading.heads.first?.isKeepAlive == true)
        #expect(reading.bodies == ["hi"])
        #expect(reading.ends == 1)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "HEAD", "content-length: 5"),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", "HEAD", ":status: 200"),
        ("HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", "GET", "content-length: 5"),
        ("HTTP/1.1 204\n\n", "GET", ":status: 204"),
        ("HTTP/1.1 204 No Content\nContent-Length: 0\n\n", "GET", ":status: 204"),
    ])
    func `has no body where none can be`(text: String, method: String, last: String) {
        let reading = HTTP1Reading.responses(crlf(text), to: [method])
        #expect(reading.ends == 1)
        #expect(reading.bodies.isEmpty)
        #expect(reading.lines.last == last)
        #expect(reading.heads.first?.isKeepAlive == true)
    }

    @Test(arguments: [
        "Transfer-Encoding: chunked", "Content-Length: 3", "Transfer-Encoding: gzip", "Content-Length: x",
        "Content-Length: 3\nTransfer-Encoding: chunked",
    ])
    func `has no body with 204, whatever its fields say, and the connection is not used again`(fields: String) {
        let reading = HTTP1Reading.responses(crlf("HTTP/1.1 204 X\n\(fields)\n\n"))
        #expect(reading.error == nil)
        #expect(reading.lines == [":status: 204"])
        #expect(reading.ends == 1 && reading.bodies.isEmpty)
        #expect(reading.heads.first?.isKeepAlive == false)
    }

    @Test func `may be read until the connection closes`() {
        for version in ["1.0", "1.1"] {
            var reading = HTTP1Reading.responses(crlf("HTTP/\(version) 200 OK\n\nabc"), piece: 2)
            #expect(reading.heads.first?.framing == .untilClose)
            #expect(reading.heads.first?.isKeepAlive == false)
            #expect(reading.bodies == ["abc"])
            #expect(reading.parser.inputEnded() == .messageCompleted)
            #expect(reading.parser.inputEnded() == .betweenMessages)
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nabc",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n",
        "HTTP/1.1 20", "", "HTTP/1.1 100 Continue\n\n",
    ])
    func `is cut short when the connection closes too early`(text: String) {
        var reading = HTTP1Reading.responses(crlf(text))
        #expect(reading.error == nil)
        #expect(reading.parser.inputEnded() == .cutShort)
    }

    @Test func `may follow interim responses`() {
        let text = crlf(
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: x\n\n"
                + "HTTP/1.1 200 OK\nContent-Length: 1\n\nx")
        for piece in [Int.max, 1] {
            let reading = HTTP1Reading.responses(text, piece: piece)
            #expect(reading.heads.map(\.status) == [100, 103, 200])
            #expect(reading.heads.map(\.isInterim) == [true, true, false])
            #expect(reading.ends == 1)
        }
        let flood = String(repeating: "HTTP/1.1 100 Continue\n\n", count: 17)
        #expect(HTTP1Reading.responses(crlf(flood)).error == .tooManyInterimResponses)
    }

    @Test(arguments: [
        ("1.0", "Content-Length: 0\n", false), ("1.0", "Connection: keep-alive\nContent-Length: 0\n", true),
        ("1.1", "Content-Length: 0\n", true), ("1.1", "Connection: close\nContent-Length: 0\n", false),
    ])
    func `says whether the connection lives on`(version: String, fields: String, isKept: Bool) {
        let reading = HTTP1Reading.responses(crlf("HTTP/\(version) 200 OK\n\(fields)\n"))
        #expect(reading.heads.first?.isKeepAlive == isKept)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", HTTP1Error.lengthAndTransferEncoding),
        ("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n\n", .invalidContentLength),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n", .unknownTransferEncoding),
        ("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n", .transferEncodingNotAllowed),
        ("HTTP/1.1 101 X\n\n", .unexpectedUpgrade),
        ("HTTP/1.1 99 X\n\n", .syntax), ("HTTP/1.1 099 X\n\n", .syntax), ("HTTP/1.1 2000 X\n\n", .syntax),
        ("HTTP/1.1 2x0 X\n\n", .syntax), ("HTTP/2 200 OK\n\n", .syntax), ("HTTP/1.2 200 OK\n\n", .syntax),
        ("http/1.1 200 OK\n\n", .syntax), ("garbage", .syntax), ("\nHTTP/1.1 200 OK\n\n", .syntax),
        ("HTTP/1.1 200 OK\nbad name: x\n\n", .syntax), ("HTTP/1.1 200 OK\nx: a\n b\n\n", .syntax),
        ("HTTP/1.1 200 OK\nx: a\u{01}\n\n", .invalidCharacters), ("HTTP/1.1 200 O\u{01}\n\n", .invalidCharacters),
    ])
    func `is refused when it is doubtful`(text: String, error: HTTP1Error) {
        #expect(HTTP1Reading.responses(crlf(text)).error == error)
        #expect(HTTP1Reading.responses(crlf(text), piece: 1).error == error)
    }

    @Test func `is refused when nobody asked for it`() {
        let one = "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
        #expect(HTTP1Reading.responses(crlf(one + one)).error == .unexpectedOctets)
        #expect(HTTP1Reading.responses(crlf(one), to: []).error == .unexpectedOctets)
        #expect(HTTP1Reading.responses(crlf(one + one), to: ["GET", "GET"]).ends == 2)
        #expect(HTTP1Reading.responses(crlf("HTTP/1.1 200 OK\nContent-Length: 1\n\nxy")).error == .unexpectedOctets)
    }

    @Test func `may have heads of 256 KiB and 100 fields`() {
        let value = String(repeating: "x", count: 70_000)
        let large = HTTP1Reading.responses("HTTP/1.1 204 X\r\nx: \(value)\r\n\r\n".utf8)
        #expect(large.ends == 1)
        let larger = HTTP1Reading.responses("HTTP/1.1 204 X\r\nx: \(value)\(value)\(value)\(value)".utf8)
        #expect(larger.error == .headersTooLarge)
        let fields = String(repeating: "x: y\r\n", count: 101)
        #expect(HTTP1Reading.responses("HTTP/1.1 204 X\r\n\(fields)\r\n".utf8).error == .tooManyHeaders)
    }

    @Test func `may upgrade a request that asked for it`() throws {
        var parser = HTTP1Parser(role: .response, limits: .response)
        parser.expectResponse(toMethod: "GET", upgrading: true)
        let text: Octets = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        let (consumed, event) = try parser.next(text, headers: HeaderBlock())
        guard case .head(let head) = event else {
            Issue.record("no head")
            return
        }
        #expect(consumed == text.count)
        #expect(head.status == 101 && head.upgrade == .webSocket && !head.isInterim)
    }
}
