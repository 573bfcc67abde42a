internal import Balancing
internal import Logging
internal import Proxy
internal import Reactor
internal import Telemetry

/// Between the checker's thread and the control plane: orders go there, what is new comes back.
///
/// Thread: the main thread. Freed by: `ControlPlane`.
final class HealthMonitor {
    private let news: Mailbox<[HealthNews]>
    private let checker: HealthChecker
    private let log: Logger
    private var text = HealthText()
    private var isReported = false    // that there can be no thread

    /// - Throws: that no descriptor is left.
    init(log: Logger, metrics: Metrics) throws(SystemError) {
        let news = try Mailbox<[HealthNews]>()
        self.news = news
        self.log = log
        checker = try HealthChecker(waited: { metrics.reached(.healthChecks) }, tell: { news.post($0) })
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
        for line in text.lines(of: changes, panics, at: .now()) { log.warning("\(line)") }
    }

    /// When `settle` has something to say; nil: never.
    var due: MonotonicTime? { text.due }

    /// Says how many changes had no line of their own.
    func settle() {
        for line in text.settle(at: .now()) { log.warning("\(line)") }
    }
}
