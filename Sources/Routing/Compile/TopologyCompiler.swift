internal import Manifests

/// Finds what stands in front of each port, by the command line.
struct TopologyCompiler {
    let terms: TopologyTerms
    let problems: Problems

    /// What stands in front of a Gateway's port; nil: clients themselves.
    func topology(of port: UInt16) -> GatewayTopology? {
        var topology = GatewayTopology()
        topology.proxyProtocol = terms.proxyProtocolOfPorts[port] ?? terms.proxyProtocol ?? .off
        if topology.proxyProtocol != .off { topology.proxyProtocolFrom = terms.proxyProtocolFrom }
        return topology.isDirect ? nil : topology
    }

    /// Warns about flags for ports that no Gateway has.
    func reportUnused(_ listeners: [ListenerPlan]) {
        let ports = Set(listeners.filter { !$0.isMesh }.map(\.port))
        for port in terms.proxyProtocolOfPorts.keys.sorted() where !ports.contains(port) {
            problems.add(
                Diagnostic(
                    .warning, "no-effect", "no Gateway has the port \(port): `\(port)=` has no effect",
                    hint: "the number is that of the Gateway, not the one that --listen-map binds in its place",
                    at: SourcePlace(file: "--proxy-protocol", line: 0, column: 0)))
        }
    }
}
