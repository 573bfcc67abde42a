import HTTP
import Octets
import Testing

@Suite struct `A WebSocket on HTTP/1.1` {
    private let pools = MessagePools()
    private let server: HTTP1Session
    private static let hello =
        "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n"
    private static let accepted =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"

    /// What a session was given: its events point into it until the end of the turn.
    private final class Given {
        var all: [OctetBuffer] = []
    }
    private let given = Given()

    init() { server = HTTP1Session(isServer: true, scheme: .http, pools: pools) }

    private func give(_ text: String, to session: HTTP1Session) {
        let octets = OctetBuffer(capacity: 64)
        octets.append(text: text)
        given.all.append(octets)
        #expect(session.receive(octets.octets))
    }

    private func sent(by session: HTTP1Session) -> String {
        let out = OctetBuffer(capacity: 64)
        session.flush(into: out, limit: .max)
        return out.octets.string
    }

    /// What the session has noted of bodies, and which events it has noted.
    private func events(of session: HTTP1Session) -> (data: String, kinds: [StreamEvent.Kind]) {
        let noted = (session.events.map(\.data.string).joined(), session.events.map(\.kind))
        session.endTurn()
        return noted
    }

    private func block(_ fields: KeyValuePairs<String, String>) -> HeaderBlock {
        let block = pools.takeBlock()
        var place = OctetBuffer(capacity: 64)
        for (name, value) in fields {
            place = OctetBuffer(capacity: 64)
            place.append(text: value)
            let text = OctetBuffer(capacity: 64)
            text.append(text: name)
            block.append(copying: text.octets, place.octets)
        }
        return block
    }

    @Test func `reads nothing behind the handshake until the answer is 101`() {
        give(Self.hello + "abc", to: server)
        #expect(events(of: server) == ("", [.headers]))
        #expect(!server.hasWaitingInput)
        give("def", to: server)
        #expect(events(of: server) == ("", []))
        server.submitResponse(1, block([":status": "101", "sec-websocket-accept": "x"]), isEnd: false)
        #expect(
            sent(by: server)
                == "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\n"
                + "upgrade: websocket\r\n\r\n")
        #expect(server.hasWaitingInput)
        give("", to: server)
        #expect(events(of: server) == ("abcdef", [.data]))
        #expect(!server.hasWaitingInput)
        give("ghi", to: server)
        #expect(events(of: server) == ("ghi", [.data]))
        server.send(1, "jkl")
        #expect(sent(by: server) == "jkl")
        server.finish(1)
        #expect(events(of: server).kinds == [.closed])
        #expect(server.isFinished)
    }

    @Test func `says much in parts, and what has gone of its body counts as taken`() {
        give(Self.hello, to: server)
        _ = events(of: server)
        server.submitResponse(1, block([":status": "101"]), isEnd: false)
        _ = sent(by: server)
        let body = OctetBuffer(capacity: 100_000)
        body.append(text: String(repeating: "x", count: 100_000))
        server.send(1, body.octets)
        var parts: [Int] = []
        var taken: [Int] = []
        while server.wantsFlush, parts.count < 5 {
            let out = OctetBuffer(capacity: 64)
            server.flush(into: out, limit: 40_000)
            parts.append(out.octets.array.count { $0 == UInt8(ascii: "x") })
            taken.append(server.taken.reduce(0) { $0 + $1.count })
        }
        #expect(parts == [40_000, 40_000, 20_000] && taken == [40_000, 80_000, 100_000])
    }

    @Test func `never reads what stands behind a handshake that is refused`() {
        give(Self.hello + Self.hello, to: server)
        #expect(events(of: server).kinds == [.headers])
        server.submitResponse(1, block([":status": "403", "content-length": "2"]), isEnd: false)
        server.send(1, "no")
        #expect(events(of: server).kinds == [])
        server.finish(1)
        #expect(events(of: server).kinds == [.closed])
        #expect(sent(by: server) == "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        give(Self.hello, to: server)
        #expect(events(of: server).kinds == [] && server.isFinished)
    }

    @Test func `holds a client that sends before the answer`() {
        give(Self.hello + String(repeating: "x", count: 70_000), to: server)
        #expect(server.isReadPaused)
    }

    private func client() throws -> (session: HTTP1Session, slot: Int) {
        let session = HTTP1Session(isServer: false, scheme: .http, pools: pools)
        let request = block([":method": "GET", ":path": "/", ":authority": "a", ":protocol": "websocket"])
        let slot = try #require(session.submitRequest(request, isEnd: false, owner: .exchange(1), keepsBody: true))
        #expect(sent(by: session) == "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        return (session, slot)
    }

    @Test func `sends nothing to an upstream before it has answered 101`() throws {
        let (session, slot) = try client()
        session.send(slot, "early")
        #expect(!session.wantsFlush)
        give(Self.accepted + "hello", to: session)
        #expect(events(of: session) == ("hello", [.headers, .data]))
        session.send(slot, "late")
        #expect(sent(by: session) == "late")
        session.inputEnded()
        #expect(events(of: session).kinds == [.end, .closed])
        #expect(session.isFinished)
    }

    @Test func `ends the connection with an upstream that gives another answer`() throws {
        let (session, slot) = try client()
        give("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", to: session)
        #expect(events(of: session) == ("ok", [.headers, .data, .end, .closed]))
        session.send(slot, "x")
        #expect(!session.wantsFlush && !session.takesRequests && session.isFinished)
    }

    @Test func `still sends an upstream the last words of a client that has gone`() throws {
        let (session, slot) = try client()
        give(Self.accepted, to: session)
        session.send(slot, "bye")
        session.reset(slot, code: ErrorCode.cancel)
        #expect(!session.isFinished)
        #expect(sent(by: session) == "bye")
        #expect(session.isFinished)
    }
}
