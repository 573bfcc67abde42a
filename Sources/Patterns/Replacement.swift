internal import CRE2
package import Octets

extension Pattern {
    /// What replacing has come to.
    package enum Replaced: Sendable, Equatable {
        /// The text has no match; nothing was written.
        case nothing
        case written
        /// It would take more time than `MatchWork` allows, or more than `most` octets. What was written is of no use.
        case tooCostly
    }

    /// Why a text cannot take the place of matches; nil if it can. `\1` to `\9` are what the groups of the expression
    /// matched, `\0` is all of the match, and `\\` is a backslash.
    package func problem(inReplacement text: String) -> String? {
        var text = text
        let problem = text.withUTF8 { octets in
            unsafe octets.withMemoryRebound(to: CChar.self) {
                unsafe cre2_replacement_error(raw, $0.baseAddress, $0.count)
            }
        }
        switch Int(problem) {
        case Int(CRE2_REPLACEMENT_GOOD): return nil
        case Int(CRE2_REPLACEMENT_NO_GROUP): return "it names a group that the expression does not have"
        default: return "a backslash must be before a digit or another backslash"
        }
    }

    /// Replaces every match in a text that does not overlap the one before, as RE2's GlobalReplace does.
    /// - Parameters:
    ///   - replacement: one without a problem.
    ///   - most: the most octets that the new text may have.
    package func replaceAll(
        in text: Octets, with replacement: Octets, to buffer: OctetBuffer, most: Int
    ) -> Replaced {
        var work = MatchWork()
        guard work.spend(programSize * text.count) else { return .tooCostly }
        let room = unsafe buffer.room(most)
        let length = unsafe cre2_replace(
            raw, text.base?.assumingMemoryBound(to: CChar.self), text.count,
            replacement.base?.assumingMemoryBound(to: CChar.self), replacement.count,
            room.baseAddress?.assumingMemoryBound(to: CChar.self), min(room.count, most))
        if length == Int64(CRE2_NO_MATCH) { return .nothing }
        guard length >= 0 else { return .tooCostly }
        buffer.commit(Int(length))
        return .written
    }
}
