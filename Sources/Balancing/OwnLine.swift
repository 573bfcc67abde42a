internal import Synchronization

/// A number that all workers write, alone on its cache lines: a worker that writes it takes nothing else away
/// from the others. Owns its memory; whoever owns this value keeps the `cell` alive.
///
/// `Sendable` because the pointer never changes and what it points to is atomic.
@safe struct OwnLine: ~Copyable, @unchecked Sendable {
    /// Two lines of x86, which fetches them in pairs; one line of some ARM and POWER processors.
    static let octets = 128

    private let memory: UnsafeMutableRawPointer    // owned; `octets`, aligned to `octets`, freed in `deinit`
    let cell: LineCell

    init(_ value: Int = 0) {
        unsafe memory = .allocate(byteCount: Self.octets, alignment: Self.octets)
        let counter = unsafe memory.bindMemory(to: Atomic<Int>.self, capacity: 1)
        unsafe counter.initialize(to: Atomic(value))
        unsafe cell = LineCell(counter: counter)
    }

    /// An atomic integer needs no deinitialization.
    deinit { unsafe memory.deallocate() }

    /// Where it lies in memory, for tests.
    var address: UInt { unsafe UInt(bitPattern: memory) }
}

/// The number of an `OwnLine`, for those who know that its owner lives: following it touches no other memory.
///
/// `Sendable` because the pointer never changes and what it points to is atomic.
@safe struct LineCell: BitwiseCopyable, @unchecked Sendable {
    fileprivate let counter: UnsafeMutablePointer<Atomic<Int>>    // the `OwnLine`'s

    /// The number now; another worker may change it at once.
    @inline(__always) var value: Int { unsafe counter.pointee.load(ordering: .relaxed) }

    /// Adds to the number; it wraps around.
    @inline(__always) func add(_ amount: Int) {
        unsafe counter.pointee.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Writes `after` if the number is still `before`.
    /// - Returns: whether it was.
    @inline(__always) func exchange(_ before: Int, for after: Int) -> Bool {
        unsafe counter.pointee.compareExchange(expected: before, desired: after, ordering: .relaxed).exchanged
    }

    /// Adds one. - Returns: the number before.
    @inline(__always) func advance() -> UInt64 {
        UInt64(bitPattern: Int64(unsafe counter.pointee.wrappingAdd(1, ordering: .relaxed).oldValue))
    }
}
