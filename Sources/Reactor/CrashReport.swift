internal import CCrash

/// The report that a crash writes to standard error: signal, version, thread, what was served, and a backtrace with
/// function names. It contains nothing of a request and nothing of memory.
package enum CrashReport {
    /// Makes crashes write a report. Call it once, before other threads start.
    /// - Parameter version: the program's version for the report; at most 63 octets are kept.
    package static func install(version: String) { unsafe ccrash_install(version) }

    /// What a report says about the configuration that is served, in place of what was said before. One thread only.
    /// - Parameter text: one line; at most 511 octets are kept.
    package static func note(serving text: String) { unsafe ccrash_note_serving(text) }
}
