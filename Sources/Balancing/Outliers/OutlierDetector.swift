internal import Octets
internal import Synchronization

/// Something that an operator may want to know of a cluster's endpoints.
package enum OutlierEvent: Sendable {
    /// An endpoint is not chosen any more.
    case ejected(endpoint: String, cause: EjectionCause, time: Duration)
    /// It is chosen again.
    case returned(endpoint: String)
    /// More happened than is kept.
    case omitted(Int)
}

/// Watches the endpoints of one cluster, for all workers and over reloads. It belongs to the `ClusterState`.
/// Counting an answer touches the endpoint's own line; the lock is for ejections and the control plane.
///
/// Thread: any. Freed by: the last of its `ClusterState`, a list and a request whose answer is counted.
package final class OutlierDetector: Sendable {
    /// An endpoint, by identity.
    struct Key: Hashable {
        let endpoint: EndpointState
        static func == (left: Key, right: Key) -> Bool { left.endpoint === right.endpoint }
        func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(endpoint)) }
    }

    private struct State {
        var policy: OutlierPolicy
        var ledger = OutlierLedger<Key>()
        var count = 0    // endpoints of the cluster
        var isStale = false    // who is ejected has changed since the choice was made for it
        var events: [OutlierEvent] = []
        var omitted = 0
        var totals = Totals()
        /// The rank of each endpoint, where requests are divided by ranks.
        var ranks: [ObjectIdentifier: Int]?
        /// The endpoints that their health checks take out of the choice.
        var unwell: Set<ObjectIdentifier> = []

        /// The endpoints that are not chosen.
        var unavailable: Set<ObjectIdentifier> {
            guard ledger.ejected > 0 else { return unwell }
            return unwell.union(ledger.ejectedKeys.map { ObjectIdentifier($0.endpoint) })
        }
    }

    /// What was counted since the cluster was made.
    package struct Totals: Sendable {
        /// Ejections since the cluster is known, by cause.
        package var ejections: [EjectionCause: UInt64] = [:]
        /// Ejections that the largest share forbade.
        package var prevented: UInt64 = 0
        /// Endpoints that are ejected now.
        package var ejected = 0
    }

    private let state: Lock<State>
    private let panics = Atomic<Bool>(false)
    private let hasNews = Atomic<Bool>(false)
    private let wake: @Sendable () -> Void

    /// Events of one cluster that wait to be logged.
    private static let mostEvents = 16

    /// - Parameter wake: called, on any thread, when `settle` has something to do.
    init(_ policy: OutlierPolicy, wake: @escaping @Sendable () -> Void) {
        state = Lock(State(policy: policy))
        self.wake = wake
    }

    var policy: OutlierPolicy { state.withLock { $0.policy } }

    /// Whether so many are ejected that all are used.
    package var isPanicking: Bool { panics.load(ordering: .relaxed) }

    /// Whether requests can eject an endpoint, or health checks alone take one out of the choice.
    package var detects: Bool { state.withLock { $0.policy.detects } }

    /// The counters as they are now.
    package var totals: Totals {
        state.withLock { state in
            var totals = state.totals
            totals.ejected = state.ledger.ejected
            return totals
        }
    }

    /// How many endpoints are ejected or fail their health checks.
    package var unavailableCount: Int { state.withLock { $0.unavailable.count } }

    /// The addresses of the endpoints that are ejected now.
    package var ejectedNames: Set<String> { state.withLock { Set($0.ledger.ejectedKeys.map(\.endpoint.name)) } }

    // MARK: workers

    /// An endpoint has reached a limit.
    func tripped(_ monitor: OutlierMonitor, _ cause: EjectionCause, at now: UInt64) {
        let isEjected = state.withLock { state in
            let key = Key(endpoint: monitor.endpoint)
            guard !state.ledger.isEjected(key), !monitor.endpoint.isGone else { return false }
            guard let time = state.ledger.eject(key, at: now, of: state.count, state.policy) else {
                state.totals.prevented += 1
                return false
            }
            state.totals.ejections[cause, default: 0] += 1
            state.isStale = true
            note(.ejected(endpoint: monitor.endpoint.name, cause: cause, time: time), &state)
            notePanic(state)
            // Under the lock, so that no end of the ejection can come between.
            monitor.isEjected = true
            return true
        }
        guard isEjected else { return }
        if !hasNews.exchange(true, ordering: .acquiringAndReleasing) { wake() }
    }

    private func note(_ event: OutlierEvent, _ state: inout State) {
        if state.events.count < Self.mostEvents { state.events.append(event) } else { state.omitted += 1 }
    }

    private func notePanic(_ state: State) {
        panics.store(Self.panics(state), ordering: .relaxed)
    }

    /// Whether too few are left. Where endpoints have ranks, others may still be able to take all requests.
    private static func panics(_ state: State) -> Bool {
        let unavailable = state.unwell.isEmpty ? [] : state.unavailable
        let count = state.unwell.isEmpty ? state.ledger.ejected : unavailable.count
        guard state.policy.panics(ejected: count, of: state.count) else { return false }
        guard let ranks = state.ranks else { return true }
        var census = Array(repeating: EndpointArrangement.Census(), count: (ranks.values.max() ?? -1) + 1)
        for rank in ranks.values {
            census[rank].total += 1
            census[rank].healthy += 1
        }
        for endpoint in state.unavailable {
            if let rank = ranks[endpoint] { census[rank].healthy -= 1 }
        }
        return !EndpointArrangement.isAvailable(census)
    }

    // MARK: the control plane

    /// Takes a changed policy; what was counted so far stays.
    func update(_ policy: OutlierPolicy) {
        state.withLock { state in
            state.policy = policy
            state.isStale = true
            notePanic(state)
        }
    }

    /// Takes the endpoints that the cluster has from now on, and what their health checks say; what is known of others
    /// is forgotten.
    func keep(_ list: EndpointList) {
        state.withLock { state in
            state.count = list.count
            state.unwell = Set(list.endpoints.lazy.filter { $0.health != .available }.map(ObjectIdentifier.init))
            if !state.ledger.isEmpty {
                let known = Set(list.endpoints.map(ObjectIdentifier.init))
                state.ledger.keep { known.contains(ObjectIdentifier($0.endpoint)) }
            }
            if state.ranks != nil { state.ranks = Self.ranks(of: list) }
            notePanic(state)
        }
    }

    /// Requests are divided like this from now on.
    func arrange(by arrangement: EndpointArrangement?, _ list: EndpointList) {
        state.withLock { state in
            state.ranks = arrangement == .ranked ? Self.ranks(of: list) : nil
            notePanic(state)
        }
    }

    private static func ranks(of list: EndpointList) -> [ObjectIdentifier: Int] {
        guard list.ranks.count == list.count else { return [:] }
        return Dictionary(zip(list.endpoints.map { ObjectIdentifier($0) }, list.ranks)) { first, _ in first }
    }

    /// The endpoints that are not chosen: those that are ejected or fail their health checks, or none in a panic.
    /// - Returns: nil when all are chosen.
    func ejected() -> (endpoints: Set<ObjectIdentifier>, isPanic: Bool)? {
        state.withLock { state in
            state.isStale = false
            let unavailable = state.unavailable
            return unavailable.isEmpty ? nil : (unavailable, Self.panics(state))
        }
    }

    /// Ends ejections whose time is over.
    /// - Returns: what has happened since the last call, whether others are ejected now, and when the next call is due.
    func settle(at now: UInt64) -> (events: [OutlierEvent], isStale: Bool, due: UInt64?) {
        hasNews.store(false, ordering: .sequentiallyConsistent)
        return state.withLock { state in
            for key in state.ledger.sweep(at: now, state.policy, passedAt: { $0.endpoint.passedAt }) {
                state.isStale = true
                note(.returned(endpoint: key.endpoint.name), &state)
            }
            notePanic(state)
            var events = state.events
            if state.omitted > 0 { events.append(.omitted(state.omitted)) }
            (state.events, state.omitted) = ([], 0)
            return (events, state.isStale, state.ledger.sweepDue)
        }
    }
}

