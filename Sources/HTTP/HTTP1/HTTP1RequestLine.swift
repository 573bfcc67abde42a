internal import Octets

/// `method SP request-target SP HTTP-version`, with exactly one space each.
/// Source: RFC 9112 §3.
struct HTTP1RequestLine {
    let method: Octets
    let form: Form
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    let minorVersion: UInt8

    /// The forms of a request target (RFC 9112 §3.2).
    enum Form {
        case origin(path: Octets)
        /// Its authority wins over `host`. The path may be empty or begin with `?`.
        case absolute(authority: Octets, path: Octets)
        case asterisk
        /// CONNECT only.
        case authority(Octets)
    }

    init(_ line: Octets, scheme: HTTP1Parser.Scheme) throws(HTTP1Error) {
        guard let first = line.firstIndex(of: 0x20) else { throw .syntax }
        method = line.prefix(first)
        guard HTTP1Syntax.isToken(method) else { throw .syntax }
        let rest = line.dropFirst(first + 1)
        let second = rest.firstIndex(of: 0x20) ?? rest.count
        let target = rest.prefix(second)
        guard HTTP1Syntax.isTarget(target) else { throw .syntax }
        minorVersion = try Self.minorVersion(rest.dropFirst(second + 1))
        form = try Self.form(target, method: method, scheme: scheme)
    }

    /// HTTP/1.1 or HTTP/1.0, written so. A line without a version is HTTP/0.9's.
    private static func minorVersion(_ version: Octets) throws(HTTP1Error) -> UInt8 {
        if version == "HTTP/1.1" { return 1 }
        if version == "HTTP/1.0" { return 0 }
        if version.isEmpty || version == "HTTP/0.9" { throw .oldVersion }
        let isVersion =
            version.count == 8 && version.hasPrefix("HTTP/") && version[5].isDigit
            && version[6] == UInt8(ascii: ".") && version[7].isDigit
        throw isVersion ? .unknownVersion : .syntax
    }

    private static func form(
        _ target: Octets, method: Octets, scheme: HTTP1Parser.Scheme
    ) throws(HTTP1Error) -> Form {
        if method == "CONNECT" {
            guard HTTP1Syntax.isAuthority(target), target.lastIndex(of: UInt8(ascii: ":")) != nil
            else { throw .invalidTarget }
            return .authority(target)
        }
        if target[0] == UInt8(ascii: "/") { return .origin(path: target) }
        if target == "*" {
            guard method == "OPTIONS" else { throw .invalidTarget }
            return .asterisk
        }
        return try absolute(target, scheme: scheme)
    }

    private static func absolute(
        _ target: Octets, scheme: HTTP1Parser.Scheme
    ) throws(HTTP1Error) -> Form {
        let skipped: Int
        if target.prefix(7).equalsIgnoringCase("http://") {
            skipped = 7
        } else if target.prefix(8).equalsIgnoringCase("https://") {
            guard scheme == .https else { throw .secureTargetOnClearText }
            skipped = 8
        } else {
            throw .invalidTarget
        }
        let rest = target.dropFirst(skipped)
        var end = 0
        while end < rest.count, !"/?#".utf8.contains(rest[end]) { end += 1 }
        let authority = rest.prefix(end)
        guard !authority.isEmpty, HTTP1Syntax.isAuthority(authority) else { throw .invalidAuthority }
        return .absolute(authority: authority, path: rest.dropFirst(end))
    }
}

/// `HTTP-version SP status-code [SP reason-phrase]`. Source: RFC 9112 §4.
struct HTTP1StatusLine {
    let minorVersion: UInt8
    let code: Octets    // three digits
    let status: UInt16

    init(_ line: Octets) throws(HTTP1Error) {
        guard line.count >= 12, line[8] == 0x20 else { throw .syntax }
        guard line.hasPrefix("HTTP/1.0") || line.hasPrefix("HTTP/1.1") else { throw .syntax }
        minorVersion = line[7] &- 0x30
        code = line.slice(9, 12)
        guard let number = HTTP1Syntax.length(code), number >= 100 else { throw .syntax }
        status = UInt16(truncatingIfNeeded: number)    // three digits
        let rest = line.dropFirst(12)
        guard rest.isEmpty || rest[0] == 0x20 else { throw .syntax }
        guard HTTP1Syntax.isFieldValue(rest) else { throw .invalidCharacters }
    }
}
