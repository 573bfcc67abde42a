internal import Reactor

/// When an endpoint that owes answers and says nothing is asked whether it is still there: by PING, on a connection
/// of HTTP/2 with open streams. Pure.
struct KeepAlive {
    /// When PING was last sent.
    private(set) var askedAt: MonotonicTime?

    /// Servers of gRPC end a connection on which PING comes more often than every 5 minutes while they have nothing
    /// to say, and with it calls that are alive.
    static let pause = Duration.seconds(310)

    /// Whether PING was sent and nothing has come since.
    func isUnanswered(lastActive: MonotonicTime) -> Bool { askedAt.map { $0 >= lastActive } ?? false }

    /// When PING is due, or its answer.
    func deadline(lastActive: MonotonicTime, _ limits: Limits) -> MonotonicTime {
        let silence = lastActive + limits.upstreamKeepAlive
        guard let askedAt else { return silence }
        guard askedAt < lastActive else { return askedAt + limits.upstreamKeepAliveTimeout }
        return max(silence, askedAt + Self.pause)
    }

    /// PING is sent.
    mutating func ask(at now: MonotonicTime) { askedAt = now }
}
