/// What the checks of one endpoint have said so far. It knows no clock and no socket.
/// Source: envoyproxy/envoy source/common/upstream/health_checker_base_impl.cc (handleSuccess, setUnhealthy).
package struct HealthHistory: Sendable, Equatable {
    /// What the checks say of the endpoint.
    package enum Health: Sendable, Equatable {
        case unknown
        case healthy
        case unhealthy
    }

    package private(set) var health = Health.unknown
    /// Checks in a row that were passed; none while the last one was not.
    package private(set) var passes = 0
    /// Checks in a row that were not passed.
    package private(set) var failures = 0
    /// Why the last check was not passed; empty while the last one was.
    package private(set) var reason = ""

    package init() {}

    /// Takes a result. The first one decides by itself, and so does the endpoint's own word that it is not well.
    /// - Returns: whether an operator should hear of it: the health is another one, or the reason is.
    package mutating func note(_ verdict: HealthVerdict, _ policy: HealthCheckPolicy) -> Bool {
        switch verdict {
        case .skipped: return false
        case .passed: return pass(policy)
        case .refused(let words): return fail(words, isCertain: true, policy)
        case .failed(let words): return fail(words, isCertain: false, policy)
        }
    }

    private mutating func pass(_ policy: HealthCheckPolicy) -> Bool {
        (failures, passes, reason) = (0, min(passes, Self.most) + 1, "")
        let isChange = health == .unknown || (health == .unhealthy && passes >= policy.healthyThreshold)
        guard isChange else { return false }
        health = .healthy
        return true
    }

    private mutating func fail(_ words: String, isCertain: Bool, _ policy: HealthCheckPolicy) -> Bool {
        let isNew = words != reason
        (passes, failures, reason) = (0, min(failures, Self.most) + 1, words)
        guard health != .unhealthy else { return isNew }
        guard health == .unknown || isCertain || failures >= policy.unhealthyThreshold else { return false }
        health = .unhealthy
        return true
    }

    /// Passes and failures in a row are counted up to here.
    private static let most = 1_000_000
}
