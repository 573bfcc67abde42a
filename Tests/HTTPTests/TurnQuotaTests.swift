import Octets
import Testing

@testable import HTTP

private let (data, headers, priority, continuation): (UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 9)
private let (end, endHeaders): (UInt8, UInt8) = (1, 4)
private let asked: [UInt8] = [0x83, 0x84, 0x86, 0x01, 1, 0x61]

@Suite struct `The quota of a turn, on HTTP/2,` {
    /// One read of a socket, full of the smallest frames.
    private static let read = (0..<7000).flatMap { _ in frame(priority, 0, 1, [0, 0, 0, 0, 3]) }

    @Test func `ends reading in the middle of what came, and the rest is read in later turns`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let before = server.session.budget.allowance
        unsafe Self.read.withUnsafeBytes { octets in
            var rest = unsafe Octets(octets)
            #expect(server.session.receive(&rest))
            #expect(server.session.isOverQuota && rest.count == (7000 - 2000) * 14)
            server.session.endTurn()
            #expect(server.session.isOverQuota && !server.session.hasWaitingInput)
            server.session.postpone(rest)
        }
        #expect(server.session.hasWaitingInput)
        var turns = 1
        while server.session.hasWaitingInput {
            var nothing = Octets.empty
            #expect(server.session.receive(&nothing) && nothing.isEmpty)
            server.endTurn()
            turns += 1
        }
        #expect(turns == 4 && !server.session.isOverQuota)
        #expect(before - server.session.budget.allowance == 7000)
        server.checkPools()
    }

    /// Otherwise the clients of the last answers get two small writes instead of one.
    @Test(arguments: [1, 41, 64, 100])
    func `holds all answers that are due on an endpoint's connection, with their trailers`(count: Int) throws {
        let peers = try HTTP2Peers()
        for _ in 0..<count { #expect(peers.client.request() != nil) }
        peers.settle()
        let slots = peers.server.session.slots.indices.filter { peers.server.session.isOpen($0) }
        let head: KeyValuePairs = [
            ":status": "200", "content-type": "application/grpc", "date": "Sat, 28 Nov 2026 21:30:00 GMT",
            "server": "nghttpd nghttp2/1.52.0", "x-envoy-upstream-service-time": "3",
        ]
        for slot in slots { peers.server.respond(slot, head) }
        for slot in slots {
            peers.server.send(slot, "answer")
            peers.server.finish(slot, trailers: ["grpc-status": "0", "grpc-message": "every piece was found"])
        }
        let answers = OctetBuffer()
        peers.server.session.flush(into: answers, limit: .max)
        peers.server.endTurn()
        let client = peers.client
        client.pools.quota = WorkBudget.quota(ofAnswers: count, used: 0)
        var rest = answers.octets
        #expect(client.session.receive(&rest))
        #expect(rest.isEmpty && !client.session.isOverQuota)
        client.endTurn()
        #expect(client.lines().filter { $0.hasPrefix("end") }.count == count)
        #expect(client.session.openStreams == 0)
    }

    /// Source: CVE-2019-9512.
    @Test func `does not matter to answers that are not read, of which there may be a thousand`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let ping = frame(6, 0, 0, Array("12345678".utf8))
        for _ in 0..<1000 { #expect(server.receive(ping)) }
        server.endTurn()
        #expect(server.session.violation == nil)
        _ = server.receive(ping)
        #expect(server.session.violation == .controlFlood)
        let reader = try HTTP2Side.greeted(isServer: true)
        for _ in 0..<3 {
            for _ in 0..<900 { #expect(reader.receive(ping)) }
            _ = reader.flush()
            reader.endTurn()
        }
        #expect(reader.session.violation == nil)
    }

    /// Whatever the owner does with what is left, nothing is lost and nothing read twice.
    @Test func `changes nothing of what is read`() throws {
        var octets: [UInt8] = []
        for number in 0..<700 {
            let stream = UInt32(2 * number + 1)
            octets += frame(headers, endHeaders, stream, asked) + frame(data, 0, stream, [0x41, 0x42])
            octets += frame(priority, 0, stream, [0, 0, 0, 0, 3]) + frame(data, end, stream, [0x43])
        }
        let plain = try HTTP2Side.greeted(isServer: true)
        #expect(plain.receive(octets))
        let postponing = try HTTP2Side.greeted(isServer: true)
        var postponed = 0
        for start in stride(from: 0, to: octets.count, by: 11_111) {
            unsafe octets[start..<min(start + 11_111, octets.count)].withUnsafeBytes { part in
                var rest = unsafe Octets(part)
                #expect(postponing.session.receive(&rest))
                postponing.endTurn()
                if !rest.isEmpty { postponed += 1 }
                postponing.session.postpone(rest)
            }
        }
        while postponing.session.hasWaitingInput { #expect(postponing.receive(Octets.empty)) }
        #expect(postponed > 0 && postponing.lines() == plain.lines())
        for side in [plain, postponing] {
            for slot in side.session.slots.indices where side.session.isOpen(slot) { side.respond(slot, isEnd: true) }
            _ = side.flush()
            side.checkPools()
        }
    }

    @Test func `goes with the session when it ends before its turn`() throws {
        let pools = MessagePools()
        let ledger = PoolLedger(pools)
        for isFailing in [false, true] {
            let session = HTTP2Session(isServer: true, limits: HTTP2Limits(), pools: pools)
            unsafe Self.read.withUnsafeBytes { session.postpone(unsafe Octets($0)) }
            #expect(session.hasWaitingInput)
            guard isFailing else { continue }
            var nothing = Octets.empty
            #expect(!session.receive(&nothing), "it does not begin with a preface")
            session.endTurn()
            #expect(!session.hasWaitingInput)
        }
        ledger.check()
    }
}

@Suite struct `The quota of a turn, on HTTP/1.1,` {
    private let pools = MessagePools()

    @Test func `ends reading among chunks of an octet, and none is lost`() throws {
        let session = HTTP1Session(isServer: false, scheme: .http, pools: pools)
        let request = pools.takeBlock()
        for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", "a")] as [(StaticString, StaticString)]
        {
            request.append(copying: Octets(name), Octets(value))
        }
        _ = try #require(session.submitRequest(request, isEnd: true, owner: .exchange(0), keepsBody: false))
        pools.letGo(request)
        let octets = OctetBuffer()
        octets.append(text: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in 0..<5000 { octets.append(text: "1\r\nx\r\n") }
        octets.append(text: "0\r\n\r\n")
        _ = session.receive(octets.octets)
        var body = 0
        var turns = 1
        while true {
            #expect(session.events.count <= 502)
            body += session.events.reduce(0) { $0 + $1.data.count }
            let isOver = session.events.contains { $0.kind == .closed }
            session.endTurn()
            guard session.hasWaitingInput else {
                #expect(isOver && !session.isOverQuota)
                break
            }
            #expect(session.isOverQuota)
            _ = session.receive(.empty)
            turns += 1
        }
        #expect(body == 5000 && turns == 11 && session.takesRequests)
    }

    /// The quota may end exactly at the end of a body: nothing is left but to say so.
    @Test func `never swallows the end of a message`() throws {
        for length in 480...510 {
            let session = HTTP1Session(isServer: true, scheme: .http, pools: pools)
            let octets = OctetBuffer()
            octets.append(text: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(length)\r\n\r\n")
            _ = session.receive(octets.octets)
            let octet: Octets = "x"
            // All in one turn, an octet at a time.
            for _ in 0..<length { _ = session.receive(octet) }
            while session.hasWaitingInput, !session.events.contains(where: { $0.kind == .end }) {
                session.endTurn()
                _ = session.receive(.empty)
            }
            #expect(session.events.contains { $0.kind == .end }, "\(length)")
        }
    }
}

@Suite struct `A header section that is not complete` {
    @Test func `has a number on HTTP/2, from its first octet to its last`() throws {
        let server = try HTTP2Side(isServer: true, limits: HTTP2Limits())
        let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        let greeting = try #require(server.session.unfinishedHeaders)
        #expect(server.receive(preface))
        #expect(server.session.unfinishedHeaders == greeting)
        #expect(server.receive(frame(4, 0, 0)))
        #expect(server.session.unfinishedHeaders == nil)
        var last = greeting
        for stream in [1, 3] as [UInt32] {
            let octets =
                frame(headers, end, stream, asked) + frame(continuation, 0, stream)
                + frame(continuation, endHeaders, stream)
            #expect(server.receive(Array(octets.prefix(1))))
            let number = try #require(server.session.unfinishedHeaders)
            #expect(number != last)
            for octet in octets.dropFirst().dropLast() {
                #expect(server.receive([octet]))
                #expect(server.session.unfinishedHeaders == number)
            }
            #expect(server.receive(Array(octets.suffix(1))))
            #expect(server.session.unfinishedHeaders == nil)
            last = number
        }
    }

    /// The rest of it came, and waits for its turn: that is no violation of the client.
    @Test func `is none while the rest of it is postponed`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        #expect(server.receive(frame(headers, end, 1, asked)))
        #expect(server.session.unfinishedHeaders != nil)
        let rest = frame(continuation, endHeaders, 1)
        unsafe rest.withUnsafeBytes { server.session.postpone(unsafe Octets($0)) }
        #expect(server.session.unfinishedHeaders == nil)
        #expect(server.receive(Octets.empty))
        #expect(server.session.unfinishedHeaders == nil && server.session.openStreams == 1)
    }

    /// Bodies may take their time here; what is slow there is another limit's matter.
    @Test func `is none while a body comes`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        #expect(server.receive(frame(headers, endHeaders, 1, asked)))
        for octet in frame(data, 0, 1, [UInt8](repeating: 0, count: 9)).prefix(9 + 8) {
            #expect(server.receive([octet]))
        }
        #expect(server.session.unfinishedHeaders == nil)
    }

    @Test func `has a number on HTTP/1.1, another for each request`() {
        let session = HTTP1Session(isServer: true, scheme: .http, pools: MessagePools())
        #expect(session.unfinishedHeaders == nil)
        var last: UInt32?
        for round in 1...3 {
            let text: StaticString = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n"
            let octets = Octets(text)
            for index in 0..<(octets.count - 1) {
                _ = session.receive(octets.slice(index, index + 1))
                session.endTurn()
                #expect(session.unfinishedHeaders != nil && session.unfinishedHeaders != last)
                #expect(!session.hasWaitingInput, "nothing can be done with a part of it")
            }
            last = session.unfinishedHeaders
            _ = session.receive(octets.dropFirst(octets.count - 1))
            session.endTurn()
            #expect(session.unfinishedHeaders == nil, "its body is not complete, which is no matter of headers")
            _ = session.receive("x")
            let response = HeaderBlock()
            response.append(stable: ":status", "200")
            session.endTurn()
            session.submitResponse(round, response, isEnd: true)
            let out = OctetBuffer()
            session.flush(into: out, limit: .max)
            session.endTurn()
            #expect(session.unfinishedHeaders == nil && session.openStreams == 0)
        }
    }

    @Test func `has a number on HTTP/1.1 when it is an answer`() throws {
        let pools = MessagePools()
        let session = HTTP1Session(isServer: false, scheme: .http, pools: pools)
        let request = pools.takeBlock()
        for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", "a")] as [(StaticString, StaticString)]
        {
            request.append(copying: Octets(name), Octets(value))
        }
        _ = try #require(session.submitRequest(request, isEnd: true, owner: .exchange(0), keepsBody: false))
        #expect(session.unfinishedHeaders == nil)
        _ = session.receive("HTTP/1.1 200 OK\r\ncontent-le")
        session.endTurn()
        #expect(session.unfinishedHeaders == 0)
        _ = session.receive("ngth: 2\r\n\r\n")
        session.endTurn()
        #expect(session.unfinishedHeaders == nil)
    }
}
