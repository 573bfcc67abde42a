// The kinds of IP addresses. An IPv4 address that is mapped into IPv6 counts as IPv4.
extension SocketAddress {
    /// Whether the address is in 127.0.0.0/8, or is ::1.
    package var isLoopback: Bool {
        let octets = ipOctets
        if octets.count == 4 { return octets[0] == 127 }
        return octets.count == 16 && octets[..<15].allSatisfy { $0 == 0 } && octets[15] == 1
    }

    /// Whether the address is 0.0.0.0 or `::`. A listener with it accepts on all addresses; a connection to it goes to
    /// this machine.
    package var isUnspecified: Bool {
        let octets = ipOctets
        return !octets.isEmpty && octets.allSatisfy { $0 == 0 }
    }

    /// Whether the address is in 169.254.0.0/16, where clouds serve their metadata, or in fe80::/10.
    package var isLinkLocal: Bool {
        let octets = ipOctets
        if octets.count == 4 { return octets[0] == 169 && octets[1] == 254 }
        return octets.count == 16 && octets[0] == 0xfe && octets[1] & 0xc0 == 0x80
    }

    /// Whether the address is of a group, or for all of a network: 224.0.0.0/4, 255.255.255.255, ff00::/8.
    package var isMulticast: Bool {
        let octets = ipOctets
        if octets.count == 4 { return octets[0] & 0xf0 == 0xe0 || octets.allSatisfy { $0 == 0xff } }
        return octets.count == 16 && octets[0] == 0xff
    }

    /// Whether a connection to this address would arrive at a listener that is bound to `listener`, as far as the two
    /// addresses alone can say. They cannot for a listener on all addresses and an address of this machine that is not
    /// a loopback address: the answer is then false.
    package func reaches(_ listener: SocketAddress) -> Bool {
        guard port == listener.port, !ipOctets.isEmpty else { return false }
        if listener.isUnspecified { return isLoopback || isUnspecified }
        // 0.0.0.0 and :: are the loopback address of their family.
        if isUnspecified { return listener.host == "127.0.0.1" || listener.host == "::1" }
        return ipOctets == listener.ipOctets
    }
}
