internal import Glibc

/// The texts that names, hosts and addresses may be (istio-api.md §1.0).
enum Grammar {
    /// A DNS-1123 label: `main-server`.
    static func isLabel(_ text: some StringProtocol) -> Bool {
        let octets = text.utf8
        guard !octets.isEmpty, octets.count <= 63 else { return false }
        guard octets.first != hyphen, !text.hasSuffix("-") else { return false }
        return octets.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen }
    }

    /// Labels joined by dots: what Kubernetes takes as an object's name.
    static func isSubdomain(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 253 else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isLabel)
    }

    /// A host name; its last label is not all digits, and one trailing dot is allowed.
    static func isFQDN(_ text: some StringProtocol) -> Bool {
        var text = Substring(text)
        guard !text.isEmpty, text.utf8.count <= 255 else { return false }
        if text.hasSuffix(".") { text.removeLast() }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard let last = labels.last, !last.utf8.allSatisfy(isDigit) else { return false }
        return labels.allSatisfy(isHostLabel)
    }

    /// A host name whose first label may be `*` or begin with `*`.
    static func isWildcardDomain(_ text: String) -> Bool {
        if text == "*" { return true }
        guard text.hasPrefix("*") else { return isFQDN(text) }
        let rest = text.dropFirst()
        if rest.hasPrefix(".") { return isFQDN(rest.dropFirst()) }
        return isFQDN("a" + rest)
    }

    private static func isHostLabel(_ label: Substring) -> Bool {
        let octets = label.utf8
        guard !octets.isEmpty, octets.count <= 63 else { return false }
        guard octets.first != hyphen, octets.last != hyphen else { return false }
        return octets.allSatisfy { isAlphanumeric($0) || $0 == hyphen }
    }

    /// An IPv4 or IPv6 address, without brackets.
    static func isAddress(_ text: some StringProtocol) -> Bool {
        isIPv4(text) || isIPv6(text)
    }

    static func isIPv4(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return false }
        return parts.allSatisfy { part in
            guard !part.isEmpty, part.utf8.count <= 3, part.utf8.allSatisfy(isDigit) else { return false }
            return Int(part).map { $0 <= 255 } ?? false
        }
    }

    static func isIPv6(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= 45, text.utf8.contains(UInt8(ascii: ":")) else { return false }
        var address = in6_addr()
        return unsafe inet_pton(AF_INET6, String(text), &address) == 1
    }

    /// An address, or an address and the length of its network.
    static func isAddressOrNetwork(_ text: String) -> Bool {
        guard let slash = text.firstIndex(of: "/") else { return isAddress(text) }
        let address = text[..<slash]
        guard let length = Int(text[text.index(after: slash)...]), length >= 0 else { return false }
        return isIPv4(address) ? length <= 32 : isIPv6(address) && length <= 128
    }

    /// `unix:///path` or `unix://@name`.
    static func isUnixAddress(_ text: String) -> Bool {
        (text.hasPrefix("unix:///") && text.utf8.count > 8)
            || (text.hasPrefix("unix://@") && text.utf8.count > 8)
    }

    /// An HTTP field name (RFC 9110 token), perhaps a pseudo header.
    static func isFieldName(_ text: some StringProtocol) -> Bool {
        let octets = text.utf8
        guard !octets.isEmpty, octets.count <= 256 else { return false }
        return octets.allSatisfy {
            isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0)
        }
    }

    private static let hyphen = UInt8(ascii: "-")

    private static func isDigit(_ octet: UInt8) -> Bool { octet >= 0x30 && octet <= 0x39 }

    private static func isAlphanumeric(_ octet: UInt8) -> Bool {
        isLowerAlphanumeric(octet) || (octet >= 0x41 && octet <= 0x5A)
    }

    private static func isLowerAlphanumeric(_ octet: UInt8) -> Bool {
        isDigit(octet) || (octet >= 0x61 && octet <= 0x7A)
    }
}
