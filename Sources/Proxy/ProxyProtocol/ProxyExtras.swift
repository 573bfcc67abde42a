internal import Octets

/// What follows the addresses in a header of version 2: values, each with its type and length. A view of the header's
/// octets, which must live as long.
/// Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.2, "TLV").
struct ProxyExtras {
    /// The types that have a meaning here. Others are passed over.
    enum Kind: UInt8 {
        case alpn = 0x01
        case authority = 0x02
        case checksum = 0x03
        case uniqueID = 0x05
        case tls = 0x20
        case amazon = 0xea
    }

    /// The parts of the value of `Kind.tls`.
    private enum TLSKind: UInt8 {
        case version = 0x21
        case commonName = 0x22
    }

    /// Octets of type and length before each value.
    private static let headOctets = 3
    private let octets: Octets

    /// - Returns: nil if a value goes beyond the end.
    init?(_ octets: Octets) {
        self.octets = octets
        guard Self.isWhole(octets) else { return nil }
        if let tls = value(.tls), tls.count < Self.tlsHeadOctets || !Self.isWhole(tls.dropFirst(Self.tlsHeadOctets)) {
            return nil
        }
    }

    private static func isWhole(_ octets: Octets) -> Bool {
        var rest = octets
        while !rest.isEmpty {
            guard let length = length(rest), length <= rest.count - headOctets else { return false }
            rest = rest.dropFirst(headOctets + length)
        }
        return true
    }

    private static func length(_ octets: Octets) -> Int? {
        octets.count < headOctets ? nil : Int(octets[1]) << 8 | Int(octets[2])
    }

    /// Where the first value of a type is, and how long; nil if there is none.
    private static func find(_ kind: UInt8, in octets: Octets) -> (start: Int, count: Int)? {
        var start = 0
        while let length = length(octets.dropFirst(start)) {
            if octets[start] == kind { return (start + headOctets, length) }
            start += headOctets + length
        }
        return nil
    }

    private func value(_ kind: Kind) -> Octets? {
        Self.find(kind.rawValue, in: octets).map { octets.slice($0.start, $0.start + $0.count) }
    }

    // MARK: values

    /// The protocol that TLS has negotiated in front.
    var alpn: Octets? { value(.alpn) }
    /// The server name that the client has asked for in front.
    var authority: Octets? { value(.authority) }
    /// The balancer's own name of the connection, any octets.
    var uniqueID: Octets? { value(.uniqueID) }

    /// Where the checksum's octets are; nil if there is none, or it is not of four octets.
    var checksum: (start: Int, count: Int)? { Self.find(Kind.checksum.rawValue, in: octets) }

    /// The endpoint of the VPC through which the client came.
    /// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html.
    var vpcEndpoint: Octets? {
        guard let value = value(.amazon), value.first == 0x01, value.count > 1 else { return nil }
        return value.dropFirst(1)
    }

    /// Octets before the parts of the value of TLS: whether there is TLS, and whether the certificate was verified.
    private static let tlsHeadOctets = 5

    /// Whether the client speaks TLS to the balancer.
    var isSecure: Bool { (value(.tls)?.first ?? 0) & 0x01 != 0 }
    /// The version of that TLS, such as `TLSv1.3`.
    var tlsVersion: Octets? { part(.version) }
    /// The common name of the certificate that the client has shown in front.
    var tlsCommonName: Octets? { part(.commonName) }

    private func part(_ kind: TLSKind) -> Octets? {
        guard let parts = value(.tls)?.dropFirst(Self.tlsHeadOctets) else { return nil }
        return Self.find(kind.rawValue, in: parts).map { parts.slice($0.start, $0.start + $0.count) }
    }
}
