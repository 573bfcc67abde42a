internal import CNghttp2

/// The allocator of one worker's HPACK decoders: pieces of some sizes are kept for the next use instead of going back
/// to the system. A request costs HPACK half a dozen small allocations, each of which would be two calls and some cache
/// misses.
///
/// Thread: its owner's. Freed by: `MessagePools` and the last decoder that uses it.
@safe final class SessionMemory {
    /// In front of each piece: its size class and size, four octets each. Eight keep the alignment that
    /// structures of pointers need.
    private static let headerOctets = 8
    /// Pieces are multiples of this size, up to `largestOctets`; larger ones are the system's.
    private static let stepOctets = 16
    private static let largestOctets = 512
    private static let classes = largestOctets / stepOctets
    /// Free pieces kept of each size; more go back to the system.
    private static let keptPieces = 4096

    private typealias Link = UnsafeMutableRawPointer?

    @unsafe private struct Bin {
        var first: UnsafeMutableRawPointer?    // free pieces, linked through their first octets behind the header
        var count = 0
    }

    private let bins: UnsafeMutablePointer<Bin>    // owned; `classes` of them
    /// What nghttp2 is given; valid as long as this object.
    let callbacks: UnsafeMutablePointer<nghttp2_mem>

    init() {
        unsafe bins = .allocate(capacity: Self.classes)
        unsafe bins.initialize(repeating: Bin(), count: Self.classes)
        unsafe callbacks = .allocate(capacity: 1)
        // Unretained: sessions (through their pools) and header blocks keep this object alive.
        let user = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe callbacks.initialize(
            to: nghttp2_mem(
                mem_user_data: user, malloc: Self.onMalloc, free: Self.onFree,
                calloc: Self.onCalloc,
                realloc: Self.onRealloc))
    }

    deinit {
        for index in 0..<Self.classes {
            while let piece = unsafe bins[index].first {
                unsafe bins[index].first = piece.loadUnaligned(fromByteOffset: Self.headerOctets, as: Link.self)
                unsafe piece.deallocate()
            }
        }
        unsafe bins.deallocate()
        unsafe callbacks.deallocate()
    }

    private func take(_ octets: Int) -> UnsafeMutableRawPointer? {
        guard octets <= Self.largestOctets else { return unsafe fresh(octets, bin: -1) }
        let bin = max(octets - 1, 0) / Self.stepOctets
        guard let piece = unsafe bins[bin].first else {
            return unsafe fresh((bin + 1) * Self.stepOctets, bin: bin)
        }
        unsafe bins[bin].first = piece.loadUnaligned(fromByteOffset: Self.headerOctets, as: Link.self)
        unsafe bins[bin].count -= 1
        return unsafe piece + Self.headerOctets
    }

    private func fresh(_ octets: Int, bin: Int) -> UnsafeMutableRawPointer? {
        guard let size = Int32(exactly: octets) else { return nil }
        let piece = UnsafeMutableRawPointer.allocate(byteCount: octets + Self.headerOctets, alignment: 8)
        unsafe piece.storeBytes(of: Int32(truncatingIfNeeded: bin), as: Int32.self)
        unsafe piece.storeBytes(of: size, toByteOffset: 4, as: Int32.self)
        return unsafe piece + Self.headerOctets
    }

    private func give(_ memory: UnsafeMutableRawPointer) {
        let piece = unsafe memory - Self.headerOctets
        let bin = unsafe Int(piece.load(as: Int32.self))
        guard bin >= 0, unsafe bins[bin].count < Self.keptPieces else {
            return unsafe piece.deallocate()
        }
        unsafe memory.storeBytes(of: bins[bin].first, as: Link.self)
        unsafe bins[bin].first = piece
        unsafe bins[bin].count += 1
    }

    private func resize(_ memory: UnsafeMutableRawPointer, to octets: Int) -> UnsafeMutableRawPointer? {
        let present = unsafe Int(memory.load(fromByteOffset: 4 - Self.headerOctets, as: Int32.self))
        if octets <= present { return unsafe memory }
        guard let larger = unsafe take(octets) else { return nil }
        unsafe larger.copyMemory(from: memory, byteCount: present)
        unsafe give(memory)
        return unsafe larger
    }

    // MARK: nghttp2's callbacks

    @inline(__always)
    private static func with<Result>(
        _ user: UnsafeMutableRawPointer?, _ body: (SessionMemory) -> Result
    ) -> Result {
        unsafe Unmanaged<SessionMemory>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(
            body)
    }

    private static let onMalloc: nghttp2_malloc = { size, user in
        unsafe with(user) { unsafe $0.take(size) }
    }

    private static let onFree: nghttp2_free = { memory, user in
        guard let memory = unsafe memory else { return }
        unsafe with(user) { unsafe $0.give(memory) }
    }

    private static let onCalloc: nghttp2_calloc = { count, size, user in
        let (total, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, let memory = unsafe with(user, { unsafe $0.take(total) }) else {
            return nil
        }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: total)
        return unsafe memory
    }

    private static let onRealloc: nghttp2_realloc = { memory, size, user in
        unsafe with(user) { pool in
            guard let memory = unsafe memory else { return unsafe pool.take(size) }
            return unsafe pool.resize(memory, to: size)
        }
    }
}
