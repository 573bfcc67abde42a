internal import CLinux

/// The address of a socket: IPv4, IPv6 or Unix domain. It never resolves a name.
package struct SocketAddress: Sendable, Hashable {
    /// The kernel's form: `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
    private let octets: [UInt8]
    private let family: Int32

    /// Reads an IP address.
    /// - Parameter host: an IPv4 or IPv6 address in text, without brackets; empty for all addresses.
    /// - Returns: nil if `host` is not an address, but a name for example.
    package init?(host: String, port: UInt16) {
        // C would ignore what follows a NUL.
        guard !host.utf8.contains(0) else { return nil }
        let text = host.isEmpty ? "::" : host
        if let address = Self.inet(text, port: port) {
            self = address
            return
        }
        guard let address = Self.inet6(text, port: port) else { return nil }
        self = address
    }

    /// Makes the address of an IP address's octets, in the network's order.
    /// - Returns: nil if these are not the 4 of IPv4 or the 16 of IPv6.
    package init?(ip: [UInt8], port: UInt16) {
        switch ip.count {
        case 4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &address.sin_addr) { unsafe $0.copyBytes(from: ip) }
            self.init(octets: Self.bytes(of: address, count: MemoryLayout<sockaddr_in>.size), family: AF_INET)
        case 16:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &address.sin6_addr) { unsafe $0.copyBytes(from: ip) }
            self.init(octets: Self.bytes(of: address, count: MemoryLayout<sockaddr_in6>.size), family: AF_INET6)
        default: return nil
        }
    }

    /// Makes the address of a Unix socket.
    /// - Parameter path: at most 107 octets, none of them NUL; `@name` is the abstract name space.
    package init?(unixPath path: String) {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room, !bytes.contains(0) else { return nil }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            unsafe target.copyBytes(from: bytes)
            if bytes[0] == UInt8(ascii: "@") { unsafe target[0] = 0 }
        }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        let length = MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1)
        octets = Self.bytes(of: address, count: length)
        family = AF_UNIX
    }

    init?(_ storage: sockaddr_storage, length: socklen_t) {
        octets = Self.bytes(of: storage, count: min(Int(length), MemoryLayout<sockaddr_storage>.size))
        family = Int32(storage.ss_family)
    }

    package var isUnix: Bool { family == AF_UNIX }
    /// Whether it is an IPv6 address, mapped IPv4 addresses included.
    package var isIPv6: Bool { family == AF_INET6 }
    /// The first argument of `socket`: `AF_INET`, `AF_INET6` or `AF_UNIX`.
    var domain: Int32 { family }

    /// The path for `init?(unixPath:)`; nil for other families and for sockets without a name.
    var unixPath: String? {
        guard isUnix, octets.count > 2 else { return nil }
        let name = octets[3...].prefix { $0 != 0 }
        let first = octets[2] == 0 ? UInt8(ascii: "@") : octets[2]
        return String(decoding: [first] + name, as: UTF8.self)
    }

    /// Calls `body` with the kernel's form of the address, which is valid during the call.
    func withKernelForm<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        unsafe octets.withUnsafeBytes { bytes in
            let base = unsafe bytes.baseAddress.unsafelyUnwrapped
            return unsafe body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }

    /// The address without port, as in `x-forwarded-for`; an IPv4 address mapped into IPv6 as IPv4.
    package var host: String {
        let address = ipOctets
        if address.isEmpty { return "unix" }
        if address.count == 4 { return address.map { String($0) }.joined(separator: ".") }
        return Self.text(address)
    }

    /// The 4 octets of an IPv4 address, mapped ones included, or the 16 of an IPv6 address; empty for Unix sockets.
    package var ipOctets: [UInt8] {
        if family == AF_INET, octets.count >= 8 { return Array(octets[4..<8]) }
        guard family == AF_INET6, octets.count >= 24 else { return [] }
        let address = Array(octets[8..<24])
        let isMapped = address[0..<10].allSatisfy { $0 == 0 } && address[10] == 0xff && address[11] == 0xff
        return isMapped ? Array(address[12...]) : address
    }

    /// Whether it stands for all addresses, of IPv4 or of both.
    package var isEveryAddress: Bool { !isUnix && ipOctets.allSatisfy { $0 == 0 } }

    /// The port; 0 for Unix sockets.
    package var port: UInt16 {
        guard family != AF_UNIX, octets.count >= 4 else { return 0 }
        return UInt16(octets[2]) << 8 | UInt16(octets[3])
    }

    private static func inet(_ text: String, port: UInt16) -> SocketAddress? {
        var address = sockaddr_in()
        guard unsafe inet_pton(AF_INET, text, &address.sin_addr) == 1 else { return nil }
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return SocketAddress(octets: bytes(of: address, count: MemoryLayout<sockaddr_in>.size), family: AF_INET)
    }

    private static func inet6(_ text: String, port: UInt16) -> SocketAddress? {
        var address = sockaddr_in6()
        guard unsafe inet_pton(AF_INET6, text, &address.sin6_addr) == 1 else { return nil }
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        return SocketAddress(octets: bytes(of: address, count: MemoryLayout<sockaddr_in6>.size), family: AF_INET6)
    }

    private init(octets: [UInt8], family: Int32) {
        self.octets = octets
        self.family = family
    }

    private static func bytes<Value>(of value: Value, count: Int) -> [UInt8] {
        unsafe withUnsafeBytes(of: value) { unsafe Array($0.prefix(count)) }
    }

    private static func text(_ address: [UInt8]) -> String {
        var room = [CChar](repeating: 0, count: 64)
        let isText = unsafe address.withUnsafeBytes { source in
            unsafe inet_ntop(AF_INET6, source.baseAddress, &room, socklen_t(room.count)) != nil
        }
        return isText ? String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "?"
    }
}

extension SocketAddress: CustomStringConvertible {
    package var description: String {
        if isUnix { return unixPath.map { "unix:\($0)" } ?? "unix" }
        return isIPv6 && host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
