/// Which slot a stream's number has: a table with open addressing, as small as its streams allow.
/// Its owner's thread only.
@safe struct StreamIndex {
    @unsafe private struct Entry {
        var stream: Int32 = 0    // 0: free
        var slot: Int32 = 0
    }

    private var entries: UnsafeMutablePointer<Entry>?    // owned; `mask + 1` of them; freed by `close`
    private var mask = -1
    private(set) var count = 0
    private static let smallest = 8

    /// Frees the index's memory. To be called once.
    mutating func close() {
        unsafe entries?.deallocate()
        unsafe entries = nil
        mask = -1
        count = 0
    }

    /// Numbers follow each other: scattered, lest they stand in one long row.
    @inline(__always)
    private func place(_ stream: Int32) -> Int {
        let scattered = UInt32(bitPattern: stream) &* 0x9e37_79b1
        return Int(scattered >> 16 ^ scattered) & mask
    }

    /// The slot of the open stream with this number; nil when there is none.
    @inline(__always)
    func slot(of stream: Int32) -> Int? {
        guard let entries = unsafe entries else { return nil }
        var index = place(stream)
        while true {
            let entry = unsafe entries[index]
            if unsafe entry.stream == stream { return unsafe Int(entry.slot) }
            if unsafe entry.stream == 0 { return nil }
            index = (index + 1) & mask
        }
    }

    /// - Parameter stream: not 0, and not in the table yet.
    mutating func insert(_ stream: Int32, slot: Int) {
        if (count + 1) * 2 > mask + 1 { grow() }
        unsafe put(Entry(stream: stream, slot: Int32(truncatingIfNeeded: slot)))
        count += 1
    }

    /// Forgets a stream that is over. Without effect if it is not in the table.
    mutating func remove(_ stream: Int32) {
        guard let entries = unsafe entries else { return }
        var hole = place(stream)
        while unsafe entries[hole].stream != stream {
            if unsafe entries[hole].stream == 0 { return }
            hole = (hole + 1) & mask
        }
        count -= 1
        // What stands behind the hole and could not have its own place moves up.
        var index = hole
        while true {
            index = (index + 1) & mask
            let entry = unsafe entries[index]
            if unsafe entry.stream == 0 { break }
            let distance = unsafe (index - place(entry.stream)) & mask
            guard distance >= (index - hole) & mask else { continue }
            unsafe entries[hole] = entry
            hole = index
        }
        unsafe entries[hole] = Entry()
    }

    private mutating func put(_ entry: Entry) {
        guard let entries = unsafe entries else { return }
        var index = unsafe place(entry.stream)
        while unsafe entries[index].stream != 0 { index = (index + 1) & mask }
        unsafe entries[index] = entry
    }

    private mutating func grow() {
        let old = unsafe entries
        let oldCount = mask + 1
        let size = max(oldCount * 2, Self.smallest)
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: size)
        unsafe larger.initialize(repeating: Entry(), count: size)
        unsafe entries = larger
        mask = size - 1
        guard let old = unsafe old else { return }
        for index in 0..<oldCount where unsafe old[index].stream != 0 { unsafe put(old[index]) }
        unsafe old.deallocate()
    }
}
