internal import CNghttp2
package import Octets

/// Header blocks and buffers that one worker's sessions use over and over.
/// One per worker; its thread only.
@safe package final class MessagePools {
    let memory = SessionMemory()
    private(set) lazy var plainEncoder = unsafe HPACK.makePlainEncoder(memory)     // owned
    private var blocks: [HeaderBlock] = []
    private var buffers: [OctetBuffer] = []
    /// Room for nghttp2's view of a header section while it is submitted; owned, grown on demand.
    private var vectors: UnsafeMutablePointer<nghttp2_nv>
    private var vectorCapacity = 128

    private static let keptBlocks = 4096
    private static let keptBuffers = 1024
    /// Of these, so many may have grown beyond the size of most.
    private static let smallOctets = 4096
    private static let keptGrownBuffers = 64
    private var grownBuffers = 0
    /// For large bodies on their way. With the grown ones, a worker keeps at most 20 MiB after a peak.
    private var largeBuffers: [OctetBuffer] = []
    private static let keptLargeBuffers = 32
    package static let largeOctets = 160 * 1024

    /// Memory for what sessions note in a turn; each piece `noteOctets` large.
    private var notes: [UnsafeMutableRawPointer] = unsafe []
    static let noteOctets = 16_384
    private static let keptNotes = 64
    /// Seconds of the owner's clock; it says them once a turn.
    package var second: UInt32 = 0

    package init() { unsafe vectors = .allocate(capacity: vectorCapacity) }
    deinit {
        unsafe vectors.deallocate()
        if let encoder = unsafe plainEncoder { unsafe nghttp2_hd_deflate_del(encoder) }
        for index in unsafe notes.indices { unsafe notes[index].deallocate() }
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
        block.clear()
        if blocks.count < Self.keptBlocks { blocks.append(block) }
    }

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

    package func give(_ buffer: consuming OctetBuffer) {
        buffer.clear()
        let capacity = buffer.capacity
        if capacity >= Self.largeOctets {
            if largeBuffers.count < Self.keptLargeBuffers, capacity <= 2 * Self.largeOctets {
                largeBuffers.append(buffer)
            }
        } else if buffers.count < Self.keptBuffers {
            if capacity > Self.smallOctets {
                guard grownBuffers < Self.keptGrownBuffers else { return }
                grownBuffers += 1
            }
            buffers.append(buffer)
        }
    }

    /// Memory for a list; `octets` are `noteOctets`, or more for a long one.
    func takeNotes(octets: Int) -> UnsafeMutableRawPointer {
        if octets == Self.noteOctets, let piece = unsafe notes.popLast() { return unsafe piece }
        return .allocate(byteCount: octets, alignment: 16)
    }

    func giveNotes(_ piece: UnsafeMutableRawPointer, octets: Int) {
        guard octets <= Self.noteOctets, unsafe notes.count < Self.keptNotes else {
            return unsafe piece.deallocate()
        }
        unsafe notes.append(piece)
    }

    /// nghttp2's view of the block; valid until the next call. Names and values are not copied.
    func vectors(of block: HeaderBlock) -> (UnsafeMutablePointer<nghttp2_nv>, Int) {
        let count = block.count
        if count > vectorCapacity {
            unsafe vectors.deallocate()
            vectorCapacity = count
            unsafe vectors = .allocate(capacity: count)
        }
        let uncopied = UInt8(
            NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
        for index in 0..<count {
            let field = block.fields[index]
            // An identifier of one request is of no use in a table.
            let secret = field.isSensitive || field.known == .requestID ? UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) : 0
            unsafe vectors[index] = nghttp2_nv(
                name: Self.pointer(field.name), value: Self.pointer(field.value),
                namelen: field.name.count, valuelen: field.value.count, flags: uncopied | secret)
        }
        return unsafe (vectors, count)
    }

    private static func pointer(_ octets: Octets) -> UnsafeMutablePointer<UInt8>? {
        unsafe octets.base.map {
            unsafe UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
        }
    }
}
