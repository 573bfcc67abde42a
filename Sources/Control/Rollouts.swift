internal import Balancing
internal import Reactor

/// A report of each rollout: when endpoints of a Service have left, and none has come or gone for a while since, it
/// says what that did to the requests. It knows no clock. The control plane's thread only.
struct Rollouts {
    /// A line of the log about one rollout that is over.
    struct Report: Equatable {
        let host: String
        let left: Int
        let came: Int
        let seconds: UInt64
        let counts: ClusterTally.Counts

        /// Whether clients have noticed it.
        var isNoticed: Bool { counts[.lost] > 0 || counts[.ended] > 0 }

        /// As a line for the log.
        var text: String {
            let hint =
                counts[.lost] > 0 ? "; give the pods a preStop pause, or the rule `retries` that cover the errors" : ""
            return "endpoints of \(host) have changed for \(seconds) s, \(left) left and \(came) came: "
                + "\(counts[.lost]) requests lost, \(counts[.replayed]) sent again, "
                + "\(counts[.ended]) answers broken off\(hint)"
        }
    }

    private struct ClusterChange {
        let before: ClusterTally.Counts
        var left = 0
        var came = 0
    }

    private struct Rollout {
        let began: MonotonicTime
        var latest: MonotonicTime
        var changes: [ObjectIdentifier: (cluster: ClusterState, change: ClusterChange)] = [:]
    }

    private var rollouts: [String: Rollout] = [:]

    /// How long after the last change a rollout counts as over: longer than a pod usually takes to be ready.
    static let quiet = Duration.seconds(15)
    /// The largest number of rollouts that are followed at once; further ones have no report.
    static let most = 1_000

    /// Notes that a cluster has other endpoints now.
    mutating func changed(_ cluster: ClusterState, left: Int, came: Int, at now: MonotonicTime) {
        let host = cluster.identity.host
        guard rollouts[host] != nil || (left > 0 && rollouts.count < Self.most) else { return }
        var rollout = rollouts[host] ?? Rollout(began: now, latest: now)
        rollout.latest = now
        let key = ObjectIdentifier(cluster)
        var change =
            rollout.changes[key]?.change ?? ClusterChange(before: cluster.tally.counts(before: now.nanoseconds))
        change.left += left
        change.came += came
        rollout.changes[key] = (cluster, change)
        rollouts[host] = rollout
    }

    /// When `settle` has something to do; nil: never.
    var due: MonotonicTime? { rollouts.values.map { $0.latest + Self.quiet }.min() }

    /// The reports of the rollouts that are over.
    mutating func settle(at now: MonotonicTime) -> [Report] {
        guard !rollouts.isEmpty else { return [] }
        let over = rollouts.filter { $0.value.latest + Self.quiet <= now }
        for host in over.keys { rollouts[host] = nil }
        return over.sorted { $0.key < $1.key }.map { Self.report($0.key, $0.value) }
    }

    private static func report(_ host: String, _ rollout: Rollout) -> Report {
        var counts = ClusterTally.Counts()
        for (cluster, change) in rollout.changes.values { counts.add(cluster.tally.counts.since(change.before)) }
        // A Service's ports and subsets have the same pods.
        return Report(
            host: host, left: rollout.changes.values.map(\.change.left).max() ?? 0,
            came: rollout.changes.values.map(\.change.came).max() ?? 0,
            seconds: rollout.latest.nanoseconds(since: rollout.began) / 1_000_000_000, counts: counts)
    }
}
