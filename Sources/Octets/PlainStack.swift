/// A stack of plain values in memory of its own: an array would be asked at each push and pop whether it is shared.
/// Its owner calls `free` once, before it goes. Its owner's thread only.
@safe @frozen @usableFromInline
package struct PlainStack<Element: BitwiseCopyable> {
    @usableFromInline var base: UnsafeMutablePointer<Element>?    // owned; `capacity` elements
    @usableFromInline var capacity = 0
    @usableFromInline package internal(set) var count = 0

    /// Makes an empty stack, which has no memory yet.
    @inlinable package init() {}

    @inlinable @inline(__always) package var isEmpty: Bool { count == 0 }

    /// Puts a value on top; the memory grows if it is full.
    @inlinable @inline(__always)
    package mutating func append(_ element: Element) {
        if count == capacity { grow() }
        unsafe (base.unsafelyUnwrapped + count).initialize(to: element)
        count += 1
    }

    /// Takes the value on top; nil if there is none.
    @inlinable @inline(__always)
    package mutating func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return unsafe base.unsafelyUnwrapped[count]
    }

    /// Frees the memory, and what was on the stack is gone.
    @inlinable
    package mutating func free() {
        unsafe base?.deallocate()
        unsafe base = nil
        capacity = 0
        count = 0
    }

    /// Moves the elements to twice as much memory, and frees the old one.
    @inlinable @inline(never)
    mutating func grow() {
        let wanted = max(2 * capacity, 4)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        if let base = unsafe base {
            unsafe larger.update(from: base, count: count)
            unsafe base.deallocate()
        }
        unsafe base = unsafe larger
        capacity = wanted
    }
}

@available(*, unavailable)
extension PlainStack: Sendable {}
