internal import Glibc

/// A run of octets that somebody else owns: a header's value, a path, a chunk of a body.
/// It is a pointer and a length, nothing is retained. Rule for users: never keep it longer than its
/// owner says (a header's octets live as long as their `HeaderBlock`, a chunk as long as the read).
@safe @frozen @usableFromInline
package struct Octets: @unchecked Sendable, BitwiseCopyable {    // immutable memory while it is valid
    @usableFromInline package let base: UnsafeRawPointer?
    @usableFromInline package let count: Int

    @inlinable @inline(__always) package init(base: UnsafeRawPointer?, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    @inlinable @inline(__always) package init(_ buffer: UnsafeRawBufferPointer) {
        unsafe self.init(base: buffer.baseAddress, count: buffer.count)
    }

    /// A literal lives as long as the process.
    @inlinable @inline(__always) package init(_ text: StaticString) {
        unsafe self.init(base: UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount)
    }

    @inlinable @inline(__always) package static var empty: Octets { unsafe Octets(base: nil, count: 0) }
    @inlinable @inline(__always) package var isEmpty: Bool { count == 0 }

    @inlinable @inline(__always) package var first: UInt8? { count > 0 ? self[0] : nil }

    @inlinable @inline(__always) package subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return unsafe base.unsafelyUnwrapped.load(fromByteOffset: index, as: UInt8.self)
    }

    @inlinable @inline(__always) package var buffer: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: count)
    }

    /// The part from `start` up to, not including, `end`; both are clamped.
    @inlinable @inline(__always) package func slice(_ start: Int, _ end: Int) -> Octets {
        let upper = min(max(end, 0), count)
        let lower = min(max(start, 0), upper)
        return unsafe Octets(base: base.map { unsafe $0 + lower }, count: upper - lower)
    }

    @inlinable @inline(__always) package func dropFirst(_ amount: Int) -> Octets { slice(amount, count) }
    @inlinable @inline(__always) package func prefix(_ length: Int) -> Octets { slice(0, length) }

    @inlinable @inline(__always)
    package static func == (left: Octets, right: Octets) -> Bool {
        guard left.count == right.count else { return false }
        guard left.count > 0 else { return true }
        return unsafe isEqual(left.base.unsafelyUnwrapped, right.base.unsafelyUnwrapped, left.count)
    }

    /// Most texts compared are short: two loads of each, which may overlap, instead of a call.
    @inlinable @inline(__always)
    static func isEqual(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        if count > 16 { return unsafe isEqualLong(left, right, count) }
        if count >= 8 {
            return unsafe (word(left, 0) ^ word(right, 0)) | (word(left, count - 8) ^ word(right, count - 8)) == 0
        }
        if count >= 4 {
            return unsafe (half(left, 0) ^ half(right, 0)) | (half(left, count - 4) ^ half(right, count - 4)) == 0
        }
        for index in 0..<count
        where unsafe left.load(fromByteOffset: index, as: UInt8.self)
            != right.load(fromByteOffset: index, as: UInt8.self)
        { return false }
        return true
    }

    @inlinable @inline(__always)
    static func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inlinable @inline(__always)
    static func half(_ base: UnsafeRawPointer, _ offset: Int) -> UInt32 {
        unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    @usableFromInline
    static func isEqualLong(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        unsafe word(left, 0) == word(right, 0) && memcmp(left, right, count) == 0
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
    @inlinable package func hash(into hasher: inout Hasher) { unsafe hasher.combine(bytes: buffer) }
}

extension Octets: ExpressibleByStringLiteral {
    @inlinable @inline(__always) package init(stringLiteral value: StaticString) { self.init(value) }
}

extension UInt8 {
    /// This octet with an ASCII capital made small.
    @inlinable @inline(__always) package var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
    @inlinable @inline(__always) package var isDigit: Bool { self &- 0x30 < 10 }
}
