internal import CLinux

/// The C library's heap, which Swift's objects live in.
package enum HeapMemory {
    /// Makes large arrays mappings of their own, which go back to the system as soon as they are freed.
    /// Left alone, the C library raises its threshold to the largest array it ever freed, and the next one
    /// leaves a hole in the heap. To be called once, before threads.
    package static func keepLargeArraysApart() { _ = mallopt(M_MMAP_THRESHOLD, 1 << 20) }

    /// Octets that the heap has handed out and not got back. Looks through one thread's part after the other.
    static func usedOctets() -> UInt64 {
        let facts = mallinfo2()
        return UInt64(facts.uordblks) + UInt64(facts.hblkhd)
    }

    /// Gives the system the pages that are free. Locks one thread's part of the heap after the other, each
    /// for as long as it has free pages: for after a load, on a thread of its own.
    package static func giveBack() { _ = malloc_trim(0) }
}
