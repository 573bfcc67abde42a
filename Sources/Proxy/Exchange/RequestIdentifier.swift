internal import Octets

/// The value of `x-request-id`: a UUID, kept as a number until somebody wants its text.
struct RequestIdentifier: BitwiseCopyable, Equatable {
    var high: UInt64 = 0
    var low: UInt64 = 0

    /// Hands the 36 octets of its text to `body`; they are valid during the call.
    func withText<Result>(_ body: (Octets) -> Result) -> Result {
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

    /// Writes a dash and four digits, twice.
    @inline(__always)
    private static func store(_ digits: UInt64, to room: UnsafeMutableRawBufferPointer, at offset: Int) {
        unsafe room[offset] = UInt8(ascii: "-")
        unsafe room.storeBytes(of: UInt32(truncatingIfNeeded: digits), toByteOffset: offset + 1, as: UInt32.self)
        unsafe room[offset + 5] = UInt8(ascii: "-")
        unsafe room.storeBytes(
            of: UInt32(truncatingIfNeeded: digits >> 32), toByteOffset: offset + 6, as: UInt32.self)
    }

    /// Eight hexadecimal digits as they stand in memory: each octet gets one, all at once.
    @inline(__always)
    private static func digits(_ number: UInt32) -> UInt64 {
        var spread = UInt64(number.byteSwapped)
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff
        // Within each octet the higher digit comes first.
        spread = (spread >> 4 | spread << 8) & 0x0f0f_0f0f_0f0f_0f0f
        let isLetter = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread + 0x3030_3030_3030_3030 + isLetter * 0x27
    }
}
