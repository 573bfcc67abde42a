/// Lets libyaml read surrogate pairs. JSON may escape a character above U+FFFF in two parts, `\ud83d\ude00`; YAML may
/// not, and libyaml reads JSON as YAML. So in JSON files the two backslashes are replaced by a character that means
/// nothing to YAML, and the texts get their character afterwards. Each character is replaced by one, so places do not
/// change.
enum SurrogatePairs {
    /// U+E001, of the private use area. A text that has it is not changed.
    private static let standIn: [UInt8] = [0xEE, 0x80, 0x81]
    private static let backslash = UInt8(ascii: "\\")
    /// The length of `\uXXXX`.
    private static let escapeOctets = 6

    /// The text with stand-ins for the backslashes of such pairs; nil if there are none, or if it is not JSON.
    static func standingIn(_ octets: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let first = octets.first { $0 > 0x20 }
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return nil }
        let places = places(octets.span)
        guard !places.isEmpty, !octets.contains(standIn) else { return nil }
        var changed: [UInt8] = []
        changed.reserveCapacity(octets.count + 4 * places.count)
        var start = octets.startIndex
        for place in places.flatMap({ [$0, $0 + escapeOctets] }) {
            changed += octets[start..<(octets.startIndex + place)]
            changed += standIn
            start = octets.startIndex + place + 1
        }
        changed += octets[start...]
        return changed[...]
    }

    /// Where pairs begin. A backslash after a backslash begins nothing.
    private static func places(_ octets: Span<UInt8>) -> [Int] {
        var places: [Int] = []
        var index = 0
        while index < octets.count {
            guard octets[index] == backslash else {
                index += 1
                continue
            }
            if let high = unit(octets, index), UTF16.isLeadSurrogate(high),
                let low = unit(octets, index + escapeOctets), UTF16.isTrailSurrogate(low)
            {
                places.append(index)
                index += 2 * escapeOctets
            } else {
                index += 2
            }
        }
        return places
    }

    /// The number in an escape at this place; nil if there is none.
    private static func unit(_ octets: Span<UInt8>, _ place: Int) -> UInt16? {
        guard place + escapeOctets <= octets.count, octets[place] == backslash,
            octets[place + 1] == UInt8(ascii: "u")
        else { return nil }
        return number((place + 2..<place + escapeOctets).map { octets[$0] })
    }

    private static func number(_ digits: some Collection<UInt8>) -> UInt16? {
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    /// The text of a scalar with its characters; without double quotes around it, with its backslashes.
    static func putBack(_ text: ArraySlice<UInt8>, isDoubleQuoted: Bool) -> [UInt8] {
        var rest = text
        var text: [UInt8] = []
        while let place = rest.firstIndex(of: standIn[0]) {
            text += rest[..<place]
            rest = rest[place...]
            if isDoubleQuoted, let character = character(rest) {
                text += String(character).utf8
                rest = rest.dropFirst(2 * (standIn.count + escapeOctets - 1))
            } else if rest.starts(with: standIn) {
                text.append(backslash)
                rest = rest.dropFirst(standIn.count)
            } else {
                text.append(standIn[0])
                rest = rest.dropFirst()
            }
        }
        return text + rest
    }

    /// The character of a pair with stand-ins at the beginning of a text; nil if there is none.
    private static func character(_ text: ArraySlice<UInt8>) -> Character? {
        let length = standIn.count + escapeOctets - 1
        let (first, second) = (text.prefix(length), text.dropFirst(length).prefix(length))
        guard first.starts(with: standIn), second.starts(with: standIn), let high = number(first.suffix(4)),
            let low = number(second.suffix(4))
        else { return nil }
        return String(decoding: [high, low], as: UTF16.self).first
    }
}
