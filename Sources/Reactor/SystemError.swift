internal import CLinux

/// A system call that failed: what was to be done, on what, and the kernel's reason.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was to be done, to follow "cannot".
    package let operation: String
    /// What it was to be done on, such as an address or a path; may be empty.
    package let subject: String
    /// The errno.
    package let code: Int32

    /// Makes an error; without `code`, of the errno that the thread's last system call left.
    package init(_ operation: String, on subject: String = "", code: Int32 = portico_errno()) {
        self.operation = operation
        self.subject = subject
        self.code = code
    }

    package var description: String {
        let place = subject.isEmpty ? "" : " \(subject)"
        let hint = advice.isEmpty ? "" : "; \(advice)"
        return "cannot \(operation)\(place): \(reason)\(hint)"
    }

    package var reason: String { unsafe String(cString: strerror(code)) }

    /// Advice for the usual reasons; empty for the others.
    private var advice: String {
        switch code {
        case EADDRINUSE: "stop the program that uses the port (`ss -ltnp` names it) or choose another port"
        case EADDRNOTAVAIL: "this machine has no such address; correct the address or add it to an interface"
        case EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; or bind another port with --listen-map"
        case EMFILE, ENFILE: "raise the limit of open files (`ulimit -n`, or LimitNOFILE in systemd)"
        case ECONNREFUSED: "no program listens there; check the address and port, and whether the program runs"
        default: ""
        }
    }

    /// Whether the process or the system has no descriptor left.
    package var isTooManyFiles: Bool { code == EMFILE || code == ENFILE }
    /// Whether this machine lacks something that a connection needs: the peer has no part in it.
    package var isOwn: Bool { isTooManyFiles || [ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL].contains(code) }
    /// Whether epoll watches the descriptor already.
    package var isWatched: Bool { code == EEXIST }
    /// Whether no process listens at the address.
    package var isRefused: Bool { code == ECONNREFUSED }
    /// Whether the peer said nothing for too long.
    package var isTimedOut: Bool { code == ETIMEDOUT }
    /// Whether no way leads to the address.
    package var isUnreachable: Bool { [ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN].contains(code) }
    /// Whether the peer has ended the connection by force.
    package var isReset: Bool { code == ECONNRESET || code == EPIPE }
}

/// The result of a read or write on a non-blocking descriptor.
package enum IOResult: Equatable {
    case octets(Int)    // at least one
    case wouldBlock
    case closed    // the peer's end of stream
    case failed(Int32)    // errno
}
