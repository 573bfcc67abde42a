internal import Reactor

/// How many streams of an endpoint's connection we have reset, because clients cancelled them or deadlines passed.
/// Servers count these too, and end a connection with many of them together with all calls on it, to defend
/// themselves against CVE-2023-44487. So we change the connection before they do.
///
/// What servers allow: Netty 200 in 30 s; Envoy half of all streams once they are 500; nghttp2 1,000 at once and 33 a
/// second. Source: CVE-2023-44487.
struct EarlyResets {
    private var began = MonotonicTime(nanoseconds: 0)    // of the time in which they are counted
    private var before = 0    // that were sent before

    /// Netty's time. Two such times one after the other hold less than twice the limit.
    private static let time: UInt64 = 30_000_000_000

    /// Whether the connection should take no further streams.
    /// - Parameters:
    ///   - resets: that were sent on the connection so far, the newest one included.
    ///   - streams: that were begun on it so far.
    ///   - limit: of resets in 30 s; twice as many in all, if they are more than half of all streams.
    mutating func isReached(resets: Int, streams: Int, limit: Int, at now: MonotonicTime) -> Bool {
        if now.nanoseconds(since: began) >= Self.time {
            began = now
            before = resets - 1
        }
        return resets - before >= limit || (resets >= 2 * limit && resets > streams / 2)
    }
}
