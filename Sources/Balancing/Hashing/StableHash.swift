package import Octets

/// A hash that is the same in every process and version, so that gateways beside each other agree: XXH64 with the
/// seed 0, which Envoy uses too. It is no secret, and whoever knows it can choose texts that meet.
/// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
package enum StableHash {
    private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    /// The hash of a text's UTF-8, which is that of the same octets.
    package static func hash(_ text: String) -> UInt64 {
        text.withOctets { hash($0) }
    }

    /// A number that may be any of 64 bits, also for no octets.
    package static func hash(_ octets: Octets) -> UInt64 {
        var index = 0
        var state = prime5
        if octets.count >= 32 { state = stripes(octets, &index) }
        state = state &+ UInt64(octets.count)
        while octets.count - index >= 8 {
            state = rotate(state ^ round(0, word(octets, index)), 27) &* prime1 &+ prime4
            index += 8
        }
        if octets.count - index >= 4 {
            let half = UInt64(half(octets, index))
            state = rotate(state ^ half &* prime1, 23) &* prime2 &+ prime3
            index += 4
        }
        while index < octets.count {
            state = rotate(state ^ UInt64(octets[index]) &* prime5, 11) &* prime1
            index += 1
        }
        return finish(state)
    }

    /// Everything but the last octets, 32 at a time.
    private static func stripes(_ octets: Octets, _ index: inout Int) -> UInt64 {
        var (one, two, three, four) = (prime1 &+ prime2, prime2, 0 as UInt64, 0 &- prime1)
        while octets.count - index >= 32 {
            one = round(one, word(octets, index))
            two = round(two, word(octets, index + 8))
            three = round(three, word(octets, index + 16))
            four = round(four, word(octets, index + 24))
            index += 32
        }
        var state = rotate(one, 1) &+ rotate(two, 7) &+ rotate(three, 12) &+ rotate(four, 18)
        for part in [one, two, three, four] { state = (state ^ round(0, part)) &* prime1 &+ prime4 }
        return state
    }

    private static func round(_ state: UInt64, _ word: UInt64) -> UInt64 {
        rotate(state &+ word &* prime2, 31) &* prime1
    }

    private static func finish(_ state: UInt64) -> UInt64 {
        var state = (state ^ state >> 33) &* prime2
        state = (state ^ state >> 29) &* prime3
        return state ^ state >> 32
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }

    private static func word(_ octets: Octets, _ index: Int) -> UInt64 {
        UInt64(littleEndian: octets.word(at: index))
    }

    private static func half(_ octets: Octets, _ index: Int) -> UInt32 {
        UInt32(littleEndian: octets.half(at: index))
    }
}
