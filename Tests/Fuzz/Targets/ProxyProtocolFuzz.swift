import Octets
import Reactor
import Routing

@testable import Proxy

/// The header of the PROXY protocol: what is decided stays decided when more octets come, and what we write for an
/// endpoint of an address that we have read is read as the same.
enum ProxyProtocolFuzz {
    static let feed: @Sendable ([UInt8]) -> Void = { octets in
        // Else the fuzzer would have to guess the signature each time.
        let whole = octets.first == 0 ? ProxyHeader.signature + octets.dropFirst() : octets
        let found = read(whole)
        for end in stride(from: 0, to: whole.count, by: whole.count > 300 ? 7 : 1) {
            let early = read(Array(whole[..<end]))
            if early.hasPrefix("undecided") || early.hasPrefix("begun") { continue }
            demand(early == found, "\(end) octets are \(early), and all of them \(found)")
        }
        whole.withOctets { octets in
            guard case .whole(let received, let count) = ProxyHeader.read(octets) else { return }
            demand((1...ProxyHeader.mostOctets).contains(count) && count <= octets.count, "\(count) octets")
            look(received, octets)
            guard let (client, destination) = received.addresses else { return }
            // An address that maps IPv4 is read as IPv4. Of two families, a header says neither (`UNKNOWN`, LOCAL).
            let isMixed = "\(client)".hasPrefix("[") != "\(destination)".hasPrefix("[")
            for version in [ProxyVersion.v1, .v2] {
                let written = ProxyHeader.octets(version, from: client, to: destination)
                let expected = (isMixed ? "none" : "\(client) \(destination)") + " \(written.count)"
                demand(read(written) == expected, "\(expected) is written, and read as \(read(written))")
            }
        }
    }

    /// All values are views of the octets.
    private static func look(_ received: ProxyHeader.Received, _ octets: Octets) {
        guard let extras = received.extras else { return }
        for value in [
            extras.alpn, extras.authority, extras.uniqueID, extras.vpcEndpoint, extras.tlsVersion, extras.tlsCommonName,
        ] {
            demand((value?.array.count ?? 0) <= octets.count, "a value beyond the end")
        }
        _ = extras.isSecure
    }

    private static func read(_ octets: [UInt8]) -> String {
        octets.withOctets { octets in
            switch ProxyHeader.read(octets) {
            case .undecided: "undecided"
            case .absent: "absent"
            case .begun: "begun"
            case .failed(let fault): "failed \(fault)"
            case .whole(let received, let count):
                (received.addresses.map { "\($0.client) \($0.destination)" } ?? "none") + " \(count)"
            }
        }
    }
}
