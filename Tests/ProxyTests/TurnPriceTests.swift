import HTTP
import Reactor
import Testing

@testable import Proxy

/// Units of `WorkBudget` for what happens outside of sessions.
@Suite struct `The price of work` {
    /// The time that others had the processor is nobody's work.
    @Test(arguments: [(0, 0), (49, 0), (50, 1), (140_000, 2800), (200_000, 4000), (10_000_000_000, 4000)])
    func `is a unit for each 50 ns of what is timed, and never more than a quota`(time: UInt64, units: Int32) {
        #expect(TurnCost.lasting(nanoseconds: time) == units)
    }

    @Test func `is higher for octets that are passed on than for those that are thrown away`() {
        #expect(TurnCost.passed(octets: 65_536) == 2048)
        #expect(TurnCost.dropped(octets: 65_536) == 612)
        #expect(TurnCost.dropped(octets: 1) == 100, "asking the kernel costs, too")
    }

    @Test func `of octets that nobody looks at is a fourth, and a relay that reads whole has two quotas at most`() {
        #expect(TurnCost.relayed(octets: 65_536) == TurnCost.passed(octets: 65_536) / 4 + 40)
        #expect(TurnCost.relayed(octets: 1) == 40, "reading and sending cost, too")
        let whole = TurnCost.relayed(octets: TurnLimits().mostRelayReads * PipePool.pipeOctets)
        #expect(whole > WorkBudget.quotaPerTurn && whole <= 5 * WorkBudget.quotaPerTurn / 2)
    }

    @Test func `of a relay that has little is no reason to wait`() {
        #expect(TurnCost.relayed(octets: Connections.crowdedOctets) < WorkBudget.leastQuota)
        #expect(Late.relays.room == 0, "one in a long turn")
    }

    /// A turn has at most 256 events.
    @Test func `of relays that have an octet each makes a turn long before all of them are read`() {
        #expect(256 * TurnCost.relayed(octets: 1) > 2 * WorkBudget.quotaPerTurn)
    }

    /// 256 records of an octet each are a read.
    @Test func `of small TLS records is theirs, and not that of their octets`() {
        #expect(TurnCost.opened(records: 256) > WorkBudget.quotaPerTurn)
        #expect(TurnCost.opened(records: 0) == 0)
    }

    @Test func `of connections leaves others room, and lets as many go as come`() {
        let most = Int32(clamping: Listeners.acceptsPerTurn)
        #expect(most * TurnCost.accepting < WorkBudget.quotaPerTurn)
        #expect(Late.ends.room == most * TurnCost.closing && Late.handshakes.room == 0)
    }

    @Test func `of a lost stream is that of a few frames`() {
        #expect(TurnCost.endOfStream > 0 && TurnCost.endOfStream < TurnCost.closing)
    }

    @Test func `of what is timed is by the clock of the loop`() throws {
        var now = MonotonicTime(nanoseconds: 1)
        let loop = try Loop(clock: { now })
        let (result, time) = loop.nanoseconds { () -> Int in
            now = MonotonicTime(nanoseconds: 140_001)
            return 7
        }
        #expect(result == 7 && time == 140_000)
    }
}
