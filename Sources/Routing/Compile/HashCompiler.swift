internal import Balancing
internal import Manifests

extension PolicyDirectory.Policy {
    /// By what the requests of a port and subset find their endpoint; nil: by nothing of theirs.
    func hashing(port: Int, subset: Subset?) -> HashPolicy? {
        block(\.loadBalancer, port: port, subset: subset)?.consistentHash.map(HashPolicy.init)
    }
}

extension HashPolicy {
    /// Envoy's default of a ring's size, as Istio sets it.
    private static let usualRing = 1024

    fileprivate init(_ written: LoadBalancer.ConsistentHash) {
        let key: Key =
            switch written.key {
            case .header(let name): .header(name.lowercased())
            case .cookie(let cookie): .cookie(Cookie(cookie))
            case .sourceAddress: .sourceAddress
            case .queryParameter(let name): .queryParameter(name)
            }
        let table: Table =
            written.maglevTableSize.map { .maglev(size: $0) }
            ?? .ring(minimum: written.minimumRingSize ?? Self.usualRing)
        self.init(key: key, table: table)
    }

    /// Names and values of its fields, as `portico routes` shows them.
    var lines: [(name: String, value: String)] {
        let size: (name: String, value: String) =
            switch table {
            case .ring(let minimum): (name: "minimumRingSize", value: "\(minimum)")
            case .maglev(let size): (name: "tableSize", value: "\(size)")
            }
        switch key {
        case .header(let name): return [(name: "httpHeaderName", value: name), size]
        case .cookie(let cookie): return [(name: "httpCookie", value: cookie.name + (cookie.setting ?? "")), size]
        case .sourceAddress: return [(name: "useSourceIp", value: "true"), size]
        case .queryParameter(let name): return [(name: "httpQueryParameterName", value: name), size]
        }
    }
}

extension HashPolicy.Cookie {
    /// What follows the value is written in Envoy's order.
    fileprivate init(_ written: LoadBalancer.Cookie) {
        self.init(name: written.name, setting: nil)
        guard let ttl = written.ttl else { return }
        var setting = ""
        if ttl > .zero { setting += "; Max-Age=\(max(ttl.components.seconds, 1))" }
        if let path = written.path, !path.isEmpty { setting += "; Path=\(path)" }
        for (name, value) in written.attributes { setting += "; \(name)" + (value.isEmpty ? "" : "=\(value)") }
        self.setting = setting + "; HttpOnly"
    }
}
