// Decodes the `tls` and `tcp` rules of a VirtualService. Source: Istio `VirtualService.spec.tls`.

extension TLSRoute {
    /// Reads a rule. One with an error is kept and marked, so that its connections are closed and no other rule gets
    /// them.
    /// - Parameter hosts: those of the VirtualService, in lower case. Every server name must be one of theirs.
    init(_ value: Value, of hosts: [String]) {
        self.init(place: value.place, path: value.fieldPath)
        isBroken = !value.decoder.contained(closedConnections) { read(value, hosts) }
    }

    private mutating func read(_ value: Value, _ hosts: [String]) {
        guard var mapping = value.mapping() else { return }
        if let list = mapping.require("match") {
            let entries = list.elements()
            if entries.isEmpty { list.error("missing-field", "a `tls` rule needs at least one match") }
            matches = entries.map { ConnectionMatch.ofTLS($0, hosts) }
        }
        destinations = RouteDestination.someOf(&mapping)
        mapping.finish()
    }
}

extension TCPRoute {
    /// Reads a rule. One with an error is kept and marked, so that its connections are closed and no other rule gets
    /// them.
    init(_ value: Value) {
        self.init(place: value.place, path: value.fieldPath)
        isBroken = !value.decoder.contained(closedConnections) { read(value) }
    }

    private mutating func read(_ value: Value) {
        guard var mapping = value.mapping() else { return }
        matches = mapping.elements("match").map(ConnectionMatch.ofTCP)
        destinations = RouteDestination.someOf(&mapping)
        mapping.finish()
    }
}

/// What an error in a rule leads to.
private let closedConnections = ": its connections are closed"

extension RouteDestination {
    /// Reads `route`, which must have at least one destination.
    fileprivate static func someOf(_ mapping: inout Mapping) -> [RouteDestination] {
        let value = mapping.require("route")
        let destinations = list(value, hasHeaders: false)
        if let value, destinations.isEmpty {
            value.error("missing-field", "a route needs at least one destination")
        }
        return destinations
    }
}

extension ConnectionMatch {
    fileprivate static func ofTLS(_ value: Value, _ hosts: [String]) -> ConnectionMatch {
        var match = ConnectionMatch(place: value.place, path: value.fieldPath)
        guard var mapping = value.mapping() else {
            match.lacksNames = true
            return match
        }
        let before = value.decoder.errorCount
        _ = mapping.require("sniHosts")
        match.sniHosts = mapping.locatedStrings("sniHosts") { checkServerName($0, $1, hosts) }
        match.lacksNames = value.decoder.errorCount > before
        match.readConditions(&mapping)
        mapping.removed("sourceSubnet")
        mapping.finish()
        return match
    }

    fileprivate static func ofTCP(_ value: Value) -> ConnectionMatch {
        var match = ConnectionMatch(place: value.place, path: value.fieldPath)
        guard var mapping = value.mapping() else { return match }
        if let field = mapping.field("sourceSubnet"), field.string() != nil {
            match.ignored.append(mapping.located("sourceSubnet", field))
        }
        match.readConditions(&mapping)
        mapping.finish()
        return match
    }

    /// Checks one of `sniHosts`. A host of the VirtualService must cover it. Source: docs/istio.md, TLS routes.
    private static func checkServerName(_ value: Value, _ host: String, _ hosts: [String]) {
        if Grammar.isAddress(host) {
            value.warning(
                "no-effect", "`\(host)` is an address, and clients name no address in the TLS handshake",
                hint: "write the host name that clients ask for")
        } else if !Grammar.isWildcardDomain(host), !Grammar.isGeneratedSNIHost(host) {
            value.error("invalid-host", "`\(host)` is no host name")
        } else if host.hasPrefix("*"), host.utf8.count > 1, !host.hasPrefix("*.") {
            // Envoy refuses such a name of a filter chain.
            value.error("invalid-host", "`\(host)` is no server name", hint: "a wildcard is `*` or `*.` and a name")
        } else if !hosts.contains(where: { covers($0, host.lowercased()) }) {
            value.error(
                "invalid-host", "`\(host)` is under none of the hosts of this VirtualService",
                hint: "add it to `spec.hosts`, or write a name that one of them covers")
        }
    }

    /// Whether every name of `name` is one of `host`; both may be wildcards.
    private static func covers(_ host: String, _ name: String) -> Bool {
        if host == "*" || host == name { return true }
        return host.hasPrefix("*.") && name.hasSuffix(host.dropFirst()) && name.utf8.count > host.utf8.count - 1
    }

    /// Reads `port` and `gateways`, and checks the conditions that a gateway ignores.
    private mutating func readConditions(_ mapping: inout Mapping) {
        port = mapping.givenPort("port")
        gateways = mapping.locatedStrings("gateways", check: checkGatewayName)
        for value in mapping.elements("destinationSubnets") {
            guard let text = value.string(), !Grammar.isAddressOrNetwork(text) else { continue }
            value.error("invalid-address", "`\(text)` is no address or network")
        }
        _ = mapping.selectorLabels("sourceLabels")
        _ = mapping.string("sourceNamespace")
        for name in ["destinationSubnets", "sourceLabels", "sourceNamespace"] as [StaticString] {
            guard let field = mapping.field(name), !field.isNothing else { continue }
            ignored.append(mapping.located("\(name)", field))
        }
    }
}

extension Value {
    /// Whether it is an empty text, list or mapping.
    fileprivate var isNothing: Bool {
        let found = decoder.tree[node]
        return found.isScalar ? raw.isEmpty : found.count == 0
    }
}
