/// When an endpoint that answers with errors is taken out of the choice, and for how long.
/// Source: istio/api networking/v1alpha3/destination_rule.proto (OutlierDetection); envoyproxy/envoy
/// api/envoy/config/cluster/v3/outlier_detection.proto.
package struct OutlierPolicy: Sendable, Hashable {
    /// Errors in a row until an endpoint is ejected: answers of 500 and above and, unless they are counted apart,
    /// local failures. 0: never.
    package var consecutive5xx = 5
    /// Answers of 502, 503 or 504 in a row, and what counts as one. 0: never.
    package var consecutiveGateway = 0
    /// Whether failures to connect, resets and timeouts are counted apart from what the endpoint answers.
    package var splitsLocalOrigin = false
    /// Local failures in a row, where they are counted apart. 0: never.
    package var consecutiveLocalOrigin = 5
    /// How often endpoints are looked at whose ejection may be over; above zero.
    package var interval = Duration.seconds(10)
    /// How long the first ejection lasts; the n-th in a row n times as long. Above zero.
    package var baseEjectionTime = Duration.seconds(30)
    /// The largest share of endpoints that may be ejected at the same time, 0 to 100. One may be in any case, unless
    /// that is the only one or the share is 0.
    package var maxEjectionPercent = 10
    /// If fewer endpoints are left than this share, all are used, 0 to 100.
    package var minHealthPercent = 0
    /// The HTTP status codes that count as errors, 100 to 599, sorted; nil: 500 to 599.
    package var errorCodes: [Int]?

    /// The values that Istio documents for fields that are not set.
    package init() {}

    /// Nothing that a request meets ejects an endpoint: health checks alone say which are used.
    static var healthChecksOnly: OutlierPolicy {
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.consecutiveGateway, policy.consecutiveLocalOrigin) = (0, 0, 0)
        policy.minHealthPercent = HealthCheckPolicy.usualMinHealthPercent
        return policy
    }

    /// Whether anything that a request meets can eject an endpoint.
    var detects: Bool {
        consecutive5xx > 0 || consecutiveGateway > 0 || (splitsLocalOrigin && consecutiveLocalOrigin > 0)
    }

    /// No ejection is longer, unless the first one is.
    /// Source: envoyproxy/envoy api/envoy/config/cluster/v3/outlier_detection.proto (max_ejection_time).
    package static let longestEjection = Duration.seconds(300)

    /// How long an ejection lasts.
    /// - Parameter times: how many there were in a row, this one included.
    func ejectionTime(times: Int) -> Duration {
        let longest = max(Self.longestEjection, baseEjectionTime)
        // No product overflows: beyond that many the longest is reached whatever the first one was.
        return baseEjectionTime >= longest / max(times, 1) ? longest : baseEjectionTime * max(times, 1)
    }

    /// Whether one more endpoint may be ejected.
    /// - Parameters:
    ///   - ejected: how many are.
    ///   - count: of all endpoints.
    func mayEject(ejected: Int, of count: Int) -> Bool {
        guard maxEjectionPercent > 0 else { return false }
        return (ejected + 1) * 100 <= maxEjectionPercent * count || (ejected == 0 && count > 1)
    }

    /// Whether so few endpoints are left that all are used.
    /// - Parameter ejected: endpoints that are ejected or fail their health checks.
    func panics(ejected: Int, of count: Int) -> Bool { (count - ejected) * 100 < minHealthPercent * count }
}

/// What became of one request to an endpoint.
package enum EndpointResult: Sendable, Equatable {
    /// It was answered with that HTTP status; of a gRPC call what its status stands for.
    case answered(Int)
    /// It could not be connected to, or the stream was lost.
    case failed
    /// No answer came in time.
    case timedOut
}

/// Why an endpoint was ejected. The names are Envoy's.
package enum EjectionCause: String, Sendable, CaseIterable {
    case consecutive5xx = "consecutive_5xx"
    case gatewayFailure = "consecutive_gateway_failure"
    case localOriginFailure = "consecutive_local_origin_failure"
}
