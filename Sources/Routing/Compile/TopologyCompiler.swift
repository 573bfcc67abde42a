internal import Manifests

/// Finds what stands in front of each port: as the command line says, or else the Gateways' annotations.
struct TopologyCompiler {
    let terms: TopologyTerms
    let problems: Problems

    /// What stands in front of a port; nil: clients themselves.
    func topology(of port: ServerMerger.Port) -> GatewayTopology? {
        guard let number = UInt16(exactly: port.number) else { return nil }
        let gateways = Self.gateways(of: port)
        let asked = gateways.compactMap(\.topology)
        var topology = GatewayTopology()
        let flag = terms.proxyProtocolOfPorts[number] ?? terms.proxyProtocol
        topology.proxyProtocol = flag ?? (asked.contains(where: \.expectsProxyHeader) ? .require : .off)
        if topology.proxyProtocol != .off { topology.proxyProtocolFrom = terms.proxyProtocolFrom }
        // The least trust that any of them asks for.
        topology.trustedHops = terms.trustedHops ?? asked.compactMap(\.trustedProxies).min() ?? 0
        topology.clientCertificate =
            asked.compactMap { $0.clientCertificate.map(GatewayTopology.CertificateMode.init) }.min()
            ?? .sanitizeSet
        if topology.trustsFields { topology.trustedHopsFrom = terms.trustedHopsFrom }
        for gateway in gateways { report(gateway, topology, number) }
        return topology.isDirect ? nil : topology
    }

    /// The Gateways of a port, each once.
    private static func gateways(of port: ServerMerger.Port) -> [Gateway] {
        var seen: Set<String> = []
        return ((port.plainTCP.map { [$0] } ?? []) + port.clear + port.encrypted)
            .filter { seen.insert($0.key).inserted }.map(\.gateway)
    }

    /// A port has one topology, whoever asks for another one.
    private func report(_ gateway: Gateway, _ topology: GatewayTopology, _ port: UInt16) {
        let asked = gateway.topology
        if asked?.expectsProxyHeader ?? false, topology.proxyProtocol == .off {
            addWarning(gateway, "`proxyProtocol` has no effect on port \(port): --proxy-protocol says off")
        } else if topology.proxyProtocol != .off, terms.proxyProtocol == nil, terms.proxyProtocolOfPorts[port] == nil,
            !(asked?.expectsProxyHeader ?? false)
        {
            addWarning(
                gateway,
                "connections of port \(port) must begin with a PROXY protocol header, because another Gateway "
                    + "asks for it")
        }
        if let hops = asked?.trustedProxies, hops != topology.trustedHops {
            let who = terms.trustedHops == nil ? "another Gateway of the port asks for less" : "--trusted-hops says so"
            addWarning(gateway, "`numTrustedProxies` is \(topology.trustedHops) on port \(port): \(who)")
        }
        if let mode = asked?.clientCertificate, .init(mode) != topology.clientCertificate {
            addWarning(
                gateway,
                "`forwardClientCertDetails` is \(topology.clientCertificate.name) on port \(port): "
                    + "another Gateway of the port asks for it")
        }
    }

    private func addWarning(_ gateway: Gateway, _ message: String) {
        problems.add(
            Diagnostic(
                .warning, "shared-topology", message, hint: "say the same in every Gateway of a port, or nowhere",
                at: gateway.topology?.place ?? gateway.meta.place, object: gateway.meta.identity,
                path: "metadata.annotations"))
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
