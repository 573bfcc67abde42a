public import Octets

/// The header names that the gateway looks at; everything else is `other`.
/// Source: RFC 9113 §8.3 (pseudo-header fields), RFC 9110, "gRPC over HTTP/2".
@frozen @usableFromInline
package enum KnownHeader: UInt8, Sendable {
    case other, method, scheme, authority, path, status, `protocol`
    case host, connection, keepAlive, proxyConnection, transferEncoding, upgrade, te, trailer
    case contentLength, contentType, expect, cookie, date, server, userAgent
    case forwardedFor, forwardedProto, forwardedClientCert, requestID, http2Settings
    case grpcTimeout, grpcStatus, grpcMessage, reserved

    /// Whether it is one name and no other.
    @inlinable @inline(__always)
    package var isExact: Bool {
        switch self {
        case .other, .reserved: false
        default: true
        }
    }

    /// The name itself; empty for `other` and `reserved`, which have many.
    @inlinable
    package var name: Octets {
        switch self {
        case .other, .reserved: .empty
        case .method: ":method"
        case .scheme: ":scheme"
        case .authority: ":authority"
        case .path: ":path"
        case .status: ":status"
        case .protocol: ":protocol"
        case .host: "host"
        case .connection: "connection"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .transferEncoding: "transfer-encoding"
        case .upgrade: "upgrade"
        case .te: "te"
        case .trailer: "trailer"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .expect: "expect"
        case .cookie: "cookie"
        case .date: "date"
        case .server: "server"
        case .userAgent: "user-agent"
        case .forwardedFor: "x-forwarded-for"
        case .forwardedProto: "x-forwarded-proto"
        case .forwardedClientCert: "x-forwarded-client-cert"
        case .requestID: "x-request-id"
        case .http2Settings: "http2-settings"
        case .grpcTimeout: "grpc-timeout"
        case .grpcStatus: "grpc-status"
        case .grpcMessage: "grpc-message"
        }
    }

    /// Finds the name's case; names are lower-case already.
    package init(name: Octets) {
        if name.first == UInt8(ascii: "x") {
            self = KnownHeader.findExtended(name)
        } else {
            self = name.count < 13 ? KnownHeader.findShort(name) : KnownHeader.findLong(name)
        }
    }

    /// The names that begin with `x`, as most do that a rule sets: none of the others is compared.
    private static func findExtended(_ name: Octets) -> KnownHeader {
        let exact: KnownHeader =
            switch name.count {
            case 12: name == "x-request-id" ? .requestID : .other
            case 15: name == "x-forwarded-for" ? .forwardedFor : .other
            case 17: name == "x-forwarded-proto" ? .forwardedProto : .other
            case 23: name == "x-forwarded-client-cert" ? .forwardedClientCert : .other
            default: .other
            }
        if case .other = exact, isReserved(name) { return .reserved }
        return exact
    }

    private static func findShort(_ name: Octets) -> KnownHeader {
        switch name.count {
        case 2: name == "te" ? .te : .other
        case 4: name == "host" ? .host : name == "date" ? .date : .other
        case 5: name == ":path" ? .path : .other
        case 6:
            name == "expect"
                ? .expect : name == "cookie" ? .cookie : name == "server" ? .server : .other
        case 7:
            name == ":method"
                ? .method
                : name == ":scheme"
                    ? .scheme
                    : name == ":status"
                        ? .status
                        : name == "upgrade" ? .upgrade : name == "trailer" ? .trailer : .other
        case 9: name == ":protocol" ? .protocol : .other
        case 10:
            name == ":authority"
                ? .authority
                : name == "connection"
                    ? .connection
                    : name == "keep-alive" ? .keepAlive : name == "user-agent" ? .userAgent : .other
        case 11: name == "grpc-status" ? .grpcStatus : .other
        case 12:
            name == "content-type"
                ? .contentType
                : name == "grpc-timeout"
                    ? .grpcTimeout : name == "grpc-message" ? .grpcMessage : .other
        default: .other
        }
    }

    private static func findLong(_ name: Octets) -> KnownHeader {
        switch name.count {
        case 14: name == "content-length" ? .contentLength : name == "http2-settings" ? .http2Settings : .other
        case 16: name == "proxy-connection" ? .proxyConnection : .other
        case 17: name == "transfer-encoding" ? .transferEncoding : .other
        default: .other
        }
    }

    /// Names that only the gateway may say: all of `x-envoy-`, and what a CGI or WSGI server takes for a field
    /// of the gateway's, because `_` and `-` are one character there.
    /// Source: envoyproxy/envoy docs/root/configuration/best_practices/edge.rst.
    private static func isReserved(_ name: Octets) -> Bool {
        guard name.count > 8, name[0] == UInt8(ascii: "x") else { return false }
        if name.hasPrefix("x-envoy-") { return true }
        guard name.firstIndex(of: UInt8(ascii: "_")) != nil else { return false }
        if equalsWithDashes(name.prefix(8), "x-envoy-") { return true }
        for said in saidByGateway where equalsWithDashes(name, said) { return true }
        return false
    }

    private static let saidByGateway: [Octets] = [
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-client-cert", "x-request-id",
    ]

    private static func equalsWithDashes(_ name: Octets, _ dashed: Octets) -> Bool {
        guard name.count == dashed.count else { return false }
        for index in 0..<name.count {
            let octet = name[index] == UInt8(ascii: "_") ? UInt8(ascii: "-") : name[index]
            guard octet == dashed[index] else { return false }
        }
        return true
    }

    /// Hop-by-hop fields that never cross the gateway. Source: RFC 9110 §7.6.1, RFC 9113 §8.2.2.
    package var isHopByHop: Bool { KnownHeaders.hopByHop.contains(self) }
}

/// A set of kinds of fields.
@frozen @usableFromInline
package struct KnownHeaders: BitwiseCopyable, Sendable {
    @usableFromInline let bits: UInt32    // by `KnownHeader`

    @inlinable @inline(__always) init(bits: UInt32) { self.bits = bits }

    /// A set of one name.
    @inlinable @inline(__always)
    package init(_ known: KnownHeader) { bits = 1 &<< UInt32(known.rawValue) }

    @inlinable @inline(__always)
    package static var none: KnownHeaders { KnownHeaders(bits: 0) }

    @inlinable @inline(__always)
    package static func | (left: KnownHeaders, right: KnownHeaders) -> KnownHeaders {
        KnownHeaders(bits: left.bits | right.bits)
    }

    @inlinable @inline(__always)
    package static func | (left: KnownHeaders, right: KnownHeader) -> KnownHeaders {
        left | KnownHeaders(right)
    }

    /// Whether the name is in the set; exact, unlike what `NameSet` says.
    @inlinable @inline(__always)
    package func contains(_ known: KnownHeader) -> Bool { bits & 1 &<< UInt32(known.rawValue) != 0 }

    /// Whether a name is in both sets.
    @inlinable @inline(__always)
    func meets(_ other: KnownHeaders) -> Bool { bits & other.bits != 0 }

    /// Fields that never cross the gateway. Source: RFC 9110 §7.6.1, RFC 9113 §8.2.2.
    @inlinable @inline(__always)
    package static var hopByHop: KnownHeaders {
        KnownHeaders(.connection) | .keepAlive | .proxyConnection | .transferEncoding | .upgrade | .http2Settings
    }
}
