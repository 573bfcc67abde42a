internal import CLinux

/// Reads Unix signals from a descriptor (signalfd). They are blocked for the whole process, so this object must be made
/// before other threads start.
///
/// Thread: the main thread. Freed by: the loop that reads it.
@safe package final class Signals {
    /// What a signal asks for: SIGHUP, SIGTERM or SIGINT, SIGUSR1, SIGUSR2.
    package enum Signal: Sendable { case hangUp, terminate, reopenLogs, upgrade }
    private let source: Descriptor

    /// Blocks the signals and opens the descriptor; also ignores SIGPIPE.
    package init() throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2] { unsafe sigaddset(&set, number) }
        guard unsafe pthread_sigmask(SIG_BLOCK, &set, nil) == 0 else { throw SystemError("block signals") }
        // When the peer has closed, a write must fail with EPIPE. The signal would end the process.
        portico_ignore_sigpipe()
        let opened = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
        guard opened >= 0 else { throw SystemError("open a signalfd") }
        source = Descriptor(owning: opened)
    }

    /// The descriptor to watch for reading.
    package var descriptor: CInt { source.number }

    /// Takes the next signal; nil if none has arrived.
    package func next() -> Signal? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard unsafe CLinux.read(source.number, &info, size) == size else { return nil }
        switch Int32(info.ssi_signo) {
        case SIGHUP: return .hangUp
        case SIGUSR1: return .reopenLogs
        case SIGUSR2: return .upgrade
        default: return .terminate
        }
    }
}
