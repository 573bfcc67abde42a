internal import Octets
internal import Reactor
internal import Telemetry

/// What a header of the PROXY protocol has said of a client's connection. It is kept as long as the connection.
///
/// Thread: its worker's. Freed by: its `Connection`.
final class Announcement {
    /// nil: the peer's own address is the client's.
    let client: SocketAddress?
    let destination: SocketAddress?
    /// For the access log.
    let facts: ProxyFacts
    /// Whether a value was longer than what is kept of it.
    let isCut: Bool

    /// Address and port of the peer that has sent the header.
    var direct: String { facts.peer }

    /// The most octets that are kept of one value.
    static let mostValueOctets = 255
    /// The same of a value that is written as digits, two for each octet.
    private static let shownOctets = mostValueOctets / 2

    /// - Parameters:
    ///   - received: its views must still be valid.
    ///   - peer: whose header it is.
    init(_ received: ProxyHeader.Received, from peer: SocketAddress?) {
        client = received.addresses?.client
        destination = received.addresses?.destination
        let extras = received.extras
        let texts = [
            extras?.alpn, extras?.authority, extras?.tlsVersion, extras?.tlsCommonName, extras?.vpcEndpoint,
        ]
        isCut =
            texts.contains { $0?.count ?? 0 > Self.mostValueOctets }
            || extras?.uniqueID?.count ?? 0 > Self.shownOctets
        facts = ProxyFacts(
            peer: peer?.description ?? "unknown", alpn: Self.text(extras?.alpn),
            authority: Self.text(extras?.authority),
            uniqueID: extras?.uniqueID.map(Self.digits), tlsVersion: Self.text(extras?.tlsVersion),
            tlsCommonName: Self.text(extras?.tlsCommonName), vpcEndpoint: Self.text(extras?.vpcEndpoint))
    }

    private static func text(_ octets: Octets?) -> String? {
        octets.flatMap { $0.isEmpty ? nil : $0.prefix(mostValueOctets).string }
    }

    private static func digits(_ octets: Octets) -> String {
        octets.prefix(shownOctets).array.map { octet in
            (octet < 16 ? "0" : "") + String(octet, radix: 16)
        }.joined()
    }
}
