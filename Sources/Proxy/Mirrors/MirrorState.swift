internal import Balancing
internal import HTTP
internal import Telemetry

/// The course of one copy of a request on its way to a mirror. It knows no socket, no clock and no worker: what has
/// happened goes in, and what is to be done comes out. `Mirrors` does it.
///
///     new → (queued →) sent → over
///
/// A copy may be over in each of them: nobody waits for its answer.
struct MirrorState {
    /// How far the copy has come.
    enum Place: Equatable {
        /// There is no connection for it yet.
        case new
        /// It waits for a connection, and what comes of the body is held.
        case queued
        case sent
        case over
    }

    /// What follows from an event.
    enum Action: Equatable {
        case nothing
        /// Keeps octets of the body until there is a stream.
        case hold
        /// Sends octets of the body.
        case send
        /// Keeps the trailers, if there are any, until there is a stream; the clock of the mirror starts.
        case holdEnd
        /// Ends the body, with trailers if there are any; the clock of the mirror starts.
        case finish
        /// The connection is nothing to it, and is given back.
        case giveBack
        /// Sends the header section, and what was held: body, end and trailers; `sent` follows, or `fails`.
        case submit
        case end(MirrorResult)
        /// It is over, and its endpoint is to blame.
        case blame(EndpointResult)
    }

    private(set) var place = Place.new
    /// Whether all of the client's request has come.
    private(set) var isRequestEnded: Bool
    /// Whether the mirror's final header section has come.
    private var isAnswered = false
    private var heldOctets = 0

    /// Octets of a body that wait for the mirror; with one more the copy is given up.
    static let mostOctets = 65_536

    /// - Parameter isAlone: the header section is all there is of the request.
    init(isAlone: Bool) { isRequestEnded = isAlone }

    // MARK: the connection

    /// It waits for a connection.
    mutating func queued() { if place == .new { place = .queued } }

    /// A connection is there.
    mutating func connected() -> Action { place == .new || place == .queued ? .submit : .giveBack }

    /// No connection can be had.
    /// - Parameter isOurs: this machine lacks what it needs.
    mutating func connectionFailed(isOurs: Bool = false) -> Action {
        guard place == .queued else { return .nothing }
        return isOurs ? end(.failed) : end(blaming: .failed)
    }

    /// The copy's header section was given to a stream. Octets of body that were held for it go with it, and count no
    /// more.
    mutating func sent() {
        if place != .over { place = .sent }
        heldOctets = 0
    }

    /// It cannot be sent: a limit of its cluster leaves no room, or the connection has come to its end.
    mutating func refused(_ result: MirrorResult) -> Action { end(result) }

    // MARK: the request

    /// Octets of the client's body have come.
    /// - Parameter pending: how many wait on the stream, if there is one.
    mutating func body(_ octets: Int, pending: Int) -> Action {
        guard !isRequestEnded, place == .queued || place == .sent else { return .nothing }
        let waiting = place == .queued ? heldOctets : pending
        guard waiting + octets <= Self.mostOctets else { return end(.dropped) }
        guard place == .queued else { return .send }
        heldOctets += octets
        return .hold
    }

    /// The client's request is complete.
    mutating func requestEnded() -> Action {
        guard !isRequestEnded, place != .over else { return .nothing }
        isRequestEnded = true
        return place == .sent ? .finish : .holdEnd
    }

    /// The client's request is over: its copy cannot be completed if not all of it has come.
    mutating func abandoned() -> Action { isRequestEnded ? .nothing : end(.dropped) }

    // MARK: the answer

    /// A header section has come; interim ones count, too: the mirror is there and speaks.
    mutating func answered() { isAnswered = true }

    /// The mirror has said all. If it wants no more of the request, that is the end.
    mutating func answerEnded() -> Action { isRequestEnded ? .nothing : end(.completed) }

    /// The stream is over.
    /// - Parameter code: of HTTP/2; 0 is a regular end.
    mutating func closed(code: UInt32) -> Action {
        code == ErrorCode.none && isAnswered ? end(.completed) : end(blaming: .failed)
    }

    /// The answer breaks a rule, or its connection is gone.
    mutating func broke() -> Action { end(blaming: .failed) }

    /// The mirror has taken too long.
    mutating func timedOut() -> Action { end(blaming: .timedOut) }

    // MARK: the end

    private mutating func end(_ result: MirrorResult) -> Action {
        guard place != .over else { return .nothing }
        place = .over
        return .end(result)
    }

    private mutating func end(blaming result: EndpointResult) -> Action {
        guard place != .over else { return .nothing }
        place = .over
        return .blame(result)
    }
}
