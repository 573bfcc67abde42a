internal import Reactor

/// What readiness waits for behind the first load: answers for the names that it wants, and hash tables. The wait ends
/// in any case: a name whose server says nothing is somebody's mistake, which must not keep all others' traffic away.
/// Time is a parameter.
struct FirstNames {
    static let longestWait = Duration.seconds(5)

    private var deadline: MonotonicTime?    // nil: the first load is under way
    private var isLate = false
    /// Each name of the first load has an answer, and clusters have it.
    private(set) var arePublished = false

    /// The first load is in effect.
    /// - Parameter isSettled: each of its names was looked up, with or without success.
    mutating func loaded(isSettled: Bool, at now: MonotonicTime) {
        deadline = now + Self.longestWait
        arePublished = isSettled
    }

    /// Clusters have all answers that are known.
    mutating func published(isSettled: Bool) { arePublished = arePublished || isSettled }

    /// Whether the wait is over without all answers; true once.
    mutating func hasRunOut(at now: MonotonicTime) -> Bool {
        guard let deadline, !isLate, now >= deadline else { return false }
        isLate = true
        return !arePublished
    }

    /// Whether readiness may still wait.
    func isWaiting(at now: MonotonicTime) -> Bool { deadline.map { now < $0 } ?? false }
}
