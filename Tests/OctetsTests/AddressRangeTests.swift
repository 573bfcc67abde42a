import Testing

@testable import Octets

/// Source: RFC 4632 §3.1, RFC 4291 §2.3.
@Suite struct `A network of addresses` {
    @Test(
        arguments: [
            ("10.0.0.0/8", [10, 255, 0, 1], true), ("10.0.0.0/8", [11, 0, 0, 1], false),
            ("172.16.0.0/12", [172, 31, 255, 255], true), ("172.16.0.0/12", [172, 32, 0, 0], false),
            ("192.0.2.7", [192, 0, 2, 7], true), ("192.0.2.7", [192, 0, 2, 6], false),
            ("192.0.2.7/32", [192, 0, 2, 7], true), ("0.0.0.0/0", [8, 8, 8, 8], true),
            ("192.0.2.128/25", [192, 0, 2, 127], false), ("10.1.2.3/8", [10, 9, 9, 9], true),
            ("::/0", [8, 8, 8, 8], false), ("0.0.0.0/0", [], false),
        ] as [(String, [UInt8], Bool)])
    func `has those of IPv4 that share its first bits`(text: String, address: [UInt8], isIn: Bool) throws {
        #expect(try #require(AddressRange(text)).contains(address) == isIn)
    }

    @Test func `has those of IPv6`() throws {
        let range = try #require(AddressRange("2001:db8:8000::/33"))
        let zeros = [UInt8](repeating: 0, count: 11)
        #expect(range.contains([0x20, 0x01, 0x0d, 0xb8, 0x80] + zeros))
        #expect(range.contains([0x20, 0x01, 0x0d, 0xb8, 0xff] + zeros))
        #expect(!range.contains([0x20, 0x01, 0x0d, 0xb8, 0x7f] + zeros))
        #expect(AddressRange.privateNetworks.contain([UInt8](repeating: 0, count: 15) + [1]))
        #expect(AddressRange.privateNetworks.count == 9)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "x/8", "10.0.0/8", "1.2.3.4/ 8",
        "1.2.3.4/008x", "1.2.3.4\u{0}", "::1%lo",
    ])
    func `is nothing else`(text: String) { #expect(AddressRange(text) == nil) }
}
