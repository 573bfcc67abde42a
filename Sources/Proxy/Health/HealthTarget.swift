package import Balancing
internal import Reactor
package import Routing

/// What is checked of one endpoint, and how it is spoken to.
package struct HealthTarget: Sendable, Equatable {
    /// What a check does, and how often.
    package let policy: HealthCheckPolicy
    /// Where the check goes: the endpoint, or the port of its own that the policy names.
    package let address: EndpointAddress
    /// The same by both families; nil: there is one address.
    package let dual: DualStack?
    /// What a check names as its authority, and a certificate is compared with.
    package let authority: String
    /// Whether HTTP/2 is spoken without being chosen by ALPN.
    package let isHTTP2: Bool
    /// nil is clear text.
    package let security: UpstreamSecurity?
    /// What a connection begins with; nil: with nothing.
    package let proxyVersion: ProxyVersion?
    package let counts: HealthCounts

    /// Makes a target.
    /// - Parameters:
    ///   - endpoint: where requests go.
    ///   - dual: the same by both families.
    ///   - host: of the Service.
    ///   - isHTTP2: whether the Service's port speaks HTTP/2.
    ///   - security: of the cluster.
    ///   - proxyVersion: of the cluster.
    package init(
        _ policy: HealthCheckPolicy, of endpoint: EndpointAddress, dual: DualStack? = nil, host: String,
        isHTTP2: Bool, security: UpstreamSecurity?, proxyVersion: ProxyVersion?, counts: HealthCounts
    ) {
        self.policy = policy
        self.counts = counts
        authority = policy.authority ?? host
        if let port = policy.port, case .ip(let host, _) = endpoint {
            address = .ip(host, port: port)
            self.dual = dual.map {
                DualStack(ipv6: $0.ipv6.with(port: port), ipv4: $0.ipv4.with(port: port), memory: $0.memory)
            }
            self.isHTTP2 = policy.method == .grpc
            self.security = nil
            self.proxyVersion = nil
        } else {
            address = endpoint
            self.dual = dual
            self.isHTTP2 = isHTTP2 || policy.method == .grpc
            self.security = security
            self.proxyVersion = proxyVersion
        }
    }

    package static func == (left: HealthTarget, right: HealthTarget) -> Bool {
        left.policy == right.policy && left.address == right.address && left.dual?.ipv6 == right.dual?.ipv6
            && left.dual?.ipv4 == right.dual?.ipv4 && left.authority == right.authority
            && left.isHTTP2 == right.isHTTP2 && left.security === right.security
            && left.proxyVersion == right.proxyVersion && left.counts === right.counts
    }

    /// Where a check goes that begins now: by the family that requests try first, or by the other one.
    /// - Parameter lost: the address to which the last check found no connection; nil: it found one.
    func next(after lost: EndpointAddress?, at now: UInt64) -> EndpointAddress {
        lost.flatMap(other) ?? dual?.order(at: now).first ?? address
    }

    /// The address of the other family; nil if there is none.
    func other(than address: EndpointAddress) -> EndpointAddress? {
        dual.map { $0.ipv6 == address ? $0.ipv4 : $0.ipv6 }
    }

    /// A check has passed by one family, to whose other one the check before had found no connection.
    func passed(by address: EndpointAddress, after lost: EndpointAddress, at now: UInt64) {
        if address != lost { dual?.memory.lost(isIPv6: lost.isIPv6, at: now) }
    }
}

extension EndpointAddress {
    /// The same address with another port; a Unix socket has none.
    fileprivate func with(port: UInt16) -> EndpointAddress {
        if case .ip(let host, _) = self { .ip(host, port: port) } else { self }
    }
}

/// What the control plane wants of the checker.
package enum HealthOrder: Sendable {
    /// Check the endpoint from now on, or in another way than before.
    case check(EndpointState, HealthTarget)
    /// Check it no more.
    case forget(EndpointState)
}

/// What is known of an endpoint now, where that is something new.
package struct HealthNews: Sendable {
    package let endpoint: EndpointState
    /// What its checks say.
    package let history: HealthHistory
}
