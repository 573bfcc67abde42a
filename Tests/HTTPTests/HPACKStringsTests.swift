import Octets
import Testing

@testable import HTTP

/// Sections of several frames, cut at every octet, beside nghttp2's decoder alone.
@Suite struct `Strings of a header section in several frames` {
    private typealias Field = [String]

    /// A literal. - Parameter first: the representation's first octet, without an index.
    private static func literal(_ name: [UInt8], _ value: [UInt8], first: UInt8 = 0x40) -> [UInt8] {
        [first] + string(name) + string(value)
    }

    private static func string(_ octets: [UInt8]) -> [UInt8] {
        guard octets.count >= 127 else { return [UInt8(octets.count)] + octets }
        var length: [UInt8] = [0x7f]
        var rest = octets.count - 127
        while rest >= 128 {
            length.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return length + [UInt8(rest)] + octets
    }

    private func decode(_ parts: [ArraySlice<UInt8>], _ hpack: inout HPACK, _ pools: MessagePools) -> (
        fields: [Field], tooLong: Int
    )? {
        var fields: [Field] = []
        var tooLong = 0
        for (number, part) in parts.enumerated() {
            let outcome = unsafe part.withUnsafeBytes {
                unsafe hpack.decodeInParts(
                    Octets($0), isFinal: number == parts.count - 1, pools: pools, tooLong: { tooLong += 1 },
                    take: { name, value, _ in fields.append([name.string, value.string]) })
            }
            guard outcome == .done else { return nil }
        }
        return (fields, tooLong)
    }

    private static let section: [UInt8] =
        [0x82, 0x3f, 0x01, 0x86].filter { $0 != 0x3f && $0 != 0x01 }
        + literal(Array("x-a".utf8), Array("one".utf8))
        + literal(Array("x-long".utf8), [UInt8](repeating: 0x61, count: 300))
        + literal([], [], first: 0x10).dropLast(2) + string(Array("never".utf8)) + string([])
        + [0x0f, 0x2f] + string(Array("value of an index above 15".utf8))
        + [0x7e] + string(Array("value of an entry of the table".utf8))
        + [0xbe]

    @Test func `are read the same wherever the frames begin`() throws {
        let pools = MessagePools()
        var whole = HPACK(isServer: true)
        defer { whole.close() }
        var expected: [Field] = []
        let outcome = unsafe Self.section.withUnsafeBytes {
            unsafe whole.decode(Octets($0), isFinal: true, pools: pools) { name, value, _ in
                expected.append([name.string, value.string])
            }
        }
        try #require(outcome == .done && expected.count == 8)
        for first in 0..<Self.section.count {
            for second in [first, min(first + 1, Self.section.count), Self.section.count] {
                var hpack = HPACK(isServer: true)
                defer { hpack.close() }
                let parts = [Self.section[..<first], Self.section[first..<second], Self.section[second...]]
                let read = decode(parts, &hpack, pools)
                #expect(read?.fields == expected && read?.tooLong == 0, "cut at \(first) and \(second)")
            }
        }
    }

    @Test(arguments: [65_536, 65_537, 1_000_000], [0x40, 0x10, 0x00] as [UInt8])
    func `that are too long cost their field and no other`(count: Int, first: UInt8) throws {
        let pools = MessagePools()
        let long = [UInt8](repeating: 0x61, count: count)
        for (name, value) in [(Array("x".utf8), long), (long, Array("v".utf8))] {
            var hpack = HPACK(isServer: true)
            defer { hpack.close() }
            let section =
                Self.literal(Array("before".utf8), [0x31]) + Self.literal(name, value, first: first)
                + Self.literal(Array("behind".utf8), [0x32])
            let parts = stride(from: 0, to: section.count, by: 16_384)
                .map { section[$0..<min($0 + 16_384, section.count)] }
            let read = try #require(decode(parts, &hpack, pools))
            #expect(read.fields.count == 3 && read.tooLong == (count > 65_536 ? 1 : 0))
            #expect(read.fields.first == ["before", "1"] && read.fields.last == ["behind", "2"])
            // The table of the next section is the peer's: an indexed string larger than it empties it.
            let next = try #require(decode([[0xbe][...]], &hpack, pools))
            #expect(next.fields == [["behind", "2"]])
            let older = decode([[0xbf][...]], &hpack, pools)
            #expect(first == 0x40 ? older == nil : older?.fields == [["before", "1"]])
        }
    }

    @Test func `whose length has no end are refused`() {
        let pools = MessagePools()
        var hpack = HPACK(isServer: true)
        defer { hpack.close() }
        let octets: [UInt8] = [0x40, 0x01, 0x78, 0x7f] + [UInt8](repeating: 0xff, count: 20)
        #expect(decode([octets[...], []], &hpack, pools) == nil)
    }
}
