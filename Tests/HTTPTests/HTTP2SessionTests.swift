import HTTP
import Octets
import Testing

private let posted = "headers 0 :method=POST :scheme=http :authority=a :path=/s/M"

@Suite struct `Two HTTP/2 sessions` {
    private let peers: HTTP2Peers
    private var client: HTTP2Side { peers.client }
    private var server: HTTP2Side { peers.server }

    init() throws { peers = try HTTP2Peers() }

    @Test(arguments: [1, 7, 9, 100_000]) func `pass a request and its response`(piece: Int) throws {
        let slot = try #require(client.request(isEnd: false, owner: .exchange(5)))
        client.send(slot, "ask")
        client.session.finish(slot)
        peers.settle(piece: piece)
        let data = piece < 3 ? ["data 0 a", "data 0 s", "data 0 k"] : ["data 0 ask"]
        let asked = server.lines()
        #expect(asked.first == posted && asked.last == "end 0")
        if piece != 7 && piece != 9 { #expect(asked.filter { $0.hasPrefix("data") && $0 != "data 0 " } == data) }
        server.respond(0, [":status": "200", "x": "1"])
        server.send(0, "answer")
        server.session.finish(0)
        peers.settle()
        #expect(
            client.lines() == [
                "headers \(slot) :status=200 x=1", "data \(slot) answer", "end \(slot)", "closed \(slot) 0",
            ])
        #expect(server.lines() == ["closed 0 0"])
        #expect(client.taken == [5: 3] && server.taken == [-1: 6])
        peers.checkPools()
    }

