package import Octets

/// The two fields by which the peers of HTTP/1.1 know that they mean a WebSocket. HTTP/2 has no such fields.
/// Source: RFC 6455 §1.3, §4.1, §4.2.2.
package enum WebSocketKey {
    private static let identifier: Octets = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// Writes a `sec-websocket-key`: sixteen octets that need not be secret, in Base64.
    package static func write(random: (UInt64, UInt64), to output: OctetBuffer) {
        var encoder = Base64Encoder()
        let octets = [random.0, random.1].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
        octets.withOctets { encoder.encode($0, to: output) }
        encoder.pad(to: output)
    }

    /// Writes the `sec-websocket-accept` that answers a key.
    package static func writeAccept(to key: Octets, _ output: OctetBuffer) {
        let text = OctetBuffer(capacity: 128)
        text.append(key)
        text.append(identifier)
        let digest = SHA1.digest(of: text.octets)
        var encoder = Base64Encoder()
        digest.withOctets { encoder.encode($0, to: output) }
        encoder.pad(to: output)
    }
}

/// The hash that RFC 6455 asks for; nothing here relies on its strength. Source: RFC 3174 §6.1.
enum SHA1 {
    /// The 20 octets of SHA-1.
    static func digest(of message: Octets) -> [UInt8] {
        var padded = message.array
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        let bits = UInt64(message.count) * 8
        for shift in stride(from: 56, through: 0, by: -8) { padded.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        for start in stride(from: 0, to: padded.count, by: 64) { mix(padded[start..<(start + 64)], into: &state) }
        return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
    }

    private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
        var words: [UInt32] = []
        for start in stride(from: block.startIndex, to: block.endIndex, by: 4) {
            words.append(block[start..<(start + 4)].reduce(0) { $0 << 8 | UInt32($1) })
        }
        for index in 16..<80 {
            words.append(rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1))
        }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for index in 0..<80 {
            let (choice, constant) = round(index, b, c, d)
            let next = rotate(a, 5) &+ choice &+ e &+ words[index] &+ constant
            (e, d, c, b, a) = (d, c, rotate(b, 30), a, next)
        }
        for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
    }

    private static func round(_ index: Int, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> (UInt32, UInt32) {
        switch index {
        case ..<20: ((b & c) | (~b & d), 0x5a82_7999)
        case ..<40: (b ^ c ^ d, 0x6ed9_eba1)
        case ..<60: ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc)
        default: (b ^ c ^ d, 0xca62_c1d6)
        }
    }

    private static func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 { word << bits | word >> (32 - bits) }
}
