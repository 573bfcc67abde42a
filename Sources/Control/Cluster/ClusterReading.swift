internal import Kubernetes
package import Manifests
internal import Reactor
package import Routing

/// Reads a cluster once, for `check`, `routes`, `explain` and `diff`.
package struct ClusterReading {
    /// Everything that was read with its problems, what it comes to, and the endpoints of its services.
    package typealias Compiled = (set: ManifestSet, plan: RoutingPlan, endpoints: EndpointTable)

    private var files = FileObjects()
    private var cluster = ClusterObjects()
    private let options: CompileOptions

    /// Reads files and a cluster, and the Secrets that they need.
    /// - Parameters:
    ///   - files: what was read of files.
    ///   - wait: how long the server may take for its objects, and again for the Secrets.
    /// - Throws: a sentence about a server that does not answer; what the system refuses.
    package init(
        _ files: ManifestSet, source: ClusterSource, client: any ClusterClient, options: CompileOptions,
        wait: Duration = .seconds(30)
    ) throws(ClusterReadingError) {
        self.options = options
        let bell: Mailbox<Void>
        do throws(SystemError) {
            let mailbox = try Mailbox<Void>()
            source.ring { mailbox.post(()) }
            try client.start()
            bell = mailbox
        } catch {
            throw ClusterReadingError(description: "\(error)")
        }
        defer { client.stop() }
        guard Self.wait(bell, wait, until: { source.status.waiting == nil }) else {
            throw ClusterReadingError(
                description: "the Kubernetes API server was waited for \(wait): \(source.status.waiting ?? "")")
        }
        self.files.apply(files)
        cluster.take(source.take())
        let plans = [joined().plan, alone().plan]
        let secrets = plans.reduce(into: Set()) { $0.formUnion(SecretNames.all(of: $1)) }
        let needsNodes = plans.contains(where: \.needsNodes)
        if !secrets.isEmpty { client.watchSecrets(secrets) }
        if needsNodes { client.watchNodes() }
        if needsNodes || !secrets.isEmpty {
            _ = Self.wait(bell, wait) { source.knows(secrets) && (!needsNodes || source.knowsNodes) }
            cluster.take(source.take())
        }
    }

    /// The cluster with the objects of the files in place of its own.
    package func joined() -> Compiled { compile(files) }

    /// The cluster without the files.
    package func alone() -> Compiled { compile(FileObjects()) }

    private func compile(_ files: FileObjects) -> Compiled {
        let objects = JoinedObjects(files, cluster)
        let table = EndpointTable(objects.inventory, refusal: options.refusedEndpoint)
        var set = objects.problems
        set.inventory = objects.inventory
        return (set, RoutingPlan.compile(objects.inventory, endpoints: table, options: options), table)
    }

    private static func wait(_ bell: Mailbox<Void>, _ limit: Duration, until isDone: () -> Bool) -> Bool {
        let deadline = MonotonicTime.now() + limit
        while !isDone() {
            guard MonotonicTime.now() < deadline else { return false }
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: 100)
            _ = bell.takeAll()
        }
        return true
    }
}

/// Why a cluster could not be read, as a sentence.
package struct ClusterReadingError: Error, CustomStringConvertible {
    package let description: String
}
