internal import Octets
internal import Synchronization

/// What makes two clusters of two configurations the same one.
package struct ClusterIdentity: Hashable, Sendable {
    /// The service's host name, fully qualified.
    package let host: String
    /// The service's port.
    package let port: Int
    /// Empty: the whole service.
    package let subset: String
    package let policy: BalancingPolicy

    package init(host: String, port: Int, subset: String, policy: BalancingPolicy) {
        self.host = host
        self.port = port
        self.subset = subset
        self.policy = policy
    }
}

/// What is known of a cluster in the whole process: its endpoints and which of them is next. It survives every
/// publish of a configuration as long as its identity does. Workers choose through a `Cluster` of their own.
///
/// Thread: any. Freed by: the last of the `ClusterDirectory`, a snapshot and a worker's `Cluster`.
package final class ClusterState: Sendable {
    /// The name for logs and metrics, in Envoy's form.
    package let name: String
    /// What the cluster is known by for as long as the process lives.
    package let identity: ClusterIdentity
    /// What became of requests that its endpoints failed.
    package let tally = ClusterTally()
    private let contents: Lock<Contents>
    /// Moves with every new list. Read by all workers for each request, and written with a new list alone.
    private let version = Atomic<UInt64>(1)
    private let gone = Atomic<Bool>(false)
    private let rotationLine: OwnLine
    private let used = Lock<ClusterUsage?>(nil)
    private let lacksTable = Atomic<Bool>(false)

    private struct Contents {
        /// Every endpoint that is known, also those that are ejected or unhealthy.
        var all: EndpointList
        /// What workers choose from: `all` without those that must get no requests now.
        var chosen: EndpointList
        var detector: OutlierDetector?
        /// Of its endpoints' health checks; nil: there are none.
        var health: HealthCounts?
        /// Which endpoints are new; nil: that does not matter.
        var warmup: WarmupLedger?
        /// What they weigh for that reason; nil: all are warm.
        var warmWeights: [Int]?
        /// Called when `settle` has something to do.
        var wake: @Sendable () -> Void = {}
        /// How requests are divided among ranks of endpoints; nil: they are not.
        var arrangement: EndpointArrangement?
        /// How endpoints are found by hash; nil: they are not.
        var hash: HashPolicy.Table?
        /// The newest table, perhaps of other endpoints.
        var table: HashTable?
    }

    /// - Parameter start: where the rotation begins.
    package init(name: String, identity: ClusterIdentity, list: EndpointList = EndpointList([]), start: Int = 0) {
        self.name = name
        self.identity = identity
        contents = Lock(Contents(all: list, chosen: list))
        rotationLine = OwnLine(start)
    }

    package var policy: BalancingPolicy { identity.policy }

    package var endpoints: [EndpointState] { contents.withLock { $0.all }.endpoints }

    /// Replaces the endpoints: every worker chooses among the new ones from its next request on.
    /// The control plane's thread only.
    package func publish(_ next: EndpointList) {
        let (before, detector) = contents.withLock { ($0.all, $0.detector) }
        detector?.keep(next)
        let wake = contents.withLock { $0.warmup?.keep(next.endpoints) == true ? $0.wake : nil }
        defer { wake?() }
        store(detector.map { next.watched(by: $0, after: before) } ?? next, detector)
    }

    /// What takes long is done before the lock, under which workers take the list.
    private func store(_ all: EndpointList, _ detector: OutlierDetector?) {
        let (hash, table, arrangement, warmup) = contents.withLock {
            ($0.hash, $0.table, $0.arrangement, $0.warmup)
        }
        let weights = warmup?.weights(of: all)
        let weighed = weights.map { all.warming($0) } ?? all
        var chosen = detector.map { weighed.chosen(by: $0) } ?? weighed
        if let arrangement { chosen = chosen.arranged(by: arrangement, of: all) }
        if hash != nil {
            if let table { chosen = chosen.hashed(by: table) }
            lacksTable.store(true, ordering: .releasing)
        }
        contents.withLock { contents in
            contents.all = all
            contents.chosen = chosen
            contents.detector = detector
            contents.warmWeights = weights
        }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// Divides requests among the ranks of the endpoints from now on; nil: not. The control plane's thread only.
    package func arrange(by arrangement: EndpointArrangement?) {
        let (all, detector, before) = contents.withLock { ($0.all, $0.detector, $0.arrangement) }
        guard arrangement != before else { return }
        contents.withLock { $0.arrangement = arrangement }
        detector?.arrange(by: arrangement, all)
        store(all, detector)
    }

    // MARK: consistent hashing

    /// What its way to choose is called.
    package var balancing: String { contents.withLock { $0.hash?.name } ?? policy.rawValue }

    /// Has endpoints found by hash from now on; nil: not. The control plane's thread only.
    package func hash(by table: HashPolicy.Table?) {
        let (all, detector, before) = contents.withLock { ($0.all, $0.detector, $0.hash) }
        guard table != before else { return }
        contents.withLock { contents in
            contents.hash = table
            if table == nil { contents.table = nil }
        }
        lacksTable.store(false, ordering: .releasing)
        store(all, detector)
    }

    /// Whether a table is to be made, because endpoints or policy have changed since the last one.
    package var wantsTable: Bool { lacksTable.load(ordering: .acquiring) }

    /// Whether requests with a hash go where they will go for long.
    package var isHashReady: Bool {
        contents.withLock { $0.hash == nil || $0.chosen.count < 2 || $0.table != nil }
    }

    /// What the table is to be made of; nil when the newest one will do. Any thread.
    package func takeTableJob() -> HashTable.Job? {
        lacksTable.store(false, ordering: .sequentiallyConsistent)
        let (chosen, hash, table) = contents.withLock { ($0.chosen, $0.hash, $0.table) }
        guard let hash, chosen.count > 1 else { return nil }
        let job = chosen.job(hash)
        return table?.isFor(job) == true ? nil : job
    }

    /// Takes a table that was made. The control plane's thread only.
    package func install(_ table: HashTable) {
        let (all, detector) = contents.withLock { contents in
            if contents.hash != nil { contents.table = table }
            return (contents.all, contents.detector)
        }
        let isStale = wantsTable
        store(all, detector)
        // It was made for the newest list, unless that has changed meanwhile.
        lacksTable.store(isStale, ordering: .releasing)
    }

    /// The list when it is newer than `seen`; no lock while nothing changed. `seen` starts at 0.
    @inline(__always) func read(ifNewerThan seen: inout UInt64) -> EndpointList? {
        let current = version.load(ordering: .acquiring)
        guard current != seen else { return nil }
        seen = current
        return contents.withLock { $0.chosen }
    }

    /// No configuration has it any more.
    package var isGone: Bool { gone.load(ordering: .acquiring) }
    /// No plan has the cluster any more.
    package func leave() {
        gone.store(true, ordering: .releasing)
        countedUsage?.leave()
    }

    // MARK: outliers

    /// The outlier detection of its endpoints; nil if there is none.
    package var detector: OutlierDetector? { contents.withLock { $0.detector } }

    /// Notes the results of the endpoints by that policy from now on; nil ends it, and every ejection. What is known of
    /// an endpoint stays when only the policy changes. The control plane's thread only.
    /// - Parameters:
    ///   - health: counts the health checks of the endpoints; nil: there are none. What fails them is not chosen.
    ///   - wake: called, on any thread, when `settle` has something to do.
    package func detectOutliers(
        _ policy: OutlierPolicy?, health: HealthCounts? = nil, wake: @escaping @Sendable () -> Void
    ) {
        let (all, detector, arrangement) = contents.withLock { contents in
            contents.health = health
            return (contents.all, contents.detector, contents.arrangement)
        }
        guard let policy = policy ?? (health == nil ? nil : .healthChecksOnly) else {
            if detector != nil { store(EndpointList(all.endpoints, weights: all.weights, ranks: all.ranks), nil) }
            return
        }
        guard detector?.policy != policy else { return }
        let next = detector ?? OutlierDetector(policy, wake: wake)
        next.update(policy)
        next.arrange(by: arrangement, all)
        next.keep(all)
        store(all.watched(by: next, after: all, isAnew: true), next)
    }

    /// The health of some of its endpoints is another one: takes those that fail their checks out of the choice, and
    /// the others in. The control plane's thread only.
    /// - Returns: whether it has come to use all endpoints because too few are well (true), or does not any more
    ///   (false); nil: neither.
    package func healthChanged() -> Bool? {
        let (all, detector, wake) = contents.withLock { ($0.all, $0.detector, $0.warmup == nil ? nil : $0.wake) }
        let before = detector?.isPanicking ?? false
        detector?.keep(all)
        store(all, detector)
        wake?()
        let isPanicking = detector?.isPanicking ?? false
        return isPanicking == before ? nil : isPanicking
    }

    /// How many health checks were passed and failed; nil: its endpoints are not checked.
    package var healthCounts: HealthCounts? { contents.withLock { $0.health } }

    /// Ends ejections whose time is over, and takes those that are ejected out of the choice.
    /// The control plane's thread only.
    /// - Parameter now: nanoseconds of the clock of `OutlierObserver.note`.
    /// - Returns: what has happened since the last call, and when the next one is due; nil: when it is woken.
    package func settle(at now: UInt64) -> (events: [OutlierEvent], due: UInt64?) {
        let (all, detector) = contents.withLock { ($0.all, $0.detector) }
        let (isOutdated, next) = warm(all, at: now)
        guard let detector else {
            if isOutdated { store(all, nil) }
            return ([], next)
        }
        let (events, isStale, due) = detector.settle(at: now)
        if isStale || isOutdated { store(all, detector) }
        return (events, [due, next].compactMap(\.self).min())
    }

    // MARK: warming up

    /// Has new endpoints come to their share by that policy from now on; nil: they have it at once.
    /// The control plane's thread only.
    /// - Parameter wake: called when `settle` has something to do.
    package func warm(by policy: WarmupPolicy?, wake: @escaping @Sendable () -> Void) {
        let (all, detector, before) = contents.withLock { ($0.all, $0.detector, $0.warmup) }
        guard policy != before?.policy else { return }
        contents.withLock { contents in
            contents.warmup = policy.map { WarmupLedger($0, after: before) }
            contents.wake = wake
            _ = contents.warmup?.keep(all.endpoints)
        }
        store(all, detector)
        if policy != nil { wake() }    // endpoints that were there may be warm by this policy already
    }

    /// - Returns: whether some weigh something else now, and when to look again.
    private func warm(_ all: EndpointList, at now: UInt64) -> (isOutdated: Bool, due: UInt64?) {
        contents.withLock { contents in
            guard contents.warmup != nil else { return (false, nil) }
            let unwell = all.endpoints.lazy.filter { $0.health != .available }.map(ObjectIdentifier.init)
            let due = contents.warmup?.advance(to: now, exceptFor: contents.health == nil ? [] : Set(unwell))
            return (contents.warmup?.weights(of: all) != contents.warmWeights, due)
        }
    }

    /// What is in use of it; counted from the first call on, because only clusters with limits need it.
    package func usage() -> ClusterUsage {
        used.withLock { used in
            let usage = used ?? ClusterUsage()
            used = usage
            return usage
        }
    }

    /// What is in use of it; nil if nobody counts that.
    package var countedUsage: ClusterUsage? { used.withLock { $0 } }

    var rotation: LineCell { rotationLine.cell }

    /// Where its rotation lies in memory, for tests.
    var rotationAddress: UInt { rotationLine.address }
}
