import Octets
import Testing

@Suite struct `A run of octets` {
    @Test func `are copied, and nothing beside them is touched`() {
        for count in 0...40 {
            let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 + 1) }
            var target = [UInt8](repeating: 0xee, count: count + 16)
            unsafe source.withUnsafeBytes { from in
                unsafe target.withUnsafeMutableBytes { to in
                    guard let from = from.baseAddress, let to = to.baseAddress else { return }
                    unsafe Octets.copy(from, to: to + 8, count)
                }
            }
            let edge = [UInt8](repeating: 0xee, count: 8)
            #expect(target == edge + (count == 0 ? [] : source) + edge, "\(count)")
        }
    }

    @Test func `find one of two characters wherever it stands`() {
        for count in 0...40 {
            let plain = [UInt8](repeating: UInt8(ascii: "a"), count: count)
            #expect(Self.place(plain) == nil)
            for place in 0..<count {
                for found in [UInt8(ascii: "?"), UInt8(ascii: "#")] {
                    var octets = plain
                    octets[place] = found
                    if place + 1 < count { octets[count - 1] = UInt8(ascii: "?") }
                    #expect(Self.place(octets) == place)
                }
            }
        }
        // Neighbours of the two, and octets beyond ASCII, are neither.
        #expect(Self.place((0...255).filter { $0 != 0x3f && $0 != 0x23 }) == nil)
    }

    private static func place(_ octets: [UInt8]) -> Int? {
        unsafe octets.withUnsafeBytes {
            unsafe Octets($0).firstIndex(of: UInt8(ascii: "?"), or: UInt8(ascii: "#"))
        }
    }
}
