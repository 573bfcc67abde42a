/// A list of plain values that a session notes during a turn. Its memory comes from the worker's pools, and goes
/// back when the list is emptied, so an idle connection has none.
@safe @frozen @usableFromInline
package struct TurnList<Element: BitwiseCopyable>: RandomAccessCollection {
    @usableFromInline var base: UnsafeMutablePointer<Element>?    // owned, `capacity` elements
    @usableFromInline var capacity = 0
    private var octets = 0    // of the memory, as it was taken
    /// How many elements were noted since the list was emptied.
    @usableFromInline package private(set) var count = 0

    @inlinable package var isEmpty: Bool { count == 0 }
    @inlinable package var startIndex: Int { 0 }
    @inlinable package var endIndex: Int { count }

    /// An element. Traps beyond `count`.
    @inlinable @inline(__always)
    package subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count)
        return unsafe base.unsafelyUnwrapped[index]
    }

    /// Puts `element` in the place of another.
    mutating func replace(at index: Int, with element: Element) {
        precondition(index >= 0 && index < count)
        unsafe base.unsafelyUnwrapped[index] = element
    }

    /// Adds `element`, with the pools' memory.
    @inline(__always)
    mutating func append(_ element: Element, from pools: MessagePools) {
        if count == capacity { grow(from: pools) }
        unsafe (base.unsafelyUnwrapped + count).initialize(to: element)
        count += 1
    }

    /// Empties the list and gives its memory back.
    @inline(__always)
    mutating func clear(to pools: MessagePools) {
        count = 0
        guard let memory = unsafe base else { return }
        unsafe pools.giveTurnMemory(memory, octets: octets)
        unsafe base = nil
        capacity = 0
        octets = 0
    }

    private mutating func grow(from pools: MessagePools) {
        let more = MessagePools.turnMemory(after: octets)
        let room = more / MemoryLayout<Element>.stride
        precondition(room > capacity)
        let larger = unsafe pools.takeTurnMemory(octets: more).bindMemory(to: Element.self, capacity: room)
        if let memory = unsafe base {
            unsafe larger.moveInitialize(from: memory, count: count)
            unsafe pools.giveTurnMemory(memory, octets: octets)
        }
        unsafe base = unsafe larger
        (capacity, octets) = (room, more)
    }
}
