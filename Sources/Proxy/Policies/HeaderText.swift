internal import HTTP
internal import Octets

/// Texts in header values that a rule makes.
enum HeaderText {
    /// A copy of a value in a block, without blanks at its ends. What must stand in no header, such as a line feed in a
    /// TLS server name, becomes `?`. Source: RFC 9110 §5.5.
    static func made(_ value: Octets, in block: HeaderBlock) -> Octets {
        var (start, end) = (0, value.count)
        while start < end, isBlank(value[start]) { start += 1 }
        while end > start, isBlank(value[end - 1]) { end -= 1 }
        let kept = value.slice(start, end)
        guard !isClean(kept) else { return block.copy(kept) }
        let clean = kept.array.map { isAllowed($0) ? $0 : UInt8(ascii: "?") }
        return clean.withOctets { block.copy($0) }
    }

    private static func isClean(_ value: Octets) -> Bool {
        for index in 0..<value.count where !isAllowed(value[index]) { return false }
        return true
    }

    private static func isAllowed(_ octet: UInt8) -> Bool { (octet >= 0x20 && octet != 0x7f) || octet == 0x09 }
    private static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 }

    /// The host of `host:port`, without the brackets of an IPv6 address.
    static func host(of address: String?) -> String {
        guard let address else { return "" }
        guard let colon = address.lastIndex(of: ":") else { return address }
        let host = address[..<colon]
        return String(host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host)
    }

    /// The port of `host:port`; empty if there is none.
    static func port(of address: String?) -> String {
        guard let address, let colon = address.lastIndex(of: ":") else { return "" }
        let port = address[address.index(after: colon)...]
        return port.allSatisfy(\.isNumber) ? String(port) : ""
    }
}
