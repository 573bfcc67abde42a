package import Balancing
internal import Reactor
package import Routing

/// What is checked of one endpoint, and how it is spoken to.
package struct HealthTarget: Sendable, Equatable {
    /// What a check does, and how often.
    package let policy: HealthCheckPolicy
    /// Where the check goes: the endpoint, or the port of its own that the policy names.
    package let address: EndpointAddress
    /// What a check names as its authority, and a certificate is compared with.
    package let authority: String
    /// Whether HTTP/2 is spoken without being chosen by ALPN.
    package let isHTTP2: Bool
    /// nil is clear text.
    package let security: UpstreamSecurity?
    /// What a connection begins with; nil: with nothing.
    package let proxyVersion: ProxyVersion?
    /// Counts the checks.
    package let counts: HealthCounts

    /// Makes a target.
    /// - Parameters:
    ///   - endpoint: where requests go.
    ///   - host: of the Service.
    ///   - isHTTP2: whether the Service's port speaks HTTP/2.
    ///   - security: of the cluster.
    ///   - proxyVersion: of the cluster.
    package init(
        _ policy: HealthCheckPolicy, of endpoint: EndpointAddress, host: String, isHTTP2: Bool,
        security: UpstreamSecurity?, proxyVersion: ProxyVersion?, counts: HealthCounts
    ) {
        self.policy = policy
        self.counts = counts
        authority = policy.authority ?? host
        if let port = policy.port, case .ip(let host, _) = endpoint {
            address = .ip(host, port: port)
            self.isHTTP2 = policy.method == .grpc
            self.security = nil
            self.proxyVersion = nil
        } else {
            address = endpoint
            self.isHTTP2 = isHTTP2 || policy.method == .grpc
            self.security = security
            self.proxyVersion = proxyVersion
        }
    }

    package static func == (left: HealthTarget, right: HealthTarget) -> Bool {
        left.policy == right.policy && left.address == right.address && left.authority == right.authority
            && left.isHTTP2 == right.isHTTP2 && left.security === right.security
            && left.proxyVersion == right.proxyVersion && left.counts === right.counts
    }

    /// For the kernel; nil if the address is none.
    var socketAddress: SocketAddress? {
        switch address {
        case .ip(let host, let port): SocketAddress(host: host, port: port)
        case .unix(let path): SocketAddress(unixPath: path)
        }
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
    /// The endpoint.
    package let endpoint: EndpointState
    /// What its checks say.
    package let record: HealthRecord
}
