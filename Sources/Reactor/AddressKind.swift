/// What kind of IP address it is; one that is IPv4 mapped into IPv6 is taken as IPv4.
extension SocketAddress {
    /// 127.0.0.0/8 and ::1.
    package var isLoopback: Bool {
        let octets = ipOctets
        if octets.count == 4 { return octets[0] == 127 }
        return octets.count == 16 && octets[..<15].allSatisfy { $0 == 0 } && octets[15] == 1
    }

    /// 0.0.0.0 and `::`: as a place to listen all addresses, as a place to connect to this machine.
    package var isUnspecified: Bool {
        let octets = ipOctets
        return !octets.isEmpty && octets.allSatisfy { $0 == 0 }
    }

    /// 169.254.0.0/16, where clouds have their metadata, and fe80::/10.
    package var isLinkLocal: Bool {
        let octets = ipOctets
        if octets.count == 4 { return octets[0] == 169 && octets[1] == 254 }
        return octets.count == 16 && octets[0] == 0xfe && octets[1] & 0xc0 == 0x80
    }

    /// Whether a connection to this address arrives at a listener that is bound to `listener`, as far as
    /// the addresses alone tell: not for all addresses and one of this machine's that is no loopback.
    package func reaches(_ listener: SocketAddress) -> Bool {
        guard port == listener.port, !ipOctets.isEmpty else { return false }
        if listener.isUnspecified { return isLoopback || isUnspecified }
        // 0.0.0.0 and :: are the loopback address of their family.
        if isUnspecified { return listener.host == "127.0.0.1" || listener.host == "::1" }
        return ipOctets == listener.ipOctets
    }
}
