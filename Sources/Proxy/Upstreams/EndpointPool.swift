internal import Balancing
internal import Octets
internal import Reactor

/// One worker's connections to one endpoint. Its thread only.
final class EndpointPool {
    let endpoint: Endpoint
    let address: SocketAddress?
    var http1: [Connection] = []    // the idle ones; the newest is reused first
    var http2: [Connection] = []    // the first with room takes the next stream
    /// The one of `http2` that took the last stream; most probably it takes the next one too.
    private var newest: Unretained<Connection>?
    /// What the endpoint last said of its limit on streams, for connections that have not heard it yet.
    var learnedStreams = Int.max
    /// The endpoint has left: connections are not kept any more.
    var isRetired = false

    init(endpoint: Endpoint) {
        self.endpoint = endpoint
        address =
            switch endpoint.address {
            case .ip(let host, let port): SocketAddress(host: host, port: port)
            case .unix(let path): SocketAddress(unixPath: path)
            }
    }

    /// A connection that can take a request now; nil when a new one is needed.
    func available(http2 isHTTP2: Bool) -> Connection? {
        if isHTTP2 {
            if let newest, newest({ $0.takesRequests }) { return newest { $0 } }
            for index in http2.indices where http2[index].takesRequests {
                newest = Unretained(http2[index])
                return http2[index]
            }
            return nil
        }
        while let idle = http1.popLast() {
            if idle.takesRequests { return idle }
        }
        return nil
    }

    /// An HTTP/1.1 connection has finished its request.
    func becameIdle(_ connection: Connection) {
        connection.hasServed = true
        http1.append(connection)
    }

    func remove(_ connection: Connection) {
        newest = nil
        http1.removeAll { $0 === connection }
        http2.removeAll { $0 === connection }
    }
}
