internal import Reactor

/// What was said of a drain, so that it is said once.
struct DrainNotes {
    /// How often a drain that goes on is reported.
    static let pause = Duration.seconds(10)

    var stage = DrainState.Stage.accepting
    var next = MonotonicTime(nanoseconds: 0)
    /// The process has been asked to end; a drain after an upgrade has begun without that.
    var isAskedToEnd = false
}
