internal import Manifests

extension PolicyDirectory.Policy {
    /// Limits of connections and requests for a port and subset; nil if there are none.
    func pool(port: Int, subset: Subset?) -> PoolPolicy? {
        var policy = block(\.connectionPool, port: port, subset: subset).map { PoolPolicy($0) } ?? PoolPolicy()
        policy.budget = whole(\.retryBudget, port: port, subset: subset).map(PoolPolicy.RetryBudget.init)
        return policy == PoolPolicy() ? nil : policy
    }

    /// Whether requests in HTTP/1.1 are sent as HTTP/2.
    func upgrades(port: Int, subset: Subset?) -> Bool {
        block(\.connectionPool, port: port, subset: subset)?.h2UpgradePolicy == "UPGRADE"
    }
}

extension PoolPolicy {
    /// What a DestinationRule says. An idle timeout of TCP is in effect where HTTP has none; zero switches it off.
    fileprivate init(_ pool: ConnectionPool) {
        connections = pool.maxConnections
        pending = pool.http1MaxPendingRequests
        requests = pool.http2MaxRequests
        retries = pool.maxRetries
        requestsPerConnection = pool.maxRequestsPerConnection
        streams = pool.maxConcurrentStreams
        connectTimeout = pool.connectTimeout
        idleTimeout = pool.idleTimeout ?? pool.tcpIdleTimeout.flatMap { $0 == .zero ? nil : $0 }
        relayIdleTimeout = pool.tcpIdleTimeout.flatMap { $0 == .zero ? nil : $0 }
        lifetime = pool.maxConnectionDuration
        keepAlive = pool.keepalive.map(KeepAlive.init)
        usesClientProtocol = pool.useClientProtocol
        ping = pool.http2KeepAlive.map { Ping(interval: $0.interval, timeout: $0.timeout) }
    }
}

extension PoolPolicy.RetryBudget {
    fileprivate init(_ written: RetryBudget) {
        self.init()
        percent = written.percent ?? percent
        minimum = written.minRetryConcurrency ?? minimum
    }

    fileprivate var text: String { "\(percent)% of the requests, at least \(minimum)" }
}

extension PoolPolicy.Ping {
    fileprivate var text: String { "after \(interval.milliseconds), for \(timeout.milliseconds)" }
}

extension PoolPolicy.KeepAlive {
    fileprivate init(_ written: ConnectionPool.Keepalive) {
        probes = written.probes.flatMap { $0 == 0 ? nil : $0 }
        time = written.time.map(Self.seconds)
        interval = written.interval.map(Self.seconds)
    }

    /// The kernel counts whole seconds, at least one.
    private static func seconds(_ duration: Duration) -> Int { Int(clamping: max(duration.components.seconds, 1)) }
}

extension PoolPolicy {
    /// What it says, one entry for each field, for people.
    var lines: [(name: String, value: String)] {
        let counts: [(String, Int?)] = [
            ("maxConnections", connections), ("http1MaxPendingRequests", pending), ("http2MaxRequests", requests),
            ("maxRetries", retries), ("maxRequestsPerConnection", requestsPerConnection),
            ("maxConcurrentStreams", streams),
        ]
        let times: [(String, Duration?)] = [
            ("connectTimeout", connectTimeout), ("idleTimeout", idleTimeout),
            ("tcp.idleTimeout", relayIdleTimeout == idleTimeout ? nil : relayIdleTimeout),
            ("maxConnectionDuration", lifetime),
        ]
        var lines = counts.compactMap { entry in entry.1.map { (name: entry.0, value: String($0)) } }
        lines += times.compactMap { entry in entry.1.map { (name: entry.0, value: $0.milliseconds) } }
        if let budget { lines.append((name: "retryBudget", value: budget.text)) }
        if let ping { lines.append((name: "http2KeepAlive", value: ping.text)) }
        if let keepAlive { lines.append((name: "tcpKeepalive", value: keepAlive.text)) }
        if usesClientProtocol { lines.append((name: "useClientProtocol", value: "true")) }
        return lines
    }
}

extension PoolPolicy.KeepAlive {
    fileprivate var text: String {
        let parts = [time.map { "after \($0)s" }, interval.map { "every \($0)s" }, probes.map { "\($0) times" }]
        let text = parts.compactMap(\.self).joined(separator: " ")
        return text.isEmpty ? "as the system does" : text
    }
}
