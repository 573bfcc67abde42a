import Testing

@testable import Balancing

@Suite struct `A cluster's account` {
    private let second: UInt64 = 1_000_000_000
    private let account = ClusterTally()

    @Test func `counts each fate`() {
        account.count(.lost, at: 50 * second)
        account.count(.replayed, at: 50 * second)
        account.count(.replayed, at: 51 * second)
        #expect(ClusterTally.Fate.allCases.map { account.counts[$0] } == [1, 2, 0])
        #expect(ClusterTally().counts.isZero)
    }

    @Test func `knows what happened in the last ten seconds, and not much more`() {
        account.count(.lost, at: 100 * second)
        account.count(.lost, at: 200 * second)
        account.count(.lost, at: 205 * second)
        #expect(account.counts(before: 206 * second)[.lost] == 1)
        #expect(account.counts(before: 214 * second)[.lost] == 1)
        #expect(account.counts(before: 230 * second)[.lost] == 3)
        account.count(.lost, at: 212 * second)
        #expect(account.counts(before: 213 * second)[.lost] == 1)
    }

    @Test func `always includes the last ten seconds, and never more than thirty`() {
        var random = SystemRandomNumberGenerator()
        var times: [UInt64] = []
        var now: UInt64 = 1000 * second
        for _ in 0..<2_000 {
            now += UInt64.random(in: 0...(8 * second), using: &random)
            account.count(.lost, at: now)
            times.append(now)
            let asked = now + UInt64.random(in: 0...(25 * second), using: &random)
            let before = Int(account.counts(before: asked)[.lost])
            #expect(before <= times.count { $0 + 10 * second <= asked })
            #expect(before >= times.count { $0 + 30 * second < asked })
        }
    }

    @Test func `tells what has come since`() {
        account.count(.lost, at: second)
        let earlier = account.counts
        account.count(.lost, at: second)
        account.count(.ended, at: second)
        let since = account.counts.since(earlier)
        #expect(since[.lost] == 1 && since[.ended] == 1 && since[.replayed] == 0)
        var sum = since
        sum.add(since)
        #expect(sum[.lost] == 2)
    }
}
