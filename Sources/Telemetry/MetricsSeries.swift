internal import Octets
internal import Synchronization

/// Those counters of a worker that appear while it runs: a run of `width` counters for each key, such as a combination
/// of route, status and gRPC status. The worker finds them in a hash table of its own, without a lock. The reader sees
/// keys and pages through a lock, which the worker takes only when it adds a key. Beyond `limit` keys, new ones share
/// the run of the key `overflow`.
///
/// It is `Sendable` because only `first(of:)` touches the writer's fields, and only the worker whose `WorkerMetrics`
/// owns it calls that: readers have `MetricsReport`, which calls `read`. The other fields are immutable or behind the
/// lock.
///
/// Thread: its worker's writes, any reads. Freed by: its `WorkerMetrics`.
final class MetricsSeries: @unchecked Sendable {
    /// What the reader sees; keys are in the order of their counters.
    private struct Shared: Sendable {
        var keys: [UInt64] = []
        var pages: [MetricsPage] = []
    }

    private struct Slot {
        var key: UInt64
        var counter: MetricsCounter?
    }

    private static let runsPerPage = 64

    private let width: Int    // counters of a series
    private let limit: Int
    private let overflow: UInt64
    private let shared = Lock(Shared())

    // The writer's thread alone has these. The pages are also the reader's, and keep the memory behind `slots` alive.
    private var slots = ContiguousArray(repeating: Slot(key: 0, counter: nil), count: 256)
    private var count = 0
    private var pages: [MetricsPage] = []

    init(width: Int, limit: Int, overflow: UInt64) {
        self.width = width
        self.limit = limit
        self.overflow = overflow
    }

    /// The first counter of the key's run. For the writer's thread only.
    func first(of key: UInt64) -> MetricsCounter {
        var index = place(of: key)
        while let counter = slots[index].counter {
            if slots[index].key == key { return counter }
            index = (index + 1) & (slots.count - 1)
        }
        guard count < limit || key == overflow else { return first(of: overflow) }
        return add(key)
    }

    /// Calls `body` with each key and the values of its counters. Any thread may call it.
    func read(_ body: (_ key: UInt64, _ values: [UInt64]) -> Void) {
        let seen = shared.withLock { $0 }
        for (index, key) in seen.keys.enumerated() {
            let page = seen.pages[index / Self.runsPerPage]
            let start = index % Self.runsPerPage * width
            body(key, (0..<width).map { page[start + $0].value })
        }
    }

    private func place(of key: UInt64) -> Int {
        let mixed = (key ^ key >> 32) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: mixed >> 32) & (slots.count - 1)
    }

    private func add(_ key: UInt64) -> MetricsCounter {
        if (count + 1) * 2 > slots.count { grow() }
        let run = count % Self.runsPerPage
        if run == 0 { pages.append(MetricsPage(count: Self.runsPerPage * width)) }
        let page = pages[pages.count - 1]
        let counter = page[run * width]
        count += 1
        insert(Slot(key: key, counter: counter))
        shared.withLock { shared in
            shared.keys.append(key)
            if run == 0 { shared.pages.append(page) }
        }
        return counter
    }

    private func grow() {
        let old = slots
        slots = ContiguousArray(repeating: Slot(key: 0, counter: nil), count: old.count * 2)
        for slot in old where slot.counter != nil { insert(slot) }
    }

    private func insert(_ slot: Slot) {
        var index = place(of: slot.key)
        while slots[index].counter != nil { index = (index + 1) & (slots.count - 1) }
        slots[index] = slot
    }
}
