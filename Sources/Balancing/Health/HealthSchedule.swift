/// Which endpoint is checked when, and what is to be said of it. It knows no clock, no thread and no socket: times,
/// keys and results go in, what is to be done comes out.
package struct HealthSchedule<Key: Hashable & Sendable> {
    /// For the checker to carry out: the schedule itself does no I/O.
    package enum Action: Equatable {
        /// A check begins; `ended` or a `giveUp` follows.
        case begin(Key)
        /// A check that is under way has taken too long, and is over.
        case giveUp(Key)
        /// An operator should hear what is known of an endpoint now.
        case report(Key, HealthHistory)
    }

    private struct Entry {
        var policy: HealthCheckPolicy
        var history = HealthHistory()
        /// Checks that have ended.
        var checks = 0
        /// Its place in `due` or in a queue is good as long as this is the same.
        var round: UInt64
    }

    struct DueCheck {
        let time: UInt64
        let key: Key
        let round: UInt64
    }

    private var entries: [Key: Entry] = [:]
    private var running: [Key: UInt64] = [:]    // until when
    private var due = MinimumHeap<DueCheck> { ($0.time, $0.round) < ($1.time, $1.round) }
    // Whose time has come while too many checks are under way: those of which nothing is known, and the others.
    private var newcomers = Queue()
    private var others = Queue()
    private var isNewcomersTurn = true
    private var rounds: UInt64 = 0    // entries of `due` that were ever made; keeps equal times in order
    private var random: UInt64
    private let most: Int
    /// How often a check that was due has waited for others, since `takeWaits`.
    private var waits: UInt64 = 0

    /// - Parameters:
    ///   - most: checks at the same time, 1 or more.
    ///   - seed: of the random parts of intervals.
    package init(most: Int, seed: UInt64) {
        self.most = most
        random = seed
    }

    /// How many endpoints are checked.
    package var count: Int { entries.count }
    /// How many checks are under way.
    package var runningCount: Int { running.count }

    // MARK: who is checked

    /// Checks an endpoint from now on, or by another policy than before. What is known of it stays.
    package mutating func check(_ key: Key, _ policy: HealthCheckPolicy, at now: UInt64) {
        if entries[key] != nil {
            entries[key]?.policy = policy
            if running[key] == nil { schedule(key, at: now) }
        } else {
            entries[key] = Entry(policy: policy, round: 0)
            schedule(key, at: now)
        }
    }

    /// The endpoint is not checked any more. A check that is under way is for nobody.
    package mutating func forget(_ key: Key) {
        entries[key] = nil
        running[key] = nil
    }

    // MARK: time

    /// When `advance` has something to do; nil: never.
    package var nextTime: UInt64? {
        let waits = !newcomers.isEmpty || !others.isEmpty
        return [waits && running.count < most ? 0 : nil, due.first?.time, running.values.min()].compactMap(\.self).min()
    }

    /// Ends what has taken too long, and begins what is due.
    package mutating func advance(to now: UInt64) -> [Action] {
        var actions: [Action] = []
        for (key, deadline) in running where deadline <= now {
            actions.append(.giveUp(key))
            let limit = entries[key]?.policy.timeout ?? .zero
            note(.failed("no answer within \(limit.healthText)"), of: key, at: now, &actions)
        }
        var isFresh = false
        while let next = due.first, next.time <= now {
            isFresh = true
            _ = due.takeFirst()
            guard let entry = entries[next.key], entry.round == next.round else { continue }
            if entry.history.health == .unknown { newcomers.join(next) } else { others.join(next) }
        }
        while running.count < most, let key = takeWaiting() {
            running[key] = now &+ (entries[key]?.policy.timeout.healthNanoseconds ?? 0)
            actions.append(.begin(key))
        }
        if isFresh, !newcomers.isEmpty || !others.isEmpty { waits += 1 }
        return actions
    }

    /// How often checks that were due have waited because too many are under way, since the last call.
    package mutating func takeWaits() -> UInt64 {
        defer { waits = 0 }
        return waits
    }

    /// A check has ended before its time.
    package mutating func ended(_ key: Key, _ verdict: HealthVerdict, at now: UInt64) -> [Action] {
        guard running[key] != nil else { return [] }
        var actions: [Action] = []
        note(verdict, of: key, at: now, &actions)
        return actions
    }

    private mutating func note(_ verdict: HealthVerdict, of key: Key, at now: UInt64, _ actions: inout [Action]) {
        running[key] = nil
        guard var entry = entries[key] else { return }
        let isNews = entry.history.note(verdict, entry.policy)
        if verdict != .skipped { entry.checks = min(entry.checks, 1_000_000) + 1 }
        entries[key] = entry
        if isNews { actions.append(.report(key, entry.history)) }
        schedule(key, at: now &+ pause(entry, verdict))
    }

    /// The first pause is a random part of the interval: endpoints that came together are checked apart afterwards.
    private mutating func pause(_ entry: Entry, _ verdict: HealthVerdict) -> UInt64 {
        let interval = entry.policy.interval.healthNanoseconds
        if verdict == .skipped { return min(interval, Self.pauseOfSkippedNanoseconds) }
        if entry.checks <= 1 { return part(of: interval) }
        return interval &+ part(of: entry.policy.jitter.healthNanoseconds)
    }

    private static var pauseOfSkippedNanoseconds: UInt64 { 1_000_000_000 }

    private mutating func part(of whole: UInt64) -> UInt64 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407    // Knuth's MMIX
        return whole.multipliedFullWidth(by: random).high
    }

    private mutating func schedule(_ key: Key, at time: UInt64) {
        rounds &+= 1
        entries[key]?.round = rounds
        due.insert(DueCheck(time: time, key: key, round: rounds))
    }

    // MARK: queues

    /// Keys in the order of their coming.
    struct Queue {
        private(set) var checks: [DueCheck] = []    // those before `head` were taken
        private var head = 0

        var isEmpty: Bool { head == checks.count }

        /// Puts a check behind all that wait.
        mutating func join(_ check: DueCheck) { checks.append(check) }

        /// Takes the one that has waited longest.
        mutating func take() -> DueCheck? {
            guard head < checks.count else { return nil }
            defer {
                head += 1
                // A queue that is never empty must not keep all that were ever in it.
                if head * 2 >= checks.count {
                    checks.removeFirst(head)
                    head = 0
                }
            }
            return checks[head]
        }
    }

    /// From both queues by turns, so that neither many new endpoints nor many old ones make the others wait.
    private mutating func takeWaiting() -> Key? {
        while !newcomers.isEmpty || !others.isEmpty {
            isNewcomersTurn.toggle()
            guard let check = isNewcomersTurn ? newcomers.take() : others.take() else { continue }
            if let entry = entries[check.key], entry.round == check.round { return check.key }
        }
        return nil
    }
}

extension Duration {
    /// Nanoseconds, no less than 0 and no more than a clock can be ahead.
    fileprivate var healthNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(whole, .max / 4) + UInt64(attoseconds / 1_000_000_000)
    }

    /// For people.
    fileprivate var healthText: String {
        let (seconds, attoseconds) = components
        return attoseconds == 0 ? "\(seconds) s" : "\(healthNanoseconds / 1_000_000) ms"
    }
}
