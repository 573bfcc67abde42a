package import Balancing
internal import Octets
internal import Reactor
internal import Synchronization

/// All metrics of the process: one set of counters per worker, and what the control plane reports. Any thread may use
/// it. The names are documented in `docs/metrics.md`.
///
/// Thread: any. Freed by: the last of the control plane and the pages that show it.
package final class Metrics: Sendable {
    /// How a reload ended.
    package enum ReloadResult: Int, Sendable, CaseIterable { case success, failure }

    /// How many things have one label.
    package struct Count: Sendable {
        /// The label's value, for example a severity.
        package let label: String
        /// How many things have it.
        package let value: Int
        package init(_ label: String, _ value: Int) {
            self.label = label
            self.value = value
        }
    }

    /// What is known of an API server of Kubernetes.
    package struct Cluster: Sendable {
        /// Since when it has not answered, in seconds since 1970; nil: it answers.
        package var unreachableSince: Int?
        package var objects: [Count]
        /// How many changes it has sent.
        package var events: UInt64
        /// When it sent the last one, in seconds since 1970; nil: none yet.
        package var lastChange: Int?
        /// What was written into the status of its objects; nil: nothing is.
        package var status: StatusWrites?

        package init(unreachableSince: Int?, objects: [Count], events: UInt64, lastChange: Int?) {
            self.unreachableSince = unreachableSince
            self.objects = objects
            self.events = events
            self.lastChange = lastChange
        }
    }

    /// What was written into the status of a cluster's objects.
    package struct StatusWrites: Sendable {
        /// Whether this replica writes.
        package let leads: Bool
        /// Writes that the server has taken.
        package let written: UInt64
        /// Writes that it has not taken.
        package let failed: UInt64
        /// Objects that are left alone because another writer changes them back.
        package let contested: Int
        /// Events that were never written because another replica had become the writer.
        package let eventsLostWithLease: UInt64
        /// Events that were never written because the server refused them.
        package let eventsRefused: UInt64

        package init(
            leads: Bool, written: UInt64, failed: UInt64, contested: Int, eventsLostWithLease: UInt64,
            eventsRefused: UInt64
        ) {
            self.leads = leads
            self.written = written
            self.failed = failed
            self.contested = contested
            self.eventsLostWithLease = eventsLostWithLease
            self.eventsRefused = eventsRefused
        }
    }

    /// What the control plane reports.
    struct Control: Sendable {
        var routeNames = ["-", "other"]    // by route ID
        // A rule may choose these two names for its requests, which would be two series of one name otherwise.
        var routeIDs = ["-": Metrics.noRoute, "other": Metrics.otherRoute]
        /// Those of all workers, in the order of their making; none ever goes.
        var workers: [WorkerMetrics] = []
        /// How many reloads have ended, by their result.
        var reloads = [UInt64](repeating: 0, count: ReloadResult.allCases.count)
        var lastReload = 0    // wall seconds of the last success
        /// Of the configuration in effect, by severity.
        var problems: [Count] = []
        var objects: [Count] = []
        /// Those of the configuration in effect.
        var clusters: [ClusterState] = []
        /// Limits that were reached outside of the workers, by their place.
        var limits = [UInt64](repeating: 0, count: ReachedLimit.allCases.count)
    }

    /// The ID for requests that no route matched.
    package static let noRoute = 0
    /// The ID that all routes beyond the limit share.
    package static let otherRoute = 1
    private static let ownRoutes = 2
    /// How many route names have an ID of their own by default.
    package static let defaultRouteLimit = 10_000

    /// Of this binary, for `portico_build_info`.
    let version: String
    /// The access log's; nil: there is no log.
    let logWriter: LogWriter?
    /// The warnings'; nil: they are not written.
    let messageWriter: LogWriter?
    /// When the process began, for `process_start_time_seconds`.
    let startTime = WallTime.now()
    private let routeLimit: Int
    private let control = Lock(Control())

    /// Makes metrics without workers.
    /// - Parameters:
    ///   - version: the version for `portico_build_info`.
    ///   - logWriter: the access log's writer, whose lost lines are reported.
    ///   - messageWriter: the same of the workers' warnings.
    ///   - routeLimit: how many route names have an ID of their own.
    package init(
        version: String, logWriter: LogWriter? = nil, messageWriter: LogWriter? = nil,
        routeLimit: Int = defaultRouteLimit
    ) {
        self.version = version
        self.logWriter = logWriter
        self.messageWriter = messageWriter
        self.routeLimit = routeLimit
    }

    /// The ID of a route's name. A name keeps its ID as long as the process lives. Names beyond the limit share
    /// `otherRoute`. It takes a lock, so it is for the control plane only.
    package func routeID(named name: String) -> Int {
        control.withLock { control in
            if let known = control.routeIDs[name] { return known }
            guard control.routeIDs.count - Self.ownRoutes < routeLimit else { return Self.otherRoute }
            let fresh = control.routeNames.count
            control.routeNames.append(name)
            control.routeIDs[name] = fresh
            return fresh
        }
    }

    /// Makes the counters for one more worker.
    package func addWorker() -> WorkerMetrics {
        let worker = WorkerMetrics()
        control.withLock { $0.workers.append(worker) }
        return worker
    }

    /// Counts a load of the configuration; a success sets the time of the last one, too. It takes a lock.
    package func reloadEnded(_ result: ReloadResult) {
        let now = WallTime.now().seconds
        control.withLock { control in
            control.reloads[result.rawValue] += 1
            if result == .success { control.lastReload = now }
        }
    }

    /// Counts that the control plane has reached a limit. It takes a lock.
    package func reached(_ limit: ReachedLimit) { control.withLock { $0.limits[limit.rawValue] += 1 } }

    /// Reports the configuration in effect: its problems by severity and its objects by state.
    package func setConfiguration(problems: [Count], objects: [Count]) {
        control.withLock { control in
            control.problems = problems
            control.objects = objects
        }
    }

    /// Reports the clusters in effect. Their endpoints are read at each `render`.
    package func setClusters(_ clusters: [ClusterState]) {
        control.withLock { $0.clusters = clusters }
    }

    /// Tries that all workers ever sent to an endpoint.
    package func tries(to endpoint: EndpointState) -> UInt64 {
        tries(number: endpoint.number) &- endpoint.countedBefore
    }

    /// Tries sent to all endpoints that had this number so far.
    package func tries(number: Int) -> UInt64 {
        control.withLock { $0.workers }.reduce(0) { $0 &+ $1.tries(endpoint: number) }
    }

    /// What the listeners of all workers tell of the load balancer in front of them.
    package var frontFindings: [FrontLedger.Entry] { FrontLedger.joined(control.withLock { $0.workers }.map(\.front)) }

    /// All metrics in Prometheus' text format, version 0.0.4.
    /// - Parameter cluster: the API server that is watched; nil: none.
    package func render(cluster: Cluster? = nil) -> String {
        var report = MetricsReport(metrics: self, control: control.withLock { $0 }, cluster: cluster)
        return report.render(usage: .read())
    }
}
