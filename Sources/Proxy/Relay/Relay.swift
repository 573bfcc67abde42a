internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// A client's connection and one to an endpoint, whose octets are passed on as they come. Both connections hold it, and
/// it follows them without counting: a connection that is closed leaves its relay first.
///
/// Thread: its worker's. Freed by: the last of its two connections.
final class Relay {
    let route: RouteHandle
    let started: MonotonicTime
    let startedWall: WallTime
    /// The TLS server name that the client asked for.
    let serverName: String?
    var state = RelayState()
    var downstream: Unretained<Connection>?
    /// nil while there is none.
    var upstream: Unretained<Connection>?
    /// What waits in a pipe for each side, because its kernel has not taken it.
    private var pipes: (downstream: SplicePipe?, upstream: SplicePipe?)
    /// What the client had sent before the endpoint was known; it goes first.
    var early: OctetBuffer?
    var destination: DestinationHandle?
    /// The host that it waits for, which the client has named.
    var awaited: RequestedHost?
    var endpoint = PickedEndpoint()
    var upstreamLocal: String?
    var upstreamReached: String?    // where the endpoint has two addresses
    /// Why the last connection to an endpoint failed.
    var failure = ""

    init(_ client: Connection, _ route: RouteHandle, _ serverName: String?, at now: MonotonicTime, wall: WallTime) {
        self.route = route
        self.serverName = serverName
        downstream = Unretained(client)
        started = now
        startedWall = wall
    }

    /// What waits in a pipe for a side.
    func pipe(towards side: RelayState.Side) -> SplicePipe? { side == .downstream ? pipes.downstream : pipes.upstream }

    /// Keeps a pipe that has octets for a side.
    func hold(_ pipe: SplicePipe, towards side: RelayState.Side) {
        if side == .downstream { pipes.downstream = pipe } else { pipes.upstream = pipe }
    }

    /// Hands over what waits in a pipe for a side.
    func takePipe(towards side: RelayState.Side) -> SplicePipe? {
        side == .downstream ? pipes.downstream.take() : pipes.upstream.take()
    }

    var isEnded: Bool { state.stage == .ended }

    /// The connection to the client or to the endpoint; nil if there is none yet, or none any more.
    func connection(_ side: RelayState.Side) -> Connection? {
        (side == .downstream ? downstream : upstream)?({ $0 })
    }
}

/// Why a relay is over, as the access log and metrics tell it.
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
///
/// Thread: its worker's. Freed by: its `Connection`, when the hello is read.
final class HelloInProgress {
    var reader = ClientHelloReader()
    /// All that was read, for whoever gets the connection.
    let octets: OctetBuffer
    /// Once it is known.
    var serverName: String?

    init(octets: OctetBuffer) { self.octets = octets }
}