/// The errors in a row of one endpoint in one cluster, which all workers count, and whether it is ejected: one word,
/// alone on its cache lines.
///
/// Thread: any. Freed by: the last list or request that has it.
final class OutlierMonitor: Sendable {
    let endpoint: EndpointState
    let thresholds: OutlierThresholds
    private let line: OwnLine

    /// - Parameter before: whose counts it takes over.
    init(_ endpoint: EndpointState, _ thresholds: OutlierThresholds, after before: OutlierMonitor? = nil) {
        self.endpoint = endpoint
        self.thresholds = thresholds
        line = OwnLine(before?.cell.value ?? 0)
    }

    var cell: LineCell { line.cell }

    /// Where its counts lie in memory, for tests.
    var address: UInt { line.address }

    /// The sign of the word; `ErrorCounts` leaves it alone.
    var isEjected: Bool {
        get { cell.value < 0 }
        set {
            while true {
                let before = cell.value
                let after = newValue ? before | .min : 0    // a return begins the counts anew
                if (before < 0) == newValue || cell.exchange(before, for: after) { return }
            }
        }
    }
}

/// A worker's own handle of an endpoint's monitor: it notes what became of the endpoint's requests.
///
/// Thread: its worker's. Freed by: its `Endpoint`.
package final class OutlierObserver {
    /// What all workers have counted of the endpoint in this cluster.
    let monitor: OutlierMonitor
    private let cell: LineCell    // of `monitor`
    private let thresholds: OutlierThresholds
    private let detector: OutlierDetector

    init(_ monitor: OutlierMonitor, _ detector: OutlierDetector) {
        self.monitor = monitor
        self.detector = detector
        cell = monitor.cell
        thresholds = monitor.thresholds
    }

    /// Whether it is not to be chosen.
    @inline(__always) var isEjected: Bool { cell.value < 0 && !detector.isPanicking }

    /// Counts what became of a request. A success after a success writes nothing.
    /// - Parameter now: nanoseconds of a clock that never goes back.
    package func note(_ result: EndpointResult, at now: UInt64) {
        while true {
            let before = cell.value
            var counts = ErrorCounts(word: UInt64(bitPattern: Int64(before)))
            let cause = counts.note(result, thresholds)
            let after = Int(truncatingIfNeeded: counts.word)
            guard after == before || cell.exchange(before, for: after) else { continue }
            if let cause { detector.tripped(monitor, cause, at: now) }
            return
        }
    }
}

@available(*, unavailable) extension OutlierObserver: Sendable {}
