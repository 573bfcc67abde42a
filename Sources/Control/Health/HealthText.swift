internal import Balancing
internal import Proxy
internal import Reactor

/// What standard error says of health checks: a line for each change, at most a number of lines in a second, and at its
/// end one about those that had none. Endpoints change one after the other, so a network that fails would say the same
/// thousands of times.
struct HealthText {
    /// Changes of health, with the Service's host and port.
    typealias Changes = [(service: String, news: HealthNews)]
    /// Clusters that have come to use all of their endpoints (true), or do not any more (false).
    typealias Panics = [(cluster: ClusterState, isPanicking: Bool)]

    /// Lines in a second, the last one not among them.
    static let most = 20
    private static let period = Duration.seconds(1)

    /// The end of the second that has begun with a line; nil: nothing was said for so long.
    private(set) var due: MonotonicTime?
    private var said = 0
    private var unsaid = Unsaid()

    /// What had no line.
    private struct Unsaid: Equatable {
        var failing = 0
        var passing = 0
        var panicking = 0
        var recovered = 0
    }

    /// The lines about what has changed now.
    mutating func lines(of changes: Changes, _ panics: Panics, at now: MonotonicTime) -> [String] {
        var lines = settle(at: now)
        for (service, news) in changes {
            let isFailing = news.history.health == .unhealthy
            if mayAdd(at: now) {
                lines.append("\(service): \(Self.sentence(news))")
            } else if isFailing {
                unsaid.failing += 1
            } else {
                unsaid.passing += 1
            }
        }
        for (cluster, isPanicking) in panics {
            if mayAdd(at: now) {
                lines.append(Self.line(of: cluster, isPanicking: isPanicking))
            } else if isPanicking {
                unsaid.panicking += 1
            } else {
                unsaid.recovered += 1
            }
        }
        return lines
    }

    /// The line about those that had none, at the end of their second.
    mutating func settle(at now: MonotonicTime) -> [String] {
        guard let due, now >= due else { return [] }
        defer { self = HealthText() }
        guard unsaid != Unsaid() else { return [] }
        let parts = [
            (unsaid.failing, "endpoints fail their health check"), (unsaid.passing, "endpoints pass it again"),
            (unsaid.panicking, "clusters use all endpoints, because too few are well"),
            (unsaid.recovered, "clusters have enough endpoints again that are well"),
        ].filter { $0.0 > 0 }.map { "\($0) \($1)" }
        return ["health checks, within a second without a line of their own: \(parts.joined(separator: ", "))"]
    }

    private mutating func mayAdd(at now: MonotonicTime) -> Bool {
        if due == nil { due = now + Self.period }
        guard said < Self.most else { return false }
        said += 1
        return true
    }

    private static func sentence(_ news: HealthNews) -> String {
        let name = "endpoint \(news.endpoint.name)"
        guard news.history.health == .unhealthy else { return "\(name) passes its health check: it is used" }
        let times = news.history.failures == 1 ? "" : ", \(news.history.failures) times in a row"
        return "\(name) fails its health check: \(news.history.reason)\(times)"
    }

    private static func line(of cluster: ClusterState, isPanicking: Bool) -> String {
        isPanicking
            ? "\(cluster.name): too few endpoints are well: all are used"
            : "\(cluster.name): enough endpoints are well again: the others are not used"
    }
}
