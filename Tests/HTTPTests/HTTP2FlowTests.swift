import Octets
import Testing

@testable import HTTP

/// Resets, windows, replays, limits and the end of an HTTP/2 connection.
@Suite struct `An HTTP/2 stream` {
    @Test func `that its server resets shows first all that was sent`() throws {
        let peers = try HTTP2Peers()
        let slot = try #require(peers.client.request())
        peers.settle()
        peers.server.respond(0)
        peers.server.send(0, "half")
        peers.server.session.reset(0, code: ErrorCode.internalError)
        #expect(peers.server.session.wantsFlush)
        peers.settle()
        #expect(peers.client.lines() == ["headers \(slot) :status=200", "data \(slot) half", "closed \(slot) 2"])
        #expect(peers.server.lines().last == "closed 0 2")
        peers.checkPools()
    }

    /// More than is framed at once: only a window may keep a part of it from the client.
    @Test func `that its server resets shows all that its window allows`() throws {
        let peers = try HTTP2Peers(client: .upstream)
        peers.client.consumes = false
        let slot = try #require(peers.client.request())
        peers.settle()
        peers.server.respond(0)
        peers.server.send(0, String(repeating: "x", count: 300_000))
        peers.server.session.reset(0, code: ErrorCode.internalError)
        peers.settle()
        let lines = peers.client.lines()
        let octets = lines.filter { $0.hasPrefix("data") }.reduce(0) { $0 + $1.utf8.count - "data 0 ".count }
        #expect(octets == 65_536)
        #expect(lines.last == "closed \(slot) 2")
        peers.checkPools()
    }

    /// The window of the connection stays closed: what waits, waits. A client that asks and resets again and again
    /// must not make each flush longer.
    @Test func `whose slot others had before it waits in the queue once`() throws {
        let peers = try HTTP2Peers()
        let server = peers.server.session
        server.sendWindow = 0
        for round in 0..<20 {
            let slot = try #require(peers.client.request())
            peers.carry(peers.client, peers.server)
            peers.server.respond(0)
            peers.server.send(0, "x")
            #expect(server.ready.count == 1, "round \(round)")
            peers.carry(peers.server, peers.client)
            #expect(server.ready.count == 1, "round \(round)")
            peers.client.session.reset(slot, code: ErrorCode.cancel)
            peers.carry(peers.client, peers.server)
        }
        let last = try #require(peers.client.request())
        peers.carry(peers.client, peers.server)
        peers.server.respond(0)
        peers.server.send(0, "last")
        server.sendWindow = 65_535
        _ = peers.client.lines()
        peers.server.session.finish(0)
        peers.settle()
        #expect(peers.client.lines().suffix(3) == ["data \(last) last", "end \(last)", "closed \(last) 0"])
        #expect(server.ready.isEmpty)
        peers.checkPools()
    }

    @Test func `that its client resets is gone at once, with what was waiting`() throws {
        let peers = try HTTP2Peers()
        let slot = try #require(peers.client.request(isEnd: false))
        peers.client.send(slot, "never")
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.settle()
        #expect(peers.client.lines() == ["closed \(slot) 8"])
        peers.checkPools()
        let second = try #require(peers.client.request(isEnd: false))
        peers.settle()
        peers.server.respond(0)
        peers.server.send(0, "x")
        peers.client.session.reset(second, code: ErrorCode.cancel)
        peers.settle()
        #expect(peers.client.lines().last == "closed \(second) 8")
        #expect(peers.server.lines().last == "closed 0 8")
        peers.checkPools()
    }

    /// nghttp2 takes back a request that was not sent yet; for the second reset it sends RST_STREAM for a
    /// stream that the server has never seen, and the server ends the whole connection.
    @Test func `that is reset twice before it was sent does no harm to the others`() throws {
        let peers = try HTTP2Peers()
        let other = try #require(peers.client.request("/other"))
        let slot = try #require(peers.client.request())
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.settle()
        let lines = peers.client.lines()
        #expect(lines == ["closed \(slot) 8"])
        #expect(peers.server.session.openStreams == 1 && !peers.isBroken)
        guard peers.server.session.openStreams == 1 else { return }
        peers.server.respond(0, isEnd: true)
        peers.settle()
        #expect(peers.client.lines().last == "closed \(other) 0")
    }

    @Test func `that was answered before its end is told that the rest is not wanted`() throws {
        let peers = try HTTP2Peers()
        let slot = try #require(peers.client.request(isEnd: false))
        peers.client.send(slot, "part")
        peers.settle()
        peers.server.respond(0, [":status": "413"], isEnd: true)
        peers.server.session.resetAfterEnd(0)
        peers.settle()
        #expect(peers.client.lines() == ["headers \(slot) :status=413 (end)", "end \(slot)", "closed \(slot) 0"])
        #expect(peers.server.lines().last == "closed 0 0")
        peers.checkPools()
    }

