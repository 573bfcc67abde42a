import Testing

@testable import Balancing

@Suite struct `How long an endpoint takes to answer` {
    private let millisecond: UInt64 = 1_000_000

    @Test func `is not known before there were enough answers`() {
        var times = AnswerTimes()
        for number in 0..<AnswerTimes.fewest {
            #expect(times.median(at: 0) == nil, "\(number)")
            times.add(5 * millisecond, at: UInt64(number))
        }
        #expect(times.median(at: UInt64(AnswerTimes.fewest)) == 5 * millisecond)
    }

    @Test func `is forgotten when none came for ten seconds`() {
        var times = AnswerTimes()
        for number in 0..<100 { times.add(5 * millisecond, at: UInt64(number)) }
        #expect(times.median(at: 99 + AnswerTimes.memory) != nil)
        #expect(times.median(at: 100 + AnswerTimes.memory) == nil)
        times.add(7 * millisecond, at: 101 + AnswerTimes.memory)
        #expect(times.median(at: 101 + AnswerTimes.memory) == nil, "it begins anew")
    }

    @Test func `is near the median of what came, and not led astray by a few`() throws {
        var times = AnswerTimes()
        var seed: UInt64 = 1
        for number in 0..<5000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let isOutlier = seed >> 33 % 20 == 0
            times.add(isOutlier ? 60_000 * millisecond : (seed >> 40 % 21 + 10) * millisecond, at: UInt64(number))
        }
        let median = try #require(times.median(at: 5000))
        #expect((15 * millisecond...26 * millisecond).contains(median), "\(median)")
    }

    @Test func `follows when all answers become slower or faster`() throws {
        var times = AnswerTimes()
        for _ in 0..<100 { times.add(millisecond, at: 1) }
        for _ in 0..<300 { times.add(1000 * millisecond, at: 1) }
        #expect(try #require(times.median(at: 1)) > 900 * millisecond)
        for _ in 0..<300 { times.add(millisecond, at: 1) }
        #expect(try #require(times.median(at: 1)) < 2 * millisecond)
    }

    @Test func `takes any numbers`() {
        var times = AnswerTimes()
        for time in [0, .max, 1, .max, .max, 0] + Array(repeating: UInt64.max, count: 100) {
            times.add(time, at: .max)
        }
        #expect(times.median(at: .max) != nil)
    }
}
