internal import CCrash

/// What the process says on standard error when it crashes: signal, version, thread, and a backtrace with names.
/// Nothing of a request or of memory is in it.
package enum CrashReport {
    /// Once, before other threads start.
    /// - Parameter version: what the report calls the program; at most 63 octets of it.
    package static func install(version: String) { unsafe ccrash_install(version) }
}
