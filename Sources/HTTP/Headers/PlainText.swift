internal import Octets

/// Quick looks at octets, eight of them together. Each says yes to what is usual; no says nothing: look closer.
extension Octets {
    /// One octet or more, all of them visible ASCII or spaces: most header values are.
    @inline(__always)
    var isPlainText: Bool {
        if count < 8 { return count > 0 && Self.oddInText(shortWord) & Word.tops == 0 }
        return allWords { word, _ in Self.oddInText(word) }
    }

    /// One octet or more, all of them small letters, digits or `-`: most names of fields are.
    var isPlainName: Bool {
        if count < 8 { return count > 0 && Self.oddInName(shortWord) & Word.tops == 0 }
        return allWords { word, _ in Self.oddInName(word) }
    }

    /// Above 0x7f; below 0x20; 0x7f. Borrows and carries come only from octets that are odd themselves.
    @inline(__always)
    private static func oddInText(_ word: UInt64) -> UInt64 {
        word | (word &- 0x2020_2020_2020_2020) | (word &+ 0x0101_0101_0101_0101)
    }

    /// Sets the top bit of each octet that is no small letter, digit or `-`.
    @inline(__always)
    static func oddInName(_ word: UInt64) -> UInt64 {
        let others = Word.within(word, 0x30, 0x39) | Word.within(word, 0x2d, 0x2d)
        return word | ~(Word.within(word, 0x61, 0x7a) | others)
    }

    /// Eight octets with small letters in the place of capitals. Octets above 0x7f are not kept.
    @inline(__always)
    static func lowered(_ word: UInt64) -> UInt64 { word | Word.within(word, 0x41, 0x5a) >> 2 }

    /// Eight octets or more, all of them letters, digits or one of `/ - . _`, and no dot behind a slash: such a path is
    /// in its normal form.
    var isPlainPath: Bool {
        allWords { word, index in
            let letters = Word.within(word | 0x2020_2020_2020_2020, 0x61, 0x7a)
            let others = Word.within(word, 0x2d, 0x39) | Word.within(word, 0x5f, 0x5f)    // `-./` and digits; `_`
            let slashes = Word.within(word, 0x2f, 0x2f)
            // In memory's order the first octet is the lowest one.
            let before: UInt64 = index > 0 && self[index - 1] == 0x2f ? 0x80 : 0
            let hidden = Word.within(word, 0x2e, 0x2e) & (slashes << 8 | before)
            return word | ~(letters | others) | hidden
        }
    }

    /// The same as `firstIndex`, for an ASCII character that is mostly among the first dozen octets.
    @inline(__always)
    func nearIndex(of octet: UInt8) -> Int? {
        var index = 0
        while count - index >= 8 {
            let word = word(at: index)
            let found = Word.within(word, octet, octet) & ~word    // an octet above 0x7f is another one
            // In memory's order the first octet is the lowest one.
            if found != 0 { return index + found.trailingZeroBitCount >> 3 }
            index += 8
        }
        while index < count {
            if self[index] == octet { return index }
            index += 1
        }
        return nil
    }

    /// The octets of a run of 1 to 7, in no order and some of them twice, so that they fill a word.
    @inline(__always)
    private var shortWord: UInt64 {
        if count >= 4 { return UInt64(bigEndian32(at: 0)) | UInt64(bigEndian32(at: count - 4)) << 32 }
        let (middle, last) = (UInt64(self[count / 2]), UInt64(self[count - 1]))
        return UInt64(self[0]) &* 0x0101_0101_0101_0000 | middle << 8 | last
    }

    /// Whether there are eight octets or more, and `odd` sets the top bit of none.
    /// - Parameter odd: gets eight octets, and the place of the first of them.
    @inline(__always)
    private func allWords(_ odd: (UInt64, Int) -> UInt64) -> Bool {
        guard count >= 8 else { return false }
        var index = 0
        var found: UInt64 = 0
        while index < count {
            // The last eight may overlap those before.
            let place = Swift.min(index, count - 8)
            found |= odd(word(at: place), place)
            index += 8
        }
        return found & Word.tops == 0
    }

    /// Arithmetic on eight octets at once.
    enum Word {
        /// 0x80 eight times: a look at a word tells by these bits which octets it has found.
        static var tops: UInt64 { 0x8080_8080_8080_8080 }

        /// The top bit of each octet that lies between the two, of those below 0x80.
        @inline(__always)
        static func within(_ word: UInt64, _ low: UInt8, _ high: UInt8) -> UInt64 {
            let ones: UInt64 = 0x0101_0101_0101_0101
            // Without their top bits, no octet carries into the next.
            let fromLow = (word & ~tops) &+ ones &* UInt64(0x80 - low)
            let beyond = (word & ~tops) &+ ones &* UInt64(0x7f - high)
            return fromLow & ~beyond & tops
        }
    }
}
