package import Balancing
internal import Octets
internal import Reactor
internal import Synchronization

/// Everything Portico counts, process-wide: one set of counters per worker, and what the control plane
/// tells. Any thread. The names are documented in `docs/metrics.md`.
package final class Metrics: Sendable {
    package enum ReloadResult: Int, Sendable, CaseIterable { case success, failure }

    /// A number of things with one label.
    package struct Count: Sendable {
        package let label: String
        package let value: Int
        package init(_ label: String, _ value: Int) {
            self.label = label
            self.value = value
        }
    }

    /// What the control plane tells; replaced as a whole or counted up, now and then.
    struct Control: Sendable {
        var routeNames = ["-", "other"]    // by route ID
        var routeIDs: [String: Int] = [:]
        var workers: [WorkerMetrics] = []
        var reloads = [UInt64](repeating: 0, count: ReloadResult.allCases.count)
        var lastReload = 0    // wall seconds of the last success
        var problems: [Count] = []
        var objects: [Count] = []
        var clusters: [Cluster] = []
    }

    /// The ID for requests that no route took.
    package static let noRoute = 0
    /// The ID that all routes beyond the limit share.
    package static let otherRoute = 1
    package static let defaultRouteLimit = 10_000

    let version: String
    let logWriter: LogWriter?
    let startTime = WallTime.now()
    private let routeLimit: Int
    private let control = Lock(Control())

    package init(version: String, logWriter: LogWriter? = nil, routeLimit: Int = defaultRouteLimit) {
        self.version = version
        self.logWriter = logWriter
        self.routeLimit = routeLimit
    }

    /// The ID of a route's name; the same name has the same ID as long as the process lives. Names beyond
    /// the limit share `otherRoute`. For the control plane: it takes a lock.
    package func routeID(named name: String) -> Int {
        control.withLock { control in
            if let known = control.routeIDs[name] { return known }
            guard control.routeIDs.count < routeLimit else { return Self.otherRoute }
            let fresh = control.routeNames.count
            control.routeNames.append(name)
            control.routeIDs[name] = fresh
            return fresh
        }
    }

    /// Counters for one more worker.
    package func worker() -> WorkerMetrics {
        let worker = WorkerMetrics()
        control.withLock { $0.workers.append(worker) }
        return worker
    }

    package func reloadEnded(_ result: ReloadResult) {
        let now = WallTime.now().seconds
        control.withLock { control in
            control.reloads[result.rawValue] += 1
            if result == .success { control.lastReload = now }
        }
    }

    /// What the configuration in effect came to: problems by severity, objects by state.
    package func setConfiguration(problems: [Count], objects: [Count]) {
        control.withLock { control in
            control.problems = problems
            control.objects = objects
        }
    }

    /// The clusters in effect; their endpoints are read at each `render`.
    package func setClusters(_ clusters: [Cluster]) {
        control.withLock { $0.clusters = clusters }
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    package func render() -> String {
        var report = MetricsReport(metrics: self, control: control.withLock { $0 })
        return report.render(usage: .read())
    }
}
