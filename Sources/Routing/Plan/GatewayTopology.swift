internal import Manifests
package import Octets

/// What stands in front of a port: a balancer that says the client's address in a header of the PROXY protocol, or
/// proxies that say it in `x-forwarded-for`.
/// Source: Istio `ProxyConfig.gatewayTopology`.
package struct GatewayTopology: Sendable, Hashable {
    /// Whether connections begin with a header of the PROXY protocol.
    package enum ProxyProtocolMode: String, Sendable, CaseIterable {
        case off
        /// A connection without a header is served with the peer's own address.
        case optional
        /// A connection without a header is closed.
        case require
    }

    /// What becomes of a request's `x-forwarded-client-cert`, from the strictest to the most trusting.
    /// Source: Istio `ProxyConfig.gatewayTopology`.
    package enum CertificateMode: UInt8, Sendable, CaseIterable, Comparable, BitwiseCopyable {
        case sanitize, sanitizeSet, forwardOnly, appendForward, alwaysForwardOnly

        /// The mode that an annotation names.
        init(_ written: Gateway.ClientCertificateMode) {
            self =
                switch written {
                case .sanitize: .sanitize
                case .sanitizeSet: .sanitizeSet
                case .forwardOnly: .forwardOnly
                case .appendForward: .appendForward
                case .alwaysForwardOnly: .alwaysForwardOnly
                }
        }

        /// Its name in an annotation.
        var name: String {
            switch self {
            case .sanitize: "SANITIZE"
            case .sanitizeSet: "SANITIZE_SET"
            case .forwardOnly: "FORWARD_ONLY"
            case .appendForward: "APPEND_FORWARD"
            case .alwaysForwardOnly: "ALWAYS_FORWARD_ONLY"
            }
        }

        package static func < (left: CertificateMode, right: CertificateMode) -> Bool {
            left.rawValue < right.rawValue
        }
    }

    /// Whether connections of the port do.
    package var proxyProtocol = ProxyProtocolMode.off
    /// The peers whose headers count; nil: all peers with `require`, those in private networks with `optional`.
    package var proxyProtocolFrom: [AddressRange]?

    /// How many proxies in front append an address to `x-forwarded-for` before the request comes here.
    /// Source: Istio `ProxyConfig.gatewayTopology`.
    package var trustedHops = 0
    /// The peers that are such proxies; nil: all peers.
    package var trustedHopsFrom: [AddressRange]?
    /// What becomes of `x-forwarded-client-cert`.
    package var clientCertificate = CertificateMode.sanitizeSet

    /// The topology of a port that clients reach directly.
    package init() {}

    /// Whether nothing stands in front, and nobody's fields are believed.
    package var isDirect: Bool {
        proxyProtocol == .off && trustedHops == 0 && clientCertificate == .sanitizeSet
    }

    /// Whether fields of requests are believed.
    package var trustsFields: Bool { trustedHops > 0 || clientCertificate > .sanitizeSet }

    /// Whether the fields of a peer's requests are believed.
    /// - Parameter peer: its address, 4 or 16 octets; empty for a Unix socket, whose file says who may connect.
    package func trustsFields(of peer: [UInt8]) -> Bool {
        peer.isEmpty || trustedHopsFrom?.contain(peer) ?? true
    }

    /// Whether a header of that peer says the truth. A port where anybody may leave the header out must not let anybody
    /// say any address.
    /// - Parameter peer: its address, 4 or 16 octets; empty for a Unix socket, whose file says who may connect.
    package func trustsHeader(of peer: [UInt8]) -> Bool {
        if peer.isEmpty { return true }
        if let proxyProtocolFrom { return proxyProtocolFrom.contain(peer) }
        return proxyProtocol == .require || AddressRange.privateNetworks.contain(peer)
    }
}

/// What the command line says of what stands in front of the ports.
package struct TopologyTerms: Sendable {
    /// For all ports of Gateways that `proxyProtocolOfPorts` does not name; nil if nothing is said.
    package var proxyProtocol: GatewayTopology.ProxyProtocolMode?
    /// By the Gateways' port numbers.
    package var proxyProtocolOfPorts: [UInt16: GatewayTopology.ProxyProtocolMode] = [:]
    /// See `GatewayTopology.proxyProtocolFrom`.
    package var proxyProtocolFrom: [AddressRange]?

    /// The hops of all ports of Gateways; nil if nothing is said.
    package var trustedHops: Int?
    /// See `GatewayTopology.trustedHopsFrom`.
    package var trustedHopsFrom: [AddressRange]?
    /// The numbers that `trustedHops` may have.
    package static let hops = Gateway.Topology.trustedProxies

    /// The terms without flags.
    package init() {}

    /// Reads networks as flags have them.
    /// - Returns: nil if there are none, and the first that is no network.
    package static func networks(_ texts: [String]) -> (networks: [AddressRange]?, wrong: String?) {
        let read = texts.map { ($0, AddressRange($0)) }
        return (texts.isEmpty ? nil : read.compactMap(\.1), read.first { $0.1 == nil }?.0)
    }
}

extension GatewayTopology: CustomStringConvertible {
    /// What is expected and believed, as a line of `portico routes`.
    package var description: String {
        [headerText, hopsText, certificateText].compactMap(\.self).joined(separator: "; ")
    }

    private var headerText: String? {
        guard proxyProtocol != .off else { return nil }
        let verb = proxyProtocol == .optional ? "may begin" : "begin"
        let usual = proxyProtocol == .optional ? AddressRange.privateNetworks : nil
        return "connections \(verb) with a PROXY protocol header" + Self.text(proxyProtocolFrom ?? usual)
    }

    private var hopsText: String? {
        guard trustedHops > 0 else { return nil }
        return "x-forwarded-for is believed of \(trustedHops) \(trustedHops == 1 ? "proxy" : "proxies") in front"
            + Self.text(trustedHopsFrom)
    }

    private var certificateText: String? {
        clientCertificate == .sanitizeSet ? nil : "x-forwarded-client-cert: \(clientCertificate.name)"
    }

    private static func text(_ ranges: [AddressRange]?) -> String {
        ranges.map { ", of peers in \($0.map(\.description).joined(separator: ", "))" } ?? ", whoever the peer is"
    }
}
