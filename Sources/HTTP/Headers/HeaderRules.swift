internal import Octets

/// What a header section of HTTP/2 must look like, checked field by field.
/// Source: RFC 9113 §8.2 and §8.3, RFC 9110 §5 and §8.6. Names and values by nghttp2's tables.
struct HeaderRules {
    /// What kind of section it is: each may have other pseudo-header fields.
    enum Kind { case request, response, trailers }

    let kind: Kind
    private(set) var contentLength: Int64 = -1
    private(set) var status = 0
    private var hasRegular = false
    private var hasMethod = false
    private var hasScheme = false
    private var hasAuthority = false
    private var hasHost = false
    private var hasPath = false
    private var hasProtocol = false
    private var isConnect = false
    private var isOptions = false
    private var isPathAsterisk = false

    init(_ kind: Kind) { self.kind = kind }

    /// No other section but trailers follows.
    var isFinal: Bool { kind == .request || (kind == .response && status >= 200) }
    /// An interim response, as far as the section was read.
    var isInterim: Bool { kind == .response && status != 0 && status < 200 }
    /// A response that has no body and no length; what it says of one is disregarded. Source: RFC 9110 §8.6.
    var hasNoLength: Bool { kind == .response && status != 0 && (status < 200 || status == 204) }
    /// The section says that no body follows, whatever its length.
    var hasNoBody: Bool { kind == .response && (status == 204 || status == 304) }

    /// - Returns: false when the section is malformed.
    @inline(__always)
    mutating func accept(_ known: KnownHeader, _ name: Octets, _ value: Octets) -> Bool {
        if name.count > 0, name[0] == UInt8(ascii: ":") { return acceptPseudo(known, value) }
        hasRegular = true
        if !known.isExact {
            guard FieldSyntax.isName(name) else { return false }
        }
        guard Self.isValue(value) else { return false }
        switch known {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: return false
        case .te: return value.equalsIgnoringCase("trailers")
        case .contentLength: return acceptLength(value)
        case .host: return acceptHost(value)
        default: return true
        }
    }

    private mutating func acceptPseudo(_ known: KnownHeader, _ value: Octets) -> Bool {
        guard !hasRegular else { return false }
        switch (kind, known) {
        case (.request, .method) where !hasMethod:
            hasMethod = true
            isConnect = value == "CONNECT"
            isOptions = value == "OPTIONS"
            return FieldSyntax.isMethod(value)
        case (.request, .scheme) where !hasScheme:
            hasScheme = true
            return Self.isScheme(value)
        case (.request, .authority) where !hasAuthority:
            hasAuthority = true
            return FieldSyntax.isAuthority(value)
        case (.request, .path) where !hasPath:
            hasPath = true
            isPathAsterisk = value == "*"
            guard value.count > 0, isPathAsterisk || value[0] == UInt8(ascii: "/") else { return false }
            return FieldSyntax.isPath(value)
        case (.request, .protocol) where !hasProtocol:
            hasProtocol = true
            return HTTP1Syntax.isToken(value)
        case (.response, .status) where status == 0: return acceptStatus(value)
        default: return false
        }
    }

    private mutating func acceptStatus(_ value: Octets) -> Bool {
        guard value.count == 3, value[0].isDigit, value[1].isDigit, value[2].isDigit else { return false }
        status = Int(value[0] - 0x30) * 100 + Int(value[1] - 0x30) * 10 + Int(value[2] - 0x30)
        return status >= 100 && status != 101    // no upgrades in HTTP/2: RFC 9113 §8.6
    }

    private mutating func acceptLength(_ value: Octets) -> Bool {
        guard kind != .trailers, contentLength < 0, (1...18).contains(value.count) else { return false }
        var length: Int64 = 0
        for index in 0..<value.count {
            guard value[index].isDigit else { return false }
            length = length * 10 + Int64(value[index] - 0x30)
        }
        contentLength = length
        return true
    }

    private mutating func acceptHost(_ value: Octets) -> Bool {
        guard kind == .request else { return true }
        guard !hasHost else { return false }
        hasHost = true
        return FieldSyntax.isAuthority(value)
    }

    /// The section has all that it must have.
    func isComplete(endsStream: Bool) -> Bool {
        switch kind {
        case .trailers: return endsStream
        case .response:
            return status >= 200 || (status >= 100 && !endsStream)
        case .request:
            guard hasMethod else { return false }
            // With `:protocol` it has what other requests have. Source: RFC 8441 §4.
            if hasProtocol { return isConnect && hasAuthority && hasScheme && hasPath && !isPathAsterisk }
            if isConnect { return hasAuthority && !hasScheme && !hasPath && contentLength < 0 }
            if isPathAsterisk, !isOptions { return false }
            return hasScheme && hasPath && (hasAuthority || hasHost)
        }
    }

    /// Most values are visible text throughout; nghttp2 checks the others.
    @inline(__always)
    private static func isValue(_ value: Octets) -> Bool {
        guard value.isPlainText, value[0] > 0x20, value[value.count - 1] > 0x20 else {
            return FieldSyntax.isValue(value)
        }
        return true
    }

    /// Source: RFC 3986 §3.1.
    private static func isScheme(_ value: Octets) -> Bool {
        if value == "http" || value == "https" { return true }
        guard value.count > 0, isLetter(value[0]) else { return false }
        for index in 1..<value.count {
            let octet = value[index]
            let isOther = octet == UInt8(ascii: "+") || octet == UInt8(ascii: "-") || octet == UInt8(ascii: ".")
            guard isLetter(octet) || octet.isDigit || isOther else { return false }
        }
        return true
    }

    private static func isLetter(_ octet: UInt8) -> Bool { octet.lowercased &- 0x61 < 26 }
}
