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

    /// Whether connections of the port do.
    package var proxyProtocol = ProxyProtocolMode.off
    /// The peers whose headers count; nil: all peers with `require`, those in private networks with `optional`.
    package var proxyProtocolFrom: [AddressRange]?

    /// The topology of a port that clients reach directly.
    package init() {}

    /// Whether it says anything.
    package var isDirect: Bool { proxyProtocol == .off }

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
    /// What is expected of connections, as a line of `portico routes`.
    package var description: String {
        let from = (proxyProtocolFrom ?? (proxyProtocol == .optional ? AddressRange.privateNetworks : []))
            .map(\.description).joined(separator: ", ")
        let verb = proxyProtocol == .optional ? "may begin" : "begin"
        return "connections \(verb) with a PROXY protocol header"
            + (from.isEmpty ? ", whoever the peer is" : ", of peers in \(from)")
    }
}
