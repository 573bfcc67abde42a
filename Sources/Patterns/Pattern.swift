internal import CRE2
package import Octets

/// A regular expression of a `regex` condition: RE2 syntax, matched against the whole text. Its time is linear in the
/// text whatever the input, but with a factor so large for some expressions that `MatchWork` limits it. Immutable, so
/// any thread may use it. Source: Istio `StringMatch.regex`.
///
/// Thread: any. Freed by: the last object or route table that has it.
@safe package final class Pattern: Sendable {
    /// Why a text cannot be used as an expression.
    package enum Malformed: Error, Sendable {
        /// The text is not an expression; the value is RE2's own message.
        case syntax(String)
        /// Its program would have more than `Pattern.largestProgram` instructions.
        case tooLarge
    }

    /// The largest program, in instructions. It bounds the work per octet of text and the memory of a pattern. Nine
    /// in ten expressions that people write have fewer than 100 instructions. Repetitions with a count, such as
    /// `[a-z.-]{0,200}` written twice, and classes such as `\p{L}` have 1,200 to 2,000.
    package static let largestProgram = 2048

    /// Octets of memory for one pattern: its program, and the states that RE2 keeps while matching. A pattern that
    /// needs more states is matched without keeping them.
    private static let mostOctets: Int64 = 192 << 10

    /// The expression as it was written.
    package let source: String
    /// The size of the program in RE2's instructions.
    package let programSize: Int
    // Owned; freed in `deinit`. RE2 objects are safe to match with from several threads.
    nonisolated(unsafe) let raw: OpaquePointer

    package init(_ source: String) throws(Malformed) {
        var source = source
        let made = source.withUTF8 { text in
            unsafe text.withMemoryRebound(to: CChar.self) {
                unsafe cre2_new($0.baseAddress, $0.count, Self.mostOctets)
            }
        }
        guard let made = unsafe made else { throw .syntax("out of memory") }
        if let reason = unsafe cre2_error(made) {
            let failure = unsafe cre2_is_too_large(made) ? Malformed.tooLarge : .syntax(String(cString: reason))
            unsafe cre2_delete(made)
            throw failure
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

    /// Whether the whole of `text` matches, if `work` allows it; otherwise false, and `work.isExceeded` is set.
    package func matches(_ text: Octets, _ work: inout MatchWork) -> Bool {
        work.spend(programSize * text.count) && matches(text)
    }
}
