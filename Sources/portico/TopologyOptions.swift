internal import ArgumentParser
internal import Routing

/// What stands in front of the gateway's ports. All subcommands that read definitions have these flags.
struct TopologyOptions: ParsableArguments {
    @Option(
        help: """
            Whether clients' connections begin with a header of the PROXY protocol: off, optional or require, for all \
            ports or for one of the Gateways' port numbers, such as 443=require (repeatable).
            """)
    var proxyProtocol: [String] = []

    @Option(
        help: """
            A network whose peers' PROXY headers count, such as 10.0.0.0/8 (repeatable); default: all with require, \
            private ones with optional.
            """)
    var proxyProtocolFrom: [String] = []

    /// What the flags say, for the compiler; throws if a value of `--proxy-protocol` is none.
    func terms() throws -> TopologyTerms {
        var terms = TopologyTerms()
        let (networks, wrong) = TopologyTerms.networks(proxyProtocolFrom)
        if let wrong { throw Self.refusal(ofNetwork: wrong, "--proxy-protocol-from") }
        terms.proxyProtocolFrom = networks
        for text in proxyProtocol {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let mode = GatewayTopology.ProxyProtocolMode(rawValue: parts[parts.count - 1]) else {
                throw refusal(of: text)
            }
            guard parts.count == 2 else {
                terms.proxyProtocol = mode
                continue
            }
            guard let port = UInt16(parts[0]), port > 0 else { throw refusal(of: text) }
            terms.proxyProtocolOfPorts[port] = mode
        }
        return terms
    }

    private static func refusal(ofNetwork text: String, _ flag: String) -> ValidationError {
        ValidationError("\(flag) \(text): write an address or a network, such as 10.0.0.0/8 or 2001:db8::/32")
    }

    private func refusal(of text: String) -> ValidationError {
        ValidationError("--proxy-protocol \(text): write off, optional or require, or a port with it: 443=require")
    }
}
