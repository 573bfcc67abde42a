internal import Octets

/// How octets from peers are written into a log line, so that none of them can end the line or the field, or change
/// what a terminal shows. Escaped are control characters, quotes, backslashes, octets that are not UTF-8, and those
/// characters of Unicode that separate lines or change the direction of a text, which would make it read as another
/// text.
enum AccessLogEscaping {
    /// Between quotes: `\"`, `\\`, `\x0a`.
    case quoted
    /// Without quotes: as `quoted`, and a space becomes `_`.
    case bare
    /// Inside a JSON string: `\"`, `\\`, `\u000a`; an octet that is not UTF-8 becomes `\ufffd`.
    case json

    /// The largest field, in octets; a longer one is cut and ends with `...`.
    static let fieldLimit = 8192

    /// Appends one field, escaped and cut at `fieldLimit`.
    /// - Returns: whether it was cut.
    @discardableResult func append(_ octets: Octets, to line: OctetBuffer) -> Bool {
        let field = octets.prefix(Self.fieldLimit)
        var plainStart = 0
        var index = 0
        while index < field.count {
            index = firstUnusual(field, from: index)
            guard index < field.count else { break }
            let (length, isPlain) = field[index] < 0x80 ? (1, false) : Self.character(field, at: index)
            if !isPlain {
                line.append(field.slice(plainStart, index))
                escape(field.slice(index, index + max(length, 1)), isValid: length > 0, to: line)
                plainStart = index + max(length, 1)
            }
            index += max(length, 1)
        }
        line.append(field.slice(plainStart, field.count))
        guard octets.count > Self.fieldLimit else { return false }
        line.append("...")
        return true
    }

    /// Where the first octet at or after `start` is that must be examined; the end of the field if there is none.
    private func firstUnusual(_ field: Octets, from start: Int) -> Int {
        guard let base = unsafe field.base else { return field.count }
        let lowest: UInt8 = self == .bare ? 0x21 : 0x20
        var index = start
        while index < field.count {
            // In bounds by the condition of the loop. A checked access would cost a third of the time for the whole
            // line.
            let octet = unsafe base.load(fromByteOffset: index, as: UInt8.self)
            guard octet &- lowest < 0x7f &- lowest, octet != 0x22, octet != 0x5c else { break }
            index += 1
        }
        return index
    }

    private func escape(_ character: Octets, isValid: Bool, to line: OctetBuffer) {
        let octet = character[0]
        switch self {
        case _ where octet == 0x22 || octet == 0x5c:
            line.append(0x5c)
            line.append(octet)
        case .bare where octet == 0x20:
            line.append(0x5f)
        case .quoted, .bare:
            for index in 0..<character.count {
                line.append("\\x")
                Self.appendHexadecimal(UInt32(character[index]), digits: 2, to: line)
            }
        case .json:
            line.append("\\u")
            Self.appendHexadecimal(isValid ? Self.scalar(character) : 0xfffd, digits: 4, to: line)
        }
    }

    /// The character that begins at `index` with an octet of 0x80 or more.
    /// - Returns: its length, which is 0 if the octets are not UTF-8, and whether it may be written as it is.
    private static func character(_ field: Octets, at index: Int) -> (length: Int, isPlain: Bool) {
        let first = field[index]
        let length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
        guard length > 0, index + length <= field.count else { return (0, false) }
        for offset in 1..<length where field[index + offset] & 0xc0 != 0x80 { return (0, false) }
        let scalar = scalar(field.slice(index, index + length))
        let isTooLong = length == 3 && scalar < 0x800 || length == 4 && scalar < 0x10000
        let isSurrogate = scalar >= 0xd800 && scalar <= 0xdfff
        guard !isTooLong, !isSurrogate, scalar <= 0x10ffff else { return (0, false) }
        return (length, !isControl(scalar))
    }

    private static func isControl(_ scalar: UInt32) -> Bool {
        switch scalar {
        case ..<0xa0, 0x2028...0x202e, 0x2066...0x2069: true    // U+202A to U+202E, U+2066 to U+2069: direction
        case 0x061c, 0x200e, 0x200f: true    // marks that set the direction of text
        default: false
        }
    }

    private static func scalar(_ character: Octets) -> UInt32 {
        guard character.count > 1 else { return UInt32(character[0]) }
        var scalar = UInt32(character[0]) & (0xff >> (UInt32(character.count) + 1))
        for index in 1..<character.count { scalar = scalar << 6 | UInt32(character[index] & 0x3f) }
        return scalar
    }

    private static func appendHexadecimal(_ number: UInt32, digits: UInt32, to line: OctetBuffer) {
        for place in 0..<digits {
            let digit = UInt8(truncatingIfNeeded: number >> ((digits - 1 - place) * 4) & 0xf)
            line.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}
