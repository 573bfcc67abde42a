import HTTP
import Octets
import Testing

/// Frames made by hand, one by one: what no session of ours would send.
func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    let length = payload.count
    return [UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
        + (0..<4).map { UInt8(stream >> (24 - 8 * $0) & 255) } + payload
}

private let (data, headers, reset, settings): (UInt8, UInt8, UInt8, UInt8) = (0, 1, 3, 4)
private let (ping, continuation): (UInt8, UInt8) = (6, 9)
private let (end, endHeaders): (UInt8, UInt8) = (1, 4)
private let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
/// GET / of authority "a", without a table.
private let asked: [UInt8] = [0x82, 0x84, 0x86, 0x01, 1, 0x61]

extension HTTP2Side {
    func receive(_ octets: [UInt8]) -> Bool {
        unsafe octets.withUnsafeBytes { unsafe receive(Octets($0)) }
    }

    func flush() -> [UInt8] {
        let out = OctetBuffer()
        session.flush(into: out, limit: .max)
        endTurn()
        return out.octets.array
    }

    static func greeted(isServer: Bool, limits: HTTP2Limits? = nil) throws -> HTTP2Side {
        let side = try HTTP2Side(isServer: isServer, limits: limits ?? (isServer ? HTTP2Limits() : .upstream))
        #expect(side.receive((isServer ? preface : []) + frame(settings, 0, 0) + frame(settings, 1, 0)))
        _ = side.flush()
        return side
    }
}

@Suite struct `An HTTP/2 session given frames made by hand` {
    @Test func `gives a header section to nobody but its stream`() throws {
        let client = try HTTP2Side.greeted(isServer: false)
        let first = try #require(client.request("/first"))
        _ = client.flush()
        #expect(client.receive(frame(headers, end, 1, [0x88])))
        client.session.reset(first, code: ErrorCode.cancel)
        client.endTurn()
        let second = try #require(client.request("/second"))
        #expect(second == first)
        _ = client.flush()
        _ = client.lines()
        #expect(client.receive(frame(continuation, endHeaders, 1)))
        #expect(client.lines() == [])
        #expect(client.receive(frame(headers, end | endHeaders, 3, [0x8d])))
        #expect(client.lines() == ["headers \(second) :status=404 (end)", "end \(second)", "closed \(second) 0"])
        client.checkPools()
    }

    /// A client that cancels and asks anew is within its rights; what it holds in one turn is bounded all the same.
    @Test func `admits no more streams in one turn than may be open, and all of them in several`() throws {
        var limits = HTTP2Limits()
        limits.concurrentStreams = 50
        let server = try HTTP2Side.greeted(isServer: true, limits: limits)
        var octets: [UInt8] = []
        for number in 0..<150 {
            let stream = UInt32(number * 2 + 1)
            octets += frame(headers, end | endHeaders, stream, asked) + frame(reset, 0, stream, [0, 0, 0, 8])
        }
        unsafe octets.withUnsafeBytes { octets in
            var rest = unsafe Octets(octets)
            for turn in 1...3 {
                #expect(server.session.receive(&rest))
                server.endTurn()
                #expect(server.lines().count { $0.hasPrefix("headers") } == 50 && rest.isEmpty == (turn == 3))
            }
        }
        #expect(server.refused.isEmpty)
    }

    @Test func `takes a number of interim responses, and none of them large`() throws {
        let client = try HTTP2Side.greeted(isServer: false)
        _ = try #require(client.request("/many"))
        _ = try #require(client.request("/large"))
        _ = client.flush()
        _ = client.lines()
        let hint: [UInt8] = [0x08, 3] + Array("103".utf8)
        for _ in 0..<18 { _ = client.receive(frame(headers, endHeaders, 1, hint)) }
        #expect(client.lines().count { $0.hasPrefix("headers") } == 16)
        #expect(client.session.openStreams == 1)
        // 9,000 octets of value, twice: the second is too much.
        let rest = 9_000 - 127
        let value = [UInt8](repeating: 0x78, count: 9_000)
        let large: [UInt8] = [0x00, 1, 0x61, 0x7f, UInt8(rest & 127 | 128), UInt8(rest >> 7)] + value
        #expect(client.receive(frame(headers, endHeaders, 3, hint + large)))
        #expect(client.lines().count { $0.hasPrefix("headers") } == 1)
        let isGood = client.receive(frame(headers, 0, 3, hint + large) + frame(continuation, endHeaders, 3, large))
        #expect(isGood && client.session.openStreams == 0)
    }

    @Test func `gives an unsent body back whole, or not at all`() throws {
        let peers = try HTTP2Peers(server: .upstream)
        let slot = try #require(peers.client.request(isEnd: false, keepsBody: true))
        peers.client.send(slot, String(repeating: "x", count: HTTP2Session.replayLimit + 4000))
        peers.client.send(slot, "end")
        #expect(!peers.client.session.hasSentHeaders(slot))
        if let body = peers.client.session.detachBody(slot) {
            #expect(body.count == HTTP2Session.replayLimit + 4003)
            peers.client.pools.give(body)
        }
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.settle()
        peers.checkPools()
    }

