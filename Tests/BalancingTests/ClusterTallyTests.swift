import Testing

@testable import Balancing

@Suite struct `A cluster's tally` {
    private let second: UInt64 = 1_000_000_000
    private let tally = ClusterTally()

    @Test func `counts each fate`() {
        tally.count(.lost, at: 50 * second)
        tally.count(.replayed, at: 50 * second)
        tally.count(.replayed, at: 51 * second)
        #expect(ClusterTally.Fate.allCases.map { tally.counts[$0] } == [1, 2, 0])
        #expect(ClusterTally().counts.isZero)
    }

    @Test func `knows what happened in the last ten seconds, and not much more`() {
        tally.count(.lost, at: 100 * second)
        tally.count(.lost, at: 200 * second)
        tally.count(.lost, at: 205 * second)
        #expect(tally.counts(before: 206 * second)[.lost] == 1)
        #expect(tally.counts(before: 214 * second)[.lost] == 1)
        #expect(tally.counts(before: 230 * second)[.lost] == 3)
        tally.count(.lost, at: 212 * second)
        #expect(tally.counts(before: 213 * second)[.lost] == 1)
    }

    @Test func `always includes the last ten seconds, and never more than thirty`() {
        var random = SystemRandomNumberGenerator()
        var times: [UInt64] = []
        var now: UInt64 = 1000 * second
        for _ in 0..<2_000 {
            now += UInt64.random(in: 0...(8 * second), using: &random)
            tally.count(.lost, at: now)
            times.append(now)
            let asked = now + UInt64.random(in: 0...(25 * second), using: &random)
            let before = Int(tally.counts(before: asked)[.lost])
            #expect(before <= times.count { $0 + 10 * second <= asked })
            #expect(before >= times.count { $0 + 30 * second < asked })
        }
    }

    @Test func `tells what has come since`() {
        tally.count(.lost, at: second)
        let earlier = tally.counts
        tally.count(.lost, at: second)
        tally.count(.ended, at: second)
        let since = tally.counts.since(earlier)
        #expect(since[.lost] == 1 && since[.ended] == 1 && since[.replayed] == 0)
        var sum = since
        sum.add(since)
        #expect(sum[.lost] == 2)
    }
}
