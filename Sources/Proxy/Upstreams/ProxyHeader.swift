internal import Reactor
internal import Routing

/// The header of the PROXY protocol: what an endpoint is to know of the client, in front of everything else.
/// Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.1, §2.2).
enum ProxyHeader {
    static let signature: [UInt8] = [
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
    ]

    /// The header for a client's connection.
    /// - Parameters:
    ///   - source: the client's address.
    ///   - destination: the address to which the client has connected.
    static func octets(_ version: ProxyVersion, from source: SocketAddress?, to destination: SocketAddress?) -> [UInt8]
    {
        guard let source, let destination, !source.ipOctets.isEmpty,
            source.ipOctets.count == destination.ipOctets.count
        else { return unknown(version) }
        switch version {
        case .v1: return text(source, destination)
        case .v2: return binary(source, destination)
        }
    }

    /// The header of a connection that is no client's, or that of a client without an IP address.
    static func unknown(_ version: ProxyVersion) -> [UInt8] {
        switch version {
        case .v1: Array("PROXY UNKNOWN\r\n".utf8)
        case .v2: signature + [0x20, 0, 0, 0]
        }
    }

    private static func text(_ source: SocketAddress, _ destination: SocketAddress) -> [UInt8] {
        let family = source.ipOctets.count == 4 ? "TCP4" : "TCP6"
        return Array("PROXY \(family) \(source.host) \(destination.host) \(source.port) \(destination.port)\r\n".utf8)
    }

    private static func binary(_ source: SocketAddress, _ destination: SocketAddress) -> [UInt8] {
        let addresses = source.ipOctets + destination.ipOctets
        let ports = [source.port, destination.port].flatMap {
            [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)]
        }
        let isIPv4 = addresses.count == 8
        let octets = addresses + ports    // 12 or 36
        return signature + [0x21, isIPv4 ? 0x11 : 0x21, 0, UInt8(truncatingIfNeeded: octets.count)] + octets
    }
}
