/// Bounds the work that one peer can cause on a connection. What costs us is the number of frames, header
/// sections and chunks, not the number of their octets, so that is what is counted, in two ways:
///
/// - The *quota* of a turn bounds all input. When it is used up, reading stops until the next turn and other
///   connections are served in between.
/// - The *allowance* bounds input that is of no use to anybody: empty DATA, PRIORITY, PING, SETTINGS, frames of
///   streams that are over, malformed header sections. Useful work earns it back, time fills it slowly, and the
///   connection of a peer that has used it up ends.
///
/// A unit is about 50 ns of a worker's time on the machine of docs/performance.md.
/// Source: RFC 9113 §10.5; CVE-2019-9512, CVE-2019-9513, CVE-2019-9515, CVE-2019-9518, CVE-2025-8671. Envoy
/// bounds PRIORITY and WINDOW_UPDATE by the streams that were opened and the DATA frames that were sent.
package struct WorkBudget {
    /// Units that one connection may take of a turn: about 200 µs, or 100 requests; an endpoint's, more.
    package static let quotaPerTurn: Int32 = 4000
    /// The quota of an endpoint's connection that so many answers are due on: what these take, each with trailers and
    /// room for long fields, and at most what `mostAnswers` take, about 1 ms. It is smaller when much of the turn is
    /// over.
    /// - Parameter used: units that the turn has taken.
    package static func quota(ofAnswers count: Int, used: Int32) -> Int32 {
        let wanted = unitsPerAnswer &* Int32(truncatingIfNeeded: min(count, mostAnswers))
        return max(quotaPerTurn, min(wanted, mostForAnswers &+ quotaPerTurn &- max(0, used)))
    }
    private static let unitsPerAnswer: Int32 = 200, mostAnswers = 100, mostForAnswers: Int32 = 20_000
    /// The least of these that any connection gets in a turn in which others have used a quota up: a few requests.
    package static let leastQuota = quotaPerTurn / 16

    private(set) var usedInTurn: Int32 = 0    // units
    private(set) var allowance: Int32    // units; below zero when it is used up
    /// Units that the allowance begins with, and to which time fills it.
    private let start: Int32
    /// Units that time gives back in a second.
    private let perSecond: Int32
    /// Units that useful work can raise the allowance to.
    private let most: Int32
    private var second: UInt32 = 0    // of the last filling, by the worker's clock

    /// An endpoint's connection carries the calls of many clients, and what they cancel crosses its answers.
    /// - Parameter isServer: whether the peer is a client.
    init(isServer: Bool) {
        start = isServer ? 20_000 : 100_000
        perSecond = start / 20
        most = 10 * start
        allowance = start
    }

    /// Whether the connection may go on in this turn.
    @inline(__always)
    func hasLeft(of quota: Int32) -> Bool { usedInTurn < quota }

    /// The turn is over: the next one has a quota of its own.
    /// - Returns: what was used of this one's.
    mutating func endTurn() -> Int32 {
        defer { usedInTurn = 0 }
        return usedInTurn
    }

    /// Counts work that somebody wanted: it takes of the quota only.
    @inline(__always)
    mutating func use(_ units: Int32) { usedInTurn &+= units }

    /// Counts work that nobody wanted.
    /// - Parameter now: the owner's clock, in seconds.
    /// - Returns: false when the allowance does not cover it: the connection should end.
    mutating func waste(_ units: Int32, at now: UInt32) -> Bool {
        if now != second {
            let passed = Int64(now &- second)
            if allowance < start {
                let filled = Int64(allowance) + passed * Int64(perSecond)
                allowance = Int32(truncatingIfNeeded: min(Int64(start), filled))
            }
            second = now
        }
        usedInTurn &+= min(units, Self.quotaPerTurn)
        guard allowance >= units else { return false }
        allowance -= units
        return true
    }

    /// Gives back what useful work is worth.
    @inline(__always)
    mutating func earn(_ units: Int32) { allowance = min(allowance &+ units, most) }
}

/// What input costs and what useful work earns, in units of `WorkBudget`.
enum WorkCost {
    /// A frame of any kind.
    static let frame: Int32 = 1
    /// A part of a body that is passed on: the frame or chunk that it becomes, and the event.
    static let bodyPart: Int32 = 8
    /// A header section that becomes an event; a request costs the worker much more than its decoding.
    static let section: Int32 = 40

    // Of no use in itself
    /// PRIORITY, a frame of unknown type, WINDOW_UPDATE, RST_STREAM of a stream that is over.
    static let ignoredFrame: Int32 = 1
    /// An answer has to be written.
    static let ping: Int32 = 2
    /// DATA of a stream that is over.
    static let lateData: Int32 = 2
    /// DATA without octets of a body and without END_STREAM; CONTINUATION without octets.
    static let emptyFrame: Int32 = 10
    /// An interim response; requests earn more than they have.
    static let interimResponse: Int32 = 10
    /// SETTINGS that change something, GOAWAY: in front of what `streams` adds.
    static let settings: Int32 = 20
    /// A stream that we had to reset, a header section of a stream that is over; in front of its size.
    static let violation: Int32 = 20

    /// What going through all streams costs.
    static func streams(_ count: Int) -> Int32 { Int32(truncatingIfNeeded: count / 4) }
    /// What decoding a header section takes of a turn, for the larger of its forms: HPACK makes much of few octets.
    static func decoding(_ octets: Int) -> Int32 { Int32(truncatingIfNeeded: min(octets, 1 << 24) / 16) }
    /// What it takes of the allowance when nobody wants the section. Less, because a client whose cookies are too
    /// large means no harm: it may send twenty such requests at once.
    static func vainDecoding(_ octets: Int) -> Int32 { Int32(truncatingIfNeeded: min(octets, 1 << 24) / 64) }
}

/// What useful work earns, in units of `WorkBudget`.
enum WorkEarning {
    /// A part of a body that came. A peer may answer it with a PING to measure the path (gRPC's BDP estimate).
    static let bodyPartReceived: Int32 = 1
    /// A DATA frame that we sent: the peer may answer it with two WINDOW_UPDATE and a PING.
    static let bodyPartSent: Int32 = 4
    /// A stream that came to its end in the usual way.
    static let completedStream: Int32 = 40
    /// A stream that the owner reset: frames of the peer may be on their way.
    static let ownReset: Int32 = 100
}
