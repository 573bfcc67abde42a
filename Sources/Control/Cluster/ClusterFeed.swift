package import Kubernetes
package import Reactor
internal import Routing

/// The client of an API server, as the control plane uses it.
package protocol ClusterClient: AnyObject, Sendable {
    /// Begins to list and watch; what comes goes to the source.
    func start() throws(SystemError)
    /// Has these Secrets read and watched, and no others.
    func watchSecrets(_ names: Set<SecretName>)
    /// Has the Nodes listed and watched from now on. It may be called again.
    func watchNodes()
    /// Ends all connections.
    func stop()
}

/// Has the control plane load because of a cluster, when `LoadPace` says so.
///
/// Thread: the main thread. Freed by: `ControlPlane`.
final class ClusterFeed {
    let source: ClusterSource
    private let client: any ClusterClient
    private let mailbox: Mailbox<Void>
    private var pace = LoadPace()
    /// Changes that came while a load was under way, which has an older version of them; nil: none is under way.
    private var replay: EndpointChanges?
    /// What loads wait for.
    let wanted: WantedObjects

    init(source: ClusterSource, client: any ClusterClient) throws(SystemError) {
        self.source = source
        self.client = client
        let mailbox = try Mailbox<Void>()
        self.mailbox = mailbox
        wanted = try WantedObjects(source: source, client: client)
        source.ring { mailbox.post(()) }
    }

    /// What the main thread watches for reading.
    var descriptor: CInt { mailbox.descriptor }

    /// Starts the client's thread, which lists and watches from then on.
    /// - Throws: that no thread is to be had.
    func start() throws(SystemError) { try client.start() }
    /// Ends the threads of the client and of the status writer, if there is one.
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
        if source.needsLoad { pace.changed(at: .now()) }
        return changes
    }

    /// Whether a load is due now. The first one waits until all kinds are known.
    var isDue: Bool { pace.isDue(at: .now()) { source.status.waiting == nil } }

    /// Until the next load, in milliseconds; -1: none is due.
    var wait: Int32 { pace.wait(at: .now()) }

    // MARK: loads

    /// A load begins, with all changes until now.
    /// - Returns: whether it belongs to a storm of changes, so that it has to yield to the workers.
    @discardableResult func loadBegan() -> Bool {
        replay = EndpointChanges()
        return pace.loadBegan(at: .now())
    }

    /// A load has ended.
    /// - Parameter work: processor time of the load.
    /// - Returns: changes of endpoints that came meanwhile.
    func loadEnded(work: Duration) -> EndpointChanges {
        let now = MonotonicTime.now()
        pace.loadEnded(work: work, at: now)
        if source.needsLoad { pace.changed(at: now) }
        defer { replay = nil }
        return replay ?? EndpointChanges()
    }

    // MARK: for people

    /// Why nothing is served yet.
    var waitingReason: String {
        if wanted.isAwaited { return "reading Secrets or Nodes of the Kubernetes API server" }
        return "waiting for the Kubernetes API server: \(source.status.waiting ?? "all objects are here")"
    }
}
