package import Octets

/// Header blocks and buffers that one worker's sessions use over and over.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
@safe package final class MessagePools {
    let memory = SessionMemory()
    var headerMemory = HeaderMemory()
    // What is kept for later; each counts once.
    private var blocks = unsafe PlainStack<Unmanaged<HeaderBlock>>()
    private var buffers = unsafe PlainStack<Unmanaged<OctetBuffer>>()

    #if PORTICO_UNPOOLED
        // For sanitizers: what is kept for later is freed instead, so that a use after that is seen.
        private static var keptBlocks: Int { 0 }
        private static var keptBuffers: Int { 0 }
        private static var keptLargeBuffers: Int { 0 }
        private static var keptTurnMemory: Int { 0 }
        private static var keptLongTurnMemory: Int { 0 }
    #else
        private static var keptBlocks: Int { 4096 }
        private static var keptBuffers: Int { 1024 }
        private static var keptLargeBuffers: Int { 32 }
        private static var keptTurnMemory: Int { 1024 }
        private static var keptLongTurnMemory: Int { 64 }
    #endif
    private static var smallOctets: Int { 4096 }
    /// At most this many kept buffers may be larger than `smallOctets`.
    private static let keptGrownBuffers = 64
    private var grownBuffers = 0
    private var freedOctets = 0    // of buffers that were not kept
    /// Buffers for large bodies. Together with the grown ones, a worker keeps at most 20 MiB after a peak.
    private var largeBuffers: [OctetBuffer] = []
    /// The capacity of a buffer for a large body, in octets.
    package static let largeOctets = 160 * 1024

    /// Memory for what sessions note in a turn: most note little, and many do so in the same turn.
    private var turnMemory = unsafe PlainStack<UnsafeMutableRawPointer>()
    private var longTurnMemory = unsafe PlainStack<UnsafeMutableRawPointer>()
    /// How large each piece of `turnMemory` is, in octets.
    private static var turnMemoryOctets: Int { 1024 }
    /// How large each piece of `longTurnMemory` is, in octets.
    private static var longTurnMemoryOctets: Int { 16_384 }
    /// Seconds of the owner's clock, which sets them once a turn.
    package var second: UInt32 = 0
    /// What all sessions have had to do since the owner set it to 0, in units of `WorkBudget`.
    package var work: Int32 = 0
    /// Units that the session which is read now may take of the turn; set by the owner.
    package var quota = WorkBudget.quotaPerTurn

    /// Whether one of the next two has something to take.
    package private(set) var hasReachedLimit = false
    /// How often a connection's window stayed closed because too much of its bodies waits, since `takeReachedLimits`.
    var fullConnections: UInt64 = 0 { didSet { hasReachedLimit = true } }
    /// Fields that a refused request's line in the log has not, or not as a whole, since `takeReachedLimits`.
    var cutFields: UInt64 = 0 { didSet { hasReachedLimit = true } }

    /// Whether memory is short, so that no window grows; set by the owner.
    package var isMemoryTight = false

    package init() {}
    deinit {
        freeSpare()
        unsafe turnMemory.free()
        unsafe longTurnMemory.free()
        unsafe blocks.free()
        unsafe buffers.free()
    }

    /// An empty block that the caller holds once.
    package func takeBlock() -> HeaderBlock {
        guard let kept = unsafe blocks.popLast() else { return HeaderBlock() }
        let block = unsafe kept.takeRetainedValue()
        block.holds = 1
        return block
    }

    /// Ends one hold on the block; with the last one it is emptied and kept for later.
    package func letGo(_ block: consuming HeaderBlock) {
        block.holds -= 1
        precondition(block.holds >= 0, "a header block was let go more often than held")
        guard block.holds == 0 else { return }
        if block.charged > 0 {
            headerMemory.change(block.holder, by: -block.charged)
            block.charged = 0
        }
        if let base = block.base.take() { letGo(base) }
        block.clear()
        if unsafe blocks.count < Self.keptBlocks { unsafe blocks.append(Unmanaged.passRetained(consume block)) }
    }

    /// An empty buffer: a kept one of whatever size, or else a new one of 1 KiB. It comes back by `give`.
    package func takeBuffer() -> OctetBuffer {
        guard let kept = unsafe buffers.popLast() else {
            return largeBuffers.popLast() ?? OctetBuffer(capacity: 1024)
        }
        let buffer = unsafe kept.takeRetainedValue()
        if buffer.capacity > Self.smallOctets { grownBuffers -= 1 }
        return buffer
    }

    /// A buffer for `octets` and more of the kind.
    package func takeBuffer(for octets: Int) -> OctetBuffer {
        guard octets > Self.smallOctets else { return takeBuffer() }
        return largeBuffers.popLast() ?? OctetBuffer(capacity: Self.largeOctets)
    }

    /// Takes a buffer back: it is emptied, and kept for the next use or freed.
    package func give(_ buffer: consuming OctetBuffer) {
        buffer.clear()
        let capacity = buffer.capacity
        if capacity >= Self.largeOctets {
            guard largeBuffers.count < Self.keptLargeBuffers, capacity <= 2 * Self.largeOctets else {
                return freedOctets += capacity
            }
            largeBuffers.append(buffer)
        } else {
            let isGrown = capacity > Self.smallOctets
            guard unsafe buffers.count < Self.keptBuffers, !isGrown || grownBuffers < Self.keptGrownBuffers else {
                return freedOctets += capacity
            }
            if isGrown { grownBuffers += 1 }
            unsafe buffers.append(Unmanaged.passRetained(consume buffer))
        }
    }

    /// How often bodies that nobody takes have closed a connection's window, and how many fields of refused requests
    /// were left out of the log, since the last call.
    package func takeReachedLimits() -> (fullConnections: UInt64, cutFields: UInt64) {
        let taken = (fullConnections, cutFields)
        (fullConnections, cutFields) = (0, 0)
        hasReachedLimit = false
        return taken
    }

    /// Octets of buffers that were freed since the last call.
    package func takeFreedBufferOctets() -> Int {
        defer { freedOctets = 0 }
        return freedOctets
    }

    /// Frees what is only kept for later.
    package func freeSpare() {
        while let block = unsafe blocks.popLast() { unsafe block.release() }
        while let buffer = unsafe buffers.popLast() { unsafe buffer.release() }
        while let piece = unsafe turnMemory.popLast() { unsafe piece.deallocate() }
        while let piece = unsafe longTurnMemory.popLast() { unsafe piece.deallocate() }
        largeBuffers = []
        grownBuffers = 0
    }

    /// How many octets a list should take that has `octets` and needs more.
    static func turnMemory(after octets: Int) -> Int {
        switch octets {
        case ..<turnMemoryOctets: turnMemoryOctets
        case ..<longTurnMemoryOctets: longTurnMemoryOctets
        default: octets * 2
        }
    }

    /// Memory for a list; `octets` are of `turnMemory(after:)`.
    func takeTurnMemory(octets: Int) -> UnsafeMutableRawPointer {
        if octets == Self.turnMemoryOctets, let piece = unsafe turnMemory.popLast() { return unsafe piece }
        if octets == Self.longTurnMemoryOctets, let piece = unsafe longTurnMemory.popLast() { return unsafe piece }
        return .allocate(byteCount: octets, alignment: 16)
    }

    /// Takes the memory of a list back; `octets` are those that it was taken with.
    func giveTurnMemory(_ piece: UnsafeMutableRawPointer, octets: Int) {
        if octets == Self.turnMemoryOctets, unsafe turnMemory.count < Self.keptTurnMemory {
            unsafe turnMemory.append(piece)
        } else if octets == Self.longTurnMemoryOctets, unsafe longTurnMemory.count < Self.keptLongTurnMemory {
            unsafe longTurnMemory.append(piece)
        } else {
            unsafe piece.deallocate()
        }
    }
}
