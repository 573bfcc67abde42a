package import Octets

/// A hash table from (scope, octets) to a number, laid out flat: one for all hosts and paths of a
/// route table, so that its cost is the same whatever the number of hosts and rules.
/// Open addressing, at most half full; nothing is ever removed.
package struct KeyTable: Sendable {
    package struct Slot: BitwiseCopyable, Sendable {
        package var hash: UInt64
        package var key: Run    // into `text`
        package var scope: Int32
        package var value: Int32    // below zero: the slot is vacant
    }

    package let slots: Slab<Slot>
    package let text: Slab<UInt8>
    package let mask: Int
    package let seed: UInt64

    /// The value of a key; below zero when there is none.
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

    /// - Parameters:
    ///   - capacity: how many keys there will be at least; growing later costs a copy.
    ///   - seed: of the hashes.
    init(capacity: Int, seed: UInt64 = .random(in: .min ... .max)) {
        self.seed = seed
        var count = 16
        while count < capacity * 2 { count *= 2 }
        slots = Array(repeating: Self.vacant, count: count)
    }

    /// The place of a text that is kept once more, if it was there: for texts that are rarely equal.
    mutating func append(_ string: String) -> Run {
        let run = Run(text.count, string.utf8.count)
        text.append(contentsOf: string.utf8)
        return run
    }

    /// The place of a text; equal texts share one.
    mutating func intern(_ string: String) -> Run {
        if let run = known[string] { return run }
        let run = Run(text.count, string.utf8.count)
        text.append(contentsOf: string.utf8)
        known[string] = run
        return run
    }

    /// The value of a key, if it was inserted.
    func value(_ key: Run, scope: Int32) -> Int32? {
        let index = place(key, hash: hash(key, scope: scope), scope: scope)
        return slots[index].value < 0 ? nil : slots[index].value
    }

    /// Sets the value of a key, which is not negative.
    mutating func set(_ key: Run, scope: Int32, to value: Int32) {
        if (used + 1) * 2 > slots.count { grow() }
        let hash = hash(key, scope: scope)
        let index = place(key, hash: hash, scope: scope)
        if slots[index].value < 0 { used += 1 }
        slots[index] = KeyTable.Slot(hash: hash, key: key, scope: scope, value: value)
    }

    func build() -> KeyTable {
        KeyTable(slots: Slab(slots), text: Slab(text), mask: slots.count - 1, seed: seed)
    }

    func withOctets<Result>(_ run: Run, _ body: (Octets) -> Result) -> Result {
        unsafe text.withUnsafeBytes { all in
            let part = unsafe UnsafeRawBufferPointer(
                rebasing: all[Int(run.first)..<Int(run.first + run.count)])
            return body(unsafe Octets(part))
        }
    }

    private func hash(_ key: Run, scope: Int32) -> UInt64 {
        withOctets(key) { WordHash.hash($0, scope: scope, folded: false, seed: seed) }
    }

    /// Where a key is, or where it belongs.
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
