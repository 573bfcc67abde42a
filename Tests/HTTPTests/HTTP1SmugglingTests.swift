import HTTP
import Testing

/// Pairs of messages of which two servers could see a different number: each has a second request hidden
/// where a lenient reader would find it. Ours either refuses the first or sees exactly one.
@Suite struct `A smuggled request` {
    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let post = "POST / HTTP/1.1\r\nHost: a\r\n"

    @Test(arguments: [
        // CL.TE and TE.CL
        "\(post)Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n\(hidden)",
        // TE.TE: one of two readers does not see the encoding
        "\(post)Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding:\u{0b}chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)X: X\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)X: X\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post) Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked;x=y\r\n\r\n0\r\n\r\n\(hidden)",
        // two lengths
        "\(post)Content-Length: 0\r\nContent-Length: 44\r\n\r\n\(hidden)",
        "\(post)Content-Length: 0, 44\r\n\r\n\(hidden)",
        "\(post)Content-Length: 0 44\r\n\r\n\(hidden)",
        "\(post)Content-Length: 0_4\r\n\r\n\(hidden)",
        // chunk sizes and line ends that are read in two ways
        "\(post)Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\n\r\n0\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n\(hidden)",
        "\(post)Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n\(hidden)",
        // start lines
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n\(hidden)", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n\(hidden)",
        "GET /\u{a0}x HTTP/1.1\r\nHost: a\r\n\r\n\(hidden)", "GET\u{0c}/ HTTP/1.1\r\nHost: a\r\n\r\n\(hidden)",
    ])
    func `is refused with the message that hides it`(text: String) {
        let reading = HTTP1Reading.requests(text.utf8)
        #expect(reading.error != nil)
        #expect(reading.ends == 0)
        #expect(!reading.lines.contains(":path: /hidden"))
    }

    @Test func `in a body stays a body`() {
        let text = "\(Self.post)Content-Length: \(Self.hidden.utf8.count)\r\n\r\n\(Self.hidden)"
        #expect(HTTP1Reading.requests(text.utf8).bodies == [Self.hidden])
        #expect(HTTP1Reading.requests(text.utf8).ends == 1)
        // A client may send a body with GET too; without announcement what follows is a request.
        let pair = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\(Self.hidden)"
        #expect(HTTP1Reading.requests(pair.utf8).ends == 2)
    }

    @Test func `in a response is never taken for one`() {
        let hidden = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n\(hidden)"
        let bodiless = HTTP1Reading.responses(text.utf8, to: ["HEAD"])
        #expect(bodiless.ends == 1)
        #expect(bodiless.error == .unexpectedOctets)
    }
}
