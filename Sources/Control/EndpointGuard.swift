package import Balancing
internal import Octets
package import Reactor
internal import Synchronization

/// Endpoints that nothing is sent to, whoever names them: this gateway's own status and admin listeners,
/// which a tenant's route would open to the world, and, unless they are allowed, Unix sockets and
/// link-local addresses, behind which clouds and container engines keep their keys. Any thread may ask.
///
/// Thread: any. Freed by: the last load or table of endpoints that asks it.
package final class EndpointGuard: Sendable {
    private let allowsLocal: Bool
    private let own = Lock<[SocketAddress]>([])

    /// - Parameter allowsLocal: whether requests may be sent to link-local addresses and Unix sockets
    ///   (`--local-endpoints on`).
    package init(allowsLocal: Bool) { self.allowsLocal = allowsLocal }

    /// Where this process listens for people and probes; known once the listeners are open.
    package func protect(_ listeners: [SocketAddress]) { own.withLock { $0 += listeners } }

    /// What the endpoint is, for a message, when it is refused; else nil.
    package func refusal(of endpoint: EndpointAddress) -> String? {
        guard case .ip(let host, let port) = endpoint else {
            return allowsLocal ? nil : "a Unix socket"
        }
        guard let address = SocketAddress(host: host, port: port) else { return nil }
        if own.withLock({ $0.contains(where: address.reaches) }) {
            return "which is this gateway's own status or admin listener"
        }
        return address.isLinkLocal && !allowsLocal ? "a link-local address" : nil
    }

    /// The same for an address of a name that a request has chosen. Whoever owns such a name decides where it leads,
    /// and the client may be the owner: what this machine serves to itself is not for them, unless that is allowed.
    package func refusalOfRequested(_ endpoint: EndpointAddress) -> String? {
        if let reason = refusal(of: endpoint) { return reason }
        guard !allowsLocal, case .ip(let host, let port) = endpoint, let address = SocketAddress(host: host, port: port)
        else { return nil }
        if address.isLoopback || address.isUnspecified { return "a loopback address" }
        return address.isMulticast ? "a multicast or broadcast address" : nil
    }
}
