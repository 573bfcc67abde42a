import Octets
import Testing

@testable import HTTP

@Suite struct `A budget of work` {
    @Test func `bounds what a connection takes of one turn`() {
        var budget = WorkBudget(isServer: true)
        budget.use(WorkBudget.quotaPerTurn - 1)
        #expect(budget.hasLeft(of: WorkBudget.quotaPerTurn))
        budget.use(1)
        #expect(!budget.hasLeft(of: WorkBudget.quotaPerTurn))
        let used = budget.endTurn()
        #expect(used == WorkBudget.quotaPerTurn && budget.hasLeft(of: WorkBudget.quotaPerTurn))
        let isBorne = budget.waste(WorkBudget.quotaPerTurn, at: 0)
        #expect(isBorne && !budget.hasLeft(of: WorkBudget.quotaPerTurn), "useless work takes of the quota too")
    }

    @Test(arguments: [(true, 20_000, 1000), (false, 100_000, 5000)])
    func `bears useless work up to a bound, and a little more each second`(
        isServer: Bool, start: Int, perSecond: Int
    ) {
        var budget = WorkBudget(isServer: isServer)
        var borne = 0
        while budget.waste(1, at: 5) { borne += 1 }
        #expect(borne == start)
        while budget.waste(1, at: 6) { borne += 1 }
        #expect(borne == start + perSecond)
        while budget.waste(1, at: 1_000_000) { borne += 1 }
        #expect(borne == 2 * start + perSecond, "time fills it no higher than it was")
    }

    @Test func `gives an endpoint more of a turn for its requests, up to a bound`() {
        let quotas = [0, 20, 21, 100, .max].map { WorkBudget.quota(ofAnswers: $0, used: 0) }
        #expect(quotas == [4000, 4000, 4200, 20_000, 20_000])
        // The more of the turn is over, the less is left.
        let later = [0, 4000, 5000, 20_000, .max].map { WorkBudget.quota(ofAnswers: 500, used: $0) }
        #expect(later == [20_000, 20_000, 19_000, 4000, 4000])
    }

    @Test(arguments: [0, 1000, 4000, 12_000, 24_000])
    func `gives an endpoint no less for more requests, and no more late in a turn`(used: Int32) {
        let quotas = (0...300).map { WorkBudget.quota(ofAnswers: $0, used: used) }
        #expect(zip(quotas, quotas.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(quotas.allSatisfy { $0 >= WorkBudget.quotaPerTurn })
        #expect(zip(quotas, (0...300).map { WorkBudget.quota(ofAnswers: $0, used: used + 1) }).allSatisfy { $0 >= $1 })
    }

    @Test func `is earned back by useful work, up to ten times what it began with`() {
        var budget = WorkBudget(isServer: true)
        for _ in 0..<1_000_000 { budget.earn(WorkEarning.completedStream) }
        #expect(budget.allowance == 200_000)
        let isBorne = budget.waste(200_000, at: 9)
        #expect(isBorne)
        let isStillBorne = budget.waste(1, at: 9)
        #expect(!isStillBorne)
    }

    /// Nothing that a peer can choose may overflow, or count backwards.
    @Test func `takes the largest section and the most streams there can be`() {
        #expect(WorkCost.decoding(.max) > 0 && WorkCost.vainDecoding(.max) > 0)
        #expect(WorkCost.streams(1_000_000) == 250_000)
        var budget = WorkBudget(isServer: false)
        for _ in 0..<10_000 { _ = budget.waste(.max, at: .max) }
        #expect(budget.allowance == 100_000 && !budget.hasLeft(of: WorkBudget.quotaPerTurn))
    }
}

private let (data, headers, priority, reset, settings): (UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 3, 4)
private let (ping, goAway, windowUpdate, continuation): (UInt8, UInt8, UInt8, UInt8) = (6, 7, 8, 9)
private let (end, endHeaders, padded): (UInt8, UInt8, UInt8) = (1, 4, 8)
/// POST / of authority "a", without a table.
private let asked: [UInt8] = [0x83, 0x84, 0x86, 0x01, 1, 0x61]
private let answered: [UInt8] = [0x88]
private let hint: [UInt8] = [0x08, 3] + Array("103".utf8)

