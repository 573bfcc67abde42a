internal import Reactor

/// When an endpoint that owes answers and says nothing is asked whether it is still there: by PING, on a connection
/// of HTTP/2 with open streams. Pure.
struct KeepAlive {
    /// When PING was last sent.
    private(set) var askedAt: MonotonicTime?
    /// What its cluster says of the silence before PING, and of the time for the answer; `.max` is what the flags say.
    private var ping = UInt32.max, pong = UInt32.max

    init() {}

    /// - Parameter terms: of the connection.
    init(_ terms: ConnectionTerms) {
        ping = terms.pingMilliseconds
        pong = terms.pongMilliseconds
    }

    /// How long the endpoint may be silent.
    func silence(_ limits: Limits) -> Duration {
        ping == .max ? limits.upstreamKeepAlive : .milliseconds(Int64(ping))
    }

    private func answerTime(_ limits: Limits) -> Duration {
        pong == .max ? limits.upstreamKeepAliveTimeout : .milliseconds(Int64(pong))
    }

    /// Servers of gRPC end a connection on which PING comes more often than every 5 minutes while they have nothing
    /// to say, and with it calls that are alive. Whoever writes an interval knows the servers.
    static let pause = Duration.seconds(310)

    /// Whether PING was sent and nothing has come since.
    func isUnanswered(lastActive: MonotonicTime) -> Bool { askedAt.map { $0 >= lastActive } ?? false }

    /// When PING is due, or its answer.
    func deadline(lastActive: MonotonicTime, _ limits: Limits) -> MonotonicTime {
        let silence = lastActive + silence(limits)
        guard let askedAt else { return silence }
        guard askedAt < lastActive else { return askedAt + answerTime(limits) }
        return ping == .max ? max(silence, askedAt + Self.pause) : silence
    }

    /// PING is sent.
    mutating func ask(at now: MonotonicTime) { askedAt = now }
}
