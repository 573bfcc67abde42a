internal import Octets
package import Reactor
internal import Synchronization

/// What all workers of a process share out among themselves: places for clients' connections, and memory. Made once
/// by the control plane. It is written once per connection, never per request.
///
/// Thread: any. Freed by: the last of the control plane and the workers.
package final class ProcessBudget: Sendable {
    /// Clients' connections that the process has at a time, at least 1.
    package let connectionsLimit: Int
    /// Octets of resident memory that the process should stay below; nil when there is no ceiling.
    package let memoryCeiling: Int?
    /// Octets of header sections that each worker may hold.
    package let headerOctets: Int
    /// Pipes that each worker may have for relays, with two descriptors each: all of them together have at most a
    /// thirty-second part of the descriptors.
    package let pipesPerWorker: Int
    private let connections = Atomic<Int>(0)
    private let trimmed = Atomic<UInt64>(0)    // nanoseconds: when the heap was last trimmed by a worker
    private let workers = Lock<[(number: Int, mailbox: Mailbox<WorkerMessage>)]>([])

    /// - Parameters:
    ///   - limits: the operator's; what they leave open is derived from the machine.
    ///   - descriptors: open files that the process may have.
    ///   - memory: octets that the process's container may have; nil when there is no such limit.
    ///   - workers: that share the memory, at least 1.
    package init(limits: Limits, descriptors: UInt64, memory: UInt64?, workers: Int) {
        let most = Self.connectionsAtMost(descriptors: descriptors)
        connectionsLimit = min(limits.downstreamConnections ?? most / 4 * 3, most)
        let ceiling = limits.memory ?? memory.map { Int(clamping: $0 / 4 * 3) }
        memoryCeiling = ceiling
        pipesPerWorker = max(min(Int(clamping: descriptors / 64) / max(workers, 1), PipePool.most), 1)
        headerOctets = limits.headerOctets ?? Self.headerShare(of: ceiling, workers: workers)
    }

    /// Header sections that are open cannot be given up without a failed request, so they get a quarter of the
    /// memory at most, and each worker at least room for a few of the largest.
    private static func headerShare(of ceiling: Int?, workers: Int) -> Int {
        guard let ceiling else { return mostHeaderOctets }
        return min(mostHeaderOctets, max(ceiling / 4 / max(workers, 1), 1 << 20))
    }

    private static let mostHeaderOctets = 64 << 20

    /// Descriptors that are never a client's: listeners, epoll, eventfds, files of a load, look-ups of names, the 64
    /// connections of the status and of the admin listener, and those of health checks.
    static let reservedDescriptors: UInt64 = 160 + UInt64(HealthChecker.mostAtOnce)

    /// What is left for clients and endpoints together, at least 16.
    private static func connectionsAtMost(descriptors: UInt64) -> Int {
        Int(clamping: descriptors > reservedDescriptors + 16 ? min(descriptors - reservedDescriptors, 1 << 24) : 16)
    }

    // MARK: connections

    /// Whether a client may be let in. Workers that ask at the same moment may be one connection each beyond the
    /// limit.
    var hasRoom: Bool { connections.load(ordering: .relaxed) < connectionsLimit }

    /// Counts a client's connection in the number that all workers share.
    func takeConnection() { connections.wrappingAdd(1, ordering: .relaxed) }

    /// A client's connection is closed. Exactly once for each that was counted.
    func giveBackConnection() { connections.wrappingSubtract(1, ordering: .relaxed) }

    /// How many idle connections one worker closes at a time to make room: a search visits all connections, so that
    /// it should find some for the clients that come next too.
    /// - Parameter limit: that was reached; nil: the process's.
    func connectionsPerSearch(of limit: Int?) -> Int { max(1, min((limit ?? connectionsLimit) / 64, 64)) }

    // MARK: memory

    /// Whether a worker may trim the heap now: not when one has done so less than `pause` ago.
    func mayTrim(at now: MonotonicTime, pause: Duration) -> Bool {
        let last = trimmed.load(ordering: .relaxed)
        guard MonotonicTime(nanoseconds: last) + pause <= now else { return false }
        return trimmed.compareExchange(expected: last, desired: now.nanoseconds, ordering: .relaxed).exchanged
    }

    // MARK: the other workers

    /// Adds a worker to which the needs of others can be sent.
    package func add(worker number: Int, _ mailbox: Mailbox<WorkerMessage>) {
        workers.withLock { $0.append((number, mailbox)) }
    }

    /// Whether there is more than one worker.
    var hasOtherWorkers: Bool { workers.withLock { $0.count > 1 } }

    /// Posts a message to all workers but the one of that number, which sends it.
    func tellOthers(than number: Int, _ message: WorkerMessage) {
        let others = workers.withLock { $0 }
        for other in others where other.number != number { other.mailbox.post(message) }
    }
}
