import Balancing
import HTTP
import Reactor
import Testing

@testable import Proxy

@Suite struct `The life of a connection` {
    private typealias Phase = ConnectionState.Phase
    private static let start = MonotonicTime(nanoseconds: 5_000_000_000)
    private let start = Self.start

    private var limits: Limits {
        var limits = Limits()
        limits.connectTimeout = .seconds(1)
        limits.helloTimeout = .seconds(2)
        limits.handshakeTimeout = .seconds(3)
        limits.firstOctetsTimeout = .seconds(4)
        limits.proxyHeaderTimeout = .seconds(8)
        limits.headerTimeout = .seconds(5)
        limits.idleTimeout = .seconds(60)
        limits.relayIdleTimeout = .seconds(90)
        limits.upstreamIdleTimeout = .seconds(20)
        limits.lingerTimeout = .seconds(7)
        return limits
    }

    private func state(_ role: ConnectionRole, _ phase: ConnectionState.Phase) -> ConnectionState {
        ConnectionState(role: role, phase: phase, now: start)
    }

    @Test func `an endpoint that declined octets takes none later, and a client is not read for its last words`() {
        var endpoint = state(.upstream, .open(.serving))
        let isRead = endpoint.declined(at: start)
        let isFree = endpoint.becameWritable()
        endpoint.writingBlocked()
        #expect(isRead && !isFree)
        #expect(endpoint.writing == .over && endpoint.hasHungUp && !endpoint.isServing)
        var client = state(.downstream, .open(.serving))
        let isClientRead = client.declined(at: start)
        #expect(!isClientRead && client.writing == .free)
    }

    @Test(
        arguments: [
            (.upstream, .connecting, 1, .connectTimedOut),
            (.downstream, .handshaking(hasHello: false), 2, .handshakeTimedOut),
            (.downstream, .handshaking(hasHello: true), 3, .handshakeTimedOut),
            (.downstream, .sniffing(hasOctets: false), 4, .silent),
            (.downstream, .sniffing(hasOctets: true), 3, .prefaceTimedOut),
            (.downstream, .proxyHeader(isUrgent: true), 8, .proxyHeaderTimedOut),
            (.downstream, .proxyHeader(isUrgent: false), 4, .proxyHeaderTimedOut),
            (.downstream, .open(.serving), 60, .idle), (.upstream, .open(.serving), 20, .idle),
            (.downstream, .open(.announced), 60, .idle), (.upstream, .open(.draining), 20, .idle),
            (.downstream, .open(.overdue), 7, .overdue), (.upstream, .closing, 7, .overdue),
            (.downstream, .lingering, 7, .overdue),
            (.downstream, .relaying, 90, .relayIdle), (.upstream, .relaying, 90, .relayIdle),
        ] as [(ConnectionRole, ConnectionState.Phase, Int, ConnectionState.Expiry)])
    func `has a deadline in each phase, and says what its end means`(
        role: ConnectionRole, phase: ConnectionState.Phase, seconds: Int, expiry: ConnectionState.Expiry
    ) {
        let state = state(role, phase)
        let deadline = start + .seconds(seconds)
        #expect(state.deadline(limits, isIdle: true) == deadline)
        let early = state.expiry(limits, isIdle: true, at: start + .milliseconds(seconds * 1000 - 1))
        #expect(early == .notYet(deadline))
        #expect(state.expiry(limits, isIdle: true, at: deadline) == expiry)
    }

    @Test func `has none when it is closed, and stays closed`() {
        var state = state(.downstream, .open(.serving))
        state.enter(.closed, at: start)
        state.enter(.open(.serving), at: start)
        let isChanged = state.stand(.draining, at: start)
        #expect(state.isClosed && !state.isOpen && !state.isServing && !isChanged)
        #expect(state.deadline(limits, isIdle: true) == nil)
        #expect(state.expiry(limits, isIdle: true, at: start + .seconds(9999)) == .nothing)
    }

