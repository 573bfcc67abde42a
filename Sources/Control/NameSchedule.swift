internal import Reactor

/// Which names are looked up next, and what is known of each. Time is a parameter.
struct NameSchedule {
    private struct Name {
        let generation: Int    // the number of the `want` that had it first
        let wanted: MonotonicTime    // since when
        var isTried = false
        var isRunning = false
        var due: MonotonicTime
    }

    /// Look-ups at a time.
    static let mostAtOnce = 32
    /// Of these, for names of one domain, and for all names that are expected to be slow.
    static let mostOfDomain = 16
    /// From here on a look-up is slow: a server that answers does so in a fraction of it.
    static let slow = Duration.seconds(2)

    /// Between two looks at all names, unless there are new ones: longer where there are many.
    private var pause: Duration { .milliseconds(20) + .microseconds(20 * names.count) }

    private var names: [String: Name] = [:]
    /// Names that the configuration in effect wants, and those of a load that is about to take effect.
    private var inEffect: Set<String> = [], expected: Set<String> = []
    private var wanted: Set<String> = []    // both
    private(set) var addresses: [String: [String]] = [:]
    private(set) var failures: [String: String] = [:]
    private var newFailures: Set<String> = []
    private var slowDomains: Set<String> = []
    private var generation = 0
    private var first: Set<String>?
    private var running = 0
    private var slowRunning: Set<String> = []
    private var domainRunning: [String: Int] = [:]
    /// Names were passed over because their domain has all it may have.
    private var hasPassedOver = false
    private var lastLook = MonotonicTime(nanoseconds: 0)
    /// How often names that were due began to wait for others, since `takeWaits`.
    private var waits = 0
    private var areWaiting = false    // as the last `takeDue` left them
    /// Names that are due, the next one last.
    private var queue: [String] = []
    /// When names are looked through for such that are due; nil: when one has ended.
    private var nextLook: MonotonicTime? = MonotonicTime(nanoseconds: 0)

    /// - Returns: whether one of them is new.
    mutating func want(_ names: Set<String>, at now: MonotonicTime) -> Bool {
        first = first?.intersection(names) ?? names
        inEffect = names
        return lookUp(inEffect.union(expected), at: now)
    }

    /// Names that are wanted as soon as a load takes effect; those of the load before it are not expected any more.
    /// - Returns: whether one of them is new, and those that have not been looked up: a route that changes to one of
    ///   them would lose its endpoints. Without names in effect that have been looked up for longer than `longest`:
    ///   their servers say nothing, and may go on so.
    mutating func expect(
        _ names: Set<String>, at now: MonotonicTime, longest: Duration
    ) -> (hasNew: Bool, awaited: Set<String>) {
        expected = names
        let hasNew = lookUp(inEffect.union(expected), at: now)
        let awaited = names.filter { name in
            guard let known = self.names[name], !known.isTried else { return false }
            return !inEffect.contains(name) || now < known.wanted + longest
        }
        return (hasNew, awaited)
    }

    private mutating func lookUp(_ wanted: Set<String>, at now: MonotonicTime) -> Bool {
        generation += 1
        // An answer outlives its name by one load: a definition that is broken for a moment comes back.
        let kept = wanted.union(self.wanted)
        addresses = addresses.filter { kept.contains($0.key) }
        failures = failures.filter { wanted.contains($0.key) }
        names = names.filter { wanted.contains($0.key) || $0.value.isRunning }
        self.wanted = wanted
        let new = wanted.subtracting(names.keys)
        for name in new {
            names[name] = Name(generation: generation, wanted: now, due: MonotonicTime(nanoseconds: 0))
        }
        if names.count < slowDomains.count { slowDomains.formIntersection(names.keys.map(Self.domain)) }
        if !new.isEmpty { nextLook = MonotonicTime(nanoseconds: 0) }
        return !new.isEmpty
    }

    /// Whether each was looked up at least once, with or without success.
    func areTried(_ names: Set<String>) -> Bool { names.allSatisfy { self.names[$0]?.isTried ?? false } }

    var isSettled: Bool { first?.allSatisfy { names[$0]?.isTried ?? true } ?? true }

    /// Names whose lookups have begun to fail since the last call, each with the reason in words.
    mutating func takeNewFailures() -> [String: String] {
        defer { newFailures = [] }
        return failures.filter { newFailures.contains($0.key) }
    }

