internal import Octets

/// The checksum that a header of version 2 may have: CRC-32C (Castagnoli).
/// Source: RFC 9260 appendix A.
enum CRC32C {
    /// The checksum of all octets, those from `blank` taken for 0.
    /// - Parameter blank: where the four octets are that will have the checksum itself.
    static func of(_ octets: Octets, blank: Int) -> UInt32 {
        var sum = UInt32.max
        for index in 0..<octets.count {
            let octet = (blank..<blank + 4).contains(index) ? 0 : octets[index]
            sum = table[Int(UInt8(truncatingIfNeeded: sum) ^ octet)] ^ sum >> 8
        }
        return ~sum
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82f6_3b78 }
    }
}