/// Frames that are of no use, sent over and over.
struct Flood: Sendable, CustomTestStringConvertible {
    var name: String
    var frames: [UInt8]
    var violation: HTTP2Violation
    /// How often `frames` may come before the connection ends.
    var most: Int
    var testDescription: String { name }

    /// What a client sends while its stream 1 is open and its stream 3 is over.
    static let ofClients = [
        Flood(
            name: "PRIORITY", frames: frame(priority, 0, 5, [0, 0, 0, 0, 1]), violation: .ignoredFrameFlood,
            most: 20_100),
        Flood(name: "unknown frames", frames: frame(0xbb, 0, 0, [1]), violation: .ignoredFrameFlood, most: 20_100),
        Flood(
            name: "PING", frames: frame(ping, 0, 0, [UInt8](repeating: 0, count: 8)), violation: .pingFlood,
            most: 10_050),
        Flood(name: "SETTINGS", frames: frame(settings, 0, 0), violation: .settingsFlood, most: 1010),
        Flood(name: "acknowledgements", frames: frame(settings, 1, 0), violation: .settingsFlood, most: 20_100),
        Flood(
            name: "SETTINGS that move windows",
            frames: frame(settings, 0, 0, [0, 4, 0, 0, 0, 9]) + frame(settings, 0, 0, [0, 4, 0, 0, 0, 8]),
            violation: .settingsFlood, most: 505),
        Flood(name: "empty DATA", frames: frame(data, 0, 1), violation: .emptyFrameFlood, most: 2010),
        Flood(
            name: "DATA with padding only", frames: frame(data, padded, 1, [3, 0, 0, 0]), violation: .emptyFrameFlood,
            most: 2010),
        Flood(
            name: "WINDOW_UPDATE", frames: frame(windowUpdate, 0, 0, [0, 0, 0, 1]), violation: .windowUpdateFlood,
            most: 20_100),
        Flood(name: "late DATA", frames: frame(data, 0, 3, [1]), violation: .lateFrameFlood, most: 10_050),
        Flood(
            name: "late RST_STREAM", frames: frame(reset, 0, 3, [0, 0, 0, 8]), violation: .lateFrameFlood,
            most: 20_100),
        Flood(
            name: "late trailers",
            frames: frame(headers, end | endHeaders, 3, [0x40, 1, 0x61, 0]), violation: .lateFrameFlood, most: 1010),
        Flood(
            name: "GOAWAY",
            frames: frame(goAway, 0, 0, [UInt8](repeating: 0, count: 8)), violation: .goAwayFlood, most: 1010),
    ]

    /// What an endpoint sends while stream 1 is open and stream 3 is over: the worker gave it up.
    static let ofEndpoints = [
        Flood(
            name: "GOAWAY",
            frames: frame(goAway, 0, 0, [127, 255, 255, 255, 0, 0, 0, 0]), violation: .goAwayFlood, most: 5050),
        Flood(
            name: "late trailers",
            frames: frame(headers, end | endHeaders, 3, answered), violation: .lateFrameFlood, most: 5050),
        Flood(
            name: "late interim responses",
            frames: frame(headers, endHeaders, 3, hint), violation: .lateFrameFlood, most: 5050),
        Flood(name: "late empty DATA", frames: frame(data, 0, 3), violation: .emptyFrameFlood, most: 10_050),
        Flood(name: "late DATA", frames: frame(data, 0, 3, [1]), violation: .lateFrameFlood, most: 50_500),
        Flood(name: "empty DATA", frames: frame(data, 0, 1), violation: .emptyFrameFlood, most: 10_050),
        Flood(
            name: "PING", frames: frame(ping, 0, 0, [UInt8](repeating: 0, count: 8)), violation: .pingFlood,
            most: 50_500),
        Flood(name: "SETTINGS", frames: frame(settings, 0, 0), violation: .settingsFlood, most: 5050),
        Flood(
            name: "PRIORITY", frames: frame(priority, 0, 1, [0, 0, 0, 0, 1]), violation: .ignoredFrameFlood,
            most: 100_500),
        Flood(
            name: "WINDOW_UPDATE", frames: frame(windowUpdate, 0, 1, [0, 0, 0, 1]), violation: .windowUpdateFlood,
            most: 100_500),
    ]
}

