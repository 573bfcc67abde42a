internal import CLinux

/// The heap of the C library, in which Swift's objects live.
package enum HeapMemory {
    /// Gives each large array a mapping of its own, which returns to the system as soon as the array is freed. By
    /// default the C library raises its threshold to the size of the largest array that was freed, so that the next one
    /// leaves a hole in the heap. Call it once, before other threads start.
    package static func keepLargeArraysApart() { _ = mallopt(M_MMAP_THRESHOLD, 1 << 20) }

    /// Octets that are allocated at the moment. It visits the heap's arenas one after the other.
    static func usedOctets() -> UInt64 {
        let facts = mallinfo2()
        return UInt64(facts.uordblks) + UInt64(facts.hblkhd)
    }

    /// Returns free pages to the system. It locks one arena of the heap after the other, each for as long as that
    /// has free pages, so it belongs on a thread of its own.
    package static func giveBack() { _ = malloc_trim(0) }
}
