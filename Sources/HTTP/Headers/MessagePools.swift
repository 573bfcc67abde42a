package import Octets

/// Header blocks and buffers that one worker's sessions use over and over.
/// One per worker; its thread only.
@safe package final class MessagePools {
    let memory = SessionMemory()
    var accounts = HeaderAccounts()
    private var blocks: [HeaderBlock] = []
    private var buffers: [OctetBuffer] = []

    #if PORTICO_UNPOOLED
        // For sanitizers: what is kept for later is freed instead, so that a use after that is seen.
        private static let (keptBlocks, keptBuffers, keptLargeBuffers, keptTurnMemory) = (0, 0, 0, 0)
    #else
        private static let (keptBlocks, keptBuffers, keptLargeBuffers, keptTurnMemory) = (4096, 1024, 32, 64)
    #endif
    private static let smallOctets = 4096
    /// At most this many kept buffers may be larger than `smallOctets`.
    private static let keptGrownBuffers = 64
    private var grownBuffers = 0
    private var freedOctets = 0    // of buffers that were not kept
    /// Buffers for large bodies. Together with the grown ones, a worker keeps at most 20 MiB after a peak.
    private var largeBuffers: [OctetBuffer] = []
    /// The capacity of a buffer for a large body, in octets.
    package static let largeOctets = 160 * 1024

    /// Memory for what sessions note in a turn. Each piece has `turnMemoryOctets`.
    private var turnMemory: [UnsafeMutableRawPointer] = unsafe []
    static let turnMemoryOctets = 16_384
    /// Seconds of the owner's clock, which sets them once a turn.
    package var second: UInt32 = 0
    /// What all sessions have had to do since the owner set it to 0, in units of `WorkBudget`.
    package var work: Int32 = 0

    /// Whether memory is short, so that no window grows; set by the owner.
    package var isMemoryTight = false

    /// Pools that have nothing yet.
    package init() {}
    deinit {
        for index in unsafe turnMemory.indices { unsafe turnMemory[index].deallocate() }
    }

    /// An empty block that the caller holds once.
    package func takeBlock() -> HeaderBlock {
        let block = blocks.popLast() ?? HeaderBlock()
        block.holds = 1
        return block
    }

    /// Ends one hold on the block; with the last one it is emptied and kept for later.
    package func letGo(_ block: consuming HeaderBlock) {
        block.holds -= 1
        precondition(block.holds >= 0, "a header block was let go more often than held")
        guard block.holds == 0 else { return }
        if block.charged > 0 {
            accounts.change(block.account, by: -block.charged)
            block.charged = 0
        }
        if let base = block.base.take() { letGo(base) }
        block.clear()
        if blocks.count < Self.keptBlocks { blocks.append(block) }
    }

    /// An empty buffer.
    package func takeBuffer() -> OctetBuffer {
        guard let buffer = buffers.popLast() else {
            return largeBuffers.popLast() ?? OctetBuffer(capacity: 1024)
        }
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
            guard buffers.count < Self.keptBuffers, !isGrown || grownBuffers < Self.keptGrownBuffers else {
                return freedOctets += capacity
            }
            if isGrown { grownBuffers += 1 }
            buffers.append(buffer)
        }
    }

    /// Octets of buffers that were freed since the last call.
    package func takeFreedBufferOctets() -> Int {
        defer { freedOctets = 0 }
        return freedOctets
    }

    /// Frees what is only kept for later.
    package func freeSpare() {
        blocks = []
        buffers = []
        largeBuffers = []
        grownBuffers = 0
    }

    /// Memory for a list; `octets` are `turnMemoryOctets`, or more for a long one.
    func takeTurnMemory(octets: Int) -> UnsafeMutableRawPointer {
        if octets == Self.turnMemoryOctets, let piece = unsafe turnMemory.popLast() { return unsafe piece }
        return .allocate(byteCount: octets, alignment: 16)
    }

    /// Takes the memory of a list back; `octets` are those that it was taken with.
    func giveTurnMemory(_ piece: UnsafeMutableRawPointer, octets: Int) {
        guard octets <= Self.turnMemoryOctets, unsafe turnMemory.count < Self.keptTurnMemory else {
            return unsafe piece.deallocate()
        }
        unsafe turnMemory.append(piece)
    }
}
