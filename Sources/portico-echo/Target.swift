internal import HTTP
internal import Octets

/// The URL of the calls: `grpc://host:port/pkg.Service/Method`, or grpcs, http or https.
struct Target {
    let isGRPC: Bool
    /// Whether calls go over TLS.
    let isSecure: Bool
    let host: String
    let port: UInt16
    let path: String    // empty if the URL has none
    let authority: String

    init?(_ url: String) {
        guard let mark = url.firstRange(of: "://") else { return nil }
        switch url[..<mark.lowerBound] {
        case "grpc": (isGRPC, isSecure) = (true, false)
        case "grpcs": (isGRPC, isSecure) = (true, true)
        case "http": (isGRPC, isSecure) = (false, false)
        case "https": (isGRPC, isSecure) = (false, true)
        default: return nil
        }
        let rest = url[mark.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        authority = String(rest[..<slash])
        path = String(rest[slash...])
        let text =
            authority.contains(":") && !authority.hasSuffix("]")
            ? authority : authority + (isSecure ? ":443" : ":80")
        guard let place = HostAndPort(text), !place.host.isEmpty else { return nil }
        host = place.host
        port = place.port
    }
}

/// A request header of `-H 'name: value'`.
struct ExtraHeader {
    let name: String
    let value: String

    init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else { return nil }
        name = text[..<colon].lowercased()
        value = String(text[text.index(after: colon)...].drop { $0 == " " })
        let isToken = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
        guard isToken, value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else { return nil }
    }
}
