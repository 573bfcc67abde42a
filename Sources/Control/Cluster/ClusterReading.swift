internal import Kubernetes
package import Manifests
internal import Reactor
package import Routing

/// Reads a cluster once, for `check` and `routes`.
package struct ClusterReading {
    /// Everything that was read, with its problems.
    package let set: ManifestSet
    /// What it comes to.
    package let plan: RoutingPlan
    /// The endpoints of its services.
    package let endpoints: EndpointTable

    /// Reads files and a cluster, and the Secrets that they need.
    /// - Parameters:
    ///   - files: what was read of files.
    ///   - wait: how long the server may take for its objects, and again for the Secrets.
    /// - Throws: a sentence about a server that does not answer; what the system refuses.
    package init(
        _ files: ManifestSet, source: ClusterSource, client: any ClusterClient, options: CompileOptions,
        wait: Duration = .seconds(30)
    ) throws(ClusterReadingFault) {
        let bell: Mailbox<Void>
        do throws(SystemError) {
            let mailbox = try Mailbox<Void>()
            source.ring { mailbox.post(()) }
            try client.start()
            bell = mailbox
        } catch {
            throw ClusterReadingFault(description: "\(error)")
        }
        defer { client.stop() }
        guard Self.wait(bell, wait, until: { source.status.waiting == nil }) else {
            throw ClusterReadingFault(
                description: "the Kubernetes API server was waited for \(wait): \(source.status.waiting ?? "")")
        }
        var (own, cluster) = (FileObjects(), ClusterObjects())
        own.apply(files)
        cluster.take(source.take())
        var found = Self.compile(own, cluster, options)
        let secrets = SecretNames.all(of: found.plan)
        if !secrets.isEmpty {
            client.watchSecrets(secrets)
            _ = Self.wait(bell, wait) { source.knows(secrets) }
            cluster.take(source.take())
            found = Self.compile(own, cluster, options)
        }
        (set, plan, endpoints) = found
    }

    private static func compile(
        _ files: FileObjects, _ cluster: ClusterObjects, _ options: CompileOptions
    ) -> (set: ManifestSet, plan: RoutingPlan, endpoints: EndpointTable) {
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
package struct ClusterReadingFault: Error, CustomStringConvertible {
    package let description: String
}
