internal import Octets
internal import Reactor
internal import Routing

/// Reads the header of the PROXY protocol, both versions, from the first octets of a connection. It is a function of
/// these octets alone, so whoever gets them in pieces asks again with more of them.
/// Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.1, §2.2).
extension ProxyHeader {
    /// What the first octets of a connection are.
    enum Reading {
        /// Too few to say; all that came may belong to something else.
        case undecided
        case absent
        /// A header begins, and more of it has to come.
        case begun
        case whole(Received, octets: Int)
        /// A header that cannot be used.
        case failed(Failure)
    }

    /// A whole header.
    struct Received {
        let version: ProxyVersion
        /// Client and destination; nil if the header has none, or none of IP.
        var addresses: (client: SocketAddress, destination: SocketAddress)?
        /// Whether the connection is the proxy's own, a health check for example.
        var isLocal = false
        /// Views of the octets that were read; nil for version 1.
        var extras: ProxyExtras?
    }

    /// Why a header cannot be used.
    enum Failure: Equatable {
        case malformed(StaticString)
        case tooLong
        case checksum

        static func == (left: Failure, right: Failure) -> Bool {
            switch (left, right) {
            case (.malformed(let left), .malformed(let right)): Octets(left) == Octets(right)
            case (.tooLong, .tooLong), (.checksum, .checksum): true
            default: false
            }
        }
    }

    /// The longest line of version 1, with its CR and LF.
    static let mostTextOctets = 107
    /// What version 2 begins with: signature, version and command, family, length.
    private static let binaryHeadOctets = 16
    /// The most octets that may follow these in version 2, addresses and further values. The standard allows 65,535.
    static let mostBinaryOctets = 4096
    /// The longest header that is read.
    static let mostOctets = binaryHeadOctets + mostBinaryOctets

    /// Reads the first octets of a connection.
    static func read(_ octets: Octets) -> Reading {
        let word: Octets = "PROXY "
        if octets.hasPrefix(word) { return line(octets) }
        guard let signed = signature.withOctets({ compare(octets, $0) }) else {
            return word.hasPrefix(octets) ? .undecided : .absent
        }
        return signed ? binary(octets) : .undecided
    }

    /// Whether octets begin with the whole signature; nil if they cannot.
    private static func compare(_ octets: Octets, _ signature: Octets) -> Bool? {
        if octets.hasPrefix(signature) { return true }
        return signature.hasPrefix(octets) ? false : nil
    }

    // MARK: version 1

    private static func line(_ octets: Octets) -> Reading {
        let known = octets.prefix(mostTextOctets)
        guard let end = known.firstIndex(of: UInt8(ascii: "\n")) else {
            return known.count < mostTextOctets ? .begun : .failed(.tooLong)
        }
        guard octets[end - 1] == UInt8(ascii: "\r") else {
            return .failed(.malformed("the line does not end in CR LF"))
        }
        let text = octets.slice(6, end - 1)
        guard text.firstIndex(of: UInt8(ascii: "\r")) == nil else { return .failed(.malformed("a CR within the line")) }
        var received = Received(version: .v1)
        guard !isUnknown(text) else { return .whole(received, octets: end + 1) }
        guard let addresses = addresses(text) else { return .failed(.malformed("its addresses are none")) }
        received.addresses = addresses
        return .whole(received, octets: end + 1)
    }

    /// What follows UNKNOWN has no meaning.
    private static func isUnknown(_ text: Octets) -> Bool { text == "UNKNOWN" || text.hasPrefix("UNKNOWN ") }

    /// Family, addresses and ports, each behind one space.
    private static func addresses(_ text: Octets) -> (client: SocketAddress, destination: SocketAddress)? {
        let words = text.string.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 5, ["TCP4", "TCP6"].contains(words[0]) else { return nil }
        let isIPv6 = words[0] == "TCP6"
        guard let client = address(words[1], words[3], isIPv6: isIPv6),
            let destination = address(words[2], words[4], isIPv6: isIPv6)
        else { return nil }
        return (client, destination)
    }

    private static func address(_ host: String, _ port: String, isIPv6: Bool) -> SocketAddress? {
        guard port.utf8.count <= 5, !port.isEmpty, port.utf8.allSatisfy(\.isDigit), port == "0" || port.first != "0",
            let number = UInt16(port, radix: 10), !host.isEmpty, let address = SocketAddress(host: host, port: number),
            address.isIPv6 == isIPv6
        else { return nil }
        return address
    }

    // MARK: version 2

    private static func binary(_ octets: Octets) -> Reading {
        let place = signature.count
        guard octets.count > place else { return .begun }
        guard octets[place] >> 4 == 2 else { return .failed(.malformed("a version other than 2")) }
        guard octets[place] & 0x0f <= 1 else { return .failed(.malformed("an unknown command")) }
        guard octets.count >= binaryHeadOctets else { return .begun }
        let length = Int(octets[place + 2]) << 8 | Int(octets[place + 3])
        guard length <= mostBinaryOctets else { return .failed(.tooLong) }
        let end = binaryHeadOctets + length
        guard octets.count >= end else { return .begun }
        var received = Received(version: .v2)
        guard octets[place] & 0x0f == 1 else {
            // What follows in a connection of the proxy's own has no meaning.
            received.isLocal = true
            return .whole(received, octets: end)
        }
        let failure = fill(&received, family: octets[place + 1], octets.slice(0, end))
        return failure.map { .failed($0) } ?? .whole(received, octets: end)
    }

    /// - Parameter family: of the addresses, in its upper half, and the transport in the other.
    private static func fill(_ received: inout Received, family: UInt8, _ whole: Octets) -> Failure? {
        let body = whole.dropFirst(binaryHeadOctets)
        guard family & 0x0f <= 2 else { return .malformed("an unknown transport") }
        let addressOctets: Int
        switch family >> 4 {
        case 0: return nil    // nothing is said, and what follows has no meaning
        case 1: addressOctets = 12
        case 2: addressOctets = 36
        case 3: addressOctets = 216
        default: return .malformed("an unknown family of addresses")
        }
        guard body.count >= addressOctets else { return .malformed("too short for its addresses") }
        guard family & 0x0f != 0 else { return nil }
        // Unix sockets of the proxy's machine tell nobody here who the client is.
        if family >> 4 != 3 { received.addresses = pair(body.prefix(addressOctets)) }
        guard let extras = ProxyExtras(body.dropFirst(addressOctets)) else {
            return .malformed("a value goes beyond the end")
        }
        received.extras = extras
        guard let checksum = extras.checksum else { return nil }
        guard checksum.count == 4 else { return .malformed("a checksum that is not four octets long") }
        let place = binaryHeadOctets + addressOctets + checksum.start
        let said = whole.slice(place, place + 4).array.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return CRC32C.of(whole, blank: place) == said ? nil : .checksum
    }

    /// Two addresses of one family, then their ports.
    private static func pair(_ octets: Octets) -> (client: SocketAddress, destination: SocketAddress)? {
        let size = (octets.count - 4) / 2
        let ports = octets.dropFirst(2 * size)
        func port(at index: Int) -> UInt16 {
            UInt16(truncatingIfNeeded: Int(ports[index]) << 8 | Int(ports[index + 1]))
        }
        let client = SocketAddress(ip: octets.prefix(size).array, port: port(at: 0))
        let destination = SocketAddress(ip: octets.slice(size, 2 * size).array, port: port(at: 2))
        guard let client, let destination else { return nil }
        return (client, destination)
    }
}
