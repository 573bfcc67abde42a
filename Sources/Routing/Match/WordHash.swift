package import Octets

/// Hashes and compares octets eight at a time, as they are or with ASCII capitals in lower case. Each table has a seed
/// of its own that no one outside knows, so an author of definitions cannot choose keys that collide.
package enum WordHash {
    /// A number for octets of a scope, which is another one for another seed. `folded`: capitals are as small letters.
    @inlinable package static func hash(
        _ octets: Octets, scope: Int32, folded: Bool, seed: UInt64
    ) -> UInt64 {
        let count = octets.count
        var state = mix(
            UInt64(UInt32(bitPattern: scope)) ^ seed,
            UInt64(truncatingIfNeeded: count) ^ 0xa076_1d64_78bd_642f)
        var index = 0
        while count - index >= 8 {
            state = mix(state ^ word(octets, at: index, folded: folded), 0xe703_7ed1_a0b4_28db)
            index += 8
        }
        guard index < count else { return state }
        return mix(state ^ tail(octets, from: index, folded: folded), 0x8ebc_6af0_9c88_c6e3)
    }

    /// Whether `key`, which is already in lower case when `folded`, equals `octets`.
    @inlinable package static func equal(_ key: Octets, _ octets: Octets, folded: Bool) -> Bool {
        let count = key.count
        guard octets.count == count else { return false }
        var index = 0
        while count - index >= 8 {
            let left = word(key, at: index, folded: false)
            guard left == word(octets, at: index, folded: folded) else { return false }
            index += 8
        }
        guard index < count else { return true }
        return tail(key, from: index, folded: false) == tail(octets, from: index, folded: folded)
    }

    /// Mixes two words into one by a multiplication to 128 bits.
    @inlinable static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The eight octets from `index`, in lower case if `folded`. The caller knows that all are there.
    @inlinable static func word(_ octets: Octets, at index: Int, folded: Bool) -> UInt64 {
        let word = octets.word(at: index)
        return folded ? lowercased(word) : word
    }

    /// The last one to seven octets as one word.
    @inlinable static func tail(_ octets: Octets, from index: Int, folded: Bool) -> UInt64 {
        let word = octets.tail(from: index)
        return folded ? lowercased(word) : word
    }

    /// Turns capitals into small letters in eight octets at once: sets the bit 0x20 of those from `A` to `Z`.
    @inlinable static func lowercased(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low = word & (0x7f &* ones)
        let fromA = low &+ (0x3f &* ones)    // high bit: 0x41 or more
        let beyondZ = low &+ (0x25 &* ones)    // high bit: 0x5b or more
        let capital = fromA & ~beyondZ & ~word & (0x80 &* ones)
        return word | capital >> 2
    }
}
