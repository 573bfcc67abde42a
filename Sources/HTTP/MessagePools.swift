internal import CNghttp2
package import Octets

/// Header blocks and buffers that one worker's sessions use over and over.
/// One per worker; its thread only.
@safe package final class MessagePools {
    let memory = SessionMemory()
    private var blocks: [HeaderBlock] = []
    private var buffers: [OctetBuffer] = []
    /// Room for nghttp2's view of a header section while it is submitted; owned, grown on demand.
    private var vectors: UnsafeMutablePointer<nghttp2_nv>
    private var vectorCapacity = 128

    private static let keptBlocks = 4096
    private static let keptBuffers = 1024
    /// Of these, so many may be large; the others keep `smallOctets` each. Together they are at most
    /// 8 MiB that a worker does not give back after a peak.
    private static let keptLargeBuffers = 64
    private static let smallOctets = 4096
    private static let largeOctets = 65_536
    private var largeBuffers = 0

    package init() { unsafe vectors = .allocate(capacity: vectorCapacity) }
    deinit { unsafe vectors.deallocate() }

    /// An empty block that the caller holds once.
    package func takeBlock() -> HeaderBlock {
        let block = blocks.popLast() ?? HeaderBlock(memory: memory)
        block.holds = 1
        return block
    }

    /// Ends one hold on the block; with the last one it is emptied and kept for later.
    package func letGo(_ block: HeaderBlock) {
        block.holds -= 1
        precondition(block.holds >= 0, "a header block was let go more often than held")
        guard block.holds == 0 else { return }
        block.clear()
        if blocks.count < Self.keptBlocks { blocks.append(block) }
    }

    package func takeBuffer() -> OctetBuffer {
        guard let buffer = buffers.popLast() else { return OctetBuffer(capacity: 1024) }
        if buffer.capacity > Self.smallOctets { largeBuffers -= 1 }
        return buffer
    }

    package func give(_ buffer: OctetBuffer) {
        guard buffers.count < Self.keptBuffers else { return }
        let mayBeLarge = largeBuffers < Self.keptLargeBuffers
        buffer.clear(keeping: mayBeLarge ? Self.largeOctets : Self.smallOctets)
        if buffer.capacity > Self.smallOctets { largeBuffers += 1 }
        buffers.append(buffer)
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
            let secret = field.isSensitive ? UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) : 0
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
