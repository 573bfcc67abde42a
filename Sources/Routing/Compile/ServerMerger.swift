internal import Manifests

/// Merges the servers of all Gateways that share a port. Source: docs/istio.md, Servers of one port.
struct ServerMerger {
    /// One server that is served.
    struct Member {
        let gateway: Gateway
        let server: Gateway.Server
        var key: String { gateway.meta.reference }
    }

    /// The servers of one `bind` and port.
    struct Port {
        let bind: String
        let number: Int
        fileprivate(set) var broken: [Member] = []
        fileprivate(set) var clear: [Member] = []    // plain HTTP, merged
        fileprivate(set) var encrypted: [Member] = []    // HTTPS and TLS, chosen by SNI
        fileprivate(set) var plainTCP: Member?    // takes all connections in clear text
        fileprivate var tlsServers: [String: Member] = [:]    // by host without namespace
    }

    private(set) var ports: [Port] = []
    private var numbers: [Key: Int] = [:]
    private let problems: Problems

    /// What servers must have in common to be one listener.
    struct Key: Hashable {
        let bind: String
        let number: Int

        init(_ server: Gateway.Server) {
            bind = server.bind?.value ?? ""
            number = server.port.number.value
        }
    }

    init(_ gateways: [Gateway], problems: Problems) {
        self.problems = problems
        for gateway in gateways {
            for server in gateway.servers { add(Member(gateway: gateway, server: server)) }
        }
        for gateway in gateways {
            for server in gateway.brokenServers {
                guard let index = numbers[Key(server)] else { continue }
                ports[index].broken.append(Member(gateway: gateway, server: server))
            }
        }
    }

    private mutating func add(_ member: Member) {
        let key = Key(member.server)
        let index = numbers[key] ?? ports.count
        if index == ports.count {
            numbers[key] = index
            ports.append(Port(bind: key.bind, number: key.number))
        }
        if let (winner, reason) = conflict(member, ports[index]) {
            report(member, winner, reason)
            return
        }
        if member.server.tls != nil {
            for host in member.server.hosts {
                ports[index].tlsServers[host.host.lowercased()] = member
            }
        }
        switch kind(member) {
        case .plainHTTP: ports[index].clear.append(member)
        case .encrypted: ports[index].encrypted.append(member)
        case .plainTCP: ports[index].plainTCP = member
        }
    }

    private enum Kind { case plainHTTP, encrypted, plainTCP }

    private func kind(_ member: Member) -> Kind {
        let name = member.server.port.protocol
        if name.isPlainHTTP { return .plainHTTP }
        return name == .https || name == .tls ? .encrypted : .plainTCP
    }

    /// The earlier server because of which a server is dropped, and the reason; nil if it is served.
    private func conflict(_ member: Member, _ port: Port) -> (Member, String)? {
        if member.server.tls != nil {
            for host in member.server.hosts {
                guard let earlier = port.tlsServers[host.host.lowercased()] else { continue }
                return (earlier, "both have TLS settings for the host \(host.host)")
            }
        }
        switch kind(member) {
        case .plainHTTP:
            return port.plainTCP.map { ($0, "the port already carries plain TCP") }
        case .plainTCP:
            if let other = port.plainTCP ?? port.clear.first {
                return (other, "the port already carries plain text")
            }
        case .encrypted:
            if let other = port.clear.first ?? port.plainTCP {
                return (other, "the port already carries plain text")
            }
        }
        return nil
    }

    private func report(_ member: Member, _ winner: Member, _ reason: String) {
        let number = member.server.port.number
        problems.add(
            Diagnostic(
                .error, "server-dropped",
                "this server of port \(number.value) is not served: \(winner.gateway.meta.identity) "
                    + "comes first and \(reason)",
                hint: "give one of them another port, or other hosts",
                at: number.place, object: member.gateway.meta.identity, path: member.server.path,
                related: [
                    Diagnostic.Related(
                        place: winner.server.place, message: "the server that is served")
                ]))
    }
}
