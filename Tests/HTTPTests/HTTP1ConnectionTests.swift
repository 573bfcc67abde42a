import HTTP
import Octets
import Testing

@Suite struct `An HTTP/1.1 connection` {
    private func head(_ fields: String) -> HTTP1Reading {
        HTTP1Reading.requests(crlf("GET / HTTP/1.1\nHost: a\n\(fields)\n"))
    }

    @Test func `serves pipelined requests in order`() {
        let text = crlf(
            "GET /1 HTTP/1.1\nHost: a\n\nPOST /2 HTTP/1.1\nHost: a\nContent-Length: 2\n\nhi"
                + "GET /3 HTTP/1.1\nHost: a\n\n")
        for piece in [Int.max, 1, 3] {
            let reading = HTTP1Reading.requests(text, piece: piece)
            #expect(reading.heads.count == 3)
            #expect(reading.ends == 3)
            #expect(reading.bodies == ["hi"])
        }
    }

    @Test func `ignores one empty line before a request`() {
        for piece in [Int.max, 1] {
            let text = crlf("\nGET /1 HTTP/1.1\nHost: a\n\n\nGET /2 HTTP/1.1\nHost: a\n\n")
            let reading = HTTP1Reading.requests(text, piece: piece)
            #expect(reading.ends == 2)
            #expect(reading.lines.last == ":path: /1")
        }
    }

    @Test(arguments: [
        ("", true), ("Connection: keep-alive\n", true), ("Connection: close\n", false),
        ("Connection: Keep-Alive, Close\n", false), ("Proxy-Connection: close\n", false),
        ("Connection: x-foo\nConnection: close\n", false),
    ])
    func `stays open unless the request says close`(fields: String, isKept: Bool) {
        #expect(head(fields).heads.first?.isKeepAlive == isKept)
    }

    @Test func `keeps its own fields to itself`() {
        let reading = head(
            """
            Connection: keep-alive, X-Foo, Upgrade, HTTP2-Settings, TE
            Keep-Alive: timeout=5
            Proxy-Connection: keep-alive
            x-foo: 1
            X-FOO: 2
            Upgrade: h2c
            HTTP2-Settings: AAMAAABkAAQAAP__
            TE: gzip, Trailers
            x-bar: 3

            """)
        #expect(Array(reading.lines.dropFirst(4)) == ["x-bar: 3", "te: trailers"])
        #expect(reading.heads.first?.upgrade == HTTP1Upgrade.none)
        #expect(reading.heads.first?.framing == HTTP1Framing.none)
    }

    @Test func `drops nominated lines in front of it, but no pseudo-header field`() {
        let reading = head("x-a: 1\nx-b: 2\nConnection: x-A, :path, :authority\nx-c: 3\n")
        #expect(reading.lines == [":method: GET", ":scheme: http", ":authority: a", ":path: /", "x-b: 2", "x-c: 3"])
    }

    @Test(arguments: [
        ("Connection: Upgrade\nUpgrade: WebSocket\n", HTTP1Upgrade.webSocket), ("Upgrade: websocket\n", .none),
        ("Connection: upgrade\nUpgrade: foo\n", .none), ("Connection: upgrade\nUpgrade: h2c\n", .none),
    ])
    func `upgrades only when both fields ask for it`(fields: String, upgrade: HTTP1Upgrade) {
        #expect(head(fields).heads.first?.upgrade == upgrade)
    }

    @Test func `drops te without trailers and keeps expect`() {
        let reading = head("te: gzip\nExpect: 100-Continue\ntrailer: x\n")
        #expect(Array(reading.lines.dropFirst(4)) == ["expect: 100-Continue", "trailer: x"])
        #expect(reading.heads.first?.expectsContinue == true)
    }

    @Test func `nominates only a few fields`() {
        let names = (0..<17).map { "n\($0)" }.joined(separator: ",")
        #expect(head("Connection: \(names)\n").error == .syntax)
    }

    @Test(arguments: [
        ("GET http://b.test:81/x?y HTTP/1.1", "b.test:81", "/x?y"), ("GET HTTP://b HTTP/1.1", "b", "/"),
        ("GET http://b?q=1 HTTP/1.1", "b", "/?q=1"), ("OPTIONS http://b HTTP/1.1", "b", "*"),
        ("OPTIONS * HTTP/1.1", "a", "*"), ("foo /x HTTP/1.1", "a", "/x"),
        ("GET http://[::1]:8080/x HTTP/1.1", "[::1]:8080", "/x"), ("GET //x#f HTTP/1.1", "a", "//x#f"),
    ])
    func `understands the forms of a target`(line: String, authority: String, path: String) {
        let reading = HTTP1Reading.requests(crlf("\(line)\nHost: a\n\n"))
        #expect(Array(reading.lines.dropFirst(2)) == [":authority: \(authority)", ":path: \(path)"])
    }

    @Test func `has CONNECT as HTTP/2 has it`() {
        let reading = HTTP1Reading.requests(crlf("CONNECT b:443 HTTP/1.1\nHost: b\n\n"))
        #expect(reading.lines == [":method: CONNECT", ":authority: b:443"])
    }

    @Test func `accepts an empty host and obs-text in values`() {
        let reading = HTTP1Reading.requests(crlf("GET / HTTP/1.1\nHost:\nx: é\n\n"), scheme: .https)
        #expect(reading.lines == [":method: GET", ":scheme: https", ":authority: ", ":path: /", "x: é"])
    }

    @Test func `accepts an https target where TLS ends`() {
        let text = crlf("GET https://b/x HTTP/1.1\nHost: a\n\n")
        #expect(HTTP1Reading.requests(text, scheme: .https).lines.contains(":authority: b"))
    }

    @Test func `holds heads to 60 KiB and 100 fields`() {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n"
        let long = String(repeating: "x", count: 61_440 - start.utf8.count - 7)
        #expect(HTTP1Reading.requests("\(start)x: \(long)\r\n\r\n".utf8).ends == 1)
        let tooLong = HTTP1Reading.requests("\(start)x: \(long)x\r\n\r\n".utf8)
        #expect(tooLong.error == .headersTooLarge)
        #expect(HTTP1Reading.requests("\(start)x: \(long)xxxxxxxx".utf8).error == .headersTooLarge)
        let fields = String(repeating: "x: y\r\n", count: 99)
        #expect(HTTP1Reading.requests("\(start)\(fields)\r\n".utf8).ends == 1)
        #expect(HTTP1Reading.requests("\(start)\(fields)x: y\r\n\r\n".utf8).error == .tooManyHeaders)
        #expect(HTTP1Error.tooManyHeaders.status == 431)
    }

    @Test func `stays failed after an error`() {
        var reading = HTTP1Reading.requests(crlf("BAD\nHost: a\n\n"))
        #expect(reading.parser.inputEnded() == .cutShort)
        #expect(!reading.parser.isBetweenMessages)
        let headers = HeaderBlock()
        #expect(throws: HTTP1Error.syntax) {
            _ = try reading.parser.next("GET / HTTP/1.1\r\nHost: a\r\n\r\n", headers: headers)
        }
    }
}