    @Test func `counts each phase from its beginning`() {
        var state = state(.downstream, .sniffing(hasOctets: false))
        state.enter(.handshaking(hasHello: false), at: start + .seconds(3))
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(5))
        state.octetsCame(at: start + .seconds(4))
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(5), "octets refresh a handshake")
    }

    @Test(arguments: [(ConnectionRole.downstream, 60), (.upstream, 20)])
    func `is idle since its last octets, and asks again after its own role's time`(role: ConnectionRole, seconds: Int) {
        var state = state(role, .open(.serving))
        state.octetsCame(at: start + .seconds(5))
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(5 + seconds))
        let now = start + .seconds(500)
        #expect(state.expiry(limits, isIdle: false, at: now) == .notYet(now + .seconds(seconds)))
        #expect(state.expiry(limits, isIdle: true, at: now) == .idle)
    }

    @Test func `has its standing move on and never back`() {
        let all: [ConnectionState.Standing] = [.serving, .announced, .draining, .overdue]
        for before in all {
            for after in all {
                var state = state(.downstream, .open(before))
                let isChanged = state.stand(after, at: start + .seconds(1))
                #expect(isChanged == (before < after) && state.standing == max(before, after))
                #expect(state.isServing == (max(before, after) < .draining) && state.isOpen)
            }
        }
        for phase: Phase in [.connecting, .sniffing(hasOctets: false), .closing, .lingering] {
            var state = state(.upstream, phase)
            let isChanged = state.stand(.draining, at: start)
            #expect(!isChanged && state.phase == phase)
        }
        #expect(state(.upstream, .connecting).standing == .serving && !state(.upstream, .connecting).isOpen)
        #expect(state(.upstream, .closing).standing == .overdue && state(.upstream, .closing).isOpen)
        #expect(state(.upstream, .lingering).standing == .overdue && !state(.upstream, .lingering).isOpen)
    }

    @Test func `gives a header section its time, which no octet refreshes and another section begins anew`() {
        var state = state(.downstream, .open(.serving))
        let isBegun = state.headers(unfinished: 7, at: start + .seconds(1))
        let isAgain = state.headers(unfinished: 7, at: start + .seconds(3))
        #expect(isBegun && !isAgain)
        state.octetsCame(at: start + .seconds(4))
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(6))
        #expect(state.expiry(limits, isIdle: false, at: start + .seconds(6)) == .headersTimedOut)
        let isOther = state.headers(unfinished: 8, at: start + .seconds(4))
        #expect(isOther && state.deadline(limits, isIdle: true) == start + .seconds(9))
        let isNone = state.headers(unfinished: nil, at: start + .seconds(5))
        #expect(!isNone && state.headersSince == nil)
        let isSame = state.headers(unfinished: 8, at: start + .seconds(6))
        #expect(isSame, "the same number after an end is another section")
        #expect(state.deadline(limits, isIdle: true) == start + .seconds(11))
    }
}

