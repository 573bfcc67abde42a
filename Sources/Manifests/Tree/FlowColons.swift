/// Lets libyaml read lists such as `[192.0.2.1, 2001:db8::]`. They are two texts to Kubernetes' YAML parser and an
/// error to libyaml, which allows no colon before a flow indicator. So such a colon is replaced by a character that
/// means nothing to YAML, and put back into the texts. Each character is replaced by one, so places do not change.
enum FlowColons {
    /// U+E000, of the private use area. A text that has it is not changed.
    private static let standIn: [UInt8] = [0xEE, 0x80, 0x80]
    /// That of all stand-ins, those of `SurrogatePairs` too.
    static let firstOctet: UInt8 = 0xEE
    private static let colon = UInt8(ascii: ":")

    /// The text with stand-ins for the second of two colons between a hexadecimal digit and `,`, `]` or `}`, where IPv6
    /// addresses have them and keys do not; nil if there are none.
    static func standingIn(_ octets: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let places = places(octets.span)
        guard !places.isEmpty, !octets.contains(standIn) else { return nil }
        var changed: [UInt8] = []
        changed.reserveCapacity(octets.count + 2 * places.count)
        var start = octets.startIndex
        for place in places {
            changed += octets[start..<(octets.startIndex + place)]
            changed += standIn
            start = octets.startIndex + place + 1
        }
        changed += octets[start...]
        return changed[...]
    }

    /// The places of the colons to replace. Every file comes here, so each octet is read only once.
    private static func places(_ octets: Span<UInt8>) -> [Int] {
        guard octets.count >= 4 else { return [] }
        var places: [Int] = []
        for index in 2..<(octets.count - 1) where octets[index] == colon {
            if octets[index - 1] == colon, isAddress(octets[index - 2]), ",]}".utf8.contains(octets[index + 1]) {
                places.append(index)
            }
        }
        return places
    }

    private static func isAddress(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            return true
        default: return false
        }
    }

    /// The text with its colons again.
    static func putBack(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var octets = text
        var text: [UInt8] = []
        while let place = octets.firstIndex(of: standIn[0]) {
            let isStandIn = octets[place...].starts(with: standIn)
            text += octets[..<place]
            text.append(isStandIn ? colon : octets[place])
            octets = octets[(place + (isStandIn ? standIn.count : 1))...]
        }
        return text + octets
    }
}

extension ArraySlice<UInt8> {
    /// Whether it contains these octets in a row.
    func contains(_ wanted: [UInt8]) -> Bool {
        guard let first = wanted.first else { return true }
        var rest = self
        while let place = rest.firstIndex(of: first) {
            if self[place...].starts(with: wanted) { return true }
            rest = self[(place + 1)...]
        }
        return false
    }
}
