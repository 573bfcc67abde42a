import Octets
import Reactor
import Routing
import Telemetry
import Testing

@testable import Proxy

/// Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.1, §2.2).
@Suite struct `A header of the PROXY protocol that arrives` {
    /// What a reading comes to, in words.
    private func read(_ octets: [UInt8]) -> String {
        unsafe octets.withUnsafeBytes { bytes in
            switch unsafe ProxyHeader.read(Octets(bytes)) {
            case .undecided: "undecided"
            case .absent: "absent"
            case .begun: "begun"
            case .failed(let fault): "\(fault)"
            case .whole(let received, let count): words(received) + " \(count)"
            }
        }
    }

    private func words(_ received: ProxyHeader.Received) -> String {
        guard let addresses = received.addresses else { return received.isLocal ? "local" : "unknown" }
        return "\(addresses.client) \(addresses.destination)"
    }

    private func read(_ text: String) -> String { read(Array(text.utf8)) }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private static func binary(_ command: UInt8, _ family: UInt8, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? body.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + body
    }

    private static let four: [UInt8] = [192, 0, 2, 7, 198, 51, 100, 1, 0xd4, 0x31, 0x01, 0xbb]

    // MARK: version 1

    @Test(arguments: [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n", "192.0.2.7:54321 198.51.100.1:443 45"),
        ("PROXY TCP6 2001:db8::1 ::1 0 65535\r\nGET /", "[2001:db8::1]:0 [::1]:65535 36"),
        ("PROXY UNKNOWN\r\n", "unknown 15"),
        ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nrest", "unknown 35"),
    ])
    func `is a line of text`(text: String, found: String) { #expect(read(text) == found) }

    @Test(arguments: [
        "PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\n", "PROXY TCP4 192.0.2.7  198.51.100.1 54321 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 54321 443\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 54321 0443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 54321 65536\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n", "PROXY \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 54321\r\n", "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
        "PROXY UNKNOWNX\r\n", "PROXY TCP4 \r 198.51.100.1 1 2\r\n", "PROXY / HTTP/1.1\r\n", "PROXY TCP4 a b 1 2\r\n",
        "PROXY TCP4   1 2\r\n", "PROXY TCP6 ::1%lo ::1 1 2\r\n",
    ])
    func `is refused as text that is not exact`(text: String) { #expect(read(text).hasPrefix("malformed")) }

    @Test func `is at most 107 octets of text`() {
        let longest = "PROXY UNKNOWN " + String(repeating: "x", count: 91)
        #expect(read(longest + "\r\n") == "unknown 107")
        #expect(read(longest + "x\r\n") == "tooLong")
        #expect(read(longest) == "begun")
        #expect(read(longest + "xx") == "tooLong")
        #expect(read(String(repeating: "PROXY ", count: 5000)) == "tooLong")
    }

    // MARK: version 2

    @Test func `is binary, of stream or datagram sockets`() {
        for family in [0x11, 0x12] as [UInt8] {
            #expect(read(Self.binary(0x21, family, Self.four)) == "192.0.2.7:54321 198.51.100.1:443 28")
        }
        let six = [UInt8](repeating: 0, count: 15) + [1] + [0x20, 0x01] + [UInt8](repeating: 0, count: 14)
        #expect(read(Self.binary(0x21, 0x21, six + [0, 1, 0, 2])) == "[::1]:1 [2001::]:2 52")
        #expect(read(Self.binary(0x21, 0x22, six + [0, 1, 0, 2, 4, 0, 1, 9])) == "[::1]:1 [2001::]:2 56")
    }

    @Test func `may have no address that counts`() {
        #expect(read(Self.binary(0x20, 0x11, Self.four)) == "local 28")
        #expect(read(Self.binary(0x20, 0xff, [1, 2, 3])) == "local 19")
        #expect(read(Self.binary(0x21, 0x00, [])) == "unknown 16")
        #expect(read(Self.binary(0x21, 0x00, [1, 2, 3])) == "unknown 19")
        #expect(read(Self.binary(0x21, 0x10, Self.four)) == "unknown 28")
        let unix = [UInt8](repeating: 47, count: 216)
        #expect(read(Self.binary(0x21, 0x31, unix)) == "unknown 232")
        #expect(read(Self.binary(0x21, 0x32, unix)) == "unknown 232")
    }

    @Test(arguments: [
        binary(0x11, 0x11, four), binary(0x31, 0x11, four), binary(0x22, 0x11, four), binary(0x2f, 0x11, four),
        binary(0x21, 0x13, four), binary(0x21, 0x41, four), binary(0x21, 0xf1, four),
        binary(0x21, 0x11, Array(four.dropLast())), binary(0x21, 0x21, four), binary(0x21, 0x31, four),
        binary(0x21, 0x11, four + [4]), binary(0x21, 0x11, four + [4, 0]), binary(0x21, 0x11, four + [4, 0, 1]),
        binary(0x21, 0x11, four + [4, 255, 255, 0]), binary(0x21, 0x11, four + [3, 0, 3, 1, 2, 3]),
        binary(0x21, 0x11, four + [0x20, 0, 4, 1, 0, 0, 0]), binary(0x21, 0x11, four + [0x20, 0, 6, 1, 0, 0, 0, 0, 1]),
    ])
    func `is refused as octets that are not exact`(octets: [UInt8]) { #expect(read(octets).hasPrefix("malformed")) }

    @Test func `is at most 4112 octets long`() {
        let body = Self.four + [4, 15, 241] + [UInt8](repeating: 7, count: 4081)
        #expect(read(Self.binary(0x21, 0x11, body)) == "192.0.2.7:54321 198.51.100.1:443 4112")
        #expect(read(Self.binary(0x21, 0x11, [], length: 4097)) == "tooLong")
        #expect(read(Self.binary(0x20, 0x00, [], length: 65535)) == "tooLong")
        #expect(read(Self.binary(0x21, 0x11, [], length: 4096)) == "begun")
    }

    @Test func `has a checksum that is compared where it is there`() {
        // The check value of CRC-32C is that of the digits 1 to 9. Source: RFC 9260 appendix A.
        let digits = Array("123456789".utf8)
        unsafe digits.withUnsafeBytes { #expect(unsafe CRC32C.of(Octets($0), blank: 99) == 0xe306_9283) }
        var whole = Self.binary(0x21, 0x11, Self.four + [4, 0, 1, 9, 3, 0, 4, 0, 0, 0, 0, 4, 0, 0])
        let sum = unsafe whole.withUnsafeBytes { unsafe CRC32C.of(Octets($0), blank: 35) }
        for (place, shift) in [24, 16, 8, 0].enumerated() {
            whole[35 + place] = UInt8(truncatingIfNeeded: sum >> shift)
        }
        #expect(read(whole) == "192.0.2.7:54321 198.51.100.1:443 42")
        for place in 16..<40 where !(28..<31).contains(place) && !(32..<35).contains(place) {
            var damaged = whole
            damaged[place] ^= 1
            #expect(read(damaged) == "checksum", "octet \(place)")
        }
    }

    @Test func `tells of TLS in front, of names, and of the endpoint of a VPC`() throws {
        let tls: [UInt8] =
            [0x20, 0, 25, 7, 0, 0, 0, 0, 0x21, 0, 7] + Array("TLSv1.3".utf8) + [0x22, 0, 7] + Array("shop cn".utf8)
        let extras: [UInt8] =
            [1, 0, 2, 104, 50, 2, 0, 4] + Array("shop".utf8) + [5, 0, 3, 0, 10, 255] + tls + [0xea, 0, 6, 1]
            + Array("vpce-".utf8) + [0xee, 0, 2, 1, 1]
        let whole = Self.binary(0x21, 0x11, Self.four + extras)
        try unsafe whole.withUnsafeBytes { bytes in
            guard case .whole(let received, _) = unsafe ProxyHeader.read(Octets(bytes)) else {
                throw Missing()
            }
            let found = try #require(received.extras)
            #expect(found.alpn == "h2" && found.authority == "shop" && found.vpcEndpoint == "vpce-")
            #expect(found.tlsVersion == "TLSv1.3" && found.tlsCommonName == "shop cn" && found.isSecure)
            let facts = Announcement(received, from: SocketAddress(host: "10.0.0.1", port: 9)).facts
            #expect(facts.peer == "10.0.0.1:9" && facts.uniqueID == "000aff" && facts.vpcEndpoint == "vpce-")
        }
    }

    @Test func `gives 255 octets of each value to the access log, at most`() throws {
        let long: [UInt8] = [2, 1, 44] + [UInt8](repeating: 97, count: 300)
        let whole = Self.binary(0x21, 0x11, Self.four + long)
        try unsafe whole.withUnsafeBytes { bytes in
            guard case .whole(let received, _) = unsafe ProxyHeader.read(Octets(bytes)) else {
                throw Missing()
            }
            #expect(received.extras?.authority?.count == 300)
            let announcement = Announcement(received, from: nil)
            #expect(announcement.isCut)
            let facts = announcement.facts
            #expect(facts.authority == String(repeating: "a", count: 255) && facts.peer == "unknown")
        }
    }

    @Test(arguments: [(255, false), (256, true)])
    func `says whether a value is longer than the access log has it`(length: Int, isCut: Bool) throws {
        let value = [2, UInt8(length >> 8), UInt8(length & 0xff)] + [UInt8](repeating: 97, count: length)
        let whole = Self.binary(0x21, 0x11, Self.four + value)
        try whole.withOctets { octets in
            guard case .whole(let received, _) = ProxyHeader.read(octets) else { throw Missing() }
            #expect(Announcement(received, from: nil).isCut == isCut)
        }
    }

    private struct Missing: Error {}

    // MARK: octets that come in pieces, and those of others

    @Test func `comes octet by octet, and is what it is as a whole`() {
        let headers = [
            Array("PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n".utf8),
            Self.binary(0x21, 0x11, Self.four + [4, 0, 0]),
            Self.binary(0x20, 0, []),
        ]
        for header in headers {
            let certain = header[0] == 80 ? 6 : 12
            for count in 0..<header.count {
                #expect(read(Array(header[..<count])) == (count < certain ? "undecided" : "begun"), "\(count)")
            }
            let whole = read(header)
            #expect(whole.hasSuffix(" \(header.count)") && read(header + [22, 3, 1, 80]) == whole)
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "PROXYX", "\u{16}\u{3}\u{1}", "\r\nGET /", "POST / ", "PROPFIND /",
    ])
    func `is told from what is none`(text: String) { #expect(read(text) == "absent") }

    @Test func `is read without a trap, whatever comes`() {
        var dice = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var octets = Self.binary(
                [0x20, 0x21, UInt8.random(in: 0...255, using: &dice)].randomElement(using: &dice) ?? 0,
                UInt8.random(in: 0...255, using: &dice) & 0x33,
                (0..<Int.random(in: 0...80, using: &dice)).map { _ in
                    [0, 1, 3, 4, 0x20, 0xea, UInt8.random(in: 0...255, using: &dice)].randomElement(using: &dice) ?? 0
                })
            if Bool.random(using: &dice) { octets[Int.random(in: 0..<octets.count, using: &dice)] ^= 0x11 }
            octets = Array(octets.prefix(Int.random(in: 0...octets.count, using: &dice)))
            touch(octets)
            var line = Array("PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n".utf8)
            for _ in 0..<3 {
                line[Int.random(in: 6..<line.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
            }
            touch(line)
        }
    }

    /// Asks for everything that a header can have; what it says fits the octets.
    private func touch(_ octets: [UInt8]) {
        unsafe octets.withUnsafeBytes { bytes in
            guard case .whole(let received, let count) = unsafe ProxyHeader.read(Octets(bytes)) else { return }
            #expect(count <= octets.count)
            _ = Announcement(received, from: nil).facts
        }
    }
}
