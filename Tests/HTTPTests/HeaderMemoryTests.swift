import Octets
import Testing

@testable import HTTP

@Suite struct `The sum of header sections` {
    @Test func `leaves room for who holds little, however many hold much`() {
        var holders = HeaderMemory()
        holders.limit = 1_000_000
        let hoarders = (0..<100).map { _ in holders.open() }
        for _ in 0..<100 {
            for holder in hoarders where holders.hasRoom(holder) { holders.change(holder, by: 1000) }
        }
        #expect(holders.octets < holders.limit)
        #expect(hoarders.allSatisfy { !holders.hasRoom($0) })
        let newcomer = holders.open()
        for _ in 0..<5 {
            let hasRoom = holders.hasRoom(newcomer)
            #expect(hasRoom)
            holders.change(newcomer, by: 1000)
        }
        for holder in hoarders { holders.change(holder, by: -holders.octets(of: holder)) }
        #expect(holders.octets == 5000 && holders.hasRoom(hoarders[0]))
    }

    @Test func `counts what outlives its connection`() {
        var holders = HeaderMemory()
        let gone = holders.open()
        holders.change(gone, by: 100)
        holders.close(gone)
        let other = holders.open()
        #expect(other != gone && holders.octets == 100)
        holders.change(gone, by: -100)
        let next = holders.open()
        #expect(next == gone && holders.octets == 0)
    }

    /// 14 octets stand for 56 kB.
    @Test func `refuses streams of a connection that holds its share, and takes them again afterwards`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        server.pools.headerLimit = 400_000
        var octets: [UInt8] = []
        let value = [UInt8](repeating: 0x61, count: 3900)
        let entry: [UInt8] = [0x40, 1, 0x78, 0x7f, UInt8((3900 - 127) & 127 | 128), UInt8((3900 - 127) >> 7)] + value
        let asked: [UInt8] = [0x82, 0x84, 0x86, 0x01, 1, 0x61]
        for number in 0..<20 {
            let fields = number == 0 ? asked + entry : asked + [UInt8](repeating: 0xbe, count: 14)
            octets += [0, UInt8(fields.count >> 8), UInt8(fields.count & 0xff), 1, 5, 0, 0, 0, UInt8(number * 2 + 1)]
            octets += fields
        }
        let left = unsafe octets.withUnsafeBytes { octets in
            var rest = unsafe Octets(octets)
            let isGood = server.session.receive(&rest)
            // Its own quarter of what was left, and one more; then its quota of the turn was used up.
            #expect(isGood && server.session.openStreams == 3 && server.pools.headerOctets > 100_000)
            #expect(server.session.isOverQuota)
            return rest.count
        }
        server.endTurn()    // lets go of what it was told
        #expect(server.refused.allSatisfy { $0 == .headerMemory } && left > 0)
        #expect(server.pools.headerOctets == 0)
    }
}

extension `The sum of header sections` {
    /// The client has broken no rule: its trailers are small.
    @Test func `refuses trailers when nothing is left, for want of memory`() throws {
        let pair = try HTTP2Peers()
        let stream = try #require(pair.client.request(isEnd: false))
        pair.settle()
        pair.server.pools.headerLimit = 0
        pair.client.finish(stream, trailers: ["x-small": "v"])
        pair.settle()
        #expect(pair.server.refused == [.headerMemory], "\(pair.server.refused)")
        #expect(pair.server.session.violation == nil)
    }

    /// Nothing may say that a request was not processed which an endpoint has perhaps.
    @Test func `never refuses a stream that was open before`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let (sections, fields): (UInt8, [UInt8]) = (1, [0x82, 0x84, 0x86, 0x01, 1, 0x61])
        #expect(server.receive(frame(sections, 4, 1, fields)))
        server.pools.headerLimit = 0
        #expect(server.receive(frame(sections, 4, 1, [0x40, 1, 0x78, 1, 0x76])))    // trailers without END_STREAM
        #expect(server.receive(frame(sections, 5, 3, fields)))
        let calm: [UInt8] = frame(3, 0, 1, [0, 0, 0, 11]), refused: [UInt8] = frame(3, 0, 3, [0, 0, 0, 7])
        #expect(server.flush().suffix(26) == calm[...] + refused)
    }
}

@Suite struct `The sum of header sections, on HTTP/1.1,` {
    @Test func `refuses a request when nothing is left, and takes the next one afterwards`() throws {
        let pools = MessagePools()
        pools.headerLimit = 200
        let sessions = (0..<3).map { _ in HTTP1Session(isServer: true, scheme: .http, pools: pools) }
        let text = "GET / HTTP/1.1\r\nhost: a\r\nx: \(String(repeating: "v", count: 100))\r\n\r\n"
        let octets = OctetBuffer(capacity: 256)
        octets.append(text: text)
        for session in sessions.prefix(2) { _ = session.receive(octets.octets) }
        #expect(sessions[0].violation == nil && sessions[1].violation == .headerMemory)
        for session in sessions { session.endTurn() }
        #expect(pools.headerOctets == 0)
        _ = sessions[2].receive(octets.octets)
        #expect(sessions[2].violation == nil)
        sessions[2].endTurn()
    }
}

@Suite struct `Requests that are cancelled` {
    @Test func `cost nothing up to a burst, then time, and in the end the connection`() {
        var allowance = ResetAllowance()
        var pauses = 0
        for number in 1...ResetAllowance.most {
            if !allowance.reset(at: 1) { Issue.record("\(number) were too many") }
            pauses += allowance.takePause()
            if number == ResetAllowance.mostAtOnce { #expect(pauses == 0) }
        }
        #expect(pauses == (ResetAllowance.most - ResetAllowance.mostAtOnce) * 1000 / ResetAllowance.cancelsPerSecond)
        let isBorne = allowance.reset(at: 1)
        #expect(!isBorne)
    }

    @Test func `pause their connection for half a second at a time, at most`() {
        var allowance = ResetAllowance()
        let debt = ResetAllowance.mostAtOnce + 2 * ResetAllowance.cancelsPerSecond
        for _ in 0..<debt { _ = allowance.reset(at: 1) }
        let pauses = (0..<6).map { _ in allowance.takePause() }
        #expect(pauses == [500, 500, 500, 500, 0, 0] && allowance.isSlow)
    }

    @Test func `are made good by those that are completed`() {
        var allowance = ResetAllowance()
        for number in 0..<3 * ResetAllowance.most {
            if !allowance.reset(at: 1) { Issue.record("\(number) were too many") }
            allowance.completed()
        }
    }

    @Test func `are forgotten with time`() {
        var allowance = ResetAllowance()
        for second in 1...200 as ClosedRange<UInt32> {
            for _ in 0..<200 where !allowance.reset(at: second) { Issue.record("\(second) seconds were too long") }
            let pause = allowance.takePause()
            #expect(pause == 0 && !allowance.isSlow)
        }
    }
}
