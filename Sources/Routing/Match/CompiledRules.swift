package import Patterns

/// A virtual host's rules.
package struct CompiledSet: BitwiseCopyable, Sendable {
    package enum Index: UInt8, BitwiseCopyable, Sendable {
        case exact, exactFolded, prefix, prefixFolded
    }
    package var indexes: UInt8 = 0    // bit per `Index` that has entries
    package var lengths = Run.none    // distinct lengths of prefixes, ascending
    package var foldedLengths = Run.none
    package var others = Run.none    // candidates found without an index

    @inlinable package func has(_ index: Index) -> Bool { indexes >> index.rawValue & 1 == 1 }
}

/// What a path or prefix leads to.
package struct CompiledPrefix: BitwiseCopyable, Sendable {
    package var candidates: Run    // ascending
    package var shorter: Int32    // the next shorter prefix that contains it; below zero: none
}

/// One match item, as it stands in a list of candidates.
package struct CompiledEntry: BitwiseCopyable, Sendable {
    /// Its place among all match items: the first that holds wins.
    package let order: Int32
    package let route: Int32
    package let conditions: Run
    /// The prefix `/`, so common that it is no condition of its own.
    package let needsSlash: Bool
}

/// The best that was found so far, and what it cost.
package struct BestEntry {
    @usableFromInline var order = Int32.max
    @usableFromInline var route: Int32 = -1
    @usableFromInline var work = MatchWork()
    @usableFromInline init() {}
}

package struct CompiledCondition: BitwiseCopyable, Sendable {
    package enum Subject: UInt8, BitwiseCopyable, Sendable {
        case header, withoutHeader, method, scheme, authority, port, pathAndQuery, query, path
    }
    package enum Test: UInt8, BitwiseCopyable, Sendable {
        case present, exact, prefix, regex
    }
    package let subject: Subject
    package let test: Test
    package let name: Run
    package let value: Run
    package let pattern: Int32
}

/// Key spaces of the one hash table.
package enum Scope {
    @inlinable package static var host: Int32 { 0 }
    @inlinable package static var suffix: Int32 { 1 }
    @inlinable package static func of(_ set: Int32, _ index: CompiledSet.Index) -> Int32 {
        2 &+ set &* 4 &+ Int32(index.rawValue)
    }
}

/// The lengths of the wildcard suffixes, so that most dots of a host cost no look-up.
package struct LengthSet: Sendable {
    package private(set) var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    @inlinable package var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

    @inlinable package func contains(_ length: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(length & 63)
        return switch length >> 6 {
        case 0: words.0 & bit != 0
        case 1: words.1 & bit != 0
        case 2: words.2 & bit != 0
        case 3: words.3 & bit != 0
        default: false
        }
    }

    /// Lengths beyond 255 are longer than any host name and not kept.
    mutating func insert(_ length: Int) {
        let bit: UInt64 = 1 << UInt64(length & 63)
        switch length >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        case 3: words.3 |= bit
        default: break
        }
    }
}