    /// A client that does not read: its stream is to be reset, is gone before that could be written, and
    /// a new stream has its slot.
    @Test func `is not reset for another that had its slot before`() throws {
        let peers = try HTTP2Peers()
        let first = try #require(peers.client.request(isEnd: false))
        peers.settle()
        peers.server.respond(0)
        peers.server.session.reset(0, code: ErrorCode.internalError)    // not flushed: the socket is full
        peers.client.session.reset(first, code: ErrorCode.cancel)
        peers.carry(peers.client, peers.server)
        let second = try #require(peers.client.request("/second", isEnd: false))
        peers.carry(peers.client, peers.server)
        #expect(peers.server.session.isOpen(0))
        peers.settle()
        #expect(peers.server.session.isOpen(0))
        peers.client.session.reset(second, code: ErrorCode.cancel)
        peers.settle()
        peers.checkPools()
    }

    /// The other side takes so many octets at a time, and the client may be so many ahead: with `steps` each.
    private static let windows: [(steps: [(Int, Int)], name: String)] = [
        ([(400, 1000), (600, 2000), (999, 2000), (1001, 3000), (3000, 3000), (3000, 3000)], "taken at once"),
        ([(600, 1000), (600, 1000), (600, 1000), (600, 1000), (600, 1000), (600, 1000)], "never all of it"),
        ([(1000, 2000), (1100, 2000), (1100, 2000), (1700, 3000)], "now and then"),
    ]

