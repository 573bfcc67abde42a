internal import CLinux

/// A system call that failed: what was tried, on what, and the kernel's reason.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    package let operation: String
    package let subject: String
    package let code: Int32

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

    /// What a person can do about the usual reasons; empty for the others.
    private var advice: String {
        switch code {
        case EADDRINUSE: "stop the program that uses the port (`ss -ltnp` names it) or choose another port"
        case EADDRNOTAVAIL: "this machine has no such address; correct the address or add it to an interface"
        case EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; or bind another port with --listen-map"
        case EMFILE, ENFILE: "raise the limit of open files (`ulimit -n`, or LimitNOFILE in systemd)"
        default: ""
        }
    }

    package var isTooManyFiles: Bool { code == EMFILE || code == ENFILE }
    package var isWatched: Bool { code == EEXIST }
    package var isRefused: Bool { code == ECONNREFUSED }
}

/// What a read or a write on a non-blocking descriptor came to.
package enum IOResult: Equatable {
    case octets(Int)    // at least one
    case wouldBlock
    case closed    // the peer's end of stream
    case failed(Int32)    // errno
}
