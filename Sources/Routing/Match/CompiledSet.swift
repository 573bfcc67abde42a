package import Patterns

/// The rules of a virtual host, compiled.
package struct CompiledSet: BitwiseCopyable, Sendable {
    /// How candidates are found: by exact path or prefix, as it is or in lower case.
    package enum Index: UInt8, BitwiseCopyable, Sendable {
        case exact, exactFolded, prefix, prefixFolded
    }
    package var indexes: UInt8 = 0    // bit per `Index` that has entries
    package var lengths = Run.none    // distinct lengths of prefixes, ascending
    /// The same for prefixes that ignore case.
    package var foldedLengths = Run.none
    package var others = Run.none    // candidates found without an index

    /// Whether rules stand in that index, so that a look-up there may find one.
    @inlinable package func has(_ index: Index) -> Bool { indexes >> index.rawValue & 1 == 1 }
}

/// The candidates of a path or prefix.
package struct CompiledPrefix: BitwiseCopyable, Sendable {
    package var candidates: Run    // ascending
    package var shorter: Int32    // the next shorter prefix of the same text; below zero if there is none
}

/// One match item in a list of candidates.
package struct CompiledEntry: BitwiseCopyable, Sendable {
    /// Its place among all match items: the first that holds wins.
    package let order: Int32
    /// `Route.number`.
    package let route: Int32
    /// Its conditions, in the table's list.
    package let conditions: Run
    /// Whether the path must begin with `/`. The prefix `/` is so common that it is not a condition of its own.
    package let needsSlash: Bool
}

/// The best entry so far, and the work that finding it took.
package struct BestEntry {
    @usableFromInline var order = Int32.max
    @usableFromInline var route: Int32 = -1
    @usableFromInline var work = MatchWork()
    @usableFromInline init() {}
}

/// Plain data, so that a match counts no references.
package struct CompiledCondition: BitwiseCopyable, Sendable {
    /// The part of a request that is looked at.
    package enum Subject: UInt8, BitwiseCopyable, Sendable {
        case header, withoutHeader, method, scheme, authority, port, pathAndQuery, query, path
    }
    /// The comparison that decides.
    package enum Test: UInt8, BitwiseCopyable, Sendable {
        case present, exact, prefix, regex
    }
    package let subject: Subject
    package let test: Test
    /// The name of a header or query parameter.
    package let name: Run
    /// The text to compare with.
    package let value: Run
    /// The number of the regular expression.
    package let pattern: Int32
}

/// Key spaces of the one hash table.
package enum Scope {
    /// Exact names.
    @inlinable package static var host: Int32 { 0 }
    /// Wildcards, by their suffix.
    @inlinable package static var suffix: Int32 { 1 }
    /// Paths of one rule set and index.
    @inlinable package static func of(_ set: Int32, _ index: CompiledSet.Index) -> Int32 {
        2 &+ set &* 4 &+ Int32(index.rawValue)
    }
}

/// The lengths of all wildcard suffixes. With it, most dots of a host need no look-up.
package struct LengthSet: Sendable {
    /// A bit for each length from 0 to 255.
    package private(set) var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    @inlinable package var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

    /// Whether a wildcard's suffix has so many octets; false above 255, which no host name has.
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

    /// Adds a length. Those above 255 are longer than any host name and are dropped.
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
