/// About how long an endpoint takes until it begins to answer: the median of its recent answers, estimated in constant
/// time and memory. Each answer moves the estimate a step towards itself, so that half of them end on either side.
/// Plain data, without a clock.
package struct AnswerTimes: Sendable {
    private var estimate: UInt64 = 0    // nanoseconds
    private var count: UInt32 = 0
    private var last: UInt64 = 0    // when the newest came

    /// Answers that have to be known before anything is said of them.
    package static let fewest: UInt32 = 32
    /// Nanoseconds without an answer after which earlier ones say nothing any more.
    package static let memory: UInt64 = 10_000_000_000
    /// The first answers move the estimate by a fourth of it, later ones by a thirty-second part.
    private static let first: UInt32 = 16
    private static let leastStep: UInt64 = 1000    // nanoseconds

    /// Nothing is known yet.
    package init() {}

    /// An answer has begun.
    /// - Parameters:
    ///   - time: since its request was sent, in nanoseconds.
    ///   - now: the monotonic clock in nanoseconds.
    package mutating func add(_ time: UInt64, at now: UInt64) {
        if count == 0 || now &- last > Self.memory {
            estimate = time
            count = 0
        }
        last = now
        let change = max(count < Self.first ? estimate / 4 : estimate / 32, Self.leastStep)
        if time > estimate {
            estimate += min(change, time - estimate)
        } else {
            estimate -= min(change, estimate - time)
        }
        if count < .max { count += 1 }
    }

    /// The median in nanoseconds; nil while too few answers are known, or the last one is long ago.
    /// - Parameter now: the monotonic clock in nanoseconds.
    package func median(at now: UInt64) -> UInt64? {
        guard count >= Self.fewest, now &- last <= Self.memory else { return nil }
        return estimate
    }
}
