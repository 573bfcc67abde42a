/// A growing table whose elements are changed in place: no uniqueness and no exclusivity checks, which arrays in
/// classes pay for at each access.
///
/// Thread: its owner's. Freed by: the object that made it.
@safe final class SlotTable<Element> {
    private var base: UnsafeMutablePointer<Element>    // owned; the first `count` are initialized
    private var capacity = 1    // most connections of people have few streams, and idle ones must be small
    private(set) var count = 0

    init() { unsafe base = .allocate(capacity: capacity) }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    subscript(index: Int) -> Element {
        unsafeAddress {
            precondition(index >= 0 && index < count)
            return unsafe UnsafePointer(base + index)
        }
        unsafeMutableAddress {
            precondition(index >= 0 && index < count)
            return unsafe base + index
        }
    }

    /// All places, those of free elements included.
    var indices: Range<Int> { 0..<count }

    /// Puts a new element in the place of one that refers to nothing any more: nothing is let go of.
    @inline(__always)
    func renew(at index: Int, with element: Element) {
        precondition(index >= 0 && index < count)
        unsafe (base + index).initialize(to: element)
    }

    /// Adds a slot behind the others.
    func append(_ element: Element) {
        if count == capacity {
            let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
            unsafe larger.moveInitialize(from: base, count: count)
            unsafe base.deallocate()
            unsafe base = larger
            capacity *= 2
        }
        unsafe (base + count).initialize(to: element)
        count += 1
    }
}
