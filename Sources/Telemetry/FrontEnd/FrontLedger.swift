internal import Synchronization
internal import Octets
package import Reactor

/// What one worker has seen in front of its listeners. Its worker writes it, when it turns something down or a
/// connection ends, and the admin listener reads it; a lock of its own, for which nobody else waits.
///
/// Thread: any. Freed by: its `WorkerMetrics`.
package final class FrontLedger: Sendable {
    /// One finding on one listener.
    package struct Entry: Sendable {
        package let finding: FrontFinding
        package let listener: String
        package var count: UInt64
        /// When it was seen first and last.
        package var first: WallTime, last: WallTime
        /// A peer of whom it was seen, and what more is known of it; may be empty.
        package var peer: String, detail: String
        /// How long those connections were silent.
        package var silences = Silences()
    }

    private struct Key: Hashable {
        let listener: String
        let finding: FrontFinding
    }

    /// Listeners that have entries of their own; those beyond share one name.
    static let mostListeners = 256
    /// Octets of an entry's detail.
    static let mostDetail = 80
    private static let otherListeners = "other"

    private let entries = Lock<[Key: Entry]>([:])

    package init() {}

    /// Adds an observation.
    /// - Parameters:
    ///   - peer: asked at most once a second for each entry.
    ///   - silence: seconds, for findings of which that is a part.
    /// - Returns: whether a message is due: it is the first one, or the first for a minute.
    package func note(
        _ finding: FrontFinding, on listener: String, at now: WallTime, detail: String = "", silence: UInt32? = nil,
        peer: () -> String
    ) -> Bool {
        let key = key(finding, listener)
        let (isOld, isDue) = entries.withLock { entries in
            guard let before = entries[key]?.last.seconds else { return (false, true) }
            entries[key]?.count &+= 1
            entries[key]?.last = now
            if let silence { entries[key]?.silences.add(silence) }
            return (before == now.seconds, now.seconds - before >= 60)
        }
        guard !isOld else { return false }
        let (peer, detail) = (peer(), String(detail.prefix(Self.mostDetail)))
        entries.withLock { entries in
            if entries[key] == nil {
                entries[key] = Entry(
                    finding: finding, listener: key.listener, count: 1, first: now, last: now, peer: peer,
                    detail: detail)
                if let silence { entries[key]?.silences.add(silence) }
            } else {
                entries[key]?.peer = peer
                entries[key]?.detail = detail
            }
        }
        return isDue
    }

    /// A key that is known, or as many as there may be.
    private func key(_ finding: FrontFinding, _ listener: String) -> Key {
        let key = Key(listener: listener, finding: finding)
        let isKnown = entries.withLock {
            $0[key] != nil || $0.count < Self.mostListeners * FrontFinding.allCases.count
        }
        return isKnown ? key : Key(listener: Self.otherListeners, finding: finding)
    }

    /// What all workers have seen, harmful findings first and then by listener.
    package static func joined(_ ledgers: [FrontLedger]) -> [Entry] {
        var joined: [Key: Entry] = [:]
        for ledger in ledgers {
            for (key, entry) in ledger.entries.withLock({ $0 }) {
                joined[key] = joined[key].map { join($0, entry) } ?? entry
            }
        }
        return joined.values.sorted {
            ($0.finding.isHarmful ? 0 : 1, $0.listener, $0.finding.rawValue)
                < ($1.finding.isHarmful ? 0 : 1, $1.listener, $1.finding.rawValue)
        }
    }

    private static func join(_ one: Entry, _ other: Entry) -> Entry {
        var (older, newer) = one.last.isBefore(other.last) ? (one, other) : (other, one)
        newer.count &+= older.count
        if older.first.isBefore(newer.first) { newer.first = older.first }
        older.silences.join(newer.silences)
        newer.silences = older.silences
        return newer
    }
}

extension WallTime {
    fileprivate func isBefore(_ other: WallTime) -> Bool { (seconds, nanoseconds) < (other.seconds, other.nanoseconds) }
}
