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
    private var pace = MemoryPace()
    private var headersThen = 0    // octets of header sections when it last looked
    private var ended = 0    // octets that are given up in this turn, and free at its end
    private var nextHint = 0    // wall seconds

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
        guard isOn, pace.isLookDue(at: services.loop.now) else { return }
        look()
    }

    /// Something was read: looks when that was much.
    @inline(__always)
    func octetsCame() {
        guard isOn else { return }
        let taken = services.octetsRead &+ services.pools.headerOctets &- headersThen
        guard MemoryPace.isMuch(taken: taken) else { return }
        look()
    }

    /// The turn ends: what was given up in it is free now.
    @inline(__always)
    func turnEnds() { if ended > 0 { settle() } }

    private func settle() {
        ended = 0
        services.pools.freeSpare()
        if services.budget.mayTrim(at: services.loop.now, pause: MemoryPace.hastyTrimPause) { HeapMemory.giveBack() }
        measure()
    }

    /// Looks at the resident size, and does what that asks for.
    func look() {
        measure()
        guard let marks, services.memoryLevel > .ample else { return }
        let pause = MemoryPace.trimPause(services.memoryLevel)
        if ended == 0, services.budget.mayTrim(at: services.loop.now, pause: pause) {
            HeapMemory.giveBack()
            measure()
        }
        let excess = marks.excess(resident: size)
        guard excess > 0, ended > 0 || pace.maySearch(at: services.loop.now, services.memoryLevel) else { return }
        pace.searched(at: services.loop.now)
        let found = hoards.giveUp(excess, stuckOnly: services.memoryLevel == .tight)
        ended += found
        measured(size - found)
        guard found < excess else { return }
        guard MemoryMarks.Level.tight < services.memoryLevel else { return }
        services.budget.tellOthers(than: services.worker, .memoryWanted)
        hint()
    }

    /// Resident octets without those that are free at the end of the turn.
    private var size = 0

    private func measure() {
        pace.looked(at: services.loop.now)
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
