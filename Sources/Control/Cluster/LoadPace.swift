internal import Reactor

/// When a load of a cluster's changes begins: soon after a change, not for each one of many, and never so often that
/// loads take more than half of a core. It reads nothing and knows no clock.
///
///     the first load: kinds → secrets → over; each later one: a change → a pause → due → loading → a rest
struct LoadPace {
    /// What the first load waits for.
    enum FirstLoad: Equatable {
        /// The objects of all kinds.
        case kinds
        /// The Secrets and Nodes that the plan wants; the load is in effect without them from then on.
        case secrets(until: MonotonicTime)
        case over
    }

    /// Where the first load stands.
    private(set) var firstLoad = FirstLoad.kinds
    private var isLoading = false
    /// When the next load is due; nil: nothing has changed.
    private var due: MonotonicTime?
    private var firstChange: MonotonicTime?    // since the last load began
    private var restUntil = MonotonicTime(nanoseconds: 0)
    private var stormUntil = MonotonicTime(nanoseconds: 0)

    /// How long a change waits for another one, and how long all of them wait at most.
    private static let pause = Duration.milliseconds(5), longestPause = Duration.milliseconds(20)
    /// How long the first load waits for Secrets.
    private static let longestSecretsWait = Duration.seconds(5)
    /// The longest time between two loads.
    private static let longestRest = Duration.seconds(1)

    /// Something has changed that only a load brings into effect.
    mutating func changed(at now: MonotonicTime) {
        let first = firstChange ?? now
        firstChange = first
        due = max(min(now + Self.pause, first + Self.longestPause), restUntil)
    }

    /// Whether a load is due.
    /// - Parameter isKnown: whether that is known which the first load waits for.
    func isDue(at now: MonotonicTime, isKnown: Bool) -> Bool {
        guard !isLoading else { return false }
        return switch firstLoad {
        case .kinds: isKnown
        case .secrets(let end): isKnown || now >= end
        case .over: due.map { now >= $0 } ?? false
        }
    }

    /// Until a load becomes due by itself, in milliseconds; -1: none does.
    func wait(at now: MonotonicTime) -> Int32 {
        guard !isLoading, let time = nextTime else { return -1 }
        return Int32(clamping: time.nanoseconds(since: now) / 1_000_000 + 1)
    }

    private var nextTime: MonotonicTime? {
        switch firstLoad {
        case .kinds: nil
        case .secrets(let end): end
        case .over: due
        }
    }

    /// A load begins, with all changes until now.
    /// - Returns: whether it belongs to a storm of changes, so that it has to yield to the workers. A change that comes
    ///   alone is served as soon as can be: loads that do not yield take a tenth of a core at most.
    mutating func loadBegan(at now: MonotonicTime) -> Bool {
        due = nil
        firstChange = nil
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

    /// The plan of a load is known.
    /// - Parameter isIncomplete: whether it wants what no earlier plan has wanted. Secrets that have come may have
    ///   others in their place, once more.
    /// - Returns: whether the first load has to be repeated, because that is not known yet.
    mutating func planned(isIncomplete: Bool, at now: MonotonicTime) -> Bool {
        let end: MonotonicTime
        switch firstLoad {
        case .over: return false
        case .kinds: end = now + Self.longestSecretsWait
        case .secrets(let known): end = known
        }
        let isRepeated = isIncomplete && now < end
        firstLoad = isRepeated ? .secrets(until: end) : .over
        return isRepeated
    }
}
