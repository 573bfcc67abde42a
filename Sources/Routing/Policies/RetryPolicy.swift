internal import Manifests

/// `retries` of a rule, compiled. Source: docs/istio.md, Retries.
package struct RetryPolicy: Sendable, Equatable {
    /// What is tried again, by the names of Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
    package struct Conditions: OptionSet, Sendable {
        /// One bit for each condition.
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Any 5xx, or no answer.
        package static let any5xx = Conditions(rawValue: 1 << 0)
        /// 502, 503 or 504, or no answer.
        package static let gatewayError = Conditions(rawValue: 1 << 1)
        /// No answer: the connection or the stream was lost, or the try took too long.
        package static let reset = Conditions(rawValue: 1 << 2)
        /// The connection was lost before the request was sent.
        package static let resetBeforeRequest = Conditions(rawValue: 1 << 3)
        /// No connection could be made.
        package static let connectFailure = Conditions(rawValue: 1 << 4)
        /// 409.
        package static let retriable4xx = Conditions(rawValue: 1 << 5)
        /// The endpoint refused the stream, which says that it did nothing of it.
        package static let refusedStream = Conditions(rawValue: 1 << 6)
        /// The answer is that of another gateway which limits rates.
        package static let rateLimited = Conditions(rawValue: 1 << 7)
        /// `grpc-status` 1 in the answer's header section, as for the others below.
        package static let cancelled = Conditions(rawValue: 1 << 8)
        /// `grpc-status` 4.
        package static let deadlineExceeded = Conditions(rawValue: 1 << 9)
        /// `grpc-status` 13.
        package static let `internal` = Conditions(rawValue: 1 << 10)
        /// `grpc-status` 8.
        package static let resourceExhausted = Conditions(rawValue: 1 << 11)
        /// `grpc-status` 14.
        package static let unavailable = Conditions(rawValue: 1 << 12)

        /// The names of conditions that ask for something here. `retriable-status-codes` is what numbers mean anyway,
        /// and `retriable-headers` and `http3-post-connect-failure` concern what this API cannot say.
        static let names: [(name: String, condition: Conditions)] = [
            ("5xx", .any5xx), ("gateway-error", .gatewayError), ("reset", .reset),
            ("reset-before-request", .resetBeforeRequest), ("connect-failure", .connectFailure),
            ("retriable-4xx", .retriable4xx), ("refused-stream", .refusedStream), ("envoy-ratelimited", .rateLimited),
            ("cancelled", .cancelled), ("deadline-exceeded", .deadlineExceeded), ("internal", .internal),
            ("resource-exhausted", .resourceExhausted), ("unavailable", .unavailable),
        ]
    }

    /// Tries after the first one; 0 switches retries off.
    package var attempts = 2
    /// How long one try may take until its answer begins; nil is no limit of its own.
    package var perTryTimeout: Duration?
    /// What is tried again.
    package var conditions: Conditions = [.connectFailure, .refusedStream, .unavailable, .cancelled]
    /// Statuses of answers that are tried again.
    package var statuses: [Int] = []
    /// Whether endpoints that failed this request are avoided while there are others.
    package var avoidsTried = true
    /// Whether tries from the third one on leave the priorities of endpoints that have failed the request.
    package var leavesRanks = false
    /// The base of the pause before another try; nil if the rule does not say it.
    package var backOff: Duration?

    /// Istio's base interval where a rule says none.
    package static let usualBackOff = Duration.milliseconds(25)

    /// The policy of a rule without `retries`: Istio's default.
    package static let standard = RetryPolicy()
    /// No retries.
    package static let never = RetryPolicy(attempts: 0)

    private init() {}

    private init(attempts: Int) { self.attempts = attempts }

    /// The policy of a rule's `retries`.
    init(_ source: HTTPRetries) {
        attempts = source.attempts
        guard attempts > 0 else { return }
        perTryTimeout = source.perTryTimeout
        backOff = source.backoff
        avoidsTried = source.retryIgnorePreviousHosts ?? true
        leavesRanks = source.retryRemoteLocalities
        guard !source.retryOn.isEmpty else { return }
        conditions = []
        for name in source.retryOn {
            if let status = Int(name) {
                if !statuses.contains(status) { statuses.append(status) }
            } else if let known = Conditions.names.first(where: { $0.name == name }) {
                conditions.insert(known.condition)
            }
        }
    }

    /// Whether an answer is tried again.
    /// - Parameters:
    ///   - status: its HTTP status.
    ///   - grpcStatus: the `grpc-status` of its header section; nil if there is none.
    ///   - isRateLimited: whether it has `x-envoy-ratelimited`.
    package func wants(status: Int, grpcStatus: Int?, isRateLimited: Bool) -> Bool {
        if isRateLimited { return conditions.contains(.rateLimited) }
        if (500...599).contains(status), conditions.contains(.any5xx) { return true }
        if (502...504).contains(status), conditions.contains(.gatewayError) { return true }
        if status == 409, conditions.contains(.retriable4xx) { return true }
        if statuses.contains(status) { return true }
        return switch grpcStatus {
        case 1: conditions.contains(.cancelled)
        case 4: conditions.contains(.deadlineExceeded)
        case 8: conditions.contains(.resourceExhausted)
        case 13: conditions.contains(.internal)
        case 14: conditions.contains(.unavailable)
        default: false
        }
    }

    /// `retries` as `portico routes` shows it.
    package var summary: String {
        guard attempts > 0 else { return "no retries" }
        let names = Conditions.names.filter { conditions.contains($0.condition) }.map(\.name)
        var parts = ["\(attempts) retries on \((names + statuses.map(String.init)).joined(separator: ","))"]
        if let perTryTimeout { parts.append("\(perTryTimeout.milliseconds) per try") }
        if let backOff { parts.append("back-off from \(backOff.milliseconds)") }
        if !avoidsTried { parts.append("on the same endpoint too") }
        if leavesRanks { parts.append("at other priorities from the third try on") }
        return parts.joined(separator: ", ")
    }
}
