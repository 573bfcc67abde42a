package import Kubernetes
internal import Manifests
package import Telemetry

/// What is known of an API server, for readiness, metrics and the admin pages.
package struct ClusterStatus: Sendable {
    /// A kind that is watched in all namespaces is one, and so is each kind in each namespace.
    package struct Kind: Sendable {
        package let name: String
        /// The namespace that is watched; nil: all.
        package let namespace: String?
        /// How current the knowledge is; nil: nothing was heard yet.
        package let state: ResourceState?
        /// How many objects are known, of all namespaces.
        package let objects: Int
    }

    /// All kinds that are watched, in the order of their names.
    package let kinds: [Kind]
    /// How many changes the server has sent, listed objects among them.
    package let events: UInt64
    /// When the last change came, in seconds since 1970; nil: none came.
    package let lastChange: Int?
    /// What was written into the status of objects; nil: nothing is.
    package let writing: StatusWriter.Facts?

    /// - Parameter namespaces: those that are watched; empty: all.
    init(_ inbox: ClusterInbox, namespaces: [String], lastChange: Int?, writing: StatusWriter.Facts? = nil) {
        self.lastChange = lastChange
        self.writing = writing
        events = inbox.events
        let scopes = namespaces.isEmpty ? [""] : namespaces
        let always = ClusterSource.kinds.map(\.kind).sorted().flatMap { name in
            let entry = inbox.kinds[name]
            return scopes.map { scope in
                Kind(
                    name: name, namespace: scope.isEmpty ? nil : scope, state: entry?.states[scope],
                    objects: entry?.known.count ?? 0)
            }
        }
        kinds = always + Self.nodes(inbox)
    }

    /// Nodes, once they are watched.
    private static func nodes(_ inbox: ClusterInbox) -> [Kind] {
        let name = ResourceKind.nodes.kind
        guard let entry = inbox.kinds[name] else { return [] }
        return [Kind(name: name, namespace: nil, state: entry.states[""], objects: entry.known.count)]
    }

    /// Why no load can begin: kinds of which nothing is known. nil: all are known, or cannot be.
    package var waiting: String? {
        if let (since, reason) = unreachable { return "no answer since \(since): \(reason)" }
        // Endpoints stand in for EndpointSlices, where there are none.
        let hasSlices = kinds.contains { $0.name == "EndpointSlice" && $0.state == .current }
        let unknown = kinds.filter { $0.state == nil && !(hasSlices && $0.name == "Endpoints") }.map(\.name)
        let names = Set(unknown).sorted()
        return names.isEmpty ? nil : "listing \(names.joined(separator: ", "))"
    }

    /// Since when, in seconds since 1970, and why some kind is not current; the longest time of all. nil: all are.
    package var unreachable: (since: Int, reason: String)? {
        var longest: (since: Int, reason: String)?
        for case .unreachable(let since, let reason) in kinds.compactMap(\.state) {
            let seconds = Int(since / 1000)
            if longest.map({ seconds < $0.since }) ?? true { longest = (seconds, reason) }
        }
        return longest
    }

    /// The same for metrics.
    package var metrics: Metrics.Cluster {
        var objects: [String: Int] = [:]
        for kind in kinds { objects[kind.name] = kind.objects }
        var metrics = Metrics.Cluster(
            unreachableSince: unreachable?.since,
            objects: objects.sorted { $0.key < $1.key }.map { Metrics.Count($0.key, $0.value) }, events: events,
            lastChange: lastChange)
        metrics.status = writing.map {
            Metrics.StatusWrites(
                leads: $0.leads, written: $0.writes, failed: $0.failures, contested: $0.contested,
                eventsLostWithLease: $0.eventsLostWithLease, eventsRefused: $0.eventsRefused)
        }
        return metrics
    }
}
