internal import Balancing
internal import Octets
internal import Reactor
internal import Telemetry

/// Refuses gRPC calls that an endpoint in overload cannot answer before their deadline, so that it works on those that
/// it can. An endpoint counts as overloaded for a call that has to wait because every connection to it is in use;
/// a call that finds a connection is sent whatever its deadline, for it may be a faster one than most.
/// Source: docs/behaviour.md, Deadlines.
enum DeadlineShedding {
    /// Whether a call that waits, or has waited, for a connection of the pool is given up.
    static func isHopeless(_ exchange: Exchange, in pool: EndpointPool) -> Bool {
        guard exchange.services.limits.shedsByDeadline, exchange.traits.isGRPC, let deadline = exchange.deadline,
            pool.count > pool.connecting
        else { return false }
        let now = exchange.services.loop.now
        guard let median = pool.answers.median(at: now.nanoseconds), deadline.nanoseconds(since: now) < median else {
            return false
        }
        exchange.services.metrics.reached(.hopelessDeadlines)
        exchange.explanation =
            "all connections to endpoint \(pool.endpoint.name) are in use, \(left(deadline, now)) are left of the "
            + "call's time, and half of the endpoint's answers take longer than \(median / 1_000_000) ms"
        return true
    }

    /// A call's answer has begun, so long after the call was sent.
    @inline(__always)
    static func note(nanoseconds: UInt64, on stream: Stream, at now: MonotonicTime) {
        stream.connection { connection in
            _ = connection.pool.unretained.map { $0 { $0.answers.add(nanoseconds, at: now.nanoseconds) } }
        }
    }

    private static func left(_ deadline: MonotonicTime, _ now: MonotonicTime) -> String {
        "\(deadline.nanoseconds(since: now) / 1_000_000) ms"
    }
}
