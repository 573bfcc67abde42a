import Reactor
import Testing

@Suite struct `Monotonic time` {
    private static let noon = MonotonicTime(nanoseconds: 1_000_000_000_000)

    @Test(
        arguments: [
            (Duration.zero, 0), (.nanoseconds(1), 1), (.milliseconds(250), 250_000_000), (.seconds(3), 3_000_000_000),
            (.seconds(1) - .nanoseconds(1), 999_999_999), (.nanoseconds(1) / 2, 0),
        ] as [(Duration, UInt64)])
    func `goes on by a duration`(wait: Duration, nanoseconds: UInt64) {
        #expect((Self.noon + wait).nanoseconds == Self.noon.nanoseconds + nanoseconds)
    }

    @Test(arguments: [
        Duration.nanoseconds(-1), .seconds(-1), .seconds(Int64.min), .seconds(-1) + .nanoseconds(1),
    ]) func `never goes back`(wait: Duration) {
        #expect(Self.noon + wait == Self.noon)
    }

    @Test(arguments: [Duration.seconds(Int64.max), .seconds(18_446_744_074), .seconds(1 << 40)])
    func `ends at the last time there is`(wait: Duration) {
        #expect((Self.noon + wait).nanoseconds == .max)
        #expect((MonotonicTime(nanoseconds: .max) + wait).nanoseconds == .max)
    }

    @Test func `reaches the last time exactly`() {
        let last = MonotonicTime(nanoseconds: .max)
        #expect(MonotonicTime(nanoseconds: .max - 1) + .nanoseconds(1) == last)
        #expect(last + .zero == last)
        #expect(last + .nanoseconds(1) == last)
    }

    @Test func `measures from an earlier time, and nothing from a later one`() {
        #expect((Self.noon + .seconds(2)).nanoseconds(since: Self.noon) == 2_000_000_000)
        #expect(Self.noon.nanoseconds(since: Self.noon + .seconds(2)) == 0)
        #expect(Self.noon.nanoseconds(since: MonotonicTime(nanoseconds: .max)) == 0)
    }

    @Test func `is read from a clock that does not go back`() {
        let before = MonotonicTime.now()
        #expect(MonotonicTime.now() >= before)
        #expect(before.nanoseconds > 0)
        #expect(WallTime.now().seconds > 1_700_000_000)
    }
}
