internal import Balancing
internal import Logging
internal import Proxy
internal import Reactor

/// Between the checker's thread and the control plane: orders go there, what is new comes back.
///
/// Thread: the main thread. Freed by: `ControlPlane`.
final class HealthMonitor {
    private let news: Mailbox<[HealthNews]>
    private let checker: HealthChecker
    private let log: Logger
    private var isReported = false    // that there can be no thread

    /// - Throws: that no descriptor is left.
    init(log: Logger) throws(SystemError) {
        let news = try Mailbox<[HealthNews]>()
        self.news = news
        self.log = log
        checker = try HealthChecker { news.post($0) }
    }

    /// Readable when `take` has something to do.
    var descriptor: CInt { news.descriptor }

    /// Hands orders to the checker.
    func order(_ configuration: inout Configuration) {
        let orders = configuration.takeHealthOrders()
        guard !orders.isEmpty else { return }
        do throws(SystemError) {
            try checker.take(orders)
        } catch {
            if !isReported { log.error("endpoints are not checked: \(error)") }
            isReported = true
        }
    }

    /// Takes what is new of endpoints: the clusters concerned choose among others from now on.
    func take(_ configuration: inout Configuration) {
        let (changes, panics) = configuration.take(health: news.takeAll().flatMap { $0 })
        for line in HealthText.lines(of: changes) { log.warning("\(line)") }
        for (cluster, isPanicking) in panics {
            log.warning("\(HealthText.line(of: cluster, isPanicking: isPanicking))")
        }
    }
}