    /// Names to look up now; each is running until `ended` or `giveBack`.
    mutating func takeDue(now: MonotonicTime) -> [String] {
        if let nextLook, now >= nextLook { look(now) }
        var taken: [String] = []
        var hasWaiting = false
        while running < Self.mostAtOnce, let name = queue.last {
            queue.removeLast()
            guard names[name]?.isRunning == false else { continue }
            let domain = Self.domain(of: name)
            let isSlow = slowDomains.contains(domain)
            if (isSlow ? slowRunning.count : domainRunning[domain, default: 0]) >= Self.mostOfDomain {
                hasPassedOver = true
                hasWaiting = true
                continue
            }
            if isSlow { slowRunning.insert(name) }
            domainRunning[domain, default: 0] += 1
            names[name]?.isRunning = true
            running += 1
            taken.append(name)
        }
        if !queue.isEmpty { hasWaiting = true }
        if hasWaiting, !areWaiting { waits += 1 }
        areWaiting = hasWaiting
        return taken
    }

    /// How often names that were due began to wait because too many look-ups are under way, since the last call.
    mutating func takeWaits() -> Int {
        defer { waits = 0 }
        return waits
    }

    /// Milliseconds until names should be looked through; -1 when one that ends will tell.
    func wait(now: MonotonicTime) -> Int32 {
        guard running < Self.mostAtOnce, let nextLook else { return -1 }
        return Int32(clamping: (nextLook.nanoseconds(since: now) + 999_999) / 1_000_000)
    }

    private mutating func look(_ now: MonotonicTime) {
        lastLook = now
        hasPassedOver = false
        let idle = names.filter { !$0.value.isRunning }
        let due = idle.filter { now >= $0.value.due }
        // Equal ones stay in the dictionary's order, which is another in each process: no name is
        // always the last.
        queue = due.map { (name: $0.key, precedence: precedence($0.key, $0.value)) }.sorted {
            $0.precedence > $1.precedence
        }.map(\.name)
        let next = idle.values.lazy.map(\.due).filter { $0 > now }.min()
        nextLook = next.map { max($0, now + pause) }
    }

    /// A look-up has ended.
    /// - Returns: whether something is different from before.
    mutating func ended(
        _ name: String, _ found: [String], _ failure: String?, isSlow: Bool, next: MonotonicTime
    ) -> Bool {
        giveBack(name, next: next)
        let domain = Self.domain(of: name)
        if isSlow { slowDomains.insert(domain) } else if failure == nil { slowDomains.remove(domain) }
        guard names[name] != nil else { return false }
        let isFirst = names[name]?.isTried == false
        names[name]?.isTried = true
        if let failure {
            // A failure is reported when it begins, so that it stands in the log once, not every time.
            let isNew = failures.updateValue(failure, forKey: name) == nil
            if isNew { newFailures.insert(name) }
            return isNew || isFirst
        }
        failures[name] = nil
        guard !found.isEmpty, addresses[name] != found else { return isFirst }
        addresses[name] = found
        return true
    }

    /// A lookup is not under way any more, and the name is due again at that time.
    mutating func giveBack(_ name: String, next: MonotonicTime) {
        running -= 1
        slowRunning.remove(name)
        let domain = Self.domain(of: name)
        let others = (domainRunning[domain] ?? 1) - 1
        domainRunning[domain] = others > 0 ? others : nil
        if hasPassedOver { lookAgain(at: lastLook + pause) }
        guard wanted.contains(name) else {
            names[name] = nil
            return
        }
        names[name]?.isRunning = false
        names[name]?.due = next
        lookAgain(at: next)
    }

    private mutating func lookAgain(at time: MonotonicTime) { nextLook = nextLook.map { min($0, time) } ?? time }

    private struct Precedence: Comparable {
        let isSlow: Bool
        let isTried: Bool
        let generation: Int
        let due: MonotonicTime

        static func < (left: Precedence, right: Precedence) -> Bool {
            if left.isSlow != right.isSlow { return right.isSlow }
            if left.isTried != right.isTried { return right.isTried }
            if left.generation != right.generation, !left.isTried { return left.generation > right.generation }
            return left.due < right.due
        }
    }

    private func precedence(_ name: String, _ entry: Name) -> Precedence {
        Precedence(
            isSlow: slowDomains.contains(Self.domain(of: name)), isTried: entry.isTried,
            generation: entry.generation, due: entry.due)
    }

    /// The last two labels: whose server it is, roughly.
    private static func domain(of name: String) -> String {
        name.split(separator: ".").suffix(2).joined(separator: ".")
    }
}
