package import Octets
package import Reactor
internal import Synchronization

/// Writes lines to a descriptor on a thread of its own, so that no worker ever waits for a slow reader
/// of the log. What waits is bounded: beyond the limit lines are dropped and counted.
/// Any thread submits; the lock is held for a few instructions, never during a system call.
package final class LogWriter: Sendable {
    private struct Chunk: Sendable {
        let octets: [UInt8]
        let lines: Int
    }

    private struct Queue: Sendable {
        var chunks: [Chunk] = []
        var octets = 0    // queued, and taken by the thread but not written yet
        var isFinishing = false

        mutating func add(_ chunk: Chunk, limitOctets: Int) -> Verdict {
            guard !isFinishing, chunk.octets.count <= limitOctets - octets else { return .refused }
            octets += chunk.octets.count
            chunks.append(chunk)
            return chunks.count == 1 ? .addedFirst : .added
        }
    }

    private enum Verdict { case added, addedFirst, refused }

    /// Octets that may wait; 8 MiB are about 20,000 lines.
    package static let defaultLimitOctets = 8 << 20

    private let target: CInt
    private let limitOctets: Int
    private let queue = Lock(Queue())
    private let droppedLines = Atomic<UInt64>(0)
    private let bell: Mailbox<Void>
    private let finished: Mailbox<Void>

    /// Starts the thread; it ends with `finish`.
    /// - Parameters:
    ///   - name: the thread's.
    ///   - descriptor: where lines go; it stays the caller's and open as long as the writer.
    package init(
        _ name: String = "access-log", descriptor: CInt = Output.standardOutput, limitOctets: Int = defaultLimitOctets
    ) throws(SystemError) {
        target = descriptor
        self.limitOctets = limitOctets
        bell = try Mailbox()
        finished = try Mailbox()
        try Thread.start(name) { [self] in run() }
    }

    /// Lines that were lost: the queue was full, the descriptor failed, or the writer had finished.
    package var dropped: UInt64 { droppedLines.load(ordering: .relaxed) }

    /// Queues whole lines. Never blocks.
    package func submit(_ text: Octets, lines: Int) {
        guard !text.isEmpty else { return }
        let chunk = Chunk(octets: text.array, lines: lines)    // copied outside the lock
        let verdict = queue.withLock { queue in queue.add(chunk, limitOctets: limitOctets) }
        switch verdict {
        case .added: break
        case .addedFirst: bell.post(())
        case .refused: drop(lines)
        }
    }

    /// Writes what waits and ends the thread; later lines are dropped.
    /// - Returns: false when the time was over before everything was written.
    @discardableResult
    package func finish(within wait: Duration = .seconds(2)) -> Bool {
        queue.withLock { $0.isFinishing = true }
        bell.post(())
        let deadline = MonotonicTime.now() + wait
        while true {
            let left = deadline.nanoseconds(since: .now()) / 1_000_000
            if Output.waitUntilReadable(finished.descriptor, milliseconds: Int32(clamping: left)) { return true }
            if left == 0 { return false }
        }
    }

    private func drop(_ lines: Int) {
        droppedLines.wrappingAdd(UInt64(max(lines, 0)), ordering: .relaxed)
    }

    /// The thread's loop.
    private func run() {
        while true {
            _ = Output.waitUntilReadable(bell.descriptor, milliseconds: -1)
            _ = bell.takeAll()
            let (chunks, isFinishing) = queue.withLock { queue in
                defer { queue.chunks = [] }
                return (queue.chunks, queue.isFinishing)
            }
            for chunk in chunks {
                write(chunk)
                queue.withLock { $0.octets -= chunk.octets.count }
            }
            if isFinishing { return finished.post(()) }
        }
    }

    private func write(_ chunk: Chunk) {
        let isWritten = unsafe chunk.octets.withUnsafeBytes { unsafe write(Octets($0)) }
        if !isWritten { drop(chunk.lines) }
    }

    private func write(_ octets: Octets) -> Bool {
        var rest = octets
        while !rest.isEmpty {
            switch Output.write(target, rest) {
            case .octets(let count): rest = rest.dropFirst(count)
            case .wouldBlock: Output.waitUntilWritable(target, milliseconds: 1000)
            case .closed, .failed: return false
            }
        }
        return true
    }
}
