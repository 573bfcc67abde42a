internal import CLinux

/// Unix signals as something to read. The listed signals are blocked for the whole process, so it
/// must be made before other threads start.
@safe package final class Signals {
    package enum Signal: Sendable { case hangUp, terminate, reopenLogs }
    private let source: Descriptor

    package init() throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGHUP, SIGTERM, SIGINT, SIGUSR1] { unsafe sigaddset(&set, number) }
        guard unsafe pthread_sigmask(SIG_BLOCK, &set, nil) == 0 else { throw SystemError("block signals") }
        // A peer that closed makes a write fail with EPIPE; the signal would kill the process.
        portico_ignore_sigpipe()
        let number = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
        guard number >= 0 else { throw SystemError("open a signalfd") }
        source = Descriptor(owning: number)
    }

    package var descriptor: CInt { source.number }

    /// The next signal that waits; nil when none does.
    package func next() -> Signal? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard unsafe CLinux.read(source.number, &info, size) == size else { return nil }
        switch Int32(info.ssi_signo) {
        case SIGHUP: return .hangUp
        case SIGUSR1: return .reopenLogs
        default: return .terminate
        }
    }
}
