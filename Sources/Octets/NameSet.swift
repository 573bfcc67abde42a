/// Which names may be among some: no name that is there is missed, and few others are taken for one. Each name is a bit
/// of 64, so that most questions about a header section are answered without a look at its fields.
@frozen @usableFromInline
package struct NameSet: BitwiseCopyable, Sendable {
    @usableFromInline var bits: UInt64 = 0

    @inlinable @inline(__always)
    package init() {}

    /// By the length and the last octet, in which the names of one section differ mostly.
    @inlinable @inline(__always)
    static func bit(of name: Octets) -> UInt64 {
        guard name.count > 0 else { return 1 }
        return 1 &<< (UInt64(truncatingIfNeeded: name.count) &* 7 &+ UInt64(name[name.count - 1]))
    }

    /// Remembers a name by a hash alone, so that its octets need not live on.
    @inlinable @inline(__always)
    package mutating func insert(_ name: Octets) { bits |= Self.bit(of: name) }

    /// Whether the name may be there; never false for one that is.
    @inlinable @inline(__always)
    package func mayHave(_ name: Octets) -> Bool { bits & Self.bit(of: name) != 0 }

    /// Whether a name may be in both.
    @inlinable @inline(__always)
    package func mayMeet(_ other: NameSet) -> Bool { bits & other.bits != 0 }
}
