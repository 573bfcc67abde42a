internal import Octets

/// HPACK's static table, as far as an encoder needs it. Source: RFC 7541 appendix A.
enum HPACKStatic {
    static let authorization = 23
    static let cookie = 32
    static let proxyAuthorization = 49

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

    private static func name(_ name: Octets) -> Int {
        guard name.count >= 3, name.count <= 27 else { return 0 }
        for (candidate, index) in names[name.count] where name == candidate { return index }
        return 0
    }

    /// By their length; those of `KnownHeader` are not among them.
    private static let names: [[(Octets, Int)]] = {
        let all: [(Octets, Int)] = [
            ("accept-charset", 15), ("accept-encoding", 16), ("accept-language", 17), ("accept-ranges", 18),
            ("accept", 19), ("access-control-allow-origin", 20), ("age", 21), ("allow", 22),
            ("authorization", authorization), ("cache-control", 24), ("content-disposition", 25),
            ("content-encoding", 26), ("content-language", 27), ("content-location", 29), ("content-range", 30),
            ("etag", 34), ("expires", 36), ("from", 37), ("if-match", 39), ("if-modified-since", 40),
            ("if-none-match", 41), ("if-range", 42), ("if-unmodified-since", 43), ("last-modified", 44),
            ("link", 45), ("location", 46), ("max-forwards", 47), ("proxy-authenticate", 48),
            ("proxy-authorization", proxyAuthorization), ("range", 50), ("referer", 51), ("refresh", 52),
            ("retry-after", 53), ("set-cookie", 55), ("strict-transport-security", 56), ("vary", 59), ("via", 60),
            ("www-authenticate", 61),
        ]
        return (0...27).map { length in all.filter { $0.0.count == length } }
    }()
}
