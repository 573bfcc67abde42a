internal import Glibc

/// A network of IP addresses: an address and how many of its first bits count. IPv4 addresses that are mapped into IPv6
/// count as IPv4. Source: RFC 4632 §3.1, RFC 4291 §2.3.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    private let octets: [UInt8]    // 4 or 16
    private let bits: Int
    /// The network as it was written.
    package let description: String

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone, which is a network of one.
    /// - Returns: nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = Self.octets(ofAddress: String(parts[0])) else { return nil }
        var length = address.count * 8
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard digits.count <= 3, digits.allSatisfy(\.isDigit), let written = Int(parts[1]), written <= length
            else { return nil }
            length = written
        }
        octets = address
        bits = length
        description = text
    }

    /// Whether an address is in the network.
    /// - Parameter address: 4 octets of IPv4 or 16 of IPv6; empty, as of a Unix socket, is in none.
    package func contains(_ address: [UInt8]) -> Bool {
        guard address.count == octets.count else { return false }
        let whole = bits / 8
        guard address[..<whole].elementsEqual(octets[..<whole]) else { return false }
        let rest = bits % 8
        return rest == 0 || (address[whole] ^ octets[whole]) >> UInt8(8 - rest) == 0
    }

    /// The octets of an address in text, 4 of IPv4 or 16 of IPv6; nil if it is none.
    package static func octets(ofAddress text: String) -> [UInt8]? {
        // C would ignore what follows a NUL.
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        if unsafe inet_pton(AF_INET, text, &four) == 1 {
            return unsafe withUnsafeBytes(of: four) { unsafe Array($0) }
        }
        var sixteen = in6_addr()
        guard unsafe inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
        return unsafe withUnsafeBytes(of: sixteen) { unsafe Array($0) }
    }

    /// Loopback addresses and those that are not routed on the Internet.
    /// Source: RFC 1122 §3.2.1.3, RFC 1918 §3, RFC 6598 §7, RFC 3927 §2.1, RFC 4193 §3, RFC 4291 §2.5.
    package static let privateNetworks = [
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
        "::1", "fc00::/7", "fe80::/10",
    ].compactMap { AddressRange($0) }
}

extension [AddressRange] {
    /// Whether an address is in one of the networks; see `AddressRange.contains`.
    package func contain(_ address: [UInt8]) -> Bool { contains { $0.contains(address) } }
}
