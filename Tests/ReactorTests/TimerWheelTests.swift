import Reactor
import Testing

@Suite struct `A timer wheel` {
    private static let start = MonotonicTime(nanoseconds: 5_000_000_000)
    private var wheel = TimerWheel(now: start)

    private static func after(_ milliseconds: Int) -> MonotonicTime { start + .milliseconds(milliseconds) }

    private mutating func expired(at milliseconds: Int) -> [UInt64] {
        var due: ContiguousArray<UInt64> = []
        wheel.expire(now: Self.after(milliseconds), into: &due)
        return due.sorted()
    }

    @Test mutating func `gives a token back at its time and never early`() {
        _ = wheel.arm(at: Self.after(10), token: 7)
        #expect(expired(at: 10) == [])
        #expect(expired(at: 11) == [7])
        #expect(wheel.count == 0)
    }

    @Test mutating func `passes over a timer that is rounds away`() {
        _ = wheel.arm(at: Self.after(3000), token: 1)
        #expect(expired(at: 2000) == [])
        #expect(expired(at: 2999) == [])
        #expect(expired(at: 10_000) == [1])
    }

    @Test mutating func `forgets a cancelled timer`() {
        var timer = wheel.arm(at: Self.after(5), token: 1)
        wheel.cancel(&timer)
        #expect(!timer.isArmed)
        #expect(expired(at: 100) == [])
    }

    /// What the first of two due timers does may cancel the second, whose place another has taken.
    @Test mutating func `keeps its timers when one that fired is cancelled`() {
        var fired = wheel.arm(at: Self.after(5), token: 1)
        #expect(expired(at: 10) == [1])
        var next = wheel.arm(at: Self.after(20), token: 2)
        wheel.cancel(&fired)
        #expect(wheel.count == 1)
        _ = wheel.arm(at: Self.after(20), token: 3)
        #expect(expired(at: 30) == [2, 3])
        wheel.cancel(&next)
        #expect(wheel.count == 0)
    }

    /// The timer of a pause ended early by a close: its place in the owner's tables, and in the wheel, is another's.
    @Test mutating func `tells a timer that has fired from one that was armed anew since`() {
        var timer = wheel.arm(at: Self.after(5), token: 1)
        #expect(timer.isArmed && !wheel.hasFired(timer))
        #expect(expired(at: 10) == [1])
        #expect(wheel.hasFired(timer))
        let fired = timer
        timer = wheel.arm(at: Self.after(20), token: 1)
        #expect(!wheel.hasFired(timer) && wheel.hasFired(fired))
        wheel.cancel(&timer)
        #expect(!wheel.hasFired(timer) && !wheel.hasFired(.none))
    }

    @Test mutating func `waits no longer than until the next timer`() {
        #expect(wheel.wait(now: Self.start) == -1)
        _ = wheel.arm(at: Self.after(40), token: 1)
        let wait = wheel.wait(now: Self.start)
        #expect((40...42).contains(wait))
        #expect(wheel.wait(now: Self.after(100)) == 0)
    }
}
