/// Octets as numbers of two, four or eight of them, so that no other module needs a pointer to load words. Each traps
/// if the run has not so many octets from there on.
extension Octets {
    /// The eight octets from `index` on, as they stand in memory.
    @inlinable @inline(__always)
    package func word(at index: Int) -> UInt64 {
        precondition(index >= 0 && index + 8 <= count)
        return unsafe Self.word(base.unsafelyUnwrapped, index)
    }

    /// The four octets from `index` on, as they stand in memory.
    @inlinable @inline(__always)
    package func half(at index: Int) -> UInt32 {
        precondition(index >= 0 && index + 4 <= count)
        return unsafe Self.half(base.unsafelyUnwrapped, index)
    }

    /// The 32 bits from `index` on, most significant first, as networks have them.
    @inlinable @inline(__always)
    package func bigEndian32(at index: Int) -> UInt32 { UInt32(bigEndian: half(at: index)) }

    /// The 16 bits from `index` on, most significant first.
    @inlinable @inline(__always)
    package func bigEndian16(at index: Int) -> UInt16 {
        precondition(index >= 0 && index + 2 <= count)
        return unsafe UInt16(
            bigEndian: base.unsafelyUnwrapped.loadUnaligned(fromByteOffset: index, as: UInt16.self))
    }

    /// The last octets, of which one to seven are from `index` on, as one word: no two tails of a length have the same.
    /// The loads overlap, so that a few do for any length.
    @inlinable @inline(__always)
    package func tail(from index: Int) -> UInt64 {
        let rest = count - index
        precondition(index >= 0 && rest > 0)
        let base = unsafe base.unsafelyUnwrapped
        if rest >= 4 {
            return unsafe UInt64(Self.half(base, index)) | UInt64(Self.half(base, count - 4)) << 32
        }
        return unsafe UInt64(Self.octet(base, index)) | UInt64(Self.octet(base, index + rest / 2)) << 8
            | UInt64(Self.octet(base, count - 1)) << 16
    }
}
