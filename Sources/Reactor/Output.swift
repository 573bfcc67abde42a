internal import CLinux
package import Octets

/// Writes to descriptors that are not sockets: standard output, a pipe, a file.
package enum Output {
    package static let standardOutput: CInt = STDOUT_FILENO
    package static let standardError: CInt = STDERR_FILENO

    /// Writes as much as the descriptor takes at once. Blocks if the descriptor is a blocking one.
    package static func write(_ descriptor: CInt, _ octets: Octets) -> IOResult {
        let count = unsafe CLinux.write(descriptor, octets.base, octets.count)
        guard count < 0 else { return .octets(count) }
        let code = portico_errno()
        return code == EAGAIN || code == EINTR ? .wouldBlock : .failed(code)
    }
}
