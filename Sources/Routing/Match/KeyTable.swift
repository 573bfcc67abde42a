package import Octets

/// A flat hash table from a scope and octets to a number. There is one for all hosts and paths of a route table, so
/// that a look-up costs the same however many hosts and rules there are. It uses open addressing and is at most half
/// full; nothing is ever removed.
package struct KeyTable: Sendable {
    /// Where a search looks next, if it is another key's.
    package struct Slot: BitwiseCopyable, Sendable {
        package var hash: UInt64
        package var key: Run    // into `text`
        /// The key space, see `Scope`.
        package var scope: Int32
        package var value: Int32    // below zero if the slot is vacant
    }

    /// All slots; their number is a power of two.
    package let slots: Slab<Slot>
    /// The octets of all keys and of all other texts of the route table.
    package let text: Slab<UInt8>
    /// The number of slots less one.
    package let mask: Int
    /// The seed of the hashes, which no one outside can know.
    package let seed: UInt64

    /// The value of a key; below zero if there is none.
    @inlinable package func value(_ octets: Octets, scope: Int32, folded: Bool) -> Int32 {
        let hash = WordHash.hash(octets, scope: scope, folded: folded, seed: seed)
        var index = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[index]
            if slot.value < 0 { return -1 }
            if slot.hash == hash, slot.scope == scope,
                WordHash.equal(text[slot.key], octets, folded: folded)
            {
                return slot.value
            }
            index = (index + 1) & mask
        }
    }
}

/// Collects the keys of a `KeyTable` and the text of everything else.
struct KeyTableBuilder {
    private(set) var text: [UInt8] = []
    private var known: [String: Run] = [:]
    private var slots: [KeyTable.Slot]
    private var used = 0
    private let seed: UInt64
    private static let vacant = KeyTable.Slot(hash: 0, key: .none, scope: 0, value: -1)

    /// Makes an empty table.
    /// - Parameters:
    ///   - capacity: the least number of keys that there will be; growing later costs a copy.
    ///   - seed: the seed of the hashes.
    init(capacity: Int, seed: UInt64 = .random(in: .min ... .max)) {
        self.seed = seed
        var count = 16
        while count < capacity * 2 { count *= 2 }
        slots = Array(repeating: Self.vacant, count: count)
        known.reserveCapacity(capacity)
    }

    /// Adds a text, even if the same text is there already. For texts that are rarely equal.
    mutating func append(_ string: String) -> Run {
        let run = Run(text.count, string.utf8.count)
        text.append(contentsOf: string.utf8)
        return run
    }

    /// Adds a text, unless the same text was added by `intern`. Equal texts share one place.
    mutating func intern(_ string: String) -> Run {
        if let run = known[string] { return run }
        let run = Run(text.count, string.utf8.count)
        text.append(contentsOf: string.utf8)
        known[string] = run
        return run
    }

    /// The value of a key; nil if it was not set.
    func value(_ key: Run, scope: Int32) -> Int32? {
        let index = place(key, hash: hash(key, scope: scope), scope: scope)
        return slots[index].value < 0 ? nil : slots[index].value
    }

    /// Sets the value of a key. The value must not be negative.
    mutating func set(_ key: Run, scope: Int32, to value: Int32) {
        if (used + 1) * 2 > slots.count { grow() }
        let hash = hash(key, scope: scope)
        let index = place(key, hash: hash, scope: scope)
        if slots[index].value < 0 { used += 1 }
        slots[index] = KeyTable.Slot(hash: hash, key: key, scope: scope, value: value)
    }

    /// Copies what was set into a table that never changes, for all workers.
    func build() -> KeyTable {
        KeyTable(slots: Slab(slots), text: Slab(text), mask: slots.count - 1, seed: seed)
    }

    /// Calls `body` with the octets of a text, which are valid during the call.
    func withOctets<Result>(_ run: Run, _ body: (Octets) -> Result) -> Result {
        text.withOctets { body($0.slice(Int(run.first), Int(run.first + run.count))) }
    }

    /// Whether a text comes before another one in the order of their octets.
    func precedes(_ left: Run, _ right: Run) -> Bool {
        withOctets(left) { one in withOctets(right) { unsafe one.buffer.lexicographicallyPrecedes($0.buffer) } }
    }

    private func hash(_ key: Run, scope: Int32) -> UInt64 {
        withOctets(key) { WordHash.hash($0, scope: scope, folded: false, seed: seed) }
    }

    /// The slot that has a key, or the vacant slot for it.
    private func place(_ key: Run, hash: UInt64, scope: Int32) -> Int {
        var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[index].value >= 0 {
            let slot = slots[index]
            if slot.hash == hash, slot.scope == scope, equal(slot.key, key) { return index }
            index = (index + 1) & (slots.count - 1)
        }
        return index
    }

    private func equal(_ left: Run, _ right: Run) -> Bool {
        left == right || withOctets(left) { one in withOctets(right) { one == $0 } }
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Self.vacant, count: old.count * 2)
        for slot in old where slot.value >= 0 {
            var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
            while slots[index].value >= 0 { index = (index + 1) & (slots.count - 1) }
            slots[index] = slot
        }
    }
}
