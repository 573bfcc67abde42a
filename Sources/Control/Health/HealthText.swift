internal import Balancing
internal import Proxy

/// What standard error says of health checks: a line for each change, and one for those beyond a number of lines.
enum HealthText {
    /// Lines at a time; a Service that fails as a whole would say the same thousands of times.
    private static let most = 20

    /// A line for each change of an endpoint's health.
    /// - Parameter changes: with the Service's host and port.
    static func lines(of changes: [(service: String, news: HealthNews)]) -> [String] {
        var lines = changes.prefix(most).map { "\($0.service): \(sentence($0.news))" }
        if changes.count > most {
            lines.append("the health of \(changes.count - most) more endpoints has changed at the same time")
        }
        return lines
    }

    private static func sentence(_ news: HealthNews) -> String {
        let name = "endpoint \(news.endpoint.name)"
        guard news.record.standing == .unhealthy else { return "\(name) passes its health check: it is used" }
        let times = news.record.failures == 1 ? "" : ", \(news.record.failures) times in a row"
        return "\(name) fails its health check: \(news.record.reason)\(times)"
    }

    /// A line for a cluster that has come to use all of its endpoints, or does not any more.
    static func line(of cluster: ClusterState, isPanicking: Bool) -> String {
        isPanicking
            ? "\(cluster.name): too few endpoints are well: all are used"
            : "\(cluster.name): enough endpoints are well again: the others are not used"
    }
}
