/// How long connections were silent when they ended, of the last ones: an idle timeout ends them all after about the
/// same time. Plain data, without a clock.
package struct Silences: Sendable, Equatable {
    /// Seconds, in no order.
    private var seconds: [UInt32] = []
    private var next = 0

    /// How many are kept.
    static let most = 16
    /// How many have to be known before they are compared.
    private static let fewest = 4

    package init() {}

    /// Adds one, in the place of the oldest.
    /// - Parameter silence: in seconds.
    package mutating func add(_ silence: UInt32) {
        guard seconds.count == Self.most else { return seconds.append(silence) }
        seconds[next] = silence
        next = (next + 1) % Self.most
    }

    /// Joins what two workers have seen.
    mutating func join(_ other: Silences) {
        for silence in other.seconds { add(silence) }
    }

    /// The time in seconds after which most of them ended: three quarters within a second or a fiftieth of their
    /// median; nil: they have no time in common, or are too few.
    package var typical: UInt32? {
        guard seconds.count >= Self.fewest else { return nil }
        let sorted = seconds.sorted()
        let median = sorted[sorted.count / 2]
        let room = max(1, median / 50)
        let near = sorted.count { ($0 > median ? $0 - median : median - $0) <= room }
        return near * 4 >= sorted.count * 3 ? median : nil
    }
}
