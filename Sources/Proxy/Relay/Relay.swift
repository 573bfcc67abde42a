internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// A client's connection and one to an endpoint, whose octets are passed on as they come. Both connections hold it, and
/// it follows them without counting: a connection that is closed leaves its relay first. Its worker's thread only.
final class Relay {
    let route: RouteHandle
    let started: MonotonicTime
    let startedWall: WallTime
    /// The TLS server name that the client asked for.
    let serverName: String?
    var state = RelayState()
    var downstream: Unretained<Connection>?
    /// nil while there is none; see `isConnected`.
    var upstream: Unretained<Connection>?
    /// Whether the endpoint has accepted the connection.
    var isConnected = false
    var isEnded = false
    /// What the client had sent before the endpoint was known; it goes first.
    var early: OctetBuffer?
    var destination: DestinationHandle?
    /// The host that it waits for, which the client has named.
    var awaited: RequestedHost?
    var endpoint: Endpoint?
    var upstreamLocal: String?
    /// Why the last connection to an endpoint failed.
    var failure = ""

    init(_ client: Connection, _ route: RouteHandle, _ serverName: String?, at now: MonotonicTime, wall: WallTime) {
        self.route = route
        self.serverName = serverName
        downstream = Unretained(client)
        started = now
        startedWall = wall
    }

    /// The connection of a side.
    func connection(_ side: RelayState.Side) -> Connection? {
        (side == .downstream ? downstream : upstream)?({ $0 })
    }
}

/// How a relay ended.
enum RelayEnd: Equatable {
    /// Both sides have ended.
    case finished
    /// The connection of the client broke, or it was gone before there was an endpoint.
    case clientLost
    /// The endpoint's connection broke.
    case endpointLost
    /// No endpoint may be chosen, for the reason given.
    case unavailable(String)
    case noEndpoint
    /// The host that the client has named has no addresses, for the reason given.
    case unresolved(String)
    case connectFailed
    /// The endpoint has as many connections as it may have.
    case overflow
    case idle
    /// Its cluster allows it no more time.
    case aged
    case overloaded
    /// The process ends.
    case shutDown

    /// Whether the other side has to learn that octets may be missing (RST).
    var isAbrupt: Bool {
        switch self {
        case .clientLost, .endpointLost, .overloaded, .shutDown: true
        case .finished, .unavailable, .noEndpoint, .unresolved, .connectFailed, .overflow, .idle, .aged: false
        }
    }
}

/// A ClientHello that is read before it is known who ends the TLS that it begins.
final class HelloInProgress {
    var reader = ClientHelloReader()
    /// All that was read, for whoever gets the connection.
    let octets: OctetBuffer
    /// Once it is known.
    var serverName: String?

    init(octets: OctetBuffer) { self.octets = octets }
}
