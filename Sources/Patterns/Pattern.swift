internal import CRE2
package import Octets

/// A regular expression of Istio's `regex` conditions: RE2 syntax, matched against the whole text.
/// Linear in time on hostile input. Immutable, so any thread may use it.
@safe package final class Pattern: Sendable {
    /// Why a text is no RE2 expression; RE2's own words.
    package struct Malformed: Error, Sendable { package let reason: String }

    package let source: String
    // Owned; freed in `deinit`. RE2 objects are safe to match with from several threads.
    private nonisolated(unsafe) let raw: OpaquePointer

    package init(_ source: String) throws(Malformed) {
        var source = source
        let made = source.withUTF8 { text in
            unsafe text.withMemoryRebound(to: CChar.self) { unsafe cre2_new($0.baseAddress, $0.count) }
        }
        guard let made = unsafe made else { throw Malformed(reason: "out of memory") }
        if let reason = unsafe cre2_error(made) {
            let sentence = unsafe String(cString: reason)
            unsafe cre2_delete(made)
            throw Malformed(reason: sentence)
        }
        self.source = source
        unsafe raw = made
    }

    deinit { unsafe cre2_delete(raw) }

    /// Whether the whole of `text` matches.
    package func matches(_ text: Octets) -> Bool {
        unsafe cre2_full_match(raw, text.base?.assumingMemoryBound(to: CChar.self), text.count)
    }
}
