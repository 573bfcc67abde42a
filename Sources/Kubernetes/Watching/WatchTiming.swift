/// How long the client waits for what, in milliseconds unless a name says otherwise. Tests make it short.
package struct WatchTiming: Sendable, Equatable {
    /// The wait before the first new try. It doubles with each further one, up to `mostBackOff`; what is waited in fact
    /// is drawn between a half of it and the whole, so that many gateways do not come at the same time.
    package var firstBackOff = 500
    /// The longest wait after failures in a row.
    package var mostBackOff = 30_000
    /// The longest wait that a server's `Retry-After` can ask for.
    package var mostRetryAfter = 300_000
    /// The wait before the first new try without permission, and the longest one.
    package var firstRefused = 5_000
    /// The longest wait after an answer that a permission is missing.
    package var mostRefused = 60_000
    /// How often a kind is looked for that the server does not offer.
    package var absent = 30_000
    /// How often a Secret is read that may be read and not watched.
    package var secretPoll = 60_000
    /// How long a watch of a Secret that exists may wait for the Secret, with which it begins. After that the Secret is
    /// read again, because it may have been removed before the watch began.
    package var firstLine = 10_000
    /// `timeoutSeconds` of watches is drawn from it, so that they do not all end together.
    package var watchSeconds = 300...600
    /// A watch that ends within this time begins anew only after a wait.
    package var shortWatch = 1_000
    /// Within this time an answer must be complete that is no watch. A server gives its own requests 60 s.
    package var answer = 75_000
    /// How long a streamed list may pause before the objects are listed in pages.
    package var streamSilence = 60_000
    /// How much longer than its `timeoutSeconds` a watch may last.
    package var watchGrace = 60_000
    /// After this time it is said that a credential plugin, or the resolver, has not ended.
    package var preparation = 10_000
    /// How long a connection to one address may take, its TLS handshake included.
    package var connect = 10_000
    /// After this time without an octet from the server it gets a PING.
    package var pingAfter = 15_000
    /// A connection ends when nothing came for this time after a PING.
    package var pong = 15_000
    /// How often the file of a token is looked at, and credentials that the server refuses are made anew.
    package var tokenFile = 10_000

    /// The times of docs/limits.md.
    package init() {}
}

/// A point in time, on both clocks.
package struct Moment: Sendable {
    /// Milliseconds since 1970, for messages.
    package let wall: Int64
    /// Milliseconds of a clock that never goes back.
    package let steady: Int64

    package init(wall: Int64, steady: Int64) {
        self.wall = wall
        self.steady = steady
    }
}

/// Waits that become longer with every failure.
struct BackOff {
    /// Milliseconds: the wait after the first failure, and the longest.
    private let first: Int
    private let most: Int
    /// How often in a row it has failed; the pause doubles with each.
    private(set) var failures = 0

    init(first: Int, most: Int) {
        self.first = max(1, first)
        self.most = max(most, first)
    }

    /// The next wait is the first one again.
    mutating func reset() { failures = 0 }

    /// Counts a failure.
    /// - Returns: the milliseconds to wait, from a half to the whole of what is due.
    mutating func next(_ random: inout Jitter) -> Int {
        let due = min(most, first << min(failures, 20))
        failures += 1
        return due / 2 + random.below(due - due / 2 + 1)
    }
}

/// Random numbers of a seed (SplitMix64). They spread waits; nothing secret depends on them.
package struct Jitter: Sendable {
    private var state: UInt64

    /// - Parameter seed: any number; equal ones give equal waits.
    package init(seed: UInt64) { state = seed }

    /// A number from 0 up to but not including `limit`; 0 for a limit below 1.
    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return limit > 0 ? Int(mixed % UInt64(limit)) : 0
    }
}
