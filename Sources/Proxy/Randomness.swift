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
        var text = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)    // 40 octets; 36 used
        return unsafe withUnsafeMutableBytes(of: &text) { room in
            var position = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    unsafe room[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = index < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - (index % 16) * 4)) & 15
                unsafe room[position] = digit < 10 ? 0x30 + digit : 0x57 + digit
                position += 1
            }
            return unsafe body(Octets(UnsafeRawBufferPointer(rebasing: room[..<36])))
        }
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}
