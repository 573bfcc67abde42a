internal import CRE2
package import Octets

/// A regular expression of Istio's `regex` conditions: RE2 syntax, matched against the whole text.
/// Linear in time on hostile input, and so slow on some that `MatchWork` counts. Immutable, so any
/// thread may use it.
@safe package final class Pattern: Sendable {
    /// Why a text is no expression that can be used.
    package enum Malformed: Error, Sendable {
        /// RE2's own words.
        case syntax(String)
        /// Its program would have more than `Pattern.largestProgram` instructions.
        case tooLarge
    }

    /// Instructions of a program: what an octet of text may cost, and what a pattern takes of memory.
    /// Of expressions that people write nine in ten have less than 100; counted repetitions such as
    /// `[a-z.-]{0,200}`, written twice, and classes such as `\p{L}` have 1,200 to 2,000.
    package static let largestProgram = 2048

    /// Octets for one pattern: its program, and the states that RE2 keeps while matching. A pattern that
    /// needs more states is matched without them.
    private static let memory: Int64 = 192 << 10

    package let source: String
    /// RE2's count of instructions.
    package let programSize: Int
    // Owned; freed in `deinit`. RE2 objects are safe to match with from several threads.
    private nonisolated(unsafe) let raw: OpaquePointer

    package init(_ source: String) throws(Malformed) {
        var source = source
        let made = source.withUTF8 { text in
            unsafe text.withMemoryRebound(to: CChar.self) {
                unsafe cre2_new($0.baseAddress, $0.count, Self.memory)
            }
        }
        guard let made = unsafe made else { throw .syntax("out of memory") }
        if let reason = unsafe cre2_error(made) {
            let fault = unsafe cre2_is_too_large(made) ? Malformed.tooLarge : .syntax(String(cString: reason))
            unsafe cre2_delete(made)
            throw fault
        }
        programSize = unsafe Int(cre2_program_size(made))
        guard programSize <= Self.largestProgram else {
            unsafe cre2_delete(made)
            throw .tooLarge
        }
        self.source = source
        unsafe raw = made
    }

    deinit { unsafe cre2_delete(raw) }

    /// Whether the whole of `text` matches.
    package func matches(_ text: Octets) -> Bool {
        unsafe cre2_full_match(raw, text.base?.assumingMemoryBound(to: CChar.self), text.count)
    }

    /// The same, if the work is allowed; else false, and `work` is exceeded.
    package func matches(_ text: Octets, _ work: inout MatchWork) -> Bool {
        work.spend(programSize * text.count) && matches(text)
    }
}
