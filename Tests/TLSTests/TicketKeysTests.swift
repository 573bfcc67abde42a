import Testing

@testable import TLS

@Suite struct `Ticket keys` {
    private let start = ContinuousClock.now

    @Test func `seal for four hours, open for two more, and are gone`() throws {
        var ring = TicketKeys()
        let made = ring.sealingKey(at: start)
        let first = try #require(made)
        #expect(ring.sealingKey(at: start + .seconds(4 * 3600 - 1)) === first)
        let next = ring.sealingKey(at: start + .seconds(4 * 3600))
        let second = try #require(next)
        #expect(second !== first)
        func opens(_ key: TicketKey, after seconds: Int) -> Bool {
            unsafe ring.openingKey(named: key.name, at: start + .seconds(seconds)) === key
        }
        #expect(opens(first, after: 6 * 3600 - 1))
        #expect(opens(second, after: 6 * 3600 - 1))
        #expect(!opens(first, after: 6 * 3600))
        #expect(opens(second, after: 6 * 3600))
    }

    @Test func `are never more than two`() {
        var ring = TicketKeys()
        for hour in 0..<100 {
            _ = ring.sealingKey(at: start + .seconds(hour * 3600))
            #expect((1...2).contains(ring.keys.count))
        }
    }

    @Test func `differ`() throws {
        let (one, other) = (try #require(TicketKey(made: start)), try #require(TicketKey(made: start)))
        #expect(unsafe !one.name.elementsEqual(other.name))
    }

    @Test func `of another process open nothing`() throws {
        var ring = TicketKeys()
        _ = ring.sealingKey(at: start)
        let foreign = try #require(TicketKey(made: start))
        #expect(unsafe ring.openingKey(named: foreign.name, at: start) == nil)
    }
}
