/// Whether a worker that has nothing to do asks for events a little longer before it sleeps.
///
/// To fall asleep and be woken again costs a virtual machine tens of microseconds, twice for each
/// request of a client that waits for one answer before it asks for the next. Where events are seen to
/// come sooner than that, asking costs no more processor time than sleeping, and the answer is sooner.
/// Where they do not, the worker sleeps at once. Pure: time is a parameter.
struct BusyPolling {
    /// The longest time of asking: about what a sleep costs.
    static let window: UInt64 = 50_000    // nanoseconds
    /// A sleep this short, its cost included, would have been spared by asking.
    static let shortSleep: UInt64 = 2 * window
    /// With more requests than this the next event comes soon enough, and throughput is what counts.
    static let requestsLimit = 1

    /// How well asking would have done of late.
    private var luck = 0
    /// How many more short sleeps than long ones there must have been until asking begins.
    private static let shortSleepsNeeded = 8
    private static let most = 16
    /// How many hits one miss undoes.
    private static let hitsLostByMiss = 4

    /// Whether to poll before sleeping: recent sleeps would have been shorter than that.
    var isWorthwhile: Bool { luck >= Self.shortSleepsNeeded }

    /// Asking was answered.
    mutating func hit() { luck = min(luck + 1, Self.most) }

    /// Asking was in vain.
    mutating func miss() { luck -= Self.hitsLostByMiss }

    /// The worker slept without asking before.
    /// - Parameter nanoseconds: until it was awake again.
    mutating func slept(_ nanoseconds: UInt64) {
        luck = nanoseconds <= Self.shortSleep ? luck + 1 : max(0, luck - Self.hitsLostByMiss)
    }
}