@Suite struct `A flood of useless frames` {
    /// - Returns: how often `frames` were borne.
    private func send(_ flood: Flood, to side: HTTP2Side) -> Int {
        var borne = 0
        while borne < 2 * flood.most, side.receive(flood.frames) {
            _ = side.flush()
            borne += 1
        }
        return borne
    }

    private func check(_ flood: Flood, on side: HTTP2Side) {
        let borne = send(flood, to: side)
        #expect(borne <= flood.most && borne >= flood.most / 2)
        #expect(side.session.violation == flood.violation)
        #expect(flood.violation.code == ErrorCode.enhanceYourCalm)
        var goodbye = side.flush()[...]
        while goodbye.count > 9, goodbye[goodbye.startIndex + 3] != goAway {    // answers to frames before
            goodbye = goodbye.dropFirst(9 + Int(goodbye[goodbye.startIndex + 2]))
        }
        #expect(goodbye.count > 17 && goodbye[goodbye.startIndex + 16] == UInt8(ErrorCode.enhanceYourCalm))
        #expect(side.session.isFinished)
    }

    @Test(arguments: Flood.ofClients) func `of a client ends its connection`(flood: Flood) throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let isGood = server.receive(
            frame(headers, endHeaders, 1, asked) + frame(data, 0, 1, [1])
                + frame(headers, end | endHeaders, 3, asked))
        server.respond(1, isEnd: true)
        #expect(isGood)
        _ = server.flush()
        check(flood, on: server)
    }

    @Test(arguments: Flood.ofEndpoints) func `of an endpoint ends its connection`(flood: Flood) throws {
        let client = try HTTP2Side.greeted(isServer: false)
        _ = try #require(client.request(isEnd: false))
        let second = try #require(client.request(isEnd: false))
        _ = client.flush()
        #expect(client.receive(frame(headers, endHeaders, 1, answered)))
        client.session.reset(second, code: ErrorCode.cancel)
        _ = client.flush()
        check(flood, on: client)
    }

    /// Each takes 44 µs to decode: there may be fewer of them than of small ones.
    @Test(arguments: [(0, 1010), (90, 110)]) func `of refused header sections is shorter the larger they are`(
        fields: Int, most: Int
    ) throws {
        let server = try HTTP2Side.greeted(isServer: true)
        let upper: [UInt8] = [0x00, 1, 0x41, 0]    // "A" is no name
        let value = [UInt8](repeating: 0x61, count: 100)
        let section = asked + (0..<fields).flatMap { _ in [0x00, 1, 0x61, 100] + value } + upper
        var stream: UInt32 = 1
        while stream < 10_000, server.receive(frame(headers, end | endHeaders, stream, section)) {
            _ = server.flush()
            stream += 2
        }
        #expect(server.session.violation == .violationFlood)
        #expect(Int(stream / 2) <= most && Int(stream / 2) >= most / 2)
    }

    /// SETTINGS of 32 values that end where they began move no window.
    @Test func `of windows that go up and down moves none`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        for number in 0..<100 { _ = server.receive(frame(headers, endHeaders, UInt32(2 * number + 1), asked)) }
        let before = server.session.budget.allowance
        let changes = (0..<16).flatMap { _ in [0, 4, 0, 0, 0, 9] + [0, 4, 0, 0, 255, 255] as [UInt8] }
        #expect(server.receive(frame(settings, 0, 0, changes)))
        #expect(before - server.session.budget.allowance == WorkCost.settings)
        #expect(server.receive(frame(settings, 0, 0, [0, 4, 0, 0, 0, 9])))
        #expect(before - server.session.budget.allowance == 2 * WorkCost.settings + 25)
        #expect((0..<100).allSatisfy { server.session.slots[$0].sendWindow == 9 })
    }
}

