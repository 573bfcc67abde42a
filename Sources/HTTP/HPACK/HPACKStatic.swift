internal import Octets

/// HPACK's static table, as far as an encoder needs it. Source: RFC 7541 appendix A.
enum HPACKStatic {
    /// The index of `authorization`, which no table may learn the value of (RFC 7541 §7.1.3).
    static var authorization: Int { 23 }
    /// The index of `cookie`, whose short values are not learned either.
    static var cookie: Int { 32 }
    /// The index of `proxy-authorization`, which is treated as `authorization` is.
    static var proxyAuthorization: Int { 49 }

    /// - Returns: the index of the whole field.
    @inline(__always)
    static func index(of field: HeaderField) -> Int? {
        switch field.known {
        case .method: field.value == "POST" ? 3 : field.value == "GET" ? 2 : nil
        case .scheme: field.value == "https" ? 7 : field.value == "http" ? 6 : nil
        case .status: index(ofStatus: field.value)
        case .path: field.value == "/" ? 4 : field.value == "/index.html" ? 5 : nil
        default: nil
        }
    }

    private static func index(ofStatus status: Octets) -> Int? {
        switch true {
        case status == "200": 8
        case status == "204": 9
        case status == "206": 10
        case status == "304": 11
        case status == "400": 12
        case status == "404": 13
        case status == "500": 14
        default: nil
        }
    }

    /// - Returns: an index with the field's name; 0 when there is none.
    @inline(__always)
    static func name(of field: HeaderField) -> Int {
        switch field.known {
        case .other: name(field.name)
        case .authority: 1
        case .method: 2
        case .path: 4
        case .scheme: 6
        case .status: 8
        case .contentLength: 28
        case .contentType: 31
        case .cookie: cookie
        case .date: 33
        case .expect: 35
        case .host: 38
        case .server: 54
        case .transferEncoding: 57
        case .userAgent: 58
        default: 0
        }
    }

    /// Whose value is another in nearly every section: of no use in the table, from which it would push
    /// others. `:path`, `age`, `content-length`, `etag`, `if-modified-since`, `if-none-match`, `location`,
    /// `set-cookie`, and `x-request-id`.
    @inline(__always)
    static func isPassing(_ field: HeaderField, _ name: Int) -> Bool {
        switch name {
        case 4, 21, 28, 34, 40, 41, 46, 55: true
        default: field.known == .requestID
        }
    }

    /// Names that are not among `KnownHeader`.
    private static func name(_ name: Octets) -> Int {
        switch name.count {
        case ..<8: short(name)
        case 8: name == "location" ? 46 : name == "if-match" ? 39 : name == "if-range" ? 42 : 0
        case 10: name == "set-cookie" ? 55 : 0
        case 11: name == "retry-after" ? 53 : 0
        case 12: name == "max-forwards" ? 47 : 0
        case 13: thirteen(name)
        case 14: name == "accept-charset" ? 15 : 0
        case 15: name == "accept-encoding" ? 16 : name == "accept-language" ? 17 : 0
        default: long(name)
        }
    }

    private static func short(_ name: Octets) -> Int {
        switch name.count {
        case 3: name == "via" ? 60 : name == "age" ? 21 : 0
        case 4: name == "etag" ? 34 : name == "vary" ? 59 : name == "link" ? 45 : name == "from" ? 37 : 0
        case 5: name == "range" ? 50 : name == "allow" ? 22 : 0
        case 6: name == "accept" ? 19 : 0
        case 7: name == "referer" ? 51 : name == "expires" ? 36 : name == "refresh" ? 52 : 0
        default: 0
        }
    }

    private static func thirteen(_ name: Octets) -> Int {
        switch true {
        case name == "cache-control": 24
        case name == "last-modified": 44
        case name == "authorization": authorization
        case name == "accept-ranges": 18
        case name == "if-none-match": 41
        case name == "content-range": 30
        default: 0
        }
    }

    private static func long(_ name: Octets) -> Int {
        switch name.count {
        case 16:
            name == "content-encoding"
                ? 26
                : name == "content-language"
                    ? 27 : name == "content-location" ? 29 : name == "www-authenticate" ? 61 : 0
        case 17: name == "if-modified-since" ? 40 : 0
        case 18: name == "proxy-authenticate" ? 48 : 0
        case 19:
            name == "content-disposition"
                ? 25 : name == "proxy-authorization" ? proxyAuthorization : name == "if-unmodified-since" ? 43 : 0
        case 25: name == "strict-transport-security" ? 56 : 0
        case 27: name == "access-control-allow-origin" ? 20 : 0
        default: 0
        }
    }
}
