import Testing

@testable import Manifests
@testable import Routing

@Suite struct `The hosts of a Gateway's servers` {
    private typealias Entry = GatewayHosts.Entry

    private func covers(_ wide: String, _ name: String) -> Bool {
        if wide == name || wide == "*" { return true }
        if wide.hasPrefix("*.") { return name.hasSuffix(wide.dropFirst()) && name.utf8.count >= wide.utf8.count }
        return wide.hasPrefix("*") && name.hasSuffix(wide.dropFirst()) && name.utf8.count >= wide.utf8.count
    }

    /// All pairs one by one, as it is meant.
    private func meant(_ entries: [Entry], _ host: String, _ namespace: String) -> [String] {
        let allowed = entries.filter { $0.namespace == nil || $0.namespace == namespace }.map(\.name)
        let covered = allowed.contains { covers($0, host) } ? [host] : []
        guard host.hasPrefix("*") else { return covered }
        return covered + allowed.filter { $0 != "*" && $0 != host && covers(host, $0) && !covers($0, host) }
    }

    private func name(_ random: inout FixedRandom) -> String {
        let labels = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            ["a", "b", "aa"][Int.random(in: 0..<3, using: &random)]
        }
        let host = labels.joined(separator: ".")
        return [host, host, "*." + host, "*"][Int.random(in: 0..<4, using: &random)]
    }

    private func gateway(_ servers: [[Entry]]) -> Gateway {
        let list = servers.indices.map { "{port: {number: 80, name: p\($0), protocol: HTTP}, hosts: [a.com]}" }
        let text = World.gateway("gw", list.joined(separator: ", "))
        var gateway = ManifestReader.load(sources: [("a.yaml", Array(text.utf8))]).inventory.gateways[0]
        for (number, entries) in servers.enumerated() {
            let place = gateway.servers[number].place
            gateway.servers[number].hosts = entries.map {
                Gateway.Host(place: place, path: "", namespace: $0.namespace, host: $0.name)
            }
        }
        return gateway
    }

    @Test func `fit those of bound objects as if each pair were looked at`() {
        var random = FixedRandom(state: 7)
        for round in 0..<1500 {
            let servers = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    Entry(name: name(&random), namespace: Bool.random(using: &random) ? nil : "app")
                }
            }
            let gateway = gateway(servers)
            let hosts = GatewayHosts(gateway)
            let objects = (0..<4).map { owner in
                let count = owner == 3 ? 12 : Int.random(in: 1...3, using: &random)
                let list = (0..<count).map { _ in Int.random(in: 0..<9, using: &random) == 0 ? "*a.b" : name(&random) }
                return (hosts: list, namespace: Bool.random(using: &random) ? "app" : "other")
            }
            for (owner, object) in objects.enumerated() {
                // One in two the other way round: from the Gateway's side.
                let set = HostSet(object.hosts.enumerated().map { (name: $1, number: Int32($0)) })
                hosts.add(
                    owner, object.hosts[...], namespace: object.namespace, set: round % 2 == 0 ? nil : set,
                    most: 10_000)
            }
            for (server, entries) in zip(gateway.servers, servers) {
                let found = hosts.found(on: server)
                for (owner, object) in objects.enumerated() {
                    let meant = object.hosts.map { self.meant(entries, $0, object.namespace) }
                    let names = found.first { $0.service == owner }?.names ?? []
                    #expect(names == meant.flatMap(\.self), "\(object) on \(entries)")
                    let places = found.first { $0.service == owner }?.places ?? []
                    #expect(places == meant.indices.filter { !meant[$0].isEmpty })
                }
                #expect(found.map(\.service) == found.map(\.service).sorted())
            }
        }
    }
}
