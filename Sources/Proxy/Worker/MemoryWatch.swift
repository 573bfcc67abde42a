internal import HTTP
internal import Reactor
internal import Telemetry

/// Keeps the process below its ceiling of memory: looks at the resident size, and near the ceiling has exchanges give
/// up what waits for a side that does not take it. Nothing is counted on the way of a request: what waits is only added
/// up when memory is short.
///
/// Thread: its worker's. Freed by: `Worker`.
final class MemoryWatch {
    private let services: WorkerServices
    private let hoards: Hoards
    private let isOn: Bool
    private let marks: MemoryMarks?    // nil: there is no ceiling
    private let resident: ResidentMemory?
    private var lookedAt = MonotonicTime(nanoseconds: 0)
    private var searchedAt = MonotonicTime(nanoseconds: 0)
    private var headersThen = 0    // octets of header sections when it last looked
    private var ended = 0    // octets that are given up in this turn, and free at its end
    private var nextHint = 0    // wall seconds

    /// How often a worker with traffic looks, and how much it reads at most between two looks.
    private static let interval: UInt64 = 5_000_000, takenOctets = 2 << 20
    /// How often all exchanges are searched, which takes about 30 ns for each: near the ceiling, and at it.
    private static let calmPause: UInt64 = 100_000_000, hastyPause: UInt64 = 5_000_000
    /// How often the heap is trimmed near the ceiling, which takes some milliseconds, by one worker.
    private static let trimPause = Duration.seconds(1), hastyTrimPause = Duration.milliseconds(20)

    init(services: WorkerServices, hoards: Hoards) {
        self.services = services
        self.hoards = hoards
        marks = services.budget.memoryCeiling.map { MemoryMarks(ceiling: max($0, 1)) }
        isOn = marks != nil
        resident = marks == nil ? nil : try? ResidentMemory()
    }

    /// A turn begins: what was known of memory may be old.
    @inline(__always)
    func turnBegins() {
        guard isOn, services.loop.now.nanoseconds(since: lookedAt) >= Self.interval else { return }
        look()
    }

    /// Something was read: looks when that was much.
    @inline(__always)
    func octetsCame() {
        guard isOn else { return }
        let taken = services.octetsRead &+ services.pools.headerOctets &- headersThen
        guard taken >= Self.takenOctets else { return }
        look()
    }

    /// The turn ends: what was given up in it is free now.
    @inline(__always)
    func turnEnds() { if ended > 0 { settle() } }

    private func settle() {
        ended = 0
        services.pools.freeSpare()
        if services.budget.mayTrim(at: services.loop.now, pause: Self.hastyTrimPause) { HeapMemory.giveBack() }
        measure()
    }

    /// Looks at the resident size, and does what that asks for.
    func look() {
        measure()
        guard let marks, services.memoryLevel > .ample else { return }
        let pause = services.memoryLevel == .tight ? Self.trimPause : Self.hastyTrimPause
        if ended == 0, services.budget.mayTrim(at: services.loop.now, pause: pause) {
            HeapMemory.giveBack()
            measure()
        }
        let excess = marks.excess(resident: size)
        guard excess > 0, maySearch else { return }
        searchedAt = services.loop.now
        let found = hoards.giveUp(excess, stuckOnly: services.memoryLevel == .tight)
        ended += found
        measured(size - found)
        guard found < excess else { return }
        guard MemoryMarks.Level.tight < services.memoryLevel else { return }
        services.budget.tellOthers(than: services.worker, .memoryWanted)
        hint()
    }

    private var maySearch: Bool {
        let pause = services.memoryLevel == .tight ? Self.calmPause : Self.hastyPause
        return services.loop.now.nanoseconds(since: searchedAt) >= pause || ended > 0
    }

    /// Resident octets without those that are free at the end of the turn.
    private var size = 0

    private func measure() {
        lookedAt = services.loop.now
        services.octetsRead = 0
        headersThen = services.pools.headerOctets
        guard let resident else { return }
        measured(max(0, resident.octets() - ended))
    }

    private func measured(_ octets: Int) {
        size = octets
        guard let marks else { return }
        services.memoryLevel = marks.level(resident: octets)
        services.pools.isMemoryTight = services.memoryLevel > .ample
    }

    /// Nothing is left to give up: somebody should hear of it, but not more often than once a minute.
    private func hint() {
        guard services.memoryLevel == .exhausted, services.loop.wallNow.seconds >= nextHint else { return }
        nextHint = services.loop.wallNow.seconds + 60
        services.messages.warn(
            "memory: \(size >> 20) MiB are in use of \((services.budget.memoryCeiling ?? 0) >> 20) MiB, and little of "
                + "it waits for clients: new requests are refused; raise --memory and the limit of the container",
            at: services.loop.wallNow)
    }
}
