/// `[192.0.2.1, 2001:db8::]` is a list of two texts to Kubernetes' reader of YAML, and a fault to libyaml, which
/// wants no colon in front of a flow indicator. So such a colon is read as a character that means nothing to
/// YAML, and put back into the texts. One character for one character: places stay as they are.
enum FlowColons {
    /// U+E000, of the private use area. A text that has it is left alone.
    private static let standIn: [UInt8] = [0xEE, 0x80, 0x80]
    private static let colon = UInt8(ascii: ":")

    /// The text with stand-ins for the second of two colons behind a hexadecimal digit and in front of `,`, `]`
    /// or `}`, as addresses of IPv6 have them and keys have not; nil when there are none.
    static func standingIn(_ octets: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var changed: [UInt8] = []
        var start = octets.startIndex
        var rest = octets
        while let first = rest.firstIndex(of: colon) {
            rest = rest[(first + 1)...]
            guard isEndOfAddress(octets, first) else { continue }
            changed += octets[start...first]
            changed += standIn
            start = first + 2
            rest = octets[start...]
        }
        guard start > octets.startIndex, !contains(standIn, octets) else { return nil }
        changed += octets[start...]
        return changed[...]
    }

    private static func isEndOfAddress(_ octets: ArraySlice<UInt8>, _ first: Int) -> Bool {
        guard first > octets.startIndex, first + 2 < octets.endIndex, octets[first + 1] == colon else { return false }
        guard ",]}".utf8.contains(octets[first + 2]) else { return false }
        switch octets[first - 1] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            return true
        default: return false
        }
    }

    private static func contains(_ wanted: [UInt8], _ octets: ArraySlice<UInt8>) -> Bool {
        var rest = octets
        while let place = rest.firstIndex(of: wanted[0]) {
            if octets[place...].starts(with: wanted) { return true }
            rest = rest[(place + 1)...]
        }
        return false
    }

    /// The text with its colons.
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
