internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// What a rule's `fault` does to requests. The delay comes first, then the answer; each is drawn for itself.
/// Source: docs/istio.md, Faults; envoyproxy/envoy source/extensions/filters/http/fault/fault_filter.cc.
enum FaultInjection {
    /// Holds the request back if it is drawn for that, or goes on.
    static func begin(_ exchange: Exchange) -> StepEnd {
        guard let fault = exchange.extras?({ $0.fault }) ?? nil else { return .next }
        guard let delay = fault.delay, delay.share.includes(random: exchange.services.random.next()) else {
            return abort(exchange, fault)
        }
        exchange.injected.insert(.delayInjected)
        exchange.keepSnapshot()
        let loop = exchange.services.loop
        exchange.timers.faultDelay = loop.arm(at: loop.now + delay.time, .faultDelay, exchange.number)
        return .wait(.delay)
    }

    /// The delay that the rule prescribes is over: the request goes on, or is answered if it is drawn for
    /// `fault.abort`.
    static func delayPassed(_ exchange: Exchange) {
        guard exchange.state.isWaiting(for: .delay), let fault = exchange.extras?({ $0.fault }) ?? nil else { return }
        let now = exchange.services.loop.now
        exchange.lastProgress = now
        exchange.heldBack = now.duration(since: exchange.started)
        let end = abort(exchange, fault)
        guard end == .next else { return exchange.follow(end) }
        if exchange.state.hasCome(.delay) { exchange.run() }
    }

    /// Answers the request if it is drawn for that.
    private static func abort(_ exchange: Exchange, _ fault: FaultPolicy) -> StepEnd {
        guard let abort = fault.abort, abort.share.includes(random: exchange.services.random.next()) else {
            return .next
        }
        exchange.injected.insert(.faultInjected)
        let grpc = abort.grpcStatus.flatMap { GRPC.Status(rawValue: UInt8(clamping: $0)) }
        return .answer(.faultInjected(status: abort.status, grpc: grpc))
    }
}
