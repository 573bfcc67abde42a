internal import Octets
package import Reactor

/// Writes warnings of the workers to standard error, in the form of the control plane's own messages. A thread of its
/// own writes them, so that no worker waits. Any thread may call it.
///
/// Thread: any. Freed by: the last of the control plane and the workers.
package final class MessageLog: Sendable {
    private let writer: LogWriter?

    /// Makes a log.
    /// - Parameter writer: nil if the operator wants no warnings (`--log-level error`).
    package init(writer: LogWriter?) { self.writer = writer }

    /// Writes the messages in the queue, for at most half a second, and ends the writer.
    package func finish() { writer?.finish(within: .milliseconds(500)) }

    /// The length of `2026-11-21T05:09:39.698Z` up to the seconds.
    private static let secondsLength = 19

    /// Writes one warning; control characters in it are escaped.
    package func warn(_ text: String, at time: WallTime) {
        guard let writer else { return }
        let stamp = OctetBuffer(capacity: 64)
        var clock = AccessLogClock()
        clock.append(time, to: stamp)
        let line = OctetBuffer(capacity: 256)
        line.append(stamp.octets.prefix(Self.secondsLength))
        line.append("+0000 warning portico: [Proxy] ")
        _ = text.withOctets { AccessLogEscaping.quoted.append($0, to: line) }
        line.append("\n")
        writer.submit(line.octets, lines: 1)
    }
}
