internal import CRE2

/// What it may cost to find the rule of one request, so that no set of rules and no request together
/// keep a worker from others.
///
/// Counted in steps: an instruction of an expression's program tried on an octet of text. Usually RE2
/// needs one step for an octet; of some expressions it keeps no table of states, and needs all: 2 to 20 ns
/// each. Nobody can tell them apart beforehand, so that steps alone decide only what is beyond any use,
/// and the thread's own processor time the rest. It is looked at only after so many steps that no ordinary
/// request comes there, and does not go on while the thread waits for a processor.
package struct MatchWork {
    /// Of one expression on one text, for example 122 instructions and 8 KiB.
    @inlinable package static var stepsOfOne: Int { 1_000_000 }
    /// Between two looks at the clock: at most half a millisecond.
    @inlinable static var stepsBetweenLooks: Int { 32_768 }
    /// Processor time from the first look on.
    private static let nanoseconds: UInt64 = 10_000_000

    @usableFromInline var steps = 0    // since the last look
    private var began: UInt64 = 0    // at the first look; 0: there was none
    /// More was wanted than is allowed: what was found is not to be relied on.
    package private(set) var isExceeded = false

    package init() {}

    /// Takes steps; false when no more are allowed.
    @inlinable package mutating func spend(_ wanted: Int) -> Bool {
        steps &+= wanted
        return steps <= Self.stepsBetweenLooks || look(wanted)
    }

    /// Here come few requests, and then all of one that has exceeded what is allowed.
    @usableFromInline mutating func look(_ wanted: Int) -> Bool {
        guard !isExceeded else { return false }
        let now = cre2_thread_nanoseconds()
        if began == 0 { began = now }
        isExceeded = wanted > Self.stepsOfOne || now &- began > Self.nanoseconds
        steps = isExceeded ? Self.stepsBetweenLooks : 0    // then the next step leads here again
        return !isExceeded
    }
}
