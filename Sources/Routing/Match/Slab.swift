package import Octets

/// A fixed array of plain values. Reading it retains nothing, so workers that share a table share no cache line that is
/// written. Every read checks its bounds. The memory belongs to the `RouteTable` that made the slab and frees it in its
/// `deinit`.
///
/// `Sendable` because the memory is never written after `init`.
@safe package struct Slab<Element: BitwiseCopyable>: @unchecked Sendable {
    package let base: UnsafeMutablePointer<Element>    // owned; freed by `free`
    /// How many values it has.
    package let count: Int

    init(_ values: [Element]) {
        unsafe base = UnsafeMutablePointer.allocate(capacity: max(values.count, 1))
        count = values.count
        for (index, value) in values.enumerated() {
            unsafe (base + index).initialize(to: value)
        }
    }

    /// Frees the memory. For the owner only.
    func free() { unsafe base.deallocate() }

    /// The value at `index`; traps if it is out of range.
    @inlinable @inline(__always)
    package subscript(index: Int) -> Element {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
        return unsafe base[index]
    }

    /// The same, for a short index.
    @inlinable @inline(__always)
    package subscript(index: Int32) -> Element { self[Int(index)] }
}

/// A range of a slab.
package struct Run: BitwiseCopyable, Sendable, Hashable {
    /// Its first index.
    package let first: Int32
    /// Its length.
    package let count: Int32

    @inlinable package init(first: Int32, count: Int32) {
        self.first = first
        self.count = count
    }

    init(_ first: Int, _ count: Int) {
        self.init(first: Int32(clamping: first), count: Int32(clamping: count))
    }

    static let none = Run(first: 0, count: 0)
}

extension Slab where Element == UInt8 {
    /// The octets of a range; traps if it is out of bounds.
    @inlinable package subscript(run: Run) -> Octets {
        let first = Int(run.first)
        let length = Int(run.count)
        precondition(first >= 0 && length >= 0 && first + length <= count)
        return unsafe Octets(base: UnsafeRawPointer(base + first), count: length)
    }
}
