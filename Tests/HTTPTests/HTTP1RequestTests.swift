import HTTP
import Octets
import Testing

@Suite struct `An HTTP/1.1 request` {
    @Test func `becomes the header block that HTTP/2 would give`() {
        let reading = HTTP1Reading.requests(
            crlf(
                """
                POST /a?b=c HTTP/1.1
                Host: a.test:8080
                X-Foo:  one, two\t
                content-Length: 3

                abc
                """))
        #expect(
            reading.lines == [
                ":method: POST", ":scheme: http", ":authority: a.test:8080", ":path: /a?b=c",
                "x-foo: one, two", "content-length: 3",
            ])
        #expect(reading.heads.first?.framing == .length(3))
        #expect(reading.heads.first?.isKeepAlive == true)
        #expect(reading.heads.first?.expectsContinue == false)
        #expect(reading.bodies == ["abc"])
        #expect(reading.ends == 1)
    }

    @Test(arguments: 1...40)
    func `has names of any length in small letters`(length: Int) {
        let alphabet = Array("AbCdEfGhIjKlMnOpQrStUvWxYz-0189_.!")
        let name = String((0..<length).map { alphabet[($0 * 7 + length) % alphabet.count] })
        let reading = HTTP1Reading.requests("GET / HTTP/1.1\r\nHost: a\r\n\(name): v\r\n\r\n".utf8)
        #expect(reading.lines.last == "\(name.lowercased()): v")
    }

    @Test(arguments: [1, 7, 8, 9, 15, 16, 17, 31])
    func `is refused when an octet of a name is none of a token's`(length: Int) {
        for place in 0..<length {
            for odd: UInt8 in [
                0x00, 0x09, 0x20, 0x22, 0x28, 0x2c, 0x2f, 0x3b, 0x40, 0x5b, 0x5d, 0x7b, 0x7f, 0xc1, 0xe1,
            ] {
                var octets = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)
                let start = octets.count
                octets += Array(repeating: UInt8(ascii: "a"), count: length) + Array(": v\r\n\r\n".utf8)
                octets[start + place] = odd
                #expect(HTTP1Reading.requests(octets).failed, "\(odd) at \(place) of \(length)")
            }
        }
    }

    /// `raw` is the text as it is; the answer is status and details.
    struct Refusal: Sendable, CustomTestStringConvertible {
        let raw: String
        let status: Int
        let details: String
        init(_ raw: String, _ status: Int, _ details: String) {
            (self.raw, self.status, self.details) = (raw, status, details)
        }
        var testDescription: String { raw.debugDescription }
    }

    static let host = "GET / HTTP/1.1\r\nHost: a\r\n"

    static let unknown = "http1.invalid_transfer_encoding"
    static let nominated = "http1.connection_header_rejected"
    static let both = "http1.content_length_and_chunked_not_allowed"

    static let framing: [Refusal] = [
        Refusal("\(host)Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, both),
        Refusal("\(host)Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, both),
        Refusal("\(host)Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", 400, both),
        Refusal("\(host)Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: 3, 3\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: +3\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: -1\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: 0x3\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length:\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: 9223372036854775808\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Content-Length: 99999999999999999999999\r\n\r\n", 400, "http1.invalid_content_length"),
        Refusal("\(host)Transfer-Encoding: gzip, chunked\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding: chunked, gzip\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding: chunked, chunked\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding: xchunked\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding:\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, unknown),
        Refusal("\(host)Transfer-Encoding: \u{0b}chunked\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)Transfer-Encoding : chunked\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)Transfer-Encoding:\r\n chunked\r\n\r\n", 400, "http1.codec_error"),
    ]

    static let syntax: [Refusal] = [
        Refusal("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)x: a\r\n b\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET / HTTP/1.1\nHost: a\n\n", 400, "http1.codec_error"),
        Refusal("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)\n", 400, "http1.codec_error"),
        Refusal("\(host)x: a\rb\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)x: a\r\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)x: a\0b\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)x: a\u{01}b\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)x: a\u{7f}b\r\n\r\n", 400, "http1.invalid_characters"),
        Refusal("\(host)no colon\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)nocolon\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host): empty\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host):path: /x\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)a(b: x\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\(host)a@b: x\r\n\r\n", 400, "http1.codec_error"),
        Refusal("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("GET\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"),
        Refusal("\u{16}\u{03}\u{01}\u{02}", 400, "http1.tls_on_clear_text"),
        Refusal("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 426, "low_version"),
        Refusal("GET / HTTP/1.0\r\n\r\n", 400, "missing_host_header"),
        Refusal("GET / HTTP/0.9\r\n\r\n", 426, "low_version"),
        Refusal("GET /\r\n\r\n", 426, "low_version"),
        Refusal("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "http1.unknown_version"),
        Refusal("PRI * HTTP/2.0\r\n\r\n", 505, "http1.unknown_version"),
    ]

    static let target: [Refusal] = [
        Refusal("GET / HTTP/1.1\r\n\r\n", 400, "missing_host_header"),
        Refusal("GET http://a/ HTTP/1.1\r\n\r\n", 400, "missing_host_header"),
        Refusal("\(host)Host: a\r\n\r\n", 400, "http1.duplicate_host"),
        Refusal("\(host)Host: b\r\n\r\n", 400, "http1.duplicate_host"),
        Refusal("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET / HTTP/1.1\r\nHost: é\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.invalid_authority"),
        Refusal("GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "http1.https_url_on_plaintext_connection"),
        Refusal("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"),
        Refusal("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"),
        Refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"),
        Refusal("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"),
        Refusal("\(host)Connection: x-forwarded-for\r\nx-forwarded-for: 1\r\n\r\n", 400, nominated),
        Refusal("\(host)Connection: close, Host\r\n\r\n", 400, nominated),
        Refusal("\(host)Connection: AUTHORIZATION\r\n\r\n", 400, nominated),
    ]

    @Test(arguments: framing + syntax + target)
    func `is refused when two readers could understand it differently`(row: Refusal) {
        let reading = HTTP1Reading.requests(row.raw.utf8)
        #expect(reading.error?.status == row.status)
        #expect(reading.error?.details.description == row.details)
        #expect(reading.heads.isEmpty)
        #expect(HTTP1Reading.requests(row.raw.utf8, piece: 1).error == reading.error)
    }

    @Test(arguments: [
        "Content-Length: 3 \t \n\nabc", "Content-Length: 03\n\nabc", "Transfer-Encoding: Chunked\n\n3\nabc\n0\n\n",
        "Transfer-Encoding: chunked\n\n3;a=b;c=\"x;y\"\nabc\n0\n\n", "Transfer-Encoding: chunked\n\n3 \nabc\n0\n\n",
        "Transfer-Encoding: chunked\n\n0000000000000003\nabc\n00\n\n",
        "Transfer-Encoding: chunked\n\n1\na\n2\nbc\n0\ntrailer: x\nHost: b\nContent-Length: 9\n\n",
    ])
    func `has its body read by either framing`(rest: String) {
        let text = crlf("POST / HTTP/1.1\nHost: a\n\(rest)")
        for piece in [Int.max, 1, 2, 7] {
            let reading = HTTP1Reading.requests(text, piece: piece)
            #expect(reading.bodies == ["abc"])
            #expect(reading.ends == 1)
            #expect(reading.pending.isEmpty)
        }
    }

    @Test(arguments: [
        ("3\nabcd\n0\n\n", HTTP1Error.invalidChunk), ("3\nab\n0\n\n", .invalidChunk), (" 3\nabc\n", .invalidChunk),
        ("0x3\nabc\n", .invalidChunk), ("+3\nabc\n", .invalidChunk), ("-3\nabc\n", .invalidChunk),
        ("\nabc\n", .invalidChunk), ("00000000000000003\nabc\n", .invalidChunk),
        ("ffffffffffffffff\n", .invalidChunk), ("8000000000000000\n", .invalidChunk), ("3 x\nabc\n", .invalidChunk),
        ("0\nbad name: x\n\n", .syntax), ("0\n: x\n\n", .syntax), ("0\n x: y\n\n", .syntax),
        ("0\nx: \u{01}\n\n", .invalidCharacters), ("0\nnocolon\n\n", .syntax),
    ])
    func `is refused when a chunk is malformed`(body: String, error: HTTP1Error) {
        let text = crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n\(body)")
        #expect(HTTP1Reading.requests(text).error == error)
        #expect(HTTP1Reading.requests(text, piece: 1).error == error)
    }

    @Test(arguments: [
        "3\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3;a=\nb\r\nabc\r\n", "3;a=\rb\r\nabc\r\n", "3\r\nabc\r\r\n",
        "0\r\nx: y\n\r\n", "0\r\n\n",
    ])
    func `is refused when a bare line end stands in chunks`(body: String) {
        let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
        #expect(HTTP1Reading.requests(text.utf8).error != nil)
    }

    @Test func `may not hide memory in chunk extensions or trailers`() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let long = String(repeating: "x", count: 5000)
        #expect(HTTP1Reading.requests("\(head)1;\(long)\r\na\r\n".utf8).error == .chunkExtensionTooLarge)
        let many = String(repeating: "1;\(long.prefix(50))\r\na\r\n", count: 100)
        #expect(HTTP1Reading.requests("\(head)\(many)".utf8).error == .chunkExtensionTooLarge)
        let trailer = "0\r\nx: \(long)\(long)\(long)\(long)\r\n\r\n"
        #expect(HTTP1Reading.requests("\(head)\(trailer)".utf8).error == .headersTooLarge)
        let trailers = "0\r\n" + String(repeating: "x: y\r\n", count: 101)
        #expect(HTTP1Reading.requests("\(head)\(trailers)".utf8).error == .tooManyHeaders)
    }

    @Test func `waits for a missing final line end`() {
        let reading = HTTP1Reading.requests("\(Self.host)Transfer-Encoding: chunked\r\n\r\n0\r\n".utf8)
        #expect(reading.error == nil && reading.ends == 0)
    }
}
