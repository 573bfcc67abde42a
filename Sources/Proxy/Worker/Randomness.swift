internal import Octets

/// A worker's own fast random numbers (xoshiro256**), for choices and request IDs, not for secrets.
/// Seeded from the system's generator.
struct Randomness {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init() {
        var system = SystemRandomNumberGenerator()
        state = (system.next() | 1, system.next(), system.next(), system.next())
    }

    /// The next 64 bits, each as likely 0 as 1. Whoever sees some of them can find out the rest.
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

    /// A random UUID of version 4. Source: RFC 9562 §5.4.
    mutating func identifier() -> RequestIdentifier {
        RequestIdentifier(
            high: next() & 0xffff_ffff_ffff_0fff | 0x4000, low: next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}
