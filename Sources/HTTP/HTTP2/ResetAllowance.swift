/// Bounds how many of its requests a client may cancel. A cancelled request costs us about as much as one that is
/// answered, and costs the client next to nothing (CVE-2023-44487). But gRPC clients cancel thousands of calls at
/// once for good reasons, and the end of the connection would cost them all their other calls. So a burst is free,
/// then the connection is read more slowly, and only a client that goes on and completes next to nothing is cut off.
struct ResetAllowance {
    /// Requests that may be cancelled at once before the connection is slowed down.
    static let mostAtOnce = 1000
    /// So many requests may be cancelled in a second from there on.
    static let cancelsPerSecond = 5000
    /// The connection ends when the cancelled requests exceed the completed ones by so many.
    static let most = 20_000
    /// So many cancelled requests of that excess are forgotten in a second.
    private static let forgottenPerSecond = 200

    private var debt = 0    // that time has to pay
    private var excess = 0    // of cancelled requests over completed ones
    private var second: UInt32 = 0    // of the last cancelled request, by the worker's clock

    /// A request was cancelled.
    /// - Returns: false when that was one too many.
    mutating func reset(at now: UInt32) -> Bool {
        if now != second {
            let passed = Int(min(now &- second, 1000))
            debt = max(0, debt - passed * Self.cancelsPerSecond)
            excess = max(0, excess - passed * Self.forgottenPerSecond)
            second = now
        }
        debt += 1
        excess += 1
        return excess <= Self.most
    }

    /// A request was answered: it makes up for one that was cancelled.
    mutating func completed() { if excess > 0 { excess -= 1 } }

    /// Whether little should be read at a time.
    var isSlow: Bool { debt > Self.mostAtOnce / 2 }

    /// How long nothing should be read now, in milliseconds; 0: not at all. The caller waits that long.
    mutating func takePause() -> Int {
        guard debt > Self.mostAtOnce else { return 0 }
        let pause = min((debt - Self.mostAtOnce) * 1000 / Self.cancelsPerSecond, Self.longestPauseMilliseconds)
        debt -= pause * Self.cancelsPerSecond / 1000
        return pause
    }

    private static let longestPauseMilliseconds = 500
}
