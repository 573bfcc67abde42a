internal import CLinux

/// A point in time on a clock that never goes back.
package struct MonotonicTime: Comparable, Hashable, Sendable {
    /// Nanoseconds since the machine started.
    package let nanoseconds: UInt64

    /// Makes a point in time, for tests and for arithmetic.
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// A time that does not come.
    package static let never = MonotonicTime(nanoseconds: .max)

    /// The present, by the kernel's monotonic clock.
    package static func now() -> MonotonicTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The time that is `wait` later. A negative wait counts as none, and a huge one ends at the last representable
    /// time.
    package static func + (time: MonotonicTime, wait: Duration) -> MonotonicTime {
        // Up to 18 s, one division is enough: this is how long most limits of a request are.
        if let attoseconds = UInt64(exactly: wait.attoseconds) {
            let total = time.nanoseconds.addingReportingOverflow(attoseconds / 1_000_000_000)
            return MonotonicTime(nanoseconds: total.overflow ? .max : total.partialValue)
        }
        let (seconds, attoseconds) = wait.components
        guard seconds >= 0, attoseconds >= 0 else { return time }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let sum = whole.partialValue.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        let total = time.nanoseconds.addingReportingOverflow(sum.partialValue)
        let isTooFar = whole.overflow || sum.overflow || total.overflow
        return MonotonicTime(nanoseconds: isTooFar ? .max : total.partialValue)
    }

    /// Nanoseconds from `earlier` to this time; 0 if `earlier` is later.
    package func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    /// The time from `earlier` to this; zero when `earlier` is later.
    package func duration(since earlier: MonotonicTime) -> Duration {
        .nanoseconds(Int64(clamping: nanoseconds(since: earlier)))
    }
}

/// A point in time on the wall clock, for logs and the `date` field.
package struct WallTime: Sendable {
    /// Seconds since 1970, UTC.
    package let seconds: Int
    /// Nanoseconds of the second, below 1,000,000,000.
    package let nanoseconds: Int

    /// The present, by the kernel's wall clock.
    package static func now() -> WallTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }
    /// Makes a point in time, for tests.
    package init(seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}
