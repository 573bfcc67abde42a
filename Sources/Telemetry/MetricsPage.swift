internal import Synchronization

/// A run of counters that one thread writes and any thread reads. It never moves, so pointers to its counters stay
/// valid as long as the page lives. It is `Sendable` because the pointer never changes and what it points to is atomic.
///
/// Thread: one writes, any reads. Freed by: the last of what counts by it.
@safe final class MetricsPage: @unchecked Sendable {
    let count: Int
    private let counters: UnsafeMutablePointer<Atomic<UInt64>>    // owned; `count`, freed in `deinit`

    init(count: Int) {
        self.count = count
        unsafe counters = .allocate(capacity: count)
        for index in 0..<count { unsafe (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe counters.deinitialize(count: count)
        unsafe counters.deallocate()
    }

    /// The counter at `index`; traps if it is out of range.
    subscript(index: Int) -> MetricsCounter {
        precondition(index >= 0 && index < count)
        return unsafe MetricsCounter(cell: counters + index)
    }
}

/// One counter in a page. It does not keep the page alive: its holder does so by other means.
@safe struct MetricsCounter {
    fileprivate let cell: UnsafeMutablePointer<Atomic<UInt64>>    // the page's

    /// Adds `amount`. For the page's writer only, because it is a load and a store, which costs less than an atomic
    /// addition.
    @inline(__always) func add(_ amount: UInt64) {
        unsafe cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Sets the value. For the page's writer only.
    @inline(__always) func set(_ value: UInt64) { unsafe cell.pointee.store(value, ordering: .relaxed) }

    /// The counter `offset` places after this one, which the page must have.
    @inline(__always) func following(_ offset: Int) -> MetricsCounter {
        unsafe MetricsCounter(cell: cell + offset)
    }

    var value: UInt64 { unsafe cell.pointee.load(ordering: .relaxed) }
}
