internal import Octets

/// The octets of a JSON text between its quotes.
/// Source: RFC 8259 §7, RFC 3629 §4.
enum JSONOctets {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// The first octet from `start` on that is `"`, `\`, a control character or not ASCII; the end if there is none.
    static func endOfPlain(_ octets: Octets, from start: Int) -> Int {
        var index = start
        while octets.count - index >= 8 {
            let word = octets.word(at: index).littleEndian
            let quote = word ^ (ones &* 0x22)
            let slash = word ^ (ones &* 0x5C)
            // Bits above the first one that is set may be wrong: only the first counts.
            let found =
                ((quote &- ones) & ~quote | (slash &- ones) & ~slash | (word &- ones &* 0x20) & ~word | word) & highs
            if found != 0 { return index + found.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < octets.count {
            let octet = octets[index]
            if octet == 0x22 || octet == 0x5C || octet < 0x20 || octet >= 0x80 { return index }
            index += 1
        }
        return index
    }

    /// The length of a UTF-8 sequence of two octets or more; nil if it is none.
    static func sequenceLength(_ octets: Octets, at index: Int) -> Int? {
        let first = octets[index]
        let (length, second): (Int, ClosedRange<UInt8>)
        switch first {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard octets.count - index >= length, second.contains(octets[index + 1]) else { return nil }
        for place in (index + 2)..<max(index + length, index + 2) where !(0x80...0xBF).contains(octets[place]) {
            return nil
        }
        return length
    }

    /// The length of an escape sequence, which is 12 for a pair of surrogates; nil if it is none.
    static func escapeLength(_ octets: Octets, at index: Int) -> Int? {
        guard octets.count - index >= 2 else { return nil }
        guard octets[index + 1] == UInt8(ascii: "u") else {
            return simple(octets[index + 1]) == nil ? nil : 2
        }
        guard let unit = unit(octets, at: index) else { return nil }
        switch unit {
        case 0xD800...0xDBFF:
            guard let low = self.unit(octets, at: index + 6), (0xDC00...0xDFFF).contains(low) else { return nil }
            return 12
        case 0xDC00...0xDFFF: return nil
        default: return 6
        }
    }

    /// The UTF-16 unit of `\uXXXX`; nil if it is something else.
    private static func unit(_ octets: Octets, at index: Int) -> UInt32? {
        guard octets.count - index >= 6, octets[index] == 0x5C, octets[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        var unit: UInt32 = 0
        for place in (index + 2)..<(index + 6) {
            guard let digit = hexadecimal(octets[place]) else { return nil }
            unit = unit << 4 | digit
        }
        return unit
    }

    private static func hexadecimal(_ octet: UInt8) -> UInt32? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(octet - 0x30)
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(octet - 0x61 + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(octet - 0x41 + 10)
        default: nil
        }
    }

    private static func simple(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): octet
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// Gives what a text means to `write`, in runs; texts that are not valid end early.
    static func unescape(_ octets: Octets, _ write: (Octets) -> Void) {
        var index = 0
        while index < octets.count {
            let rest = octets.dropFirst(index)
            let plain = rest.firstIndex(of: 0x5C) ?? rest.count
            if plain > 0 { write(rest.prefix(plain)) }
            index += plain
            guard index < octets.count else { return }
            guard let length = escapeLength(octets, at: index) else { return }
            unsafe withUnsafeTemporaryAllocation(byteCount: 4, alignment: 1) { room in
                unsafe write(Octets(UnsafeRawBufferPointer(rebasing: room[..<fill(room, octets, index)])))
            }
            index += length
        }
    }

    /// Writes what one escape sequence means. Returns how many octets that are, 1 to 4.
    private static func fill(_ room: UnsafeMutableRawBufferPointer, _ octets: Octets, _ index: Int) -> Int {
        if let octet = simple(octets[index + 1]) {
            unsafe room[0] = octet
            return 1
        }
        var scalar = unit(octets, at: index) ?? 0xFFFD
        if (0xD800...0xDBFF).contains(scalar), let low = unit(octets, at: index + 6) {
            scalar = 0x10000 + ((scalar - 0xD800) << 10 | (low & 0x3FF))
        }
        var count = 0
        for octet in UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
            unsafe room[count] = octet
            count += 1
        }
        return count
    }
}
