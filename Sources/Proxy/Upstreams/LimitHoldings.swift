internal import Balancing
internal import Telemetry

/// What one request has in use of its cluster's limits, and has to give back.
struct LimitHoldings: BitwiseCopyable {
    private var hasRequest = false
    private var hasRetry = false

    /// A connection is there: takes one of the requests in progress.
    /// - Returns: false when the cluster has as many as it may have.
    mutating func takeRequest(_ limits: PoolLimits, _ metrics: WorkerMetrics) -> Bool {
        hasRequest = limits.take(.requests)
        if !hasRequest { metrics.reached(.clusterRequests) }
        return hasRequest
    }

    /// Takes one of the requests that are sent again, in the place of one that it had.
    /// - Returns: false when the cluster has as many as it may have.
    mutating func takeRetry(_ limits: PoolLimits, _ metrics: WorkerMetrics) -> Bool {
        giveBackRetry(limits)
        hasRetry = limits.take(.retries)
        if !hasRetry { metrics.reached(.clusterRetries) }
        return hasRetry
    }

    /// Gives the place of a request back, if one is held.
    mutating func giveBackRequest(_ limits: PoolLimits) {
        guard hasRequest else { return }
        hasRequest = false
        limits.giveBack(.requests)
    }

    /// Gives the place of a retry back, if one is held.
    mutating func giveBackRetry(_ limits: PoolLimits) {
        guard hasRetry else { return }
        hasRetry = false
        limits.giveBack(.retries)
    }
}
