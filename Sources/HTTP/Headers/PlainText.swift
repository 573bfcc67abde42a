internal import Octets

extension Octets {
    /// Eight octets or more, all of them visible ASCII or spaces: most header values are. Eight are looked
    /// at together. False says nothing: look closer.
    @inline(__always)
    var isPlainText: Bool {
        guard count >= 8 else { return false }
        let top: UInt64 = 0x8080_8080_8080_8080
        var index = 0
        var odd: UInt64 = 0
        while index < count {
            // The last eight may overlap those before.
            let word = word(at: Swift.min(index, count - 8))
            // Above 0x7f; below 0x20; 0x7f. Borrows and carries come only from octets that are odd themselves.
            odd |= word | (word &- 0x2020_2020_2020_2020) | (word &+ 0x0101_0101_0101_0101)
            index += 8
        }
        return odd & top == 0
    }
}
