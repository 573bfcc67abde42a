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
        var secrets: Set<SecretName> = []
        var hasNodes = false
        /// When the load that is under way goes on in any case; nil: nothing keeps it waiting.
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

    /// A load begins.
    func begin() { state.withLock { $0.end = nil } }

    /// Whether a load waits for objects of the cluster now. Any thread may ask.
    var isAwaited: Bool { state.withLock { $0.end != nil } && !isKnown }

    /// Has what a plan needs watched.
    /// - Returns: whether the plan may take effect; if not, `wait` is to be called, and the objects are to be taken
    ///   anew.
    func has(_ plan: RoutingPlan, at now: MonotonicTime = .now()) -> Bool {
        let isNew = watch(SecretNames.all(of: plan), nodes: plan.needsNodes)
        return state.withLock { state in
            guard isNew || state.end != nil else { return true }
            let end = state.end ?? now + longestWait
            // What is new may have come since the objects were taken.
            let isEnough = now >= end || !isNew && isKnown(state)
            state.end = isEnough ? nil : end
            return isEnough
        }
    }

    /// - Returns: whether something is wanted that was not.
    private func watch(_ names: Set<SecretName>, nodes: Bool) -> Bool {
        let (before, asksForNodes) = state.withLock { state in
            let (before, asksForNodes) = (state.secrets, nodes && !state.hasNodes)
            state.secrets = names
            if nodes { state.hasNodes = true }
            return (before, asksForNodes)
        }
        if names != before {
            source.keepSecrets(names)
            client.watchSecrets(names)
        }
        if asksForNodes { client.watchNodes() }
        return asksForNodes || !names.isSubset(of: before)
    }

    /// Waits until all that is wanted is known, or until the load has waited long enough.
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
        source.knows(state.secrets) && (!state.hasNodes || source.knowsNodes)
    }
}
