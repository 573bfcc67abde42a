internal import Reactor

/// One worker's pipes for relays: those that are empty and wait for the next use. A pipe belongs to one relay while it
/// has octets of it, and comes back only when it is proven to be empty; any other one is closed.
///
/// Thread: its worker's. Freed by: `Relays`.
final class PipePool {
    /// Octets that pass through a pipe at a time.
    static let pipeOctets = 262_144
    /// Pipes that one worker has at most; see `ProcessBudget.pipesPerWorker`.
    static let most = 64
    /// Empty ones that are kept.
    private static let mostFree = 4
    /// How long no pipe is asked for after one could not be had.
    private static let rest = Duration.seconds(1)

    private let limit: Int
    private var free: [SplicePipe] = []
    private var restsUntil = MonotonicTime(nanoseconds: 0)
    /// Pipes that are open: the empty ones, and those that relays have.
    private(set) var count = 0
    /// How often one was taken, for tests.
    private(set) var uses = 0

    init(limit: Int) { self.limit = limit }

    /// An empty pipe; nil when there is none to be had, and octets are copied.
    func take(at now: MonotonicTime) -> SplicePipe? {
        uses += 1
        if let pipe = free.popLast() { return pipe }
        guard count < limit, now >= restsUntil else { return nil }
        guard let pipe = SplicePipe(room: Self.pipeOctets) else {
            restsUntil = now + Self.rest
            return nil
        }
        count += 1
        return pipe
    }

    /// Takes back a pipe that should be empty.
    func give(_ pipe: SplicePipe) {
        guard pipe.isProvenEmpty, free.count < Self.mostFree else { return drop(pipe) }
        free.append(pipe)
    }

    /// Closes a pipe with what it has: nobody else has it.
    func drop(_ pipe: SplicePipe) { count -= 1 }

    /// Closes those that wait for a use, because there is no relay.
    func clear() {
        count -= free.count
        free = []
    }
}
