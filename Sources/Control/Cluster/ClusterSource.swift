package import Kubernetes
internal import Manifests
internal import Octets
internal import Reactor
internal import Routing
internal import Synchronization
internal import Telemetry

/// The API server of Kubernetes as a source of objects. The client's thread hands over what it learns, which is decoded
/// there and kept until it is taken: changed EndpointSlices and Pods by the control plane, at once; everything by the
/// next load. Any thread may use it.
///
/// Thread: any. Freed by: the last of the client's thread, the loader and the `ClusterFeed`.
package final class ClusterSource: ResourceSink, Sendable {
    /// The kinds that are read of a cluster.
    package static let kinds: [ResourceKind] =
        [
            .gateways, .virtualServices, .destinationRules, .serviceEntries, .workloadEntries, .services,
            .endpointSlices, .endpoints, .pods,
        ] + accessPolicies

    /// Neither is in effect yet. They are read because a gateway that they select must not serve without them.
    private static let accessPolicies = [
        ("authorizationpolicies", "AuthorizationPolicy"), ("requestauthentications", "RequestAuthentication"),
    ].map { plural, kind in
        ResourceKind(group: "security.istio.io", versions: ["v1", "v1beta1"], plural: plural, kind: kind)
    }

    private let reader: Lock<ClusterReader>
    private let inbox = Lock(ClusterInbox())
    private let bells: Lock<[@Sendable () -> Void]> = Lock([])
    private let counter: Lock<@Sendable (ReachedLimit) -> Void> = Lock({ _ in })

    private let namespaces: [String]
    /// What writes the status of the objects; nil: nothing does.
    package let statusWriter: StatusWriter?
    private let lastChange = Lock<Int?>(nil)    // wall seconds

    /// - Parameters:
    ///   - defaultNamespace: of objects without one.
    ///   - namespaces: the namespaces that are watched; empty: all.
    ///   - statusWriter: sees each object whose status it writes.
    package init(defaultNamespace: String, namespaces: [String] = [], statusWriter: StatusWriter? = nil) {
        self.namespaces = namespaces
        self.statusWriter = statusWriter
        reader = Lock(ClusterReader(defaultNamespace: defaultNamespace))
    }

    /// Has `wake` called, too, on the client's thread, when there is something to take.
    func ring(_ wake: @escaping @Sendable () -> Void) { bells.withLock { $0.append(wake) } }

    /// Has `reached` called, on the client's thread, for each limit that is reached.
    func count(_ reached: @escaping @Sendable (ReachedLimit) -> Void) { counter.withLock { $0 = reached } }

    /// Counts a limit of the client's. On the client's thread.
    package func reached(_ limit: ClusterLimit) { counter.withLock { $0 }(ReachedLimit(limit)) }

    /// Decodes and keeps what the client has learned. On the client's thread.
    package func receive(_ events: [ResourceEvent]) {
        let (seen, crowded) = statusWriter?.observe(events) ?? ([], 0)
        for _ in 0..<crowded { counter.withLock { $0 }(.statusOthers) }
        let arrivals = reader.withLock { reader in events.map { Self.arrival($0, reader) } }
        let before = inbox.withLock { inbox in
            let before = inbox.events
            for arrival in arrivals { inbox.apply(arrival) }
            for object in seen { inbox.note(generation: object.generation, of: object.identity) }
            return (before, inbox.events)
        }
        if before.0 != before.1 { lastChange.withLock { $0 = WallTime.now().seconds } }
        for ring in bells.withLock(\.self) { ring() }
    }

    /// Kinds of which objects were refused that would have room now.
    package func kindsToList() -> [ResourceKind] { inbox.withLock(\.kindsToList) }

    private static func arrival(_ event: ResourceEvent, _ reader: ClusterReader) -> ClusterInbox.Arrival {
        switch event {
        case .page(let kind, let namespace, let objects, let isFirst, let isLast):
            .page(
                kind, namespace: namespace, objects.map { reader.read(kind: kind.kind, $0) }, isFirst: isFirst,
                isLast: isLast)
        case .changed(let kind, let octets): .changed(kind, reader.read(kind: kind.kind, octets))
        case .secretRead(_, let octets): .changed(.secrets, reader.read(secret: octets))
        case .removed(let kind, let namespace, let name):
            // Kinds without a namespace, such as Node, are known by the default one; see `ClusterReader`.
            .removed(
                kind, ServiceName(namespace: namespace.isEmpty ? reader.defaultNamespace : namespace, name: name))
        case .state(let kind, let namespace, let state): .state(kind, namespace: namespace, state)
        case .secret(let name, let state): .secret(name, state)
        }
    }

    // MARK: for the control plane

    /// Changed EndpointSlices and Pods that were not taken yet; nil: none.
    func takeEndpoints() -> EndpointChanges? {
        inbox.withLock { $0.hasEndpoints ? $0.takeEndpoints() : nil }
    }

    /// Whether there is something that only a load brings into effect.
    var needsLoad: Bool { inbox.withLock(\.needsLoad) }

    /// Whether all of these Secrets are known: they are here, absent or refused.
    func knows(_ names: Set<SecretName>) -> Bool {
        inbox.withLock { inbox in names.allSatisfy { inbox.secrets[$0].map(Self.isKnown) ?? false } }
    }

    /// Whether the Nodes were listed, or cannot be.
    var knowsNodes: Bool {
        inbox.withLock { inbox in
            (inbox.kinds[ResourceKind.nodes.kind]?.states.values).map { $0.contains(where: Self.isKnown) } ?? false
        }
    }

    /// Forgets all other Secrets, which nobody names any more.
    func keepSecrets(_ names: Set<SecretName>) { inbox.withLock { $0.keepSecrets(names) } }

    private static func isKnown(_ state: ResourceState) -> Bool {
        if case .unreachable = state { return false }
        return true
    }

    /// What is known of the server.
    package var status: ClusterStatus {
        let last = lastChange.withLock { $0 }
        let writing = statusWriter?.facts
        return inbox.withLock { ClusterStatus($0, namespaces: namespaces, lastChange: last, writing: writing) }
    }

    // MARK: for the loader

    /// Hands over all that has changed since the last call, once. It takes a lock.
    func take() -> ClusterDelivery { inbox.withLock { $0.take() } }

    /// Notes which EndpointSlices and Pods files define.
    func hide(_ objects: Set<ObjectReference>) { inbox.withLock { $0.hidden = objects } }
}

extension ReachedLimit {
    /// How a limit of the client is counted.
    fileprivate init(_ limit: ClusterLimit) {
        self =
            switch limit {
            case .connections: .apiConnections
            case .connectTime: .apiConnectTime
            case .silence: .apiSilence
            case .preparation: .apiPreparation
            case .plugin: .apiPlugin
            case .answerOctets: .apiAnswerOctets
            case .answerTime: .apiAnswerTime
            case .endlessList: .apiEndlessList
            case .answersWaiting: .apiAnswersWaiting
            case .retryAfter: .apiRetryAfter
            case .secretWatch: .apiSecretWatch
            }
    }
}
