internal import Manifests

// The servers of a port that carry connections instead of requests. Source: docs/istio.md, Servers of one port;
// docs/istio.md, TLS routes; docs/istio.md, TCP routes.

extension ListenerCompiler {
    /// Whether a server terminates TLS and is opened. One whose octets are relayed needs a rule for them.
    func terminates(_ member: ServerMerger.Member) -> Bool {
        member.server.closings.isEmpty && member.server.terminatesTLS && !lacksRoute(member)
    }

    /// The route of a server's octets, behind TLS; nil for HTTP.
    func relay(of member: ServerMerger.Member) -> Int? {
        member.server.port.protocol == .tls ? relays.tcpRoute(of: member) : nil
    }

    private func lacksRoute(_ member: ServerMerger.Member) -> Bool {
        member.server.port.protocol == .tls && relays.tcpRoute(of: member) == nil
    }

    /// The route of all connections in clear text; nil where none is relayed.
    func clearRelay(of port: ServerMerger.Port) -> Int? {
        port.plainTCP.flatMap { $0.server.closings.isEmpty ? relays.tcpRoute(of: $0) : nil }
    }

    /// The server names of a port whose connections keep their TLS. Names of servers that are not opened are closed, so
    /// that no wider server gets their connections.
    /// - Parameters:
    ///   - terminating: the opened servers that terminate TLS.
    ///   - hasClear: whether connections in clear text are relayed, and with them those of unknown names.
    func passthroughs(
        of port: ServerMerger.Port, terminating: [ServerMerger.Member], hasClear: Bool
    ) -> [Passthrough] {
        let passing = port.encrypted.filter { $0.server.closings.isEmpty && $0.server.tls?.mode == .passthrough }
        let unopened = unopened(of: port)
        let mayStray = hasClear || terminating.contains { $0.server.port.protocol == .tls }
        guard !passing.isEmpty || !unopened.isEmpty && (mayStray || unopened.contains { lacksRoute($0.member) }) else {
            return []
        }
        var taken = TakenNames(room: names.options.mostHosts)
        for member in terminating { _ = taken.add(Self.serverNames(of: member), nil, member.server.place) }
        var result = passing.flatMap { relays.passthroughs(of: $0, &taken) }
        guard hasClear || !terminating.isEmpty || !result.isEmpty else { return [] }
        for member in passing { result += leftOutNames(of: member, &taken) }
        for (member, reason) in unopened {
            result += closed(Self.serverNames(of: member), member, reason, &taken).map { [$0] } ?? []
        }
        guard !taken.isOver, bound.end == nil else { return [tooMany(port)].compactMap(\.self) }
        return result
    }

    /// The encrypted servers of a port that are not opened, and why.
    private func unopened(
        of port: ServerMerger.Port
    ) -> [(member: ServerMerger.Member, reason: Unavailable)] {
        var all: [(member: ServerMerger.Member, reason: Unavailable)] = []
        for member in port.encrypted {
            let object = member.gateway.meta.identity
            if let field = member.server.closings.first {
                all.append((member, .notInEffect("\(field.name) of \(object)")))
            } else if member.server.tls?.mode != .passthrough, lacksRoute(member) {
                all.append((member, .noRule))
            }
        }
        for member in port.broken where [.https, .tls].contains(member.server.port.protocol) {
            all.append((member, .leftOut("a server of \(member.gateway.meta.identity)")))
        }
        return all
    }

    /// The hosts of VirtualServices that have an error: which connections they would get is not known.
    private func leftOutNames(of member: ServerMerger.Member, _ taken: inout TakenNames) -> [Passthrough] {
        guard let services = leftOut.services[member.key] else { return [] }
        var result: [Passthrough] = []
        for found in bound.leftOut(of: member.gateway).found(on: member.server) {
            let object = services[found.service].object
            guard let closed = closed(found.names, member, .leftOut("\(object.identity)"), &taken) else { continue }
            result.append(closed)
            problems.add(
                Diagnostic(
                    .note, "left-out",
                    "\(object.hint): connections for \(closed.serverNames.joined(separator: ", ")) that no other "
                        + "object's rule takes are closed", at: object.place, object: object.identity))
        }
        return result
    }

    /// Closes the connections for those of the names that nobody has taken; nil if there are none.
    private func closed(
        _ all: [String], _ member: ServerMerger.Member, _ reason: Unavailable, _ taken: inout TakenNames
    ) -> Passthrough? {
        let free = all.filter { taken.taker(of: [$0]) == nil }
        guard !free.isEmpty else { return nil }
        guard taken.add(free, nil, member.server.place) else { return nil }
        return Passthrough(
            serverNames: free, route: relays.closedRoute(reason, member), gateway: member.gateway.meta.identity)
    }

    private func tooMany(_ port: ServerMerger.Port) -> Passthrough? {
        guard let member = port.encrypted.first else { return nil }
        problems.add(
            Diagnostic(
                .error, "too-many-hosts",
                "connections of port \(port.number) that keep their TLS are closed: there are more than "
                    + "\(names.options.mostHosts) server names",
                hint: "bind fewer VirtualServices to its Gateways", at: member.server.place,
                object: member.gateway.meta.identity))
        return Passthrough(
            serverNames: ["*"], route: relays.closedRoute(.tooManyHosts, member), gateway: member.gateway.meta.identity)
    }

    /// In lower case, each once; with `*` among them, that alone.
    static func serverNames(of member: ServerMerger.Member) -> [String] {
        var seen: Set<String> = []
        let written = member.server.hosts.map { $0.host.lowercased() }.filter { seen.insert($0).inserted }
        return written.contains("*") ? ["*"] : written
    }
}
