internal import CLinux

/// What a core dump of this process may hold, unless `--core-dump-memory` says otherwise.
package enum CoreDumps {
    /// Leaves the process's memory out of core dumps from now on. Memory holds private keys and clients' tokens, and a
    /// dump is written to a disk or sent to a collector. `prctl(PR_SET_DUMPABLE, 0)` would leave out more, but it would
    /// also stop the runtime from writing a backtrace and this process from counting its open files. Without /proc,
    /// this does nothing.
    package static func leaveOutMemory() {
        // Bit 4 keeps the ELF headers, so that a dump still says which binary it comes from. Source: core(5).
        let descriptor = unsafe portico_open_for_writing("/proc/self/coredump_filter")
        guard descriptor >= 0 else { return }
        let file = Descriptor(owning: descriptor)
        _ = unsafe CLinux.write(file.number, "0x10", 4)
    }
}
