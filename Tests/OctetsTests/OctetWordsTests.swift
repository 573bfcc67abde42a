import Octets
import Testing

@Suite struct OctetWords {
    private let text: Octets = "abcdefghij"

    @Test func `are loaded from any place, as they stand in memory`() {
        #expect(UInt64(littleEndian: text.word(at: 2)) == 0x6A69_6867_6665_6463)
        #expect(UInt32(littleEndian: text.half(at: 6)) == 0x6A69_6867)
        #expect(text.bigEndian32(at: 0) == 0x6162_6364)
        #expect(text.bigEndian16(at: 8) == 0x696A)
    }

    @Test func `of tails of one length differ where an octet does`() {
        for length in 1...7 {
            var seen: Set<UInt64> = []
            for changed in 0...length {
                var octets = [UInt8](repeating: 1, count: 8 + length)
                if changed < length { octets[8 + changed] = 2 }
                seen.insert(octets.withOctets { $0.tail(from: 8) })
            }
            #expect(seen.count == length + 1)
        }
    }
}
