internal import CLinux
package import Octets

/// Writes to descriptors that are not sockets: standard output, a pipe, a file.
package enum Output {
    /// The descriptor of standard output.
    package static let standardOutput: CInt = STDOUT_FILENO
    /// The descriptor of standard error.
    package static let standardError: CInt = STDERR_FILENO

    /// Writes as much as the descriptor takes at once. Blocks if the descriptor is a blocking one.
    package static func write(_ number: CInt, _ octets: Octets) -> IOResult {
        let count = unsafe CLinux.write(number, octets.base, octets.count)
        guard count < 0 else { return .octets(count) }
        let code = portico_errno()
        return code == EAGAIN || code == EINTR ? .wouldBlock : .failed(code)
    }

    /// Waits until the descriptor takes octets, or has failed, or the time is over.
    package static func waitUntilWritable(_ number: CInt, milliseconds: Int32) {
        _ = wait(number, POLLOUT, milliseconds)
    }

    /// Waits for one descriptor, where a thread has only one; -1 milliseconds wait without end.
    /// - Returns: false when the time was over or a signal came.
    package static func waitUntilReadable(_ number: CInt, milliseconds: Int32) -> Bool {
        wait(number, POLLIN, milliseconds)
    }

    private static func wait(_ number: CInt, _ event: Int32, _ milliseconds: Int32) -> Bool {
        var request = pollfd(fd: number, events: Int16(event), revents: 0)
        return unsafe poll(&request, 1, milliseconds) > 0
    }
}
