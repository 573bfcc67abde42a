internal import Balancing
internal import Manifests

extension RoutingPlan {
    /// The routes in effect as an indented tree: listener, host, rule, destination, endpoints.
    /// - Parameter endpoints: which endpoints the clusters have now.
    package func renderTree(endpoints: EndpointTable) -> String {
        var text = ""
        RouteWalk(self, EndpointReader(endpoints)).walk { line in
            text += String(repeating: "  ", count: line.depth) + line.text.printable + "\n"
        }
        return text
    }
}

extension RouteTable {
    /// The hosts, grouped by shared rules, in the order in which they were added.
    var hostGroups: [(names: [String], ruleSet: Int)] {
        var groups: [(names: [String], ruleSet: Int)] = []
        var places: [Int: Int] = [:]
        for host in hosts {
            if let place = places[host.ruleSet] {
                groups[place].names.append(host.name)
            } else {
                places[host.ruleSet] = groups.count
                groups.append(([host.name], host.ruleSet))
            }
        }
        return groups
    }
}

extension ListenerPlan {
    /// `bind:port`, with `*` for every address.
    package var address: String {
        if bind.hasPrefix("unix:") { return bind }
        return "\(bind.isEmpty ? "*" : bind.contains(":") ? "[\(bind)]" : bind):\(port)"
    }
}

extension Route {
    /// The weight of each destination.
    package var weights: [UInt64] {
        var before: UInt64 = 0
        return destinations.map { destination in
            defer { before = destination.upTo }
            return destination.upTo - before
        }
    }
}

extension ClusterPlan {
    /// The name of its way to choose.
    var balancing: String { policies?.hashing?.table.name ?? policy.rawValue }

    var title: String { title(protocol: "HTTP/\(isHTTP2 ? "2" : "1.1")") }

    /// The same for traffic of another protocol.
    func title(protocol name: String) -> String {
        let part = subset.isEmpty ? "" : " subset \(subset)"
        return "\(host):\(port)\(part), \(name), \(balancing)"
    }

    /// The lines of a cluster's endpoints, one per endpoint.
    /// - Parameter failure: what becomes of traffic when there is none.
    func endpointLines(_ endpoints: EndpointReader, failure: String = "503") -> [String] {
        if case .unavailable(let reason) = source { return ["\(failure): \(reason.sentence)"] }
        if case .requested(let names) = source {
            return ["the host of each request, if it is under \(names), by DNS, port \(names.port)"]
        }
        let locality = policies?.locality
        return switch endpoints.endpoints(of: source, by: locality) {
        case .endpoints(let found) where found.isEmpty: ["nobody is ready: \(failure)"]
        case .endpoints(let found):
            found.map {
                "\($0.address)" + ($0.weight == 1 ? "" : " weight \($0.weight)") + (locality?.text(of: $0.rank) ?? "")
            }
        case .names(let names):
            names.map {
                "\($0.host):\($0.port) by DNS" + ($0.weight == 1 ? "" : " weight \($0.weight)")
                    + (locality?.text(of: $0.rank) ?? "")
            }
        }
    }
}

extension CertificateSource: CustomStringConvertible {
    package var description: String {
        switch self {
        case .secret(let namespace, let name): "Secret \(namespace)/\(name)"
        case .files(let certificate, _): "file \(certificate)"
        case .mesh: "Istio's agent"
        case .refused(let name): "nothing: \(name) is refused"
        }
    }
}

extension Duration {
    /// The duration as text, such as `5s` or `1500ms`.
    package var milliseconds: String {
        let (seconds, attoseconds) = components
        guard attoseconds != 0 else { return "\(seconds)s" }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? "\(seconds)s" : "\(whole + attoseconds / 1_000_000_000_000_000)ms"
    }
}