    @Test func `pass a response that is trailers only`() throws {
        let slot = try #require(client.request())
        peers.settle()
        #expect(server.lines() == [posted + " (end)", "end 0"])
        server.respond(0, [":status": "200", "grpc-status": "12"], isEnd: true)
        peers.settle()
        #expect(
            client.lines() == [
                "headers \(slot) :status=200 grpc-status=12 (end)", "end \(slot)", "closed \(slot) 0",
            ])
        peers.checkPools()
    }

    @Test(arguments: [false, true]) func `pass trailers after a body`(isSentBefore: Bool) throws {
        let slot = try #require(client.request())
        peers.settle()
        server.respond(0)
        server.send(0, "x")
        if isSentBefore { peers.settle() }
        server.finish(0, trailers: ["grpc-status": "0", "grpc-message": "fine"])
        peers.settle()
        #expect(
            client.lines() == [
                "headers \(slot) :status=200", "data \(slot) x", "trailers \(slot) grpc-status=0 grpc-message=fine",
                "end \(slot)", "closed \(slot) 0",
            ])
        peers.checkPools()
    }

    @Test func `pass trailers of a request, and of a response without a body`() throws {
        let slot = try #require(client.request(isEnd: false))
        client.send(slot, "x")
        client.finish(slot, trailers: ["checksum": "9"])
        peers.settle()
        #expect(server.lines() == [posted, "data 0 x", "trailers 0 checksum=9", "end 0"])
        server.respond(0)
        server.finish(0, trailers: ["grpc-status": "5"])
        peers.settle()
        let answer = client.lines()
        #expect(answer.contains("trailers \(slot) grpc-status=5") && answer.last == "closed \(slot) 0")
        peers.checkPools()
    }

    @Test func `end a body whose trailers are empty`() throws {
        let slot = try #require(client.request())
        peers.settle()
        server.respond(0)
        peers.settle()
        server.finish(0, trailers: [:])
        peers.settle()
        #expect(client.lines().suffix(2) == ["end \(slot)", "closed \(slot) 0"])
        peers.checkPools()
    }

    @Test func `wait for octets of a body and go on when they come`() throws {
        let slot = try #require(client.request())
        peers.settle()
        server.respond(0)
        for word in ["one", "two", "three"] {
            peers.settle()
            #expect(!server.session.wantsFlush)
            server.send(0, word)
            #expect(server.session.pending(0) == 0)    // framed at once
            #expect(server.session.wantsFlush)
        }
        peers.settle()
        #expect(server.session.pending(0) == 0)
        server.session.finish(0)
        peers.settle()
        #expect(
            client.lines() == [
                "headers \(slot) :status=200", "data \(slot) one", "data \(slot) two", "data \(slot) three",
                "end \(slot)", "closed \(slot) 0",
            ])
        peers.checkPools()
    }

    @Test func `tell several header sections of one read apart`() throws {
        let first = try #require(client.request("/one", owner: .exchange(1)))
        let second = try #require(client.request("/two", owner: .exchange(2)))
        peers.settle()
        let head = "headers 0 :method=POST :scheme=http :authority=a :path="
        let asked = server.lines()
        #expect(asked[0] == head + "/one (end)")
        #expect(asked[2] == head.replacing("headers 0", with: "headers 1") + "/two (end)")
        let early = server.block([":status": "103", "link": "x"])
        server.session.submitInterim(0, early)
        server.session.submitInterim(0, early)
        server.pools.letGo(early)
        server.respond(0)
        server.finish(0, trailers: ["grpc-status": "0"])
        server.respond(1, [":status": "204"], isEnd: true)
        peers.carry(server, client)
        let lines = client.lines()
        #expect(
            lines.filter { $0.hasPrefix("headers \(first) ") } == [
                "headers \(first) :status=103 link=x", "headers \(first) :status=103 link=x",
                "headers \(first) :status=200",
            ])
        #expect(lines.contains("trailers \(first) grpc-status=0"))
        #expect(lines.contains("headers \(second) :status=204 (end)"))
        #expect(!lines.contains { $0.hasSuffix("lost") })
        peers.settle()
        peers.checkPools()
    }

    @Test func `write in pieces when there is a limit`() throws {
        let slot = try #require(client.request())
        peers.settle()
        server.respond(0)
        server.send(0, String(repeating: "x", count: 40_000))
        server.session.finish(0)
        var turns = 0
        while server.session.wantsFlush, turns < 100 {
            #expect(peers.carry(server, client, limit: 1000) <= 17_500)
            turns += 1
        }
        #expect(turns >= 3)
        let lines = client.lines()
        #expect(lines.filter { $0.hasPrefix("data") }.reduce(0) { $0 + $1.utf8.count - "data 0 ".count } == 40_000)
        #expect(lines.last == "closed \(slot) 0")
        peers.settle()
        peers.checkPools()
    }

    /// The first sections of a server need no table; what comes after uses one, and the peer's follows it.
    @Test func `compress headers once a connection is in use`() throws {
        var sizes: [Int] = []
        for number in 0..<12 {
            let slot = try #require(client.request("/\(number)"))
            peers.settle()
            server.respond(0, [":status": "200", "server": "portico", "x-long": "a long value, always the same"])
            server.finish(0, trailers: ["grpc-status": "0", "x-more": "another value, always the same"])
            sizes.append(peers.carry(server, client))
            #expect(
                client.lines() == [
                    "headers \(slot) :status=200 server=portico x-long=a long value, always the same",
                    "trailers \(slot) grpc-status=0 x-more=another value, always the same", "end \(slot)",
                    "closed \(slot) 0",
                ])
        }
        let (first, last) = (try #require(sizes.first), try #require(sizes.last))
        #expect(last < first / 2, "\(sizes)")
        peers.checkPools()
    }

    @Test func `do nothing to a stream that is gone`() throws {
        let slot = try #require(client.request())
        peers.settle()
        server.respond(0, isEnd: true)
        peers.settle()
        for side in [client, server] {
            let gone = side === client ? slot : 0
            side.send(gone, "late")
            side.respond(gone)
            side.finish(gone, trailers: ["late": "1"])
            side.session.reset(gone, code: ErrorCode.cancel)
            side.session.resetAfterEnd(gone)
            side.session.consume(gone, 5)
            side.session.stopKeeping(gone)
            #expect(!side.session.isOpen(gone) && side.session.pending(gone) == 0)
            #expect(side.session.takeHeaders(gone) == nil)
        }
        #expect(peers.carry(client, server) == 0 && peers.carry(server, client) == 0)
        peers.checkPools()
    }

    @Test func `give everything back when a connection ends in the middle`() throws {
        let pools = MessagePools()
        let ledger = PoolLedger(pools)
        do {
            let session = HTTP2Session(isServer: false, limits: .upstream, pools: pools)
            let block = pools.takeBlock()
            for (name, value) in [
                (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
            ] as [(StaticString, StaticString)] { block.append(name, value) }
            let open = try #require(session.submitRequest(block, isEnd: false, owner: .exchange(0), keepsBody: true))
            let waiting = try #require(
                session.submitRequest(block, isEnd: false, owner: .exchange(1), keepsBody: false))
            pools.letGo(block)
            session.send(open, "kept")
            session.send(waiting, "sent")
            let trailers = pools.takeBlock()
            trailers.append("x", "1" as StaticString)
            session.finish(waiting, trailers: trailers)
            pools.letGo(trailers)
            session.flush(into: OctetBuffer(), limit: 40)
            session.send(open, "more")
        }
        ledger.check()
    }
}
