internal import Octets

/// Which texts are valid as names, hosts and addresses. Source: docs/istio.md, Values.
enum Grammar {
    /// Whether a text is a DNS-1123 label, such as `main-server`, of at most 63 characters.
    static func isLabel(_ text: some StringProtocol) -> Bool {
        text.utf8.count <= 63 && isPartOfName(text)
    }

    /// Whether a text may stand between two dots of an object's name: as a label, but of any length.
    private static func isPartOfName(_ text: some StringProtocol) -> Bool {
        let octets = text.utf8
        guard let first = octets.first, first != hyphen else { return false }
        var last: UInt8 = 0
        for octet in octets {
            guard isLowerAlphanumeric(octet) || octet == hyphen else { return false }
            last = octet
        }
        return last != hyphen
    }

    /// Whether Kubernetes allows the text as the name of most objects: at most 253 characters, and the parts between
    /// the dots have no limit of their own.
    static func isSubdomain(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 253 else { return false }
        if isPartOfName(text) { return true }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isPartOfName)
    }

    /// Whether a text is a host name: its last label is not all digits, and one dot may follow it.
    static func isFQDN(_ text: some StringProtocol) -> Bool {
        let octets = text.utf8
        guard octets.count <= 255 else { return false }
        var length = 0
        var isNumber = true
        var last: UInt8 = 0
        var dots = 0
        for octet in octets {
            if octet == UInt8(ascii: ".") {
                guard length > 0, last != hyphen else { return false }
                (length, last, dots) = (0, 0, dots + 1)
                continue
            }
            guard isAlphanumeric(octet) || (octet == hyphen && length > 0) else { return false }
            if length == 0 { isNumber = true }
            length += 1
            guard length <= 63 else { return false }
            if !isDigit(octet) { isNumber = false }
            last = octet
        }
        // After a dot at the end, `isNumber` still describes the label before it.
        return !isNumber && last != hyphen && (length > 0 || dots > 0)
    }

    /// Whether a text is a host name whose first label may be `*` or begin with `*`.
    static func isWildcardDomain(_ text: String) -> Bool {
        if text == "*" { return true }
        guard text.hasPrefix("*") else { return isFQDN(text) }
        let rest = text.dropFirst()
        if rest.hasPrefix(".") { return isFQDN(rest.dropFirst()) }
        return isFQDN("a" + rest)
    }

    /// Whether a name is one that Istio makes for traffic between clusters:
    /// `outbound_.80_._.shop.default.svc.cluster.local`.
    static func isGeneratedSNIHost(_ text: String) -> Bool {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0] == "outbound", text.utf8.count <= 255 else { return false }
        guard let port = Int(parts[1].drop { $0 == "." }), (1...65535).contains(port) else { return false }
        let subset = parts[2].filter { $0 != "." }
        guard subset.isEmpty || isLabel(subset) else { return false }
        return isFQDN(parts[3...].joined(separator: "_").drop { $0 == "." })
    }

    /// Whether a text is an IPv4 or IPv6 address, without brackets.
    static func isAddress(_ text: some StringProtocol) -> Bool {
        isIPv4(text) || isIPv6(text)
    }

    /// Whether a text is an IPv4 address: four decimal numbers.
    static func isIPv4(_ text: some StringProtocol) -> Bool {
        var parts = 1
        var value = 0
        var digits = 0
        for octet in text.utf8 {
            if octet == UInt8(ascii: ".") {
                guard digits > 0 else { return false }
                (parts, value, digits) = (parts + 1, 0, 0)
                continue
            }
            guard isDigit(octet), digits < 3 else { return false }
            value = value * 10 + Int(octet - 0x30)
            digits += 1
            guard value <= 255 else { return false }
        }
        return parts == 4 && digits > 0
    }

    /// Whether a text is an IPv6 address, without brackets and without a zone.
    static func isIPv6(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= 45, text.utf8.contains(UInt8(ascii: ":")) else { return false }
        return AddressRange.octets(ofAddress: String(text))?.count == 16
    }

    /// Whether a text is an address, with or without the length of its network.
    static func isAddressOrNetwork(_ text: String) -> Bool {
        guard let slash = text.firstIndex(of: "/") else { return isAddress(text) }
        let address = text[..<slash]
        guard let length = Int(text[text.index(after: slash)...]), length >= 0 else { return false }
        return isIPv4(address) ? length <= 32 : isIPv6(address) && length <= 128
    }

    /// Whether a text is `unix:///path` or `unix://@name`.
    static func isUnixAddress(_ text: String) -> Bool {
        (text.hasPrefix("unix:///") && text.utf8.count > 8 && !text.hasSuffix("/"))
            || (text.hasPrefix("unix://@") && text.utf8.count > 8)
    }

    /// Whether a text is the name of a header field or pseudo-header field. Source: RFC 9110 §5.1.
    static func isFieldName(_ text: some StringProtocol) -> Bool {
        let octets = text.utf8
        guard !octets.isEmpty, octets.count <= 256 else { return false }
        return octets.allSatisfy {
            isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0)
        }
    }

    /// Whether a text is a host's name or address, perhaps with a port: what may stand in `:authority`. Addresses of
    /// version 6 are in brackets. Source: RFC 3986 §3.2.2.
    static func isAuthority(_ text: String) -> Bool {
        let octets = Array(text.utf8)
        guard !octets.isEmpty, octets.count <= 261 else { return false }
        let host: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]"), isIPv6(text[text.index(after: text.startIndex)..<end]) else {
                return false
            }
            host = text[...end]
        } else {
            host = text.prefix { $0 != ":" }
            let isName = host.utf8.allSatisfy { isAlphanumeric($0) || "-._".utf8.contains($0) }
            guard isName, !host.isEmpty else { return false }
        }
        let rest = text[host.endIndex...]
        guard rest.hasPrefix(":") else { return rest.isEmpty }
        guard rest.utf8.dropFirst().allSatisfy(isDigit), let port = Int(rest.dropFirst()) else { return false }
        return (1...65535).contains(port)
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
