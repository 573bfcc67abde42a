/// How far a relay of octets has come: two flows, one from each side to the other, which end apart. It knows no socket
/// and no buffer: its owner says what has happened, and does what follows from it.
struct RelayState {
    /// An end of the relay: the client's or the endpoint's.
    enum Side {
        case downstream, upstream
        var other: Side { self == .downstream ? .upstream : .downstream }
    }

    /// What comes from one side and goes to the other.
    enum Flow {
        case open
        /// Its source has ended, and octets still wait for the other side.
        case ending
        /// Nothing more goes this way.
        case over
    }

    /// For the worker's relays to carry out: the state itself does no I/O.
    enum Action: Equatable {
        case nothing
        /// Our side of the connection to that end is ended (FIN); it may go on to send.
        case finish(Side)
        /// Both flows are over.
        case end
    }

    private var fromDownstream = Flow.open
    private var fromUpstream = Flow.open
    /// The side whose connection broke, so that the other must not take the end for a regular one.
    private(set) var brokenSide: Side?
    /// Octets that came from the client, and from the endpoint.
    private(set) var received: UInt64 = 0, sent: UInt64 = 0
    /// Numbers of the endpoints to which a connection was tried.
    private(set) var tried: [Int] = []

    /// Connections that are tried for one client.
    static let triesLimit = 3

    /// How far the octets are that come from a side.
    func flow(from side: Side) -> Flow { side == .downstream ? fromDownstream : fromUpstream }

    var isOver: Bool { fromDownstream == .over && fromUpstream == .over }

    // MARK: events

    /// Begins a try, unless the endpoint of that number was tried before, or enough were.
    /// - Returns: whether the try has begun.
    mutating func beginTry(ofEndpoint number: Int) -> Bool {
        guard tried.count < Self.triesLimit, !tried.contains(number) else { return false }
        tried.append(number)
        return true
    }

    /// Adds to the octets that the access log shows for a side.
    mutating func came(from side: Side, _ count: Int) {
        if side == .downstream { received &+= UInt64(count) } else { sent &+= UInt64(count) }
    }

    /// A side sends no more.
    /// - Parameter hasWaiting: octets of it wait for the other side.
    mutating func ended(_ side: Side, hasWaiting: Bool) -> Action {
        guard flow(from: side) == .open else { return .nothing }
        guard !hasWaiting else {
            set(.ending, from: side)
            return .nothing
        }
        return close(from: side)
    }

    /// A side has taken all that waited for it.
    mutating func drained(towards side: Side) -> Action {
        flow(from: side.other) == .ending ? close(from: side.other) : .nothing
    }

    /// A side takes nothing more, and perhaps still sends.
    mutating func declined(_ side: Side) -> Action {
        brokenSide = brokenSide ?? side
        set(.over, from: side.other)
        return isOver ? .end : .nothing
    }

    /// The connection of a side is broken.
    /// - Parameter hasWaiting: octets of it wait for the other side, which still gets them.
    mutating func broke(_ side: Side, hasWaiting: Bool) -> Action {
        _ = declined(side)
        if flow(from: side) == .open { set(hasWaiting ? .ending : .over, from: side) }
        return isOver ? .end : .nothing
    }

    private mutating func close(from side: Side) -> Action {
        set(.over, from: side)
        return isOver ? .end : .finish(side.other)
    }

    private mutating func set(_ flow: Flow, from side: Side) {
        if side == .downstream { fromDownstream = flow } else { fromUpstream = flow }
    }
}
