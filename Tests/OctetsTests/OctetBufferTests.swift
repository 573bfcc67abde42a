import Octets
import Testing

@Suite struct `An octet buffer` {
    @Test func `gives back what was appended, in order, over many moves`() {
        let buffer = OctetBuffer(capacity: 64)
        var sent: [UInt8] = []
        var received: [UInt8] = []
        for round in 0..<500 {
            let piece = (0..<(round % 37)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ round) }
            sent += piece
            unsafe piece.withUnsafeBytes { unsafe buffer.append(Octets($0)) }
            let taken = min(buffer.count, round % 29)
            received += buffer.octets.prefix(taken).array
            buffer.take(taken)
        }
        received += buffer.octets.array
        #expect(sent == received)
    }

    @Test(arguments: [
        (0, "0"), (7, "7"), (-12, "-12"), (Int.max, "9223372036854775807"), (Int.min, "-9223372036854775808"),
    ])
    func `writes decimals`(number: Int, text: String) {
        let buffer = OctetBuffer()
        buffer.append(decimal: number)
        #expect(buffer.octets.string == text)
    }
}
