internal import CNghttp2
internal import Octets

/// What nghttp2 checks of names and values of fields, octet by octet. It reads during the call only, and keeps no
/// pointer.
enum FieldSyntax {
    /// Source: RFC 9113 §8.2.1.
    @inline(__always)
    static func isName(_ name: Octets) -> Bool { unsafe nghttp2_check_header_name(pointer(name), name.count) != 0 }

    /// Source: RFC 9113 §8.2.1.
    @inline(__always)
    static func isValue(_ value: Octets) -> Bool {
        unsafe nghttp2_check_header_value_rfc9113(pointer(value), value.count) != 0
    }

    /// Source: RFC 9110 §9.1.
    @inline(__always)
    static func isMethod(_ value: Octets) -> Bool { unsafe nghttp2_check_method(pointer(value), value.count) != 0 }

    /// Source: RFC 3986 §3.2.
    @inline(__always)
    static func isAuthority(_ value: Octets) -> Bool {
        unsafe nghttp2_check_authority(pointer(value), value.count) != 0
    }

    /// Source: RFC 3986 §3.3.
    @inline(__always)
    static func isPath(_ value: Octets) -> Bool { unsafe nghttp2_check_path(pointer(value), value.count) != 0 }

    @inline(__always)
    private static func pointer(_ octets: Octets) -> UnsafePointer<UInt8>? {
        unsafe octets.base?.assumingMemoryBound(to: UInt8.self)
    }
}
