import Octets
import Testing

@testable import HTTP

/// Source: docs/behaviour.md, HTTP/1.0.
@Suite struct `A client of HTTP/1.0` {
    private let pools = MessagePools()
    private let session: HTTP1Session

    init() { session = HTTP1Session(isServer: true, scheme: .http, pools: pools) }

    private func come(_ text: String) {
        let octets = Array(text.utf8)
        unsafe octets.withUnsafeBytes { bytes in _ = unsafe session.receive(Octets(bytes)) }
    }

    private func sent() -> String {
        let output = OctetBuffer()
        session.flush(into: output, limit: 1 << 20)
        return output.octets.string
    }

    private func answer(_ fields: KeyValuePairs<StaticString, Octets>, _ body: Octets = .empty) -> String {
        let block = pools.takeBlock()
        defer { pools.letGo(block) }
        for (name, value) in fields { block.append(name, value) }
        session.submitResponse(1, block, isEnd: false)
        session.send(1, body)
        session.finish(1)
        return sent()
    }

    @Test func `gets a body that ends with the connection`() {
        come("GET / HTTP/1.0\r\nhost: a\r\n\r\n")
        #expect(session.isOld && session.events.map(\.kind) == [.headers, .end])
        #expect(answer([":status": "200"], "ab") == "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nab")
        #expect(session.isFinished)
    }

    @Test func `may keep the connection where the length is known`() {
        come("GET / HTTP/1.0\r\nhost: a\r\nconnection: Keep-Alive\r\n\r\n")
        #expect(
            answer([":status": "200", "content-length": "2"], "ab")
                == "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nab")
        #expect(!session.isFinished && !session.isClosing)
    }

    @Test func `cannot keep it where the length is not known`() {
        come("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
        #expect(answer([":status": "200"], "ab") == "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nab")
        #expect(session.isFinished)
    }

    @Test func `has nothing behind its request read`() {
        come("GET / HTTP/1.0\r\nhost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
        _ = answer([":status": "200", "content-length": "0"])
        session.endTurn()
        _ = session.receive(.empty)
        #expect(session.events.isEmpty && session.isFinished)
    }

    @Test func `gets no interim answer, and its wishes of HTTP/1.1 are disregarded`() throws {
        come(
            "POST / HTTP/1.0\r\nhost: a\r\nexpect: 100-continue\r\nconnection: upgrade\r\n"
                + "upgrade: websocket\r\ncontent-length: 1\r\n\r\nx")
        #expect(session.events.map(\.kind) == [.headers, .data, .end] && session.upgrade == .none)
        let block = try #require(session.takeHeaders(1))
        #expect(block.first(.expect) == nil && block.first(.protocol) == nil)
        pools.letGo(block)
        let interim = pools.takeBlock()
        interim.append(":status", "103" as Octets)
        session.submitInterim(1, interim)
        pools.letGo(interim)
        #expect(sent() == "")
    }

    @Test(arguments: [
        ("transfer-encoding: chunked\r\n", HTTP1Error.transferEncodingNotAllowed),
        ("transfer-encoding: chunked\r\ncontent-length: 1\r\n", .lengthAndTransferEncoding),
        ("transfer-encoding: identity\r\n", .unknownTransferEncoding),
        ("content-length: 1\r\ncontent-length: 1\r\n", .invalidContentLength),
    ])
    func `is refused where the end of its request is open to doubt`(fields: String, error: HTTP1Error) {
        come("POST / HTTP/1.0\r\nhost: a\r\n\(fields)\r\n0\r\n\r\n")
        #expect(session.violation == error)
    }

    @Test func `has to say the host`() {
        come("GET / HTTP/1.0\r\n\r\n")
        #expect(session.violation == .missingHost)
    }
}
