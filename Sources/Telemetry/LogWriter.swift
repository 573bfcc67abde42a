package import Octets
package import Reactor
internal import Synchronization

/// Writes lines to a descriptor on a thread of its own, so that no worker waits for a slow reader of the log. The queue
/// has a limit, beyond which lines are dropped and counted. Any thread may submit lines; the lock is held for a few
/// instructions and never during a system call.
package final class LogWriter: Sendable {
    private struct Chunk: Sendable {
        let octets: [UInt8]
        let lines: Int
    }

    private struct Queue: Sendable {
        var chunks: [Chunk] = []
        var octets = 0    // those in `chunks`, and those that the thread has taken and not written yet
        var isFinishing = false

        /// Adds a chunk if the queue has room for it.
        mutating func add(_ chunk: Chunk, limitOctets: Int) -> Verdict {
            guard !isFinishing, chunk.octets.count <= limitOctets - octets else { return .refused }
            octets += chunk.octets.count
            chunks.append(chunk)
            return chunks.count == 1 ? .addedFirst : .added
        }
    }

    private enum Verdict { case added, addedFirst, refused }

    /// The queue's default limit in octets: 8 MiB are about 20,000 lines.
    package static let defaultLimitOctets = 8 << 20

    private let target: CInt
    private let limitOctets: Int
    private let queue = Lock(Queue())
    private let droppedLines = Atomic<UInt64>(0)
    private let bell: Mailbox<Void>
    private let finished: Mailbox<Void>

    /// Starts the thread; it ends with `finish`.
    /// - Parameters:
    ///   - name: the name of the thread.
    ///   - descriptor: where lines go. The caller owns it and keeps it open as long as the writer lives.
    ///   - limitOctets: the largest size of the queue.
    package init(
        _ name: String = "access-log", descriptor: CInt = Output.standardOutput, limitOctets: Int = defaultLimitOctets
    ) throws(SystemError) {
        target = descriptor
        self.limitOctets = limitOctets
        bell = try Mailbox()
        finished = try Mailbox()
        try Thread.start(name) { [self] in run() }
    }

    /// How many lines were lost because the queue was full, the descriptor failed, or the writer had finished.
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

    /// Writes the lines in the queue and ends the thread; later lines are dropped.
    /// - Returns: false if the time was over before everything was written.
    @discardableResult
    package func finish(within wait: Duration = .seconds(2)) -> Bool {
        queue.withLock { $0.isFinishing = true }
        bell.post(())
        let deadline = MonotonicTime.now() + wait
        while true {
            let left = deadline.nanoseconds(since: .now()) / 1_000_000
            if DescriptorWait.untilReadable(finished.descriptor, milliseconds: Int32(clamping: left)) { return true }
            if left == 0 { return false }
        }
    }

    private func drop(_ lines: Int) {
        droppedLines.wrappingAdd(UInt64(max(lines, 0)), ordering: .relaxed)
    }

    /// The thread's loop.
    private func run() {
        while true {
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: -1)
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
        let isWritten = chunk.octets.withOctets { write($0) }
        if !isWritten { drop(chunk.lines) }
    }

    private func write(_ octets: Octets) -> Bool {
        var rest = octets
        while !rest.isEmpty {
            switch Output.write(target, rest) {
            case .octets(let count): rest = rest.dropFirst(count)
            case .wouldBlock: DescriptorWait.untilWritable(target, milliseconds: 1000)
            case .closed, .failed: return false
            }
        }
        return true
    }
}
