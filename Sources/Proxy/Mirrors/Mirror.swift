internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor

/// One copy of a client's request, on its way to a mirror. Nobody waits for its answer, and whatever becomes of it, the
/// client notices nothing.
///
/// Thread: its worker's. Freed by: `Mirrors`.
final class Mirror {
    /// What it has of an upstream.
    enum Place {
        case none
        case queued(EndpointPool, WaitingQueue.Place)
        /// A stream; the connection is kept alive by this.
        case stream(Connection, Int)
    }

    /// Its place among its worker's; the owner of its stream.
    let number: Int
    /// Counted as long as the copy is under way.
    private var picked = PickedEndpoint()
    /// Of its cluster; nil for most.
    let limits: PoolLimits?
    /// What it has in use of them.
    var holdings = LimitHoldings()
    /// How far it has come.
    var state: MirrorState
    /// What those who watch its endpoint hear of it.
    var report: MirrorReport
    var place = Place.none
    /// Held until it is sent.
    var section: HeaderBlock?
    /// From the pools: what has come of the body before there is a stream.
    var body: OctetBuffer?
    /// Held until they are sent.
    var trailers: HeaderBlock?
    /// Whether its header section is all there is.
    let isAlone: Bool
    /// Of the time that it may take behind the end of the request.
    var timer = TimerWheel.TimerID.none

    init(
        number: Int, endpoint: Endpoint, limits: PoolLimits?, section: HeaderBlock, isGRPC: Bool, isAlone: Bool
    ) {
        self.number = number
        self.limits = limits
        report = MirrorReport(isGRPC: isGRPC)
        state = MirrorState(isAlone: isAlone)
        self.section = section
        self.isAlone = isAlone
        picked.pick(endpoint)
    }

    /// Its stream; nil: it has none.
    var stream: (connection: Connection, slot: Int)? {
        if case .stream(let connection, let slot) = place { (connection, slot) } else { nil }
    }

    /// Whoever watches its endpoint.
    var observer: OutlierObserver? { picked.unretained?({ $0.observer }) ?? nil }

    /// The copy is over for its endpoint.
    func leaveEndpoint() { picked.end() }

    /// Whether events of that stream are meant for this copy.
    func isUsing(_ connection: Connection, _ slot: Int) -> Bool {
        guard case .stream(let own, let ownSlot) = place else { return false }
        return own === connection && ownSlot == slot
    }
}

/// The copies of one client's request. A request of a rule without mirrors has none.
///
/// Thread: its worker's. Freed by: its `Exchange`, when the request is over.
final class Copies {
    /// Where copies go, until they are made.
    var destinations: [DestinationHandle]
    /// Those that were made.
    var mirrors: [Mirror] = []

    init(to destinations: [DestinationHandle]) { self.destinations = destinations }
}
