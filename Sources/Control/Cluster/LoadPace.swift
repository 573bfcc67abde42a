internal import Reactor

/// When a load of a cluster's changes begins: soon after a change, not for each one of many, and never so often that
/// loads take more than half of a core. It reads nothing and knows no clock.
///
///     the first load: all kinds are known → loading → a rest
///     each later one: a change → a pause → due → loading → a rest
struct LoadPace {
    private var hasBegun = false    // the first load
    private var isLoading = false
    /// When the next load is due; nil: nothing has changed.
    private var due: MonotonicTime?
    private var firstChange: MonotonicTime?    // since the last load began
    private var restUntil = MonotonicTime(nanoseconds: 0)
    private var stormUntil = MonotonicTime(nanoseconds: 0)

    /// How long a change waits for another one, and how long all of them wait at most.
    private static let pause = Duration.milliseconds(5), longestPause = Duration.milliseconds(20)
    /// The longest time between two loads.
    private static let longestRest = Duration.seconds(1)

    /// Something has changed that only a load brings into effect.
    mutating func changed(at now: MonotonicTime) {
        let first = firstChange ?? now
        firstChange = first
        due = max(min(now + Self.pause, first + Self.longestPause), restUntil)
    }

    /// Whether a load is due.
    /// - Parameter knowsKinds: whether the objects of all kinds are known, for which the first load waits.
    func isDue(at now: MonotonicTime, knowsKinds: () -> Bool) -> Bool {
        guard !isLoading else { return false }
        return hasBegun ? due.map { now >= $0 } ?? false : knowsKinds()
    }

    /// Until a load becomes due by itself, in milliseconds; -1: none does.
    func wait(at now: MonotonicTime) -> Int32 {
        guard !isLoading, hasBegun, let due else { return -1 }
        return Int32(clamping: due.nanoseconds(since: now) / 1_000_000 + 1)
    }

    /// A load begins, with all changes until now.
    /// - Returns: whether it belongs to a storm of changes, so that it has to yield to the workers. A change that comes
    ///   alone is served as soon as can be: loads that do not yield take a tenth of a core at most.
    mutating func loadBegan(at now: MonotonicTime) -> Bool {
        due = nil
        firstChange = nil
        hasBegun = true
        isLoading = true
        return now < stormUntil
    }

    /// A load has ended. The next one waits for as long as this one has worked: loads take half of a core at most.
    /// - Parameter work: processor time of the load.
    mutating func loadEnded(work: Duration, at now: MonotonicTime) {
        restUntil = now + min(work, Self.longestRest)
        stormUntil = now + work * 9
        isLoading = false
    }
}
