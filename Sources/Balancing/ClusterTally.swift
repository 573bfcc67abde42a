internal import Octets
internal import Synchronization

/// What became of a cluster's requests when its endpoints failed them. Requests that succeed at once do not touch it.
///
/// Thread: any. Freed by: its `ClusterState`.
package final class ClusterTally: Sendable {
    /// What may become of a request.
    package enum Fate: Int, Sendable, CaseIterable {
        /// The client got an error of the gateway's, because no endpoint has answered.
        case lost
        /// It was sent once more; counted for each time.
        case replayed
        /// The endpoint broke off after its answer had begun.
        case ended

        /// The value of the label `fate`.
        package var label: String { "\(self)" }
    }

    /// A number for each fate.
    package struct Counts: Sendable, Equatable {
        private var numbers: [Fate: UInt64] = [:]

        package init() {}

        /// How many requests had a fate.
        package subscript(_ fate: Fate) -> UInt64 { numbers[fate] ?? 0 }

        /// Whether there is nothing to tell.
        package var isZero: Bool { numbers.values.allSatisfy { $0 == 0 } }

        fileprivate mutating func add(_ fate: Fate) { numbers[fate, default: 0] += 1 }

        /// Adds the numbers of another tally, each to its fate.
        package mutating func add(_ other: Counts) { numbers.merge(other.numbers, uniquingKeysWith: +) }

        /// What has come since `earlier`, of the same tally.
        package func since(_ earlier: Counts) -> Counts {
            var difference = self
            for (fate, number) in earlier.numbers { difference.numbers[fate, default: 0] -= min(self[fate], number) }
            return difference
        }
    }

    /// Counts in spans of time, so that what happened shortly before a moment is known afterwards.
    private struct Book {
        var all = Counts()
        /// When the newest span began; none is longer than `memory`.
        var began: UInt64 = 0
        /// The counts when it began.
        var atStart = Counts()
        /// The counts when the span before it began.
        var before = Counts()
    }

    private let book = Lock(Book())

    /// How far back `counts(before:)` goes at least, in nanoseconds: an endpoint fails first, and the cluster's
    /// controller finds out later.
    package static let memory: UInt64 = 10_000_000_000

    init() {}

    /// Counts what became of a request.
    /// - Parameter now: nanoseconds of the workers' clock.
    package func count(_ fate: Fate, at now: UInt64) {
        book.withLock { book in
            let age = now &- min(book.began, now)
            if age >= Self.memory {
                book.before = age >= 2 * Self.memory ? book.all : book.atStart
                book.atStart = book.all
                book.began = now
            }
            book.all.add(fate)
        }
    }

    /// Everything so far.
    package var counts: Counts { book.withLock { $0.all } }

    /// The counts as they were some time before `now`: at least `memory` ago, and at most three times as much.
    package func counts(before now: UInt64) -> Counts {
        book.withLock { book in
            let age = now &- min(book.began, now)
            return age >= 2 * Self.memory ? book.all : age >= Self.memory ? book.atStart : book.before
        }
    }
}
