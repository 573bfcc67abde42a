internal import Octets

/// A worker's own fast random numbers (xoshiro256**), for choices and request IDs, not for secrets.
/// Seeded from the system's generator.
struct Randomness {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init() {
        var system = SystemRandomNumberGenerator()
        state = (system.next() | 1, system.next(), system.next(), system.next())
    }

    mutating func next() -> UInt64 {
        let result = Self.rotate(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotate(state.3, 45)
        return result
    }

    /// The text of a random UUID of version 4, handed to `body`; valid during the call.
    /// Source: RFC 9562 §5.4.
    mutating func withUUID<Result>(_ body: (Octets) -> Result) -> Result {
        let high = next() & 0xffff_ffff_ffff_0fff | 0x4000
        let low = next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        let first = Self.digits(UInt32(truncatingIfNeeded: high >> 32))
        let second = Self.digits(UInt32(truncatingIfNeeded: high))
        let third = Self.digits(UInt32(truncatingIfNeeded: low >> 32))
        let fourth = Self.digits(UInt32(truncatingIfNeeded: low))
        var text = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)    // 40 octets; 36 used
        return unsafe withUnsafeMutableBytes(of: &text) { room in
            unsafe room.storeBytes(of: first, as: UInt64.self)
            unsafe Self.store(second, to: room, at: 8)
            unsafe Self.store(third, to: room, at: 18)
            unsafe room.storeBytes(of: fourth, toByteOffset: 28, as: UInt64.self)
            return unsafe body(Octets(UnsafeRawBufferPointer(rebasing: room[..<36])))
        }
    }

    /// Twice a dash and four digits.
    private static func store(_ digits: UInt64, to room: UnsafeMutableRawBufferPointer, at offset: Int) {
        unsafe room[offset] = UInt8(ascii: "-")
        unsafe room.storeBytes(of: UInt32(truncatingIfNeeded: digits), toByteOffset: offset + 1, as: UInt32.self)
        unsafe room[offset + 5] = UInt8(ascii: "-")
        unsafe room.storeBytes(
            of: UInt32(truncatingIfNeeded: digits >> 32), toByteOffset: offset + 6, as: UInt32.self)
    }

    /// Eight hexadecimal digits as they stand in memory: each octet gets one, all at once.
    private static func digits(_ number: UInt32) -> UInt64 {
        var spread = UInt64(number.byteSwapped)
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff
        // Within each octet the higher digit comes first.
        spread = (spread >> 4 | spread << 8) & 0x0f0f_0f0f_0f0f_0f0f
        let isLetter = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread + 0x3030_3030_3030_3030 + isLetter * 0x27
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}
