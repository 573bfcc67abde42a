/// Which endpoints of one cluster are ejected, and how often each was. It knows no clock, no thread and no endpoint:
/// times and keys go in, what is to be done comes out. It holds only endpoints that are ejected or were of late, so
/// that a sweep costs nothing for all others.
/// Source: envoyproxy/envoy source/common/upstream/outlier_detection_impl.cc (DetectorImpl).
struct OutlierLedger<Key: Hashable> {
    private struct Entry {
        /// When it was ejected; nil: it is not.
        var since: UInt64?
        /// Ejections in a row; one less with each sweep that finds it not ejected.
        var times: Int
    }

    private var entries: [Key: Entry] = [:]
    /// How many endpoints are ejected now.
    private(set) var ejected = 0
    private var nextSweepNanoseconds: UInt64?

    /// How many endpoints a sweep looks at.
    var tracked: Int { entries.count }

    /// Whether nothing is to be swept.
    var isEmpty: Bool { entries.isEmpty }

    /// When the next sweep is due, in the time of `eject`; nil: none is.
    var sweepDue: UInt64? { entries.isEmpty ? nil : nextSweepNanoseconds }

    var ejectedKeys: [Key] { entries.compactMap { $0.value.since == nil ? nil : $0.key } }

    /// Whether an endpoint gets no requests for its failures; false for one of which nothing is known.
    func isEjected(_ key: Key) -> Bool { entries[key]?.since != nil }

    /// An endpoint has reached a limit.
    /// - Parameters:
    ///   - now: nanoseconds of a clock that never goes back.
    ///   - count: of all endpoints.
    /// - Returns: for how long it is ejected; nil if it stays, because it is ejected already or too many are.
    mutating func eject(_ key: Key, at now: UInt64, of count: Int, _ policy: OutlierPolicy) -> Duration? {
        guard !isEjected(key), policy.mayEject(ejected: ejected, of: count) else { return nil }
        let times = (entries[key]?.times ?? 0) + 1
        if entries.isEmpty { nextSweepNanoseconds = now &+ Self.nanoseconds(policy.interval) }
        entries[key] = Entry(since: now, times: times)
        ejected += 1
        return policy.ejectionTime(times: times)
    }

    /// Ends the ejections whose time is over, and those of endpoints that have passed a health check since.
    /// Source: envoyproxy/envoy source/common/upstream/outlier_detection_impl.cc
    /// (successful_active_health_check_uneject_host).
    /// - Parameter passedAt: when an endpoint last passed a check; 0: never.
    /// - Returns: their endpoints.
    mutating func sweep(at now: UInt64, _ policy: OutlierPolicy, passedAt: (Key) -> UInt64 = { _ in 0 }) -> [Key] {
        guard let due = sweepDue, due <= now else { return [] }
        nextSweepNanoseconds = now &+ Self.nanoseconds(policy.interval)
        var returned: [Key] = []
        for (key, entry) in entries {
            if let since = entry.since {
                let isOver = since &+ Self.nanoseconds(policy.ejectionTime(times: entry.times)) <= now
                guard isOver || passedAt(key) > since else { continue }
                entries[key]?.since = nil
                ejected -= 1
                returned.append(key)
            } else {
                entries[key] = entry.times > 1 ? Entry(since: nil, times: entry.times - 1) : nil
            }
        }
        return returned
    }

    /// Forgets endpoints that are not there any more.
    mutating func keep(_ isThere: (Key) -> Bool) {
        guard !entries.isEmpty else { return }
        entries = entries.filter { isThere($0.key) }
        ejected = entries.values.count { $0.since != nil }
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(whole, .max / 4) + UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
