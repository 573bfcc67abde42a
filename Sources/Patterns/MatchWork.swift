internal import CRE2

/// Limits the work of finding the rule for one request, so that no combination of rules and request can hold a worker
/// up.
///
/// Work is counted in steps: one instruction of an expression's program, tried on one octet of text. For most
/// expressions RE2 needs one step per octet. For some it cannot keep a table of states and needs all of them, at 2 to
/// 20 ns each. The two kinds cannot be distinguished in advance, so steps alone rule out only what is beyond any use,
/// and the thread's processor time decides the rest. The clock is read only after more steps than any ordinary request
/// needs, and it stands still while the thread waits for a processor.
package struct MatchWork {
    /// Steps that one expression may take on one text: for example 122 instructions and 8 KiB.
    @inlinable package static var mostSteps: Int { 1_000_000 }
    /// Steps between two readings of the clock: at most half a millisecond.
    @inlinable static var stepsBetweenLooks: Int { 32_768 }
    /// Processor time that a request may take from the first reading of the clock.
    private static let mostNanoseconds: UInt64 = 10_000_000

    @usableFromInline var steps = 0    // since the clock was last read
    private var began: UInt64 = 0    // the clock at its first reading; 0: it was not read yet
    /// Whether the request wanted more work than is allowed. The result of matching is then meaningless.
    package private(set) var isExceeded = false

    package init() {}

    /// Counts `wanted` steps. Returns false when the request may take no more.
    @inlinable package mutating func spend(_ wanted: Int) -> Bool {
        steps &+= wanted
        return steps <= Self.stepsBetweenLooks || look(wanted)
    }

    /// Reads the clock. Few requests come here; one that has exceeded its limit comes here at every step.
    @usableFromInline mutating func look(_ wanted: Int) -> Bool {
        guard !isExceeded else { return false }
        let now = cre2_thread_nanoseconds()
        if began == 0 { began = now }
        isExceeded = wanted > Self.mostSteps || now &- began > Self.mostNanoseconds
        steps = isExceeded ? Self.stepsBetweenLooks : 0    // then the next step leads here again
        return !isExceeded
    }
}
