internal import Octets
internal import Synchronization
package import TLS

/// How the endpoints of one or several clusters are spoken to in TLS. Two clusters that want it differently have two
/// of these, and share no connection. Made by the control plane, kept over reloads while nothing of it changes; used
/// by all workers.
///
/// Thread: any. Freed by: the last of its directory, the snapshots and the pools that connect by it.
package final class UpstreamSecurity: Sendable {
    /// Whose certificate is accepted, and what is sent to the endpoint.
    package struct Peer: Sendable, Hashable {
        /// The server name (SNI); nil: the host of the request.
        package var serverName: String?
        /// Whether the certificate must have the host of the request among its names.
        package var needsHost = false
        /// The names of which the certificate must have one as well; empty: any.
        package var names: [String] = []
        /// What one of its URIs must begin with; nil: anything.
        package var uriPrefix: String?
        /// Whether the endpoint is of Istio's mesh, whose proxies expect ALPN to say so.
        package var isMesh = false

        /// An endpoint that is expected to be nobody in particular.
        package init() {}
    }

    /// Tells it from any other of the process: 1 and above.
    let number: Int
    /// The authorities, and the certificate that is shown.
    package let context: TLSClientContext
    /// What the endpoint's certificate must say.
    package let peer: Peer
    private let gone = Atomic<Bool>(false)

    private static let made = Atomic<Int>(0)

    /// Makes the security of a cluster, with a number of its own.
    package init(context: TLSClientContext, peer: Peer) {
        number = Self.made.wrappingAdd(1, ordering: .relaxed).newValue
        self.context = context
        self.peer = peer
    }

    /// No configuration has it any more: connections that it made end with their streams.
    package var isGone: Bool { gone.load(ordering: .acquiring) }
    /// No cluster uses it any more, so that its connections end with their streams.
    package func leave() { gone.store(true, ordering: .releasing) }

    /// Whether connections for requests to different hosts are different ones.
    var dependsOnHost: Bool { peer.needsHost || peer.serverName == nil }

    /// What ALPN offers. The endpoint's choice decides what is spoken; without one it is what was wanted.
    /// Source: docs/istio.md, TLS to upstreams.
    private func protocols(isHTTP2: Bool, isRelay: Bool) -> [String] {
        if isRelay { return peer.isMesh ? ["istio-peer-exchange", "istio"] : [] }
        if peer.isMesh { return isHTTP2 ? ["istio-h2", "istio", "h2"] : ["istio-http/1.1", "istio", "http/1.1"] }
        return isHTTP2 ? ["h2", "http/1.1"] : []
    }

    /// What a new connection asks of the endpoint.
    /// - Parameters:
    ///   - host: of the request, without port; empty if nothing depends on it.
    ///   - isRelay: whether it is for octets of any protocol.
    func request(host: String, isHTTP2: Bool, isRelay: Bool = false) -> TLSServerExpectation {
        TLSServerExpectation(
            serverName: peer.serverName ?? host, host: peer.needsHost ? host : nil, names: peer.names,
            uriPrefix: peer.uriPrefix, protocols: protocols(isHTTP2: isHTTP2, isRelay: isRelay))
    }
}

/// TLS of one cluster in a configuration.
package enum ClusterTLS: Sendable {
    case secure(UpstreamSecurity)
    /// It cannot be made, and the sentence says why: requests are answered 503.
    case unavailable(String)

    /// What connections are made with; nil if they are in clear text, or none may be made.
    package var security: UpstreamSecurity? { if case .secure(let made) = self { made } else { nil } }

    /// Whether both serve alike.
    package static func isSame(_ left: ClusterTLS, _ right: ClusterTLS) -> Bool {
        switch (left, right) {
        case (.secure(let one), .secure(let other)): one === other
        case (.unavailable(let one), .unavailable(let other)): one == other
        default: false
        }
    }

    /// The same for the TLS of all clusters, by their numbers.
    package static func isSame(_ left: [Int: ClusterTLS], _ right: [Int: ClusterTLS]) -> Bool {
        left.count == right.count
            && left.allSatisfy { number, tls in right[number].map { isSame(tls, $0) } ?? false }
    }
}

extension Octets {
    /// The host of an authority as a certificate has it: without its port, its brackets and a dot at its end.
    var certificateHost: Octets {
        let host = self
        guard host.count > 2, host.hasPrefix("["), host.hasSuffix("]") else { return host }
        return host.slice(1, host.count - 1)
    }
}