    @Test(arguments: windows.indices) func `gets a larger window when all of it is taken at once`(index: Int) throws {
        var limits = HTTP2Limits()
        limits.streamWindowOctets = 1000
        limits.mostStreamWindowOctets = 3000
        let peers = try HTTP2Peers(server: limits)
        peers.server.consumes = false
        let slot = try #require(peers.client.request(isEnd: false, owner: .exchange(3)))
        peers.client.send(slot, String(repeating: "x", count: 50_000))
        peers.settle()
        var consumed = 0
        for (step, ahead) in Self.windows[index].steps {
            peers.server.session.consume(0, step)
            consumed += step
            peers.settle()
            let told = peers.client.taken[3] ?? 0
            #expect(told <= consumed + ahead, "after \(consumed)")
            if step != 400, step != 999 { #expect(told == consumed + ahead, "after \(consumed)") }
        }
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.settle()
        peers.checkPools()
    }

    /// Uploads that were fast, and whose endpoint then stops: what waits is no more than before they grew.
    @Test func `has no more waiting on its connection for its larger window`() throws {
        var limits = HTTP2Limits()
        limits.connectionWindowOctets = 65_535
        limits.heldOctets = 300_000
        limits.mostStreamWindowOctets = 262_144
        let peers = try HTTP2Peers(server: limits)
        let slots = try (0..<20).map { try #require(peers.client.request(isEnd: false, owner: .exchange($0))) }
        let body = String(repeating: "x", count: 1_000_000)
        for slot in slots {
            peers.client.send(slot, body)
            peers.settle()
        }
        let session = peers.server.session
        #expect((0..<20).allSatisfy { session.window(of: $0) == 262_144 })
        let before = peers.client.taken.values.reduce(0, +)
        #expect(before == 20_000_000)
        peers.server.consumes = false
        for slot in slots { peers.client.send(slot, body) }
        peers.settle()
        let waiting = peers.client.taken.values.reduce(0, +) - before
        #expect((300_000...366_000).contains(waiting))
        for slot in slots { peers.client.session.reset(slot, code: ErrorCode.cancel) }
        peers.settle()
        #expect(session.openStreams == 0 && session.held == 0 && !peers.isBroken)
    }

    @Test func `shares what may wait on its connection with all others`() throws {
        var limits = HTTP2Limits()
        limits.connectionWindowOctets = 65_535
        limits.heldOctets = 100_000
        let peers = try HTTP2Peers(server: limits)
        peers.server.consumes = false
        let slots = try (0..<10).map { try #require(peers.client.request(isEnd: false, owner: .exchange($0))) }
        for slot in slots { peers.client.send(slot, String(repeating: "x", count: 60_000)) }
        peers.settle()
        let total = peers.client.taken.values.reduce(0, +)
        #expect((100_000...200_000).contains(total))    // and the window that was open already
        // What one stream's reader takes, or gives up, is room for the others.
        for stream in 0..<10 { peers.server.session.consume(stream, peers.client.taken[stream] ?? 0) }
        peers.settle()
        #expect(peers.client.taken.values.reduce(0, +) > total)
        for slot in slots { peers.client.session.reset(slot, code: ErrorCode.cancel) }
        peers.settle()
        let last = try #require(peers.client.request(isEnd: false, owner: .exchange(20)))
        peers.client.send(last, String(repeating: "x", count: 60_000))
        peers.settle()
        #expect(peers.client.taken[20] == 60_000)
        peers.client.session.reset(last, code: ErrorCode.cancel)
        peers.settle()
        peers.checkPools()
    }

    @Test func `sends no more than its window, and goes on when octets were consumed`() throws {
        var limits = HTTP2Limits()
        limits.streamWindowOctets = 1000
        limits.mostStreamWindowOctets = 1000
        let peers = try HTTP2Peers(server: limits)
        peers.server.consumes = false
        let slot = try #require(peers.client.request(isEnd: false, owner: .exchange(3)))
        let other = try #require(peers.client.request("/other", isEnd: false, owner: .exchange(4)))
        peers.client.send(slot, String(repeating: "x", count: 2500))
        peers.settle()
        #expect(peers.client.taken[3] == 1000 && peers.client.session.pending(slot) == 1500)
        peers.client.send(other, "not held up")
        peers.settle()
        #expect(peers.server.lines().contains("data 1 not held up"))
        peers.server.session.consume(0, 600)
        peers.settle()
        #expect(peers.client.taken[3] == 1600)
        peers.server.session.consume(0, 1000)
        peers.settle()
        #expect(peers.client.taken[3] == 2500)
        for slot in [slot, other] { peers.client.session.reset(slot, code: ErrorCode.cancel) }
        peers.settle()
        peers.checkPools()
    }

    /// Streams that wait must not use up what all streams share.
    @Test func `does not take the connection's window from the others`() throws {
        var limits = HTTP2Limits()
        limits.streamWindowOctets = 60_000
        limits.connectionWindowOctets = 65_535
        let peers = try HTTP2Peers(server: limits)
        peers.server.consumes = false
        let slots = try (0..<4).map { try #require(peers.client.request(isEnd: false, owner: .exchange($0))) }
        for slot in slots { peers.client.send(slot, String(repeating: "x", count: 70_000)) }
        peers.settle()
        #expect(peers.client.taken == [0: 60_000, 1: 60_000, 2: 60_000, 3: 60_000])
        for slot in slots { peers.client.session.reset(slot, code: ErrorCode.cancel) }
        peers.settle()
        peers.checkPools()
    }

    @Test func `can be replayed elsewhere, whole`() throws {
        let (first, second) = (try HTTP2Peers(), try HTTP2Peers())
        let slot = try #require(first.client.request(isEnd: false, keepsBody: true))
        first.client.send(slot, "one ")
        first.settle()
        first.client.send(slot, "two ")
        first.settle()
        first.client.send(slot, "three")
        let body = try #require(first.client.session.detachBody(slot))
        #expect(body.octets == "one two three")
        first.client.session.reset(slot, code: ErrorCode.cancel)
        let again = try #require(second.client.request(isEnd: false, keepsBody: true))
        second.client.session.send(again, body.octets)
        first.client.pools.give(body)
        second.client.session.finish(again)
        second.settle()
        #expect(second.server.lines().suffix(2) == ["data 0 one two three", "end 0"])
        second.server.respond(0, isEnd: true)
        first.settle()
        second.settle()
        first.checkPools()
        second.checkPools()
    }

    @Test func `cannot be replayed once its body is gone or too long`() throws {
        let peers = try HTTP2Peers(server: .upstream)
        let unsent = try #require(peers.client.request(isEnd: false))
        peers.client.send(unsent, "unsent")
        let body = try #require(peers.client.session.detachBody(unsent))
        #expect(body.octets == "unsent")
        peers.client.pools.give(body)
        peers.client.session.reset(unsent, code: ErrorCode.cancel)

        let unkept = try #require(peers.client.request(isEnd: false))
        let stopped = try #require(peers.client.request(isEnd: false, keepsBody: true))
        let long = try #require(peers.client.request(isEnd: false, keepsBody: true))
        for slot in [unkept, stopped] { peers.client.send(slot, "x") }
        peers.client.send(long, String(repeating: "x", count: HTTP2Session.replayLimit + 1))
        peers.settle()
        peers.client.session.stopKeeping(stopped)
        for slot in [unkept, stopped, long] {
            #expect(peers.client.session.detachBody(slot) == nil)
            peers.client.session.reset(slot, code: ErrorCode.cancel)
        }
        peers.settle()
        peers.checkPools()
    }

    @Test func `with too many headers is refused and may be answered, the connection lives`() throws {
        var limits = HTTP2Limits()
        limits.headerFields = 10
        limits.headerOctets = 1000
        let peers = try HTTP2Peers(server: limits)
        let many = try #require(
            peers.client.request(
                more: ["a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": ""]))
        let large = try #require(peers.client.request(more: ["a": String(repeating: "x", count: 900)]))
        let good = try #require(peers.client.request(more: ["a": "1"]))
        peers.settle()
        #expect(peers.server.refused == [.tooManyHeaders, .headersTooLarge])
        for stream in [0, 1] { peers.server.respond(stream, isEnd: true) }
        peers.settle()
        let answers = peers.client.lines().filter { $0.hasPrefix("closed") }
        #expect(answers == ["closed \(many) 0", "closed \(large) 0"])
        let asked = peers.server.lines()
        #expect(
            asked.filter { $0.hasPrefix("headers") } == [
                "headers 2 :method=POST :scheme=http :authority=a :path=/s/M a=1 (end)"
            ])
        #expect(peers.server.session.isOpen(2) && !peers.isBroken)
        peers.server.respond(2, isEnd: true)
        peers.settle()
        #expect(peers.client.lines().last == "closed \(good) 0")
        peers.checkPools()
    }

    @Test func `over the peer's limit waits for its turn`() throws {
        var limits = HTTP2Limits()
        limits.concurrentStreams = 1
        let peers = try HTTP2Peers(server: limits)
        #expect(peers.client.session.peerConcurrentStreams == 1)
        let first = try #require(peers.client.request("/first"))
        let second = try #require(peers.client.request("/second"))
        peers.settle()
        #expect(peers.server.session.openStreams == 1)
        peers.server.respond(0, isEnd: true)
        peers.settle()
        #expect(peers.client.lines().last == "closed \(first) 0")
        #expect(peers.server.session.openStreams == 1)
        peers.client.session.reset(second, code: ErrorCode.cancel)
        peers.settle()
        peers.checkPools()
    }
}

@Suite struct `The end of an HTTP/2 connection` {
    @Test func `comes in two steps, and nothing on its way is lost`() throws {
        let peers = try HTTP2Peers()
        let first = try #require(peers.client.request("/first"))
        peers.settle()
        peers.server.session.announceShutdown()
        let early = try #require(peers.client.request("/early"))
        peers.carry(peers.client, peers.server)
        #expect(peers.server.session.openStreams == 2)
        peers.server.session.refuseNewStreams()
        let out = OctetBuffer()
        peers.server.session.flush(into: out, limit: .max)
        let late = try #require(peers.client.request("/late"))
        peers.carry(peers.client, peers.server)
        #expect(peers.server.session.openStreams == 2)
        #expect(peers.client.receive(out.octets))
        peers.client.endTurn()
        #expect(peers.client.lines() == ["goAway 0", "goAway 0", "closed \(late) 7"])
        #expect(!peers.client.session.takesRequests)
        #expect(!peers.server.session.isFinished)
        for slot in [0, 1] { peers.server.respond(slot, isEnd: true) }
        peers.settle()
        let last = peers.client.lines()
        #expect(last.contains("closed \(first) 0") && last.contains("closed \(early) 0"))
        #expect(peers.server.session.isFinished)
        peers.checkPools()
    }

    @Test func `closes a stream that was opened too late, unsent`() throws {
        let peers = try HTTP2Peers()
        peers.server.session.refuseNewStreams()
        peers.settle()
        let slot = try #require(peers.client.request())
        peers.settle()
        let lines = peers.client.lines()
        #expect(lines.count == 2 && lines.last?.hasPrefix("closed \(slot) ") == true, "\(lines)")
        #expect(peers.server.lines() == [])
        peers.checkPools()
    }

    @Test func `by an error tells the peer why`() throws {
        let peers = try HTTP2Peers()
        let slot = try #require(peers.client.request())
        peers.settle()
        peers.server.session.terminate(code: ErrorCode.protocolError)
        peers.settle()
        #expect(peers.client.lines().contains("goAway 1"))
        #expect(peers.server.session.isFinished)
        peers.client.session.reset(slot, code: ErrorCode.cancel)
        peers.carry(peers.client, peers.server)
        peers.client.checkPools()
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] as [StaticString])
    func `comes at once for who does not speak HTTP/2`(text: StaticString) throws {
        let server = try HTTP2Side(isServer: true, limits: HTTP2Limits())
        #expect(!server.receive(Octets(text)))
        server.endTurn()
        server.checkPools()
    }
}