    /// They were on their way when it went out.
    @Test func `ignores all frames of streams beyond its GOAWAY`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        #expect(server.receive(frame(headers, end | endHeaders, 1, asked)))
        server.session.refuseNewStreams()
        _ = server.flush()
        let late = frame(headers, endHeaders, 5, asked) + frame(data, 0, 5, [1, 2]) + frame(data, end, 5)
        #expect(server.receive(late + frame(8, 0, 5, [0, 0, 0, 1]) + frame(reset, 0, 5, [0, 0, 0, 8])))
        #expect(server.session.openStreams == 1)
        server.respond(0, isEnd: true)
        server.endTurn()
        _ = server.flush()
        #expect(server.session.isFinished)
        #expect(!server.receive(frame(data, 0, 7)))    // idle all the same
        _ = server.flush()
        server.checkPools()
    }

    /// A client that makes us reset its streams resets them. Source: CVE-2025-8671.
    @Test(
        arguments: [
            ("a body after its end", asked, end, [3]), ("too long a body", asked + [0x0f, 0x0d, 1, 0x31], 0, [3, 4]),
            ("too short a body", asked + [0x0f, 0x0d, 1, 0x39], 0, [3]),
        ] as [(String, [UInt8], UInt8, [UInt8])])
    func `bears only so many wrong bodies`(name: String, section: [UInt8], flags: UInt8, body: [UInt8]) throws {
        let server = try HTTP2Side.greeted(isServer: true)
        var stream: UInt32 = 1
        while stream < 10_000 {
            let octets = frame(headers, flags | endHeaders, stream, section) + frame(data, end, stream, body)
            guard server.receive(octets) else { break }
            #expect(server.session.openStreams == 0)
            _ = server.flush()
            stream += 2
        }
        #expect(stream < 2200, "\(name)")
    }

    /// The smallest size in between must be told, then the last. Source: RFC 7541 §4.2.
    @Test func `tells that its table was empty for a while`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let sizes: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0x10, 0]
        #expect(server.receive(frame(settings, 0, 0, sizes) + frame(headers, end | endHeaders, 1, asked)))
        _ = server.flush()
        server.respond(0, isEnd: true)
        let octets = server.flush()
        #expect(Array(octets.dropFirst(9).prefix(5)) == [0x20, 0x3f, 0xe1, 0x1f, 0x88])
        server.checkPools()
    }

    /// Its slot was that of a stream which had octets to send when it was given up.
    @Test func `says nothing of a request that waits for its turn`() throws {
        let client = try HTTP2Side.greeted(isServer: false)
        let slots = try (0..<2).map { _ in try #require(client.request(isEnd: false)) }
        _ = client.flush()
        for slot in slots { client.send(slot, String(repeating: "x", count: 65_535)) }
        _ = client.flush()
        client.session.reset(slots[1], code: ErrorCode.cancel)
        client.endTurn()
        #expect(client.receive(frame(settings, 0, 0, [0, 3, 0, 0, 0, 1])))
        #expect(client.request("/waits") == slots[1])
        let octets = client.flush()
        #expect(octets.count == 13 + 9, "RST_STREAM and the answer to SETTINGS: \(octets)")
    }

    /// What waits for the connection's window is not overtaken by what comes later.
    @Test func `serves first who waits`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        for stream in [1, 3] as [UInt32] {
            #expect(server.receive(frame(headers, end | endHeaders, stream, asked)))
        }
        for slot in 0..<2 { server.respond(slot) }
        server.send(0, String(repeating: "x", count: 65_535))
        server.send(0, "y")
        _ = server.flush()
        #expect(server.receive(frame(8, 0, 1, [0, 0, 0, 9]) + frame(8, 0, 0, [0, 0, 0, 1])))
        server.send(1, "z")
        #expect(server.flush() == frame(data, 0, 1, [UInt8(ascii: "y")]))
    }

    /// A client that does not read keeps its connection for a moment after its error: answers still come.
    @Test(arguments: [false, true]) func `takes answers when it has come to its end`(isFlushed: Bool) throws {
        let server = try HTTP2Side.greeted(isServer: true)
        for stream in [1, 3] as [UInt32] {
            #expect(server.receive(frame(headers, end | endHeaders, stream, asked)))
        }
        server.respond(1)
        #expect(!server.receive(frame(ping, 0, 0, [1])))
        let before = isFlushed ? server.flush() : []
        server.respond(0)
        server.session.finish(0)
        server.endTurn()
        // HEADERS of stream 3, without END_STREAM, and GOAWAY.
        let octets = before + server.flush()
        let why = Array("a frame's size is wrong (RFC 9113 §4.2): PING of 1 octets on the connection".utf8)
        #expect(octets == frame(headers, endHeaders, 3, [0x88]) + frame(7, 0, 0, [0, 0, 0, 3, 0, 0, 0, 6] + why))
    }
}