@Suite struct `The lists of a worker's connections` {
    private func connection() -> Connection {
        let made = Connection(slot: 0, descriptor: -1, listener: 0, peer: nil, now: MonotonicTime(nanoseconds: 1))
        made.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 1))
        return made
    }

    @Test func `read a connection once, however often it was paused and resumed`() {
        let lists = ConnectionLists()
        let connection = connection()
        for _ in 0..<1000 {
            lists.listForReading(connection)
            connection.state.pauseReading()
            lists.resumeReading(connection)
        }
        var reads = 0
        for _ in 0..<10 { lists.readLeftOver(isLong: { false }) { _ in reads += 1 } }
        #expect(reads == 1 && !lists.hasUnread && connection.state.reading == .ready)
    }

    @Test func `do not read what was paused or held since, and list it again`() {
        let lists = ConnectionLists()
        let connection = connection()
        var reads = 0
        let changes: [(inout ConnectionState) -> Void] = [
            { $0.pauseReading() }, { $0.holdReading() }, { $0.awaitReadiness() },
        ]
        for change in changes {
            lists.listForReading(connection)
            change(&connection.state)
            lists.readLeftOver(isLong: { false }) { _ in reads += 1 }
            #expect(reads == 0 && !lists.hasUnread)
        }
        lists.listForReading(connection)
        lists.readLeftOver(isLong: { false }) { _ in reads += 1 }
        #expect(reads == 1)
    }

    @Test func `read four in a turn, in order, and those first that waited longer`() {
        let lists = ConnectionLists()
        let all = (0..<6).map { _ in connection() }
        for each in all { lists.listForReading(each) }
        var order: [Int] = []
        lists.readLeftOver(isLong: { false }) { read in
            order.append(all.firstIndex { $0 === read } ?? -1)
            lists.listForReading(read)
        }
        #expect(order == [0, 1, 2, 3])
        lists.readLeftOver(isLong: { false }) { read in order.append(all.firstIndex { $0 === read } ?? -1) }
        #expect(order == [0, 1, 2, 3, 4, 5, 0, 1])
    }

    /// What comes on an endpoint's connection without requests is its end.
    @Test func `put off what has had much to do in a long turn, but no endpoint's connection without requests`() {
        let lists = ConnectionLists()
        let (client, endpoint) = (connection(), Self.endpointConnection())
        client.noteWork(100_000)
        endpoint.noteWork(100_000)
        #expect(!lists.hasToWait(client, isCrowded: false))
        #expect(lists.hasToWait(client, isCrowded: true) && client.state.reading == .listed)
        #expect(!lists.hasToWait(endpoint, isCrowded: true) && endpoint.state.reading == .ready)
        let other = connection()
        other.noteWork(100_000)
        other.forgetOldWork(at: MonotonicTime(nanoseconds: 1_000_000_000))
        #expect(other.isHeavy)
        other.forgetOldWork(at: MonotonicTime(nanoseconds: 1_000_000_001))
        #expect(!other.isHeavy && !lists.hasToWait(other, isCrowded: true))
    }

    private static func endpointConnection() -> Connection {
        let endpoint = Endpoint(EndpointState(address: .unix(path: "@portico-lists"), numbers: EndpointNumbers()))
        let pool = EndpointPool(endpoint: endpoint, transport: UpstreamTransport(isHTTP2: true))
        let made = Connection(slot: 0, descriptor: -1, pool: pool, now: MonotonicTime(nanoseconds: 1))
        made.state.enter(.open(.serving), at: MonotonicTime(nanoseconds: 1))
        return made
    }

    @Test func `read one when the turn is long, and the others in the next turns`() {
        let lists = ConnectionLists()
        let all = (0..<3).map { _ in connection() }
        for each in all { lists.listForReading(each) }
        for count in 1...3 {
            var read: [Int] = []
            lists.readLeftOver(isLong: { true }) { each in read.append(all.firstIndex { $0 === each } ?? -1) }
            #expect(read == [count - 1])
        }
        #expect(!lists.hasUnread)
    }

    @Test func `give each a number of writes, and one when all together have had as many full ones`() {
        let lists = ConnectionLists()
        let (first, second) = (connection(), connection())
        for _ in 0..<2 {
            lists.turnBegins()
            var writes = 0
            while lists.takeWrite(to: first, most: 3) {
                writes += 1
                lists.noteFullWrite()
            }
            #expect(writes == 3)
            #expect(lists.takeWrite(to: second, most: 3) && !lists.takeWrite(to: second, most: 3))
        }
        lists.turnBegins()
        for _ in 0..<3 { #expect(lists.takeWrite(to: first, most: 3) && lists.takeWrite(to: second, most: 3)) }
        #expect(!lists.takeWrite(to: second, most: 3))
    }

    @Test func `go on with handshakes when all else is done: at least one in a turn, more while it is not long`() {
        let lists = ConnectionLists()
        let all = (0..<10).map { _ in Self.newConnection() }
        for each in all { #expect(lists.hasToWait(each, isCrowded: false) && lists.hasUnread) }
        #expect(lists.hasToWait(all[9], isCrowded: false), "it is listed twice")
        all[3].state.enter(.closed, at: MonotonicTime(nanoseconds: 1))
        lists.readLeftOver(isLong: { false }) { _ in Issue.record("it is read before others are served") }
        var order: [Int] = []
        for expected in [[0, 1], [2], [4], [5, 6, 7, 8, 9]] {
            var (flushed, work) = (0, expected.count == 1 ? WorkBudget.quotaPerTurn : 0)
            let read = { (each: Connection) in
                order.append(all.firstIndex { $0 === each } ?? -1)
                work += expected.count == 2 ? WorkBudget.quotaPerTurn / 2 : 1
                lists.markDirty(each)
            }
            lists.readLate(work: { work }, read) { _ in flushed += 1 }
            #expect(Array(order.suffix(expected.count)) == expected && flushed == expected.count)
        }
        #expect(order.count == all.count - 1 && !lists.hasUnread)
    }

    /// As many may go in a turn as come.
    @Test func `end connections in a long turn, too`() {
        let lists = ConnectionLists()
        let all = (0..<30).map { _ in connection() }
        for each in all {
            each.state.peerHungUp()
            #expect(!lists.hasToWait(each, isCrowded: false) && lists.hasToWait(each, isCrowded: true))
        }
        var (work, read) = (2 * WorkBudget.quotaPerTurn, 0)
        var cost = TurnCost.closing
        let count = { (_: Connection) in (work, read) = (work + cost, read + 1) }
        lists.readLate(work: { work }, count) { _ in }
        #expect(read == Listeners.acceptsPerTurn && lists.hasUnread)
        cost = 100_000
        lists.readLate(work: { work }, count) { _ in }
        #expect(read == Listeners.acceptsPerTurn + 1)
    }

    @Test func `do not put off clear text, and each step of a handshake`() {
        let lists = ConnectionLists()
        let now = MonotonicTime(nanoseconds: 1)
        for hasHello in [true, false] {    // a second ClientHello may follow, and is the one that is signed for
            let connection = Self.newConnection()
            connection.state.enter(.handshaking(hasHello: hasHello), at: now)
            #expect(lists.hasToWait(connection, isCrowded: false))
        }
        let clear = Connection(slot: 0, descriptor: -1, listener: 0, peer: nil, now: now)
        #expect(!lists.hasToWait(clear, isCrowded: true))
    }

    @Test func `put what is thrown away off, and do not count it as others`() {
        let lists = ConnectionLists()
        let lingering = connection()
        lingering.state.enter(.lingering, at: MonotonicTime(nanoseconds: 1))
        #expect(lists.hasToWait(lingering, isCrowded: false) && lists.hasUnread && !lists.haveOthers)
    }

    /// Of a listener with TLS.
    private static func newConnection() -> Connection {
        let made = Connection(slot: 0, descriptor: -1, listener: 0, peer: nil, now: MonotonicTime(nanoseconds: 1))
        made.expectsTLS = true
        return made
    }

    @Test func `flush each that is dirty once, also those that a flush makes dirty, and free what closed`() {
        let lists = ConnectionLists()
        let (first, second) = (connection(), connection())
        lists.markDirty(first)
        lists.markDirty(first)
        var flushed = 0
        lists.flushAll { each in
            flushed += 1
            if each === first, flushed == 1 { lists.markDirty(second) }
        }
        #expect(flushed == 2 && !first.isDirty && !second.isDirty)
        lists.keepClosed(first)
        var freed = 0
        for _ in 0..<2 { lists.releaseClosed { _ in freed += 1 } }
        #expect(freed == 1)
    }

    @Test func `read none again in a turn of which it has had its part, and keep its place`() {
        let lists = ConnectionLists()
        let all = (0..<3).map { _ in connection() }
        lists.listForReading(all[0])
        lists.listServed(all[1])
        lists.listForReading(all[2])
        var order: [Int] = []
        let read: (Connection) -> Void = { read in
            order.append(all.firstIndex { $0 === read } ?? -1)
            lists.listServed(read)
        }
        lists.readLeftOver(isLong: { false }, read)
        lists.readLeftOver(isLong: { false }, read)
        #expect(order == [0, 2] && lists.hasUnread && all.allSatisfy { lists.isServed($0) })
        lists.turnBegins()
        lists.readLeftOver(isLong: { false }, read)
        #expect(order == [0, 2, 1, 0, 2])
    }

    /// Relays are read when they have an event, although they are listed.
    @Test func `read the one behind those that have their part of every turn before it comes to the list`() {
        let lists = ConnectionLists()
        let (busy, last) = ((0..<5).map { _ in connection() }, connection())
        for each in busy + [last] { lists.listForReading(each) }
        for _ in 0..<3 {
            lists.turnBegins()
            for each in busy { lists.listServed(each) }
            var isRead = false
            lists.readLeftOver(isLong: { false }) { each in
                isRead = each === last
                lists.listServed(each)
            }
            #expect(isRead && lists.hasUnread)
        }
    }

    @Test func `count the writes of a turn, of each connection by itself`() {
        let lists = ConnectionLists()
        let (first, second) = (connection(), connection())
        let taken = [first, first, first, second].map { lists.takeWrite(to: $0, most: 2) }
        #expect(taken == [true, true, false, true])
        lists.turnBegins()
        let isFree = lists.takeWrite(to: first, most: 2)
        #expect(isFree)
    }

    @Test func `flush on in the next turn what has sent its part of this one, unless it was closed`() {
        let lists = ConnectionLists()
        let (first, second) = (connection(), connection())
        var flushed: [Bool] = []    // whether it was the first
        for each in [first, second] { lists.markDirty(each) }
        lists.flushAll { each in
            flushed.append(each === first)
            lists.flushNextTurn(each)
            lists.markDirty(each)
        }
        #expect(flushed == [true, false] && lists.hasUnsent)
        second.state.enter(.closed, at: MonotonicTime(nanoseconds: 2))
        lists.flushAll { flushed.append($0 === first) }
        #expect(flushed == [true, false, true] && !lists.hasUnsent && !first.isDirty)
        lists.flushAll { _ in Issue.record("it is flushed again") }
    }

    @Test func `do not read what is closed`() {
        let lists = ConnectionLists()
        let connection = connection()
        lists.listForReading(connection)
        connection.state.enter(.closed, at: MonotonicTime(nanoseconds: 2))
        lists.readLeftOver(isLong: { false }) { _ in Issue.record("it is read") }
        #expect(!lists.hasUnread)
    }
}
