package import Octets
package import Reactor
internal import Synchronization

/// Writes lines to a descriptor on a thread of its own, so that no worker waits for a slow reader of the log. A line
/// that comes after a silence is written at once. Those that follow are gathered for a moment and written together: not
/// each costs a system call. The queue has a limit, beyond which lines are dropped and counted. Any thread may submit
/// lines; the lock is held for a few instructions and never during a system call.
///
/// Thread: any. Freed by: the last of its users and its own thread.
package final class LogWriter: Sendable {
    private struct Chunk: Sendable {
        let octets: [UInt8]
        let lines: Int
    }

    private struct Queue: Sendable {
        var chunks: [Chunk] = []
        var octets = 0    // those in `chunks`, and those that the thread has taken and not written yet
        var isFinishing = false
        var needsBell = true    // the thread sleeps until it is rung for

        /// Adds a chunk if the queue has room for it.
        mutating func add(_ chunk: Chunk, limitOctets: Int) -> Verdict {
            guard !isFinishing, chunk.octets.count <= limitOctets - octets else { return .refused }
            // A queue that is half full does not wait for the end of the pause.
            let fills = octets <= limitOctets / 2 && octets + chunk.octets.count > limitOctets / 2
            octets += chunk.octets.count
            chunks.append(chunk)
            guard needsBell || fills else { return .added }
            needsBell = false
            return .wakes
        }

        /// The pause is over: the thread sleeps if nothing came meanwhile.
        mutating func sleeps() -> Bool {
            needsBell = chunks.isEmpty && !isFinishing
            return needsBell
        }
    }

    private enum Verdict { case added, wakes, refused }

    /// After each writing, for so many milliseconds lines are gathered for the next one.
    private static let pauseMilliseconds: Int32 = 10
    /// Lines of so many octets are written without more.
    private static let writeOctets = 64 << 10

    /// The queue's default limit in octets: 8 MiB are about 20,000 lines.
    package static let defaultLimitOctets = 8 << 20

    private let target: CInt    // where lines go; the caller's, who closes it when the writer has ended, if at all
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
        case .wakes: bell.post(())
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
        let joined = OctetBuffer(capacity: Self.writeOctets)
        while true {
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: -1)
            repeat {
                _ = bell.takeAll()
                guard writeQueue(by: joined) else { return finished.post(()) }
                _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: Self.pauseMilliseconds)
            } while !queue.withLock { $0.sleeps() }
        }
    }

    /// Writes all that is in the queue.
    /// - Returns: false when no more lines come.
    private func writeQueue(by joined: OctetBuffer) -> Bool {
        let (chunks, isFinishing) = queue.withLock { queue in
            defer { queue.chunks = [] }
            return (queue.chunks, queue.isFinishing)
        }
        var lines = 0
        for chunk in chunks {
            chunk.octets.withOctets { joined.append($0) }
            lines += chunk.lines
            if joined.count >= Self.writeOctets { write(joined, lines: &lines) }
        }
        if !joined.isEmpty { write(joined, lines: &lines) }
        return !isFinishing
    }

    private func write(_ joined: OctetBuffer, lines: inout Int) {
        if !write(joined.octets) { drop(lines) }
        let count = joined.count
        queue.withLock { $0.octets -= count }
        joined.clear(keeping: 2 * Self.writeOctets)
        lines = 0
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
