import Reactor
import Testing

/// The wheel beside a list that is looked through from end to end.
@Suite struct `A timer wheel beside a plain list` {
    private struct Pair {
        var wheel: TimerWheel
        var handles: [UInt64: TimerWheel.TimerID] = [:]
        var deadlines: [UInt64: UInt64] = [:]    // by token, in milliseconds, as armed
        var now: UInt64    // milliseconds
        var tokens: UInt64 = 0

        init(startingAt milliseconds: UInt64) {
            now = milliseconds
            wheel = TimerWheel(now: MonotonicTime(nanoseconds: milliseconds * 1_000_000))
        }

        var time: MonotonicTime { MonotonicTime(nanoseconds: now * 1_000_000) }

        mutating func arm(after milliseconds: UInt64) {
            tokens += 1
            let deadline = MonotonicTime(nanoseconds: (now + milliseconds) * 1_000_000)
            handles[tokens] = wheel.arm(at: deadline, token: tokens)
            deadlines[tokens] = now + milliseconds
        }

        /// Cancels an armed timer or, as often, one that has fired or was cancelled before.
        mutating func cancel(_ token: UInt64) {
            guard var handle = handles[token] else { return }
            wheel.cancel(&handle)
            deadlines[token] = nil
        }

        mutating func expire() -> (fired: [UInt64], expected: [UInt64]) {
            var due: ContiguousArray<UInt64> = []
            wheel.expire(now: time, into: &due)
            let expected = deadlines.filter { $0.value < now }.map(\.key).sorted()
            for token in expected { deadlines[token] = nil }
            return (due.sorted(), expected)
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func `fires the same timers in the same turns`(seed: UInt64) {
        var random = Chance(seed: seed)
        var pair = Pair(startingAt: 7_919 * seed)
        for turn in 0..<3000 {
            for _ in 0..<random.below(4) {
                let spans: [UInt64] = [3, 40, 1023, 1024, 1025, 5000, 90_000]
                pair.arm(after: random.below(spans[Int(random.below(7))] + 1))
            }
            if pair.tokens > 0, random.below(3) == 0 { pair.cancel(1 + random.below(pair.tokens)) }
            let wait = pair.wheel.wait(now: pair.time)
            let first = pair.deadlines.values.min()
            #expect((wait == -1) == (first == nil))
            if let first { #expect(wait >= 0 && pair.now + UInt64(wait) <= max(first, pair.now) + 1) }
            pair.now += [0, 1, 2, 17, 1024, 4000][Int(random.below(6))]
            let (fired, expected) = pair.expire()
            #expect(fired == expected, "turn \(turn)")
            #expect(pair.wheel.count == pair.deadlines.count)
            if fired != expected { return }
        }
    }

    @Test func `sleeps and wakes as the loop does, and no timer is more than 2 ms late`() {
        var pair = Pair(startingAt: 500)
        for span in [1, 999, 1024, 2048, 2049, 10_000, 10_001] as [UInt64] { pair.arm(after: span) }
        var wakes = 0
        while pair.wheel.count > 0, wakes < 100 {
            pair.now += UInt64(max(pair.wheel.wait(now: pair.time), 0))
            let before = pair.deadlines
            for token in pair.expire().fired {
                let deadline = before[token] ?? 0
                #expect(deadline < pair.now && pair.now <= deadline + 2)
            }
            wakes += 1
        }
        #expect(pair.wheel.count == 0)
        #expect(wakes < 40)
    }

    @Test func `stands a deadline at the end of time and a clock that stands still`() {
        var wheel = TimerWheel(now: MonotonicTime(nanoseconds: 0))
        var due: ContiguousArray<UInt64> = []
        var never = wheel.arm(at: MonotonicTime(nanoseconds: .max), token: 1)
        _ = wheel.arm(at: MonotonicTime(nanoseconds: 0), token: 2)
        wheel.expire(now: MonotonicTime(nanoseconds: 0), into: &due)
        #expect(due.isEmpty)
        wheel.expire(now: MonotonicTime(nanoseconds: 1_000_000), into: &due)
        #expect(due == [2])
        wheel.expire(now: MonotonicTime(nanoseconds: .max - 1_000_000), into: &due)
        #expect(due == [2] && wheel.count == 1)
        wheel.cancel(&never)
        wheel.cancel(&never)
        #expect(wheel.count == 0 && wheel.wait(now: MonotonicTime(nanoseconds: .max)) == -1)
    }

    @Test func `may be armed again for a time that has passed, and fires in the next turn`() {
        var pair = Pair(startingAt: 10_000)
        pair.arm(after: 5)
        pair.now += 100
        #expect(pair.expire().fired == [1])
        _ = pair.wheel.arm(at: MonotonicTime(nanoseconds: 3), token: 9)
        #expect(pair.wheel.wait(now: pair.time) == 1)
        pair.now += 1
        #expect(pair.expire().fired == [9])
    }
}

/// Numbers that are the same in every run.
struct Chance {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func below(_ limit: UInt64) -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return (state >> 11) % limit
    }
}
