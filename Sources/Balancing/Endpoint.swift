package import Synchronization

/// Where an endpoint listens.
package enum EndpointAddress: Hashable, Sendable {
    /// An IPv4 or IPv6 address in its usual text, without brackets; port 1...65535.
    case ip(String, port: UInt16)
    /// A Unix-domain socket; `@name` is Linux's abstract name space.
    case unix(path: String)
}

extension EndpointAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .ip(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// One place to send requests to. There is one object per (service, port, address) in the whole
/// process, shared by all workers and kept over reloads, so that what is known of it is never split.
package final class Endpoint: Sendable {
    package let address: EndpointAddress
    package let name: String    // the address as text, for logs and metrics
    /// Dense and small: an index into the workers' own tables. Never used for another endpoint.
    package let number: Int
    /// Requests in flight, of all workers.
    package let active = Atomic<Int>(0)
    /// Requests ever sent there, tries included.
    package let total = Atomic<Int>(0)

    /// A try is sent there.
    @inline(__always) package func began() {
        active.wrappingAdd(1, ordering: .relaxed)
        total.wrappingAdd(1, ordering: .relaxed)
    }

    /// A try that was sent there is over.
    @inline(__always) package func ended() { active.wrappingSubtract(1, ordering: .relaxed) }

    package init(address: EndpointAddress, number: Int) {
        self.address = address
        self.name = address.description
        self.number = number
    }
}