@Suite struct `Honest traffic` {
    /// Messages of an octet, with gRPC's five in front, both ways; the client measures the path with a PING for
    /// each message, and opens both windows for each.
    @Test func `of tiny messages, pings and window updates is served on`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        #expect(server.receive(frame(headers, endHeaders, 1, asked)))
        server.respond(0)
        _ = server.flush()
        let message: [UInt8] = [0, 0, 0, 0, 1, 7]
        let update: [UInt8] = [0, 0, 0, 6]
        let octets =
            frame(data, 0, 1, message) + frame(ping, 0, 0, [UInt8](repeating: 0, count: 8))
            + frame(windowUpdate, 0, 0, update) + frame(windowUpdate, 0, 1, update)
        for number in 0..<60_000 {
            server.send(0, "\0\0\0\0\u{1}\u{7}")
            _ = server.flush()
            guard server.receive(octets) else {
                Issue.record("message \(number): \(String(describing: server.session.violation))")
                return
            }
        }
        #expect(server.session.openStreams == 1)
    }

    /// A client that was away for a while answers all that lies in its windows at once.
    @Test func `of a client that opens its windows late is served on`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        #expect(server.receive(frame(headers, endHeaders, 1, asked)))
        server.respond(0)
        for _ in 0..<10 {
            for _ in 0..<10_000 {
                server.send(0, "\0\0\0\0\u{1}\u{7}")
                _ = server.flush()
            }
            let updates = frame(windowUpdate, 0, 0, [0, 0, 0, 6]) + frame(windowUpdate, 0, 1, [0, 0, 0, 6])
            for _ in 0..<10_000 where !server.receive(updates) { Issue.record("ended") }
        }
    }

    /// With PRIORITY and a WINDOW_UPDATE beside each, as old browsers and libraries send them.
    @Test func `of many requests is served on`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        for number in 0..<30_000 {
            let stream = UInt32(2 * number + 1)
            let octets =
                frame(priority, 0, stream, [0, 0, 0, 0, 1]) + frame(headers, end | endHeaders, stream, asked)
                + frame(windowUpdate, 0, stream, [0, 0, 0, 6])
            guard server.receive(octets) else {
                Issue.record("request \(number): \(String(describing: server.session.violation))")
                return
            }
            server.respond(0, isEnd: true)
            _ = server.flush()
        }
    }

    /// Clients cancel thousands of calls at once; what their endpoint sends meanwhile is late and no violation of its.
    @Test func `of an endpoint whose calls are cancelled is read on`() throws {
        let client = try HTTP2Side.greeted(isServer: false)
        #expect(client.receive(frame(settings, 0, 0, [0, 3, 0, 1, 0, 0])))
        var slots: [Int] = []
        for _ in 0..<10_000 {
            slots.append(try #require(client.request(isEnd: true)))
            _ = client.flush()
        }
        for slot in slots { client.session.reset(slot, code: ErrorCode.cancel) }
        _ = client.flush()
        for number in 0..<10_000 {
            let stream = UInt32(2 * number + 1)
            let octets =
                frame(headers, endHeaders, stream, answered) + frame(data, 0, stream, [1])
                + frame(headers, end | endHeaders, stream, [0x40, 1, 0x61, 0])
            guard client.receive(octets) else {
                Issue.record("stream \(number): \(String(describing: client.session.violation))")
                return
            }
        }
    }

    /// It does not know our limit yet.
    @Test func `of a client that asks for too many streams at first is served on`() throws {
        var limits = HTTP2Limits()
        limits.concurrentStreams = 100
        let server = try HTTP2Side.greeted(isServer: true, limits: limits)
        for number in 0..<900 {
            #expect(server.receive(frame(headers, end | endHeaders, UInt32(2 * number + 1), asked)))
        }
        #expect(server.refused.count == 800 && server.session.openStreams == 100)
    }

    /// Every ten seconds a PING on each of a day's idle connection; and one of SETTINGS in a minute.
    @Test func `of keep-alive is served for days`() throws {
        let server = try HTTP2Side.greeted(isServer: true)
        for round in 0..<20_000 {
            server.pools.second = UInt32(round * 10)
            let octets =
                frame(ping, 0, 0, [UInt8](repeating: 0, count: 8)) + (round % 6 == 0 ? frame(settings, 0, 0) : [])
            guard server.receive(octets) else {
                Issue.record("round \(round)")
                return
            }
            _ = server.flush()
        }
    }
}
