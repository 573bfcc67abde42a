internal import Octets

/// The alphabets of RFC 9110 §5.6 and RFC 3986, as sets of bits: a shift instead of a table in memory.
enum HTTP1Syntax {
    /// `tchar`: letters, digits and ``!#$%&'*+-.^_`|~``. Source: RFC 9110 §5.6.2.
    static func isToken(_ octet: UInt8) -> Bool {
        contains(octet, low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
    }

    /// A field value's octets: HTAB, SP, visible and `obs-text`. Source: RFC 9110 §5.5.
    static func isFieldValue(_ octet: UInt8) -> Bool {
        (octet >= 0x20 && octet != 0x7f) || octet == 0x09
    }

    /// `unreserved`, `sub-delims` and `%`: what a host's name may have. Source: RFC 3986 §3.2.2.
    static func isHostName(_ octet: UInt8) -> Bool {
        contains(octet, low: 0x2bff_7ff2_0000_0000, high: 0x47ff_fffe_87ff_fffe)
    }

    static func isHexDigit(_ octet: UInt8) -> Bool { hexDigit(octet) != nil }

    /// The value of a hexadecimal digit, 0 to 15; nil for another octet.
    static func hexDigit(_ octet: UInt8) -> UInt8? {
        if octet.isDigit { return octet &- 0x30 }
        let letter = octet.lowercased &- 0x61
        return letter < 6 ? letter + 10 : nil
    }

    /// A space or a tab. Source: RFC 9110 §5.6.3.
    static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 }

    /// Whether the octet is in a set of ASCII characters: `low` has 0 to 63, `high` the rest.
    static func contains(_ octet: UInt8, low: UInt64, high: UInt64) -> Bool {
        let half = octet < 64 ? low : octet < 128 ? high : 0
        return half >> UInt64(octet & 63) & 1 == 1
    }

    /// A name. Source: RFC 9110 §5.6.2.
    static func isToken(_ octets: Octets) -> Bool { octets.isPlainName || (!octets.isEmpty && all(octets, isToken)) }
    /// Whether all octets may stand in a value. Source: RFC 9110 §5.5.
    static func isFieldValue(_ octets: Octets) -> Bool { octets.isPlainText || all(octets, isFieldValue) }
    /// Visible ASCII only: what may stand in a request target.
    static func isTarget(_ octets: Octets) -> Bool {
        !octets.isEmpty && all(octets) { $0 > 0x20 && $0 < 0x7f }
    }

    /// `uri-host [":" port]`, without user information; the empty one is allowed.
    /// Source: RFC 9110 §7.2, §4.2.4.
    static func isAuthority(_ octets: Octets) -> Bool {
        guard let first = octets.isEmpty ? nil : octets[0] else { return true }
        if first == UInt8(ascii: "[") { return isAddressLiteral(octets) }
        guard let colon = octets.firstIndex(of: UInt8(ascii: ":")) else { return all(octets, isHostName) }
        return all(octets.prefix(colon), isHostName) && isPort(octets.dropFirst(colon + 1))
    }

    private static func isAddressLiteral(_ octets: Octets) -> Bool {
        guard let end = octets.firstIndex(of: UInt8(ascii: "]")), end > 1 else { return false }
        let address = octets.slice(1, end)
        guard all(address, { isHexDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
        else { return false }
        let rest = octets.dropFirst(end + 1)
        return rest.isEmpty || (rest[0] == UInt8(ascii: ":") && isPort(rest.dropFirst(1)))
    }

    private static func isPort(_ octets: Octets) -> Bool {
        octets.count <= 5 && all(octets) { $0.isDigit }
    }

    /// Whether all octets are allowed; true for none.
    @inline(__always)
    static func all(_ octets: Octets, _ isAllowed: (UInt8) -> Bool) -> Bool {
        for index in 0..<octets.count where !isAllowed(octets[index]) { return false }
        return true
    }

    /// Without blanks at both ends.
    static func trimmed(_ octets: Octets) -> Octets {
        var start = 0
        var end = octets.count
        while start < end, isBlank(octets[start]) { start += 1 }
        while end > start, isBlank(octets[end - 1]) { end -= 1 }
        return octets.slice(start, end)
    }

    /// One to nineteen digits, at most 2⁶³ − 1; no sign, no list. Source: RFC 9110 §8.6.
    static func length(_ octets: Octets) -> UInt64? {
        guard (1...19).contains(octets.count) else { return nil }
        var length: UInt64 = 0    // 19 digits never overflow it
        for index in 0..<octets.count {
            guard octets[index].isDigit else { return nil }
            length = length * 10 + UInt64(octets[index] - 0x30)
        }
        return length <= UInt64(Int64.max) ? length : nil
    }
}

/// The elements of a comma-separated list, without blanks; empty ones are left out.
/// Source: RFC 9110 §5.6.1.
struct HTTP1List {
    private var rest: Octets

    init(_ value: Octets) { rest = value }

    /// The next element; nil when there is none.
    mutating func next() -> Octets? {
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.count
            let element = HTTP1Syntax.trimmed(rest.prefix(end))
            rest = rest.dropFirst(end + 1)
            if !element.isEmpty { return element }
        }
        return nil
    }
}

/// The lines of a head whose line ends were all seen to be CRLF.
struct HTTP1Lines {
    private var rest: Octets

    init(_ head: Octets) { rest = head }

    /// The next line without its end; nil at the empty line that ends the head.
    mutating func next() -> Octets? {
        guard let end = rest.firstIndex(of: 0x0a), end > 1 else { return nil }
        let line = rest.prefix(end - 1)
        rest = rest.dropFirst(end + 1)
        return line
    }
}
