internal import Manifests

/// A share of requests, drawn for each request alone. Envoy draws millionths, too.
package struct RequestShare: Sendable, Equatable {
    /// Of a million requests.
    package let millionths: UInt64

    /// - Parameter percentage: 0...100.
    package init(percentage: Double) { millionths = UInt64(min(max(percentage, 0), 100) * 10_000) }

    /// Whether a request belongs to the share.
    /// - Parameter random: a fresh random number.
    package func includes(random: UInt64) -> Bool { random % 1_000_000 < millionths }

    /// As text, such as `12.5 %`.
    var text: String {
        let (whole, rest) = millionths.quotientAndRemainder(dividingBy: 10_000)
        guard rest > 0 else { return "\(whole) %" }
        var digits = String(rest + 10_000).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits) %"
    }
}

/// `fault` of a rule, compiled: what is done to requests so that their callers meet a slow or broken service.
/// Source: docs/istio.md, Faults.
package struct FaultPolicy: Sendable, Equatable {
    /// Requests are held back before they go on.
    package struct Delay: Sendable, Equatable {
        /// At least a millisecond.
        package let time: Duration
        /// The share of requests that are held back.
        package let share: RequestShare
    }

    /// Requests are answered here.
    package struct Abort: Sendable, Equatable {
        /// The answer's HTTP status, 200...600; that of an answer with `grpcStatus` is 200.
        package let status: Int
        /// The answer's `grpc-status`; nil if the rule names an HTTP status.
        package let grpcStatus: Int?
        /// The share of requests that are answered here.
        package let share: RequestShare
    }

    /// nil: no request is held back.
    package let delay: Delay?
    /// nil: no request is answered here.
    package let abort: Abort?

    /// The policy of a rule's `fault`; nil if it never fires.
    init?(_ source: HTTPFault) {
        delay = source.delay.flatMap { delay in
            let share = RequestShare(percentage: delay.percentage)
            return share.millionths > 0 ? Delay(time: delay.fixed, share: share) : nil
        }
        abort = source.abort.flatMap { abort in
            let share = RequestShare(percentage: abort.percentage)
            guard share.millionths > 0, let status = abort.httpStatus ?? abort.grpcStatus.map({ _ in 200 }) else {
                return nil
            }
            return Abort(status: status, grpcStatus: abort.grpcStatus, share: share)
        }
        if delay == nil, abort == nil { return nil }
    }

    /// `fault` as `portico routes` shows it.
    package var summary: String {
        let held = delay.map { "\($0.share.text) delayed by \($0.time.milliseconds)" }
        let answered = abort.map { abort in
            let status = abort.grpcStatus.map { "grpc-status \($0)" } ?? "\(abort.status)"
            return "\(abort.share.text) answered \(status)"
        }
        return [held, answered].compactMap(\.self).joined(separator: ", ")
    }
}
