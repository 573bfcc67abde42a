internal import Octets
internal import Reactor
internal import Synchronization

/// Notices that files have changed which the last load has read: certificates are renewed by others, who send no
/// signal. A disk may be slow, so it looks from a thread of its own, which there is only where files are to be watched.
/// Any thread may say what is watched.
///
/// Thread: any. Freed by: nobody once its own thread runs, which lasts as long as the process.
final class FileWatch: Sendable {
    private struct State {
        var stamps: [String: FileStamp?] = [:]
        var isRunning = false
    }

    private let state = Lock(State())
    private let bell: Mailbox<Void>
    private let intervalMilliseconds: Int32
    private let changed: @Sendable () -> Void

    /// - Parameters:
    ///   - intervalMilliseconds: between two looks.
    ///   - changed: called on the watching thread, once for all files that it finds changed in one look.
    init(intervalMilliseconds: Int32 = 1000, changed: @escaping @Sendable () -> Void) throws(SystemError) {
        self.intervalMilliseconds = intervalMilliseconds
        self.changed = changed
        bell = try Mailbox()
    }

    /// The files of the load that is in effect, as they were when it read them; nil: there was none.
    func want(_ stamps: [String: FileStamp?]) {
        let isFirst = state.withLock { state in
            state.stamps = stamps
            defer { state.isRunning = state.isRunning || !stamps.isEmpty }
            return !state.isRunning && !stamps.isEmpty
        }
        guard isFirst else { return bell.post(()) }
        do throws(SystemError) {
            try Thread.start("file-watch") { [self] in run() }
        } catch {
            state.withLock { $0.isRunning = false }    // the next load tries again
        }
    }

    private func run() {
        while true {
            let isIdle = state.withLock(\.stamps.isEmpty)
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: isIdle ? -1 : intervalMilliseconds)
            _ = bell.takeAll()
            if look() { changed() }
        }
    }

    /// Compares each file with what is known of it.
    /// - Returns: whether one has changed; it is known as it is now.
    func look() -> Bool {
        let known = state.withLock(\.stamps)
        var found: [String: FileStamp?] = [:]
        for (path, stamp) in known {
            let now = FileStamp(path)
            if now != stamp { found[path] = .some(now) }
        }
        guard !found.isEmpty else { return false }
        return state.withLock { state in
            var isChanged = false
            // A load may have read some of them meanwhile.
            for (path, now) in found where state.stamps[path] == .some(known[path] ?? nil) {
                state.stamps[path] = .some(now)
                isChanged = true
            }
            return isChanged
        }
    }
}
