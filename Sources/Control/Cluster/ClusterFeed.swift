package import Kubernetes
package import Reactor
internal import Routing

/// The client of an API server, as the control plane uses it.
package protocol ClusterClient: AnyObject {
    /// Begins to list and watch; what comes goes to the source.
    func start() throws(SystemError)
    /// Has these Secrets read and watched, and no others.
    func watchSecrets(_ names: Set<SecretName>)
    /// Has the Nodes listed and watched from now on. It may be called again.
    func watchNodes()
    /// Ends all connections.
    func stop()
}

/// When the control plane loads because of a cluster, and what its first load waits for.
///
/// Thread: the main thread. Freed by: `ControlPlane`.
final class ClusterFeed {
    /// Where changes come from.
    let source: ClusterSource
    private let client: any ClusterClient
    private let mailbox: Mailbox<Void>
    /// When the next load is due; nil: nothing has changed.
    private(set) var due: MonotonicTime?
    private var restUntil = MonotonicTime(nanoseconds: 0)
    private var began: MonotonicTime?
    /// Changes that came while a load was under way, which has an older version of them.
    private var replay: EndpointChanges?
    private var secrets: Set<SecretName> = []
    private var wantsNodes = false
    private var secretsDeadline: MonotonicTime?
    private var isFirst = true    // the first load, with its Secrets, has not ended

    /// How long a change waits for others.
    private static let pause = Duration.milliseconds(20)
    /// How long the first load waits for Secrets.
    private static let longestSecretsWait = Duration.seconds(5)
    /// The longest time between two loads: the loader yields to everybody, and may take long on a busy machine.
    private static let longestRest = Duration.seconds(1)

    init(source: ClusterSource, client: any ClusterClient) throws(SystemError) {
        self.source = source
        self.client = client
        let mailbox = try Mailbox<Void>()
        self.mailbox = mailbox
        source.ring { mailbox.post(()) }
    }

    /// What the main thread watches for reading.
    var descriptor: CInt { mailbox.descriptor }

    /// Begins to watch.
    func start() throws(SystemError) { try client.start() }
    /// Ends the watch.
    func stop() {
        source.statusWriter?.stop()
        client.stop()
    }

    /// The process drains: another replica writes the status of objects from now on.
    func drain() { source.statusWriter?.resign() }

    /// A load is in effect.
    func tell(_ configuration: Configuration) {
        source.statusWriter?.loaded(configuration.loaded, configuration.diagnostics)
    }

    // MARK: changes

    /// The source has something: what goes straight to the clusters, and when a load is due.
    func takeChanges() -> EndpointChanges? {
        _ = mailbox.takeAll()
        let changes = source.takeEndpoints()
        if let changes { replay?.merge(changes) }
        if due == nil, source.needsLoad { due = max(.now() + Self.pause, restUntil) }
        return changes
    }

    /// Whether a load is due now. The first one waits until all kinds are known.
    var isDue: Bool {
        guard began == nil else { return false }
        if isFirst { return isFirstDue }
        return due.map { .now() >= $0 } ?? false
    }

    private var isFirstDue: Bool {
        if let secretsDeadline { return knowsWanted || .now() >= secretsDeadline }
        return source.status.waiting == nil
    }

    private var knowsWanted: Bool { source.knows(secrets) && (!wantsNodes || source.knowsNodes) }

    /// Until the next load, in milliseconds; -1: none is due.
    var wait: Int32 {
        guard began == nil, let time = isFirst ? secretsDeadline : due else { return -1 }
        return Int32(clamping: time.nanoseconds(since: .now()) / 1_000_000 + 1)
    }

    // MARK: loads

    /// A load begins, with all changes until now.
    func loadBegan() {
        due = nil
        began = .now()
        replay = EndpointChanges()
    }

    /// A load has ended, which took the time for as long as the next one waits: loads take half of a core at most.
    /// - Returns: changes of endpoints that came meanwhile.
    func loadEnded() -> EndpointChanges {
        let now = MonotonicTime.now()
        restUntil = now + min(now.duration(since: began ?? now), Self.longestRest)
        began = nil
        if source.needsLoad { due = max(now + Self.pause, restUntil) }
        defer { replay = nil }
        return replay ?? EndpointChanges()
    }

    /// Has the Secrets of a plan watched, and the Nodes if it needs them.
    /// - Returns: whether the first load has to be repeated, because they are not known yet.
    func want(_ plan: RoutingPlan) -> Bool {
        let names = SecretNames.all(of: plan)
        var isNew = names != secrets
        secrets = names
        if isNew {
            source.keepSecrets(names)
            client.watchSecrets(names)
        }
        if plan.needsNodes, !wantsNodes {
            wantsNodes = true
            isNew = true
            client.watchNodes()
        }
        guard isFirst else { return false }
        // Secrets that have come may have others in their place, once more.
        let deadline = secretsDeadline ?? .now() + Self.longestSecretsWait
        isFirst = isNew && .now() < deadline
        secretsDeadline = isFirst ? deadline : nil
        return isFirst
    }

    // MARK: for people

    /// Why nothing is served yet.
    var waitingReason: String {
        if secretsDeadline != nil { return "reading Secrets of the Kubernetes API server" }
        return "waiting for the Kubernetes API server: \(source.status.waiting ?? "all objects are here")"
    }
}
