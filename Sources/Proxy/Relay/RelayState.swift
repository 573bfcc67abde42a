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

    /// How far the relay is as a whole.
    enum Stage {
        /// There is no endpoint yet that has accepted.
        case connecting
        case passing
        /// Both connections are given up.
        case ended
    }

    /// How octets from one side pass.
    private enum Passage {
        /// Through the buffer of the worker.
        case copied
        /// Through a pipe of the kernel, because so much comes at a time.
        case spliced
        /// Copied from now on: the kernel does not splice between these sockets.
        case unspliceable
    }

    private(set) var stage = Stage.connecting
    private var passageUp = Passage.copied, passageDown = Passage.copied
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

    /// An endpoint has accepted, and octets are passed on.
    mutating func connected() { if stage == .connecting { stage = .passing } }

    /// Gives both connections up.
    /// - Returns: false when that was done before.
    mutating func end() -> Bool {
        defer { stage = .ended }
        return stage != .ended
    }

    /// Whether what comes from a side goes through a pipe of the kernel, and is not copied by the process.
    func isSpliced(from side: Side) -> Bool { (side == .downstream ? passageUp : passageDown) == .spliced }

    /// Much comes from a side at a time, or little again.
    mutating func splice(from side: Side, _ isSpliced: Bool) {
        let passage = isSpliced ? Passage.spliced : .copied
        if side == .downstream, passageUp != .unspliceable { passageUp = passage }
        if side == .upstream, passageDown != .unspliceable { passageDown = passage }
    }

    /// The kernel does not splice between the two sockets, neither way.
    mutating func refuseSplicing() { (passageUp, passageDown) = (.unspliceable, .unspliceable) }

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
