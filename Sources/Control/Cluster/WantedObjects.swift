internal import Kubernetes
internal import Manifests
internal import Octets
internal import Reactor
internal import Routing
internal import Synchronization

/// What the plan of a load needs of a cluster beyond the kinds that are always watched: the Secrets that it names, and
/// the Nodes. It has them watched, and lets the load wait for those that no earlier plan has needed: a plan that took
/// effect without them would answer requests by errors that the plan before it served.
///
/// Thread: any, but one load at a time waits. Freed by: `ClusterFeed` and the loader.
final class WantedObjects: Sendable {
    private let source: ClusterSource
    private let client: any ClusterClient
    /// Rings when the source has something new.
    private let bell: Mailbox<Void>
    private let state = Lock(State())

    private struct State {
        /// The Secrets that are watched: those of the plan in effect, and of a load that is tried.
        var watched: Set<SecretName> = []
        var watchesNodes = false
        /// What the plan in effect was loaded with, or has waited for as long as it may.
        var inEffect: Set<SecretName> = []
        var hasNodes = false
        /// What the load that is under way is the first to want.
        var awaited: Set<SecretName> = []
        var awaitsNodes = false
        /// When that load goes on in any case; nil: nothing keeps it waiting.
        var end: MonotonicTime?
    }

    /// How long a load waits for Secrets and Nodes that no earlier one has wanted.
    static let longestWait = Duration.seconds(5)

    private let longestWait: Duration

    init(
        source: ClusterSource, client: any ClusterClient, longestWait: Duration = WantedObjects.longestWait
    ) throws(SystemError) {
        self.longestWait = longestWait
        self.source = source
        self.client = client
        let bell = try Mailbox<Void>()
        self.bell = bell
        source.ring { bell.post(()) }
    }

    /// A load begins. What one that was given up has waited for is waited for again.
    /// - Parameter mayWait: whether its thread may; it takes effect with what is known if not.
    func begin(mayWait: Bool = true) {
        let end = mayWait ? nil : MonotonicTime(nanoseconds: 0)
        state.withLock { $0.end = end }
    }

    /// Whether a load waits for objects of the cluster now. Any thread may ask.
    var isAwaited: Bool { state.withLock { $0.end != nil } && !isKnown }

    /// Has what a plan needs watched, beside what the plan in effect needs.
    /// - Returns: whether the plan may take effect; if not, `wait` is to be called, and the objects are to be taken
    ///   anew.
    func has(_ plan: RoutingPlan, at now: MonotonicTime = .now()) -> Bool {
        let names = SecretNames.all(of: plan)
        let isNew = state.withLock { state in
            state.awaited = names.subtracting(state.inEffect)
            state.awaitsNodes = plan.needsNodes && !state.hasNodes
            return (!names.isSubset(of: state.watched), plan.needsNodes && !state.watchesNodes)
        }
        watch(state.withLock(\.inEffect).union(names), nodes: plan.needsNodes)
        return state.withLock { state in
            guard !state.awaited.isEmpty || state.awaitsNodes else { return true }
            guard let end = state.end else {
                // They may have come since the objects were taken: these are taken once more in any case.
                state.end = now + longestWait
                return false
            }
            return now >= end || isNew == (false, false) && isKnown(state)
        }
    }

    /// A load takes effect: what only the plan before it has needed is not watched any more.
    func settle(_ plan: RoutingPlan) {
        let names = SecretNames.all(of: plan)
        state.withLock { state in
            state.inEffect = names
            if plan.needsNodes { state.hasNodes = true }
            (state.awaited, state.awaitsNodes, state.end) = ([], false, nil)
        }
        watch(names, nodes: plan.needsNodes)
    }

    private func watch(_ names: Set<SecretName>, nodes: Bool) {
        let (before, asksForNodes) = state.withLock { state in
            let (before, asksForNodes) = (state.watched, nodes && !state.watchesNodes)
            state.watched = names
            if nodes { state.watchesNodes = true }
            return (before, asksForNodes)
        }
        if names != before {
            source.keepSecrets(names)
            client.watchSecrets(names)
        }
        if asksForNodes { client.watchNodes() }
    }

    /// Waits until all that is awaited is known, or until the load has waited long enough.
    /// - Parameter limit: ends it early.
    /// - Returns: whether it is known.
    func wait(_ limit: LoadLimit) -> Bool {
        guard let end = state.withLock(\.end) else { return true }
        while !isKnown {
            guard MonotonicTime.now() < end, !limit.isOver else { return false }
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: 100)
            _ = bell.takeAll()
        }
        return true
    }

    private var isKnown: Bool { state.withLock { isKnown($0) } }

    private func isKnown(_ state: State) -> Bool {
        source.knows(state.awaited) && (!state.awaitsNodes || source.knowsNodes)
    }
}
