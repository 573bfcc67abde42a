package import Octets
internal import CLinux

/// A pipe through which the kernel passes octets from one socket to another without copying them to this process. It
/// counts what is in it. It is closed when nobody has it any more, with whatever it still has.
/// Source: https://man7.org/linux/man-pages/man2/splice.2.html.
///
/// Thread: its owner's. Freed by: its `Relay` or `PipePool`, whichever has it.
package final class SplicePipe {
    private let reading: Descriptor
    private let writing: Descriptor
    /// Octets that it takes; more do not pass at a time.
    package let room: Int
    /// Octets in it.
    package private(set) var count = 0

    /// splice(2) to a socket whose peer is gone raises SIGPIPE, and has no flag against that.
    private static let signalIsIgnored: Void = portico_ignore_sigpipe()

    /// Opens a pipe. The process ignores SIGPIPE from then on.
    /// - Parameter room: octets that it should take; the kernel may give less, or more.
    /// - Returns: nil when there is no descriptor for it.
    package init?(room: Int) {
        Self.signalIsIgnored
        var (reading, writing): (CInt, CInt) = (-1, -1)
        guard unsafe portico_splice_pipe(&reading, &writing) == 0 else { return nil }
        self.reading = Descriptor(owning: reading)
        self.writing = Descriptor(owning: writing)
        self.room = max(Int(portico_size_pipe(writing, Int32(clamping: room))), 4096)
    }

    /// Takes octets from a socket, as many as it has and as there is room for.
    package func fill(from socket: CInt) -> IOResult {
        let moved = portico_splice(socket, writing.number, max(room - count, 1))
        if moved == 0 { return .closed }
        guard moved > 0 else { return Self.failure() }
        count += moved
        return .octets(moved)
    }

    /// Gives octets to a socket, as many as that takes. To be called only when there are some.
    package func drain(to socket: CInt) -> IOResult {
        let moved = portico_splice(reading.number, socket, count)
        guard moved > 0 else { return moved == 0 ? .wouldBlock : Self.failure() }
        count -= moved
        return .octets(moved)
    }

    /// Takes octets out, at most `most`, for a socket that the kernel does not splice to; appends them to `buffer`.
    package func read(into buffer: OctetBuffer, most: Int) -> IOResult {
        let taken = unsafe CLinux.read(reading.number, buffer.room(most).baseAddress, most)
        guard taken > 0 else { return taken == 0 ? .closed : Self.failure() }
        buffer.commit(taken)
        count -= taken
        return .octets(taken)
    }

    /// Whether nothing is in it, as the kernel says as well.
    package var isProvenEmpty: Bool { count == 0 && portico_octets_waiting(reading.number) == 0 }

    private static func failure() -> IOResult {
        let code = portico_errno()
        return code == EAGAIN || code == EINTR ? .wouldBlock : .failed(code)
    }

    /// Whether an error means that the kernel does not do this with these sockets, and not that a socket has failed.
    package static func isRefusal(_ code: Int32) -> Bool {
        [EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EACCES, EBADF, ENOMEM, ESPIPE].contains(code)
    }
}
