internal import Glibc

/// A run of octets that somebody else owns: a header's value, a path, a chunk of a body.
/// It is a pointer and a length, nothing is retained. Rule for users: never keep it longer than its
/// owner says (a header's octets live as long as their `HeaderBlock`, a chunk as long as the read).
@safe package struct Octets: @unchecked Sendable {     // immutable memory while it is valid
    package let base: UnsafeRawPointer?
    package let count: Int

    @inlinable package init(base: UnsafeRawPointer?, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    @inlinable package init(_ buffer: UnsafeRawBufferPointer) {
        unsafe self.init(base: buffer.baseAddress, count: buffer.count)
    }

    /// A literal lives as long as the process.
    @inlinable package init(_ text: StaticString) {
        unsafe self.init(base: UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount)
    }

    @inlinable package static var empty: Octets { unsafe Octets(base: nil, count: 0) }
    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable package subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return unsafe base.unsafelyUnwrapped.load(fromByteOffset: index, as: UInt8.self)
    }

    @inlinable package var buffer: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: count)
    }

    /// The part from `start` up to, not including, `end`; both are clamped.
    @inlinable package func slice(_ start: Int, _ end: Int) -> Octets {
        let upper = min(max(end, 0), count)
        let lower = min(max(start, 0), upper)
        return unsafe Octets(base: base.map { unsafe $0 + lower }, count: upper - lower)
    }

    @inlinable package func dropFirst(_ amount: Int) -> Octets { slice(amount, count) }
    @inlinable package func prefix(_ length: Int) -> Octets { slice(0, length) }

    package static func == (left: Octets, right: Octets) -> Bool {
        guard left.count == right.count else { return false }
        guard left.count > 0 else { return true }
        // Most comparisons fail, and most of these at the first octet.
        guard left[0] == right[0] else { return false }
        return unsafe memcmp(left.base.unsafelyUnwrapped, right.base.unsafelyUnwrapped, left.count) == 0
    }

    package func hasPrefix(_ prefix: Octets) -> Bool { slice(0, prefix.count) == prefix }
    package func hasSuffix(_ suffix: Octets) -> Bool {
        suffix.count <= count && dropFirst(count - suffix.count) == suffix
    }

    /// Equal when ASCII letters are compared without case.
    package func equalsIgnoringCase(_ other: Octets) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index].lowercased != other[index].lowercased { return false }
        return true
    }

    package func firstIndex(of octet: UInt8) -> Int? {
        guard let base = unsafe base, count > 0, let found = unsafe memchr(base, Int32(octet), count) else {
            return nil
        }
        return unsafe UnsafeRawPointer(found) - base
    }

    package func lastIndex(of octet: UInt8) -> Int? {
        var index = count - 1
        while index >= 0 {
            if self[index] == octet { return index }
            index -= 1
        }
        return nil
    }

    /// FNV-1a over the octets, for hash tables of our own.
    @inlinable package var hash: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in 0..<count { hash = (hash ^ UInt64(self[index])) &* 0x100_0000_01b3 }
        return hash
    }

    /// A copy for people; what is not UTF-8 is repaired.
    package var string: String { unsafe String(decoding: buffer, as: UTF8.self) }
    package var array: [UInt8] { unsafe Array(buffer) }
}

extension Octets: Equatable, Hashable {
    package func hash(into hasher: inout Hasher) { unsafe hasher.combine(bytes: buffer) }
}

extension Octets: ExpressibleByStringLiteral {
    @inlinable package init(stringLiteral value: StaticString) { self.init(value) }
}

extension UInt8 {
    /// This octet with an ASCII capital made small.
    @inlinable package var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
    @inlinable package var isDigit: Bool { self &- 0x30 < 10 }
}
