internal import Glibc

/// A run of octets that another object owns: a header's value, a path, a chunk of a body. It is a pointer and a length
/// and retains nothing. Never keep it longer than its owner allows: the octets of a header live as long as their
/// `HeaderBlock`, a chunk of a body only during the read.
///
/// `Sendable` because whoever hands a run to another thread writes its memory no more. On the thread of its owner the
/// memory may be written through the owner: the names of an HTTP/1.1 head are made lower-case in place before anybody
/// else sees them.
@safe @frozen @usableFromInline
package struct Octets: @unchecked Sendable, BitwiseCopyable {
    /// The first octet; nil for an empty run without memory.
    @usableFromInline package let base: UnsafeRawPointer?
    /// The length in octets.
    @usableFromInline package let count: Int

    /// Makes a run of `count` octets at `base`, which must stay valid as long as the run is used.
    @inlinable @inline(__always) package init(base: UnsafeRawPointer?, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// Makes a run of all octets of `buffer`, which must stay valid as long as the run is used.
    @inlinable @inline(__always) package init(_ buffer: UnsafeRawBufferPointer) {
        unsafe self.init(base: buffer.baseAddress, count: buffer.count)
    }

    /// Makes a run of a text that lives as long as the process.
    @inlinable @inline(__always) package init(_ text: StaticString) {
        unsafe self.init(base: UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount)
    }

    @inlinable @inline(__always) package static var empty: Octets { unsafe Octets(base: nil, count: 0) }
    @inlinable @inline(__always) package var isEmpty: Bool { count == 0 }

    /// The first octet; nil if there is none.
    @inlinable @inline(__always) package var first: UInt8? { count > 0 ? self[0] : nil }

    /// The octet at `index`; traps if it is out of range.
    @inlinable @inline(__always) package subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return unsafe base.unsafelyUnwrapped.load(fromByteOffset: index, as: UInt8.self)
    }

    /// The same octets for calls that take a buffer.
    @inlinable @inline(__always) package var buffer: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: count)
    }

    /// The octets from `start` up to but not including `end`; both are clamped to the run.
    @inlinable @inline(__always) package func slice(_ start: Int, _ end: Int) -> Octets {
        let upper = min(max(end, 0), count)
        let lower = min(max(start, 0), upper)
        return unsafe Octets(base: base.map { unsafe $0 + lower }, count: upper - lower)
    }

    /// The run without its first `amount` octets; empty if it has fewer.
    @inlinable @inline(__always) package func dropFirst(_ amount: Int) -> Octets { slice(amount, count) }
    /// The first `length` octets, or all if there are fewer.
    @inlinable @inline(__always) package func prefix(_ length: Int) -> Octets { slice(0, length) }

    @inlinable @inline(__always)
    package static func == (left: Octets, right: Octets) -> Bool {
        guard left.count == right.count else { return false }
        guard left.count > 0 else { return true }
        return unsafe isEqual(left.base.unsafelyUnwrapped, right.base.unsafelyUnwrapped, left.count)
    }

    /// Compares without a call, because most texts are short: two loads from each, which may overlap.
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

    /// Eight octets from `offset`, in the machine's order, at whatever address they are. The caller knows that all are
    /// there.
    @inlinable @inline(__always)
    static func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Four octets from `offset`, in the machine's order, at whatever address they are. The caller knows that all are
    /// there.
    @inlinable @inline(__always)
    static func half(_ base: UnsafeRawPointer, _ offset: Int) -> UInt32 {
        unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    /// The octet at `offset`, which the caller knows to be there.
    @inlinable @inline(__always)
    static func octet(_ base: UnsafeRawPointer, _ offset: Int) -> UInt8 {
        unsafe base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// Copies `count` octets without a call where there are few: loads and stores that may overlap.
    /// - Parameter target: memory for as many octets, apart from those of `source`.
    @inlinable @inline(__always)
    package static func copy(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
        if count > 16 { return unsafe target.copyMemory(from: source, byteCount: count) }
        if count >= 8 {
            let (first, last) = unsafe (word(source, 0), word(source, count - 8))
            unsafe target.storeBytes(of: first, as: UInt64.self)
            unsafe target.storeBytes(of: last, toByteOffset: count - 8, as: UInt64.self)
        } else if count >= 4 {
            let (first, last) = unsafe (half(source, 0), half(source, count - 4))
            unsafe target.storeBytes(of: first, as: UInt32.self)
            unsafe target.storeBytes(of: last, toByteOffset: count - 4, as: UInt32.self)
        } else if count > 0 {
            let (middle, last) = (count / 2, count - 1)
            unsafe target.storeBytes(of: octet(source, 0), as: UInt8.self)
            unsafe target.storeBytes(of: octet(source, middle), toByteOffset: middle, as: UInt8.self)
            unsafe target.storeBytes(of: octet(source, last), toByteOffset: last, as: UInt8.self)
        }
    }

    @usableFromInline
    static func isEqualLong(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        unsafe word(left, 0) == word(right, 0) && memcmp(left, right, count) == 0
    }

    /// Whether it begins with these octets, in the same case. All begin with none.
    package func hasPrefix(_ prefix: Octets) -> Bool { slice(0, prefix.count) == prefix }
    /// Whether it ends with these octets, in the same case. All end with none.
    package func hasSuffix(_ suffix: Octets) -> Bool {
        suffix.count <= count && dropFirst(count - suffix.count) == suffix
    }

    /// Whether both are equal if the case of ASCII letters is ignored.
    package func equalsIgnoringCase(_ other: Octets) -> Bool {
        guard count == other.count else { return false }
        if self == other { return true }    // mostly they are, and this is a few loads
        for index in 0..<count where self[index].lowercased != other[index].lowercased { return false }
        return true
    }

    /// Where `octet` is first; nil if it is nowhere.
    package func firstIndex(of octet: UInt8) -> Int? {
        guard let base = unsafe base, count > 0, let found = unsafe memchr(base, Int32(octet), count) else {
            return nil
        }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Where one of two ASCII characters is first; nil if neither is anywhere. Eight octets are looked at together.
    @inlinable @inline(__always)
    package func firstIndex(of one: UInt8, or other: UInt8) -> Int? {
        var index = 0
        while count - index >= 8, let base = unsafe base {
            let word = unsafe Self.word(base, index)
            if Self.holds(word, one) || Self.holds(word, other) { break }
            index += 8
        }
        while index < count {
            if self[index] == one || self[index] == other { return index }
            index += 1
        }
        return nil
    }

    /// Whether one of the eight octets of a word is `octet`.
    @inlinable @inline(__always)
    static func holds(_ word: UInt64, _ octet: UInt8) -> Bool {
        let other = word ^ (UInt64(octet) &* 0x0101_0101_0101_0101)
        return (other &- 0x0101_0101_0101_0101) & ~other & 0x8080_8080_8080_8080 != 0
    }

    /// Where `octet` is last; nil if it is nowhere.
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

    /// A copy as text; octets that are not UTF-8 are replaced by U+FFFD.
    package var string: String { unsafe String(decoding: buffer, as: UTF8.self) }
    /// A copy that may be kept.
    package var array: [UInt8] { unsafe Array(buffer) }
}

extension Octets: Equatable, Hashable {
    @inlinable package func hash(into hasher: inout Hasher) { unsafe hasher.combine(bytes: buffer) }
}

extension Octets: ExpressibleByStringLiteral {
    /// The octets of a literal, which live as long as the process.
    @inlinable @inline(__always) package init(stringLiteral value: StaticString) { self.init(value) }
}

extension UInt8 {
    /// This octet, with an ASCII capital letter turned into a small one.
    @inlinable @inline(__always) package var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
    @inlinable @inline(__always) package var isDigit: Bool { self &- 0x30 < 10 }
}
