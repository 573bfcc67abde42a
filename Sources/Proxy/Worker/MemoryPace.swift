internal import Reactor

/// How often a worker looks at the resident memory, and how often it searches all exchanges for what they can give up.
/// Time is a parameter.
struct MemoryPace {
    private var lookedAt = MonotonicTime(nanoseconds: 0)
    private var searchedAt = MonotonicTime(nanoseconds: 0)

    /// How often a worker with traffic looks, and how much it reads at most between two looks.
    static let lookPause = Duration.milliseconds(5), takenOctets = 2 << 20
    /// How often all exchanges are searched, which takes about 30 ns for each: near the ceiling, and at it.
    static let calmPause = Duration.milliseconds(100), hastyPause = Duration.milliseconds(5)
    /// How often the heap is trimmed near the ceiling, which takes some milliseconds, by one worker; and at it.
    static let trimPause = Duration.seconds(1), hastyTrimPause = Duration.milliseconds(20)

    /// - Parameter taken: octets that the worker has read since it looked last.
    @inline(__always)
    static func isMuch(taken: Int) -> Bool { taken >= takenOctets }

    /// Whether what is known of memory is old.
    @inline(__always)
    func isLookDue(at now: MonotonicTime) -> Bool { now >= lookedAt + Self.lookPause }

    mutating func looked(at now: MonotonicTime) { lookedAt = now }

    func maySearch(at now: MonotonicTime, _ level: MemoryMarks.Level) -> Bool {
        now >= searchedAt + (level == .tight ? Self.calmPause : Self.hastyPause)
    }

    mutating func searched(at now: MonotonicTime) { searchedAt = now }

    static func trimPause(_ level: MemoryMarks.Level) -> Duration { level == .tight ? trimPause : hastyTrimPause }
}
