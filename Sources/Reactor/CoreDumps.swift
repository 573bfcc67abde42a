internal import CLinux

/// Core dumps of this process.
package enum CoreDumps {
    /// Leaves memory out of them from now on: private keys and clients' tokens are in it, and a dump lies
    /// on a disk or goes to whoever collects dumps. `prctl(PR_SET_DUMPABLE, 0)` would leave out more, but
    /// also forbid the runtime to write a backtrace of a crash, and this process to count its own open
    /// files. Where the file is missing (no /proc), nothing changes.
    package static func leaveOutMemory() {
        // Bit 4: ELF headers, so that a dump still says which binary it is of. Source: core(5).
        let number = unsafe portico_open_for_writing("/proc/self/coredump_filter")
        guard number >= 0 else { return }
        let file = Descriptor(owning: number)
        _ = unsafe CLinux.write(file.number, "0x10", 4)
    }
}
