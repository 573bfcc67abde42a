internal import HTTP
internal import Octets

/// The protocol a connection speaks. An enum of final classes: calls are direct, nothing is boxed, and
/// nothing is counted; the connection owns the session.
/// Both sessions have the same words, so everybody else needs no case for either.
enum Session {
    case undecided
    case http1(Unretained<HTTP1Session>)
    case http2(Unretained<HTTP2Session>)

    var isHTTP2: Bool { if case .http2 = self { true } else { false } }

    /// Whether a peer of HTTP/2 has not even begun: its first frame, SETTINGS, has not come. Source: RFC 9113 §3.4.
    var hasSilentPeer: Bool { if case .http2(let session) = self { session { $0.hasSilentPeer } } else { false } }

    /// Whether the newest request is one of HTTP/1.0.
    var isHTTP10: Bool { if case .http1(let session) = self { session { $0.isOld } } else { false } }

    /// - Parameter rest: what is for the next turn is left.
    func receive(_ rest: inout Octets) -> Bool {
        switch self {
        case .undecided: return true
        case .http1(let session):
            defer { rest = .empty }
            return session { $0.receive(rest) }
        case .http2(let session): return session { $0.receive(&rest) }
        }
    }

    /// Octets of a body that the session could send since the last flush, by stream; nil after the last entry.
    func taken(at index: Int) -> TakenOctets? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { index < $0.taken.count ? $0.taken[index] : nil }
        case .http2(let session): session { index < $0.taken.count ? $0.taken[index] : nil }
        }
    }

    /// Writes what the session has to say, until `out` has `limit` octets.
    func flush(into out: OctetBuffer, limit: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.flush(into: out, limit: limit) }
        case .http2(let session): session { $0.flush(into: out, limit: limit) }
        }
    }

    /// Whether it has something to say that was not handed to the transport.
    var wantsFlush: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.wantsFlush }
        case .http2(let session): session { $0.wantsFlush }
        }
    }

    /// Whether both sides have said all: the connection is to be closed when its output is sent.
    var isFinished: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isFinished }
        case .http2(let session): session { $0.isFinished }
        }
    }

    /// No further request will be taken.
    var isClosing: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isClosing }
        case .http2(let session): session { !$0.takesRequests }
        }
    }

    /// Streams that are not over on both sides; a connection without any may be closed.
    var openStreams: Int {
        switch self {
        case .undecided: 0
        case .http1(let session): session { $0.openStreams }
        case .http2(let session): session { $0.openStreams }
        }
    }

    /// Whether nothing more is to be read until output was sent: the peer takes too little.
    var isReadPaused: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isReadPaused }
        case .http2(let session): session { $0.isReadPaused }
        }
    }

    /// A number for the header section that has begun and is not complete; nil when there is none. While the number
    /// stays, it is the same section.
    var unfinishedHeaders: UInt32? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { $0.unfinishedHeaders }
        case .http2(let session): session { $0.unfinishedHeaders }
        }
    }

    /// Whether the connection's quota of work in this turn is used up.
    var isOverQuota: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isOverQuota }
        case .http2(let session): session { $0.isOverQuota }
        }
    }

    /// Whether octets wait in the session that were not read yet.
    var hasWaitingInput: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.hasWaitingInput }
        case .http2(let session): session { $0.hasWaitingInput }
        }
    }

    /// Keeps what `receive` has left for a later turn.
    func postpone(_ rest: Octets) {
        if case .http2(let session) = self { session { $0.postpone(rest) } }
    }

    /// The header section that the last event of the stream announced; the caller owns it from now on.
    func takeHeaders(_ slot: Int) -> HeaderBlock? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { $0.takeHeaders(slot) }
        case .http2(let session): session { $0.takeHeaders(slot) }
        }
    }

    /// Opens a stream with a request.
    /// - Returns: its slot; nil if the session takes no further request.
    func submitRequest(_ block: HeaderBlock, isEnd: Bool, owner: StreamOwner, keepsBody: Bool) -> Int? {
        switch self {
        case .undecided: nil
        case .http1(let session):
            session { $0.submitRequest(block, isEnd: isEnd, owner: owner, keepsBody: keepsBody) }
        case .http2(let session):
            session { $0.submitRequest(block, isEnd: isEnd, owner: owner, keepsBody: keepsBody) }
        }
    }

    /// Sends the final header section of a stream's response.
    func submitResponse(_ slot: Int, _ block: HeaderBlock, isEnd: Bool) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.submitResponse(slot, block, isEnd: isEnd) }
        case .http2(let session): session { $0.submitResponse(slot, block, isEnd: isEnd) }
        }
    }

    /// Sends an interim response (1xx).
    func submitInterim(_ slot: Int, _ block: HeaderBlock) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.submitInterim(slot, block) }
        case .http2(let session): session { $0.submitInterim(slot, block) }
        }
    }

    /// Sends octets of the body; what the window does not admit is kept.
    func send(_ slot: Int, _ octets: Octets) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.send(slot, octets) }
        case .http2(let session): session { $0.send(slot, octets) }
        }
    }

    /// Octets of body waiting to be sent.
    func pending(_ slot: Int) -> Int {
        switch self {
        case .undecided: 0
        case .http1(let session): session { $0.pending(slot) }
        case .http2(let session): session { $0.pending(slot) }
        }
    }

    /// Whether octets of a stream's body wait for a window of the peer's.
    func isHeldBack(_ slot: Int) -> Bool {
        if case .http2(let session) = self { session { $0.isHeldBack(slot) } } else { false }
    }

    /// Octets of messages that are ready to be sent, and that the next flushes take.
    var unsentOctets: Int {
        switch self {
        case .undecided: 0
        case .http1(let session): session { $0.unsentOctets }
        case .http2(let session): session { $0.unsentOctets }
        }
    }

    /// Ends this side of the stream, with trailers or without.
    func finish(_ slot: Int, trailers: HeaderBlock? = nil) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.finish(slot, trailers: trailers) }
        case .http2(let session): session { $0.finish(slot, trailers: trailers) }
        }
    }

    /// Resets the stream with an error code of RFC 9113 section 7; HTTP/1.1 closes the connection.
    func reset(_ slot: Int, code: UInt32) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.reset(slot, code: code) }
        case .http2(let session): session { $0.reset(slot, code: code) }
        }
    }

    /// Ends the response, and then resets the stream so that the client sends no more of its request.
    func resetAfterEnd(_ slot: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.resetAfterEnd(slot) }
        case .http2(let session): session { $0.resetAfterEnd(slot) }
        }
    }

    /// Opens the stream's window again by octets that were passed on.
    func consume(_ slot: Int, _ count: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.consume(slot, count) }
        case .http2(let session): session { $0.consume(slot, count) }
        }
    }

    /// Gives the stream an owner, whose its events are.
    func setOwner(_ slot: Int, _ owner: StreamOwner) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.setOwner(slot, owner) }
        case .http2(let session): session { $0.setOwner(slot, owner) }
        }
    }

    /// The owner of the stream's events.
    func owner(_ slot: Int) -> StreamOwner {
        switch self {
        case .undecided: .nobody
        case .http1(let session): session { $0.owner(slot) }
        case .http2(let session): session { $0.owner(slot) }
        }
    }

    /// Whether the peer may have seen the stream's header section; when not, the request is provably unprocessed.
    func mayHaveArrived(_ slot: Int) -> Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.mayHaveArrived(slot) }
        case .http2(let session): session { $0.mayHaveArrived(slot) }
        }
    }

    /// The last octets that `flush` handed over were not taken by the kernel, and never will be.
    func neverLeft(_ count: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.neverLeft(count) }
        case .http2(let session): session { $0.neverLeft(count) }
        }
    }

    /// Keeps the body no longer for another try, and frees what was kept.
    func stopKeeping(_ slot: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.stopKeeping(slot) }
        case .http2(let session): session { $0.stopKeeping(slot) }
        }
    }

    /// Whether `detachBody` has the body.
    func hasBody(_ slot: Int) -> Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.hasBody(slot) }
        case .http2(let session): session { $0.hasBody(slot) }
        }
    }

    /// Takes out the body that was kept for another try; nil if not all of it was kept.
    func detachBody(_ slot: Int) -> OctetBuffer? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { $0.detachBody(slot) }
        case .http2(let session): session { $0.detachBody(slot) }
        }
    }

    /// Calls `body` with slot and owner of each stream that is not over.
    func forEachOpen(_ body: (Int, StreamOwner) -> Void) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.forEachOpen(body) }
        case .http2(let session): session { $0.forEachOpen(body) }
        }
    }

    /// Says to the peer that no further requests are taken; running ones go on.
    func announceShutdown() {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.announceShutdown() }
        case .http2(let session): session { $0.announceShutdown() }
        }
    }

    /// Second step: takes no further requests; the peer is notified where HTTP/2 is spoken.
    func refuseNewStreams() {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.refuseNewStreams() }
        case .http2(let session): session { $0.refuseNewStreams() }
        }
    }

    /// Whether it has noted events that may not have been acted on.
    var hasNoted: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { !$0.events.isEmpty }
        case .http2(let session): session { !$0.events.isEmpty }
        }
    }

    /// The slots and owners of the events that it has noted in this turn, which may have been acted on. An owner may be
    /// there more than once.
    func forEachNoted(_ body: (Int, StreamOwner) -> Void) {
        var noted: [(slot: Int, owner: StreamOwner)] = []
        switch self {
        case .undecided: break
        case .http1(let session): session { noted = $0.events.map { ($0.slot, $0.owner) } }
        case .http2(let session): session { noted = $0.events.map { ($0.slot, $0.owner) } }
        }
        for (slot, owner) in noted { body(slot, owner) }
    }

    /// Whether a stream belongs to anybody. Cancelled streams that the peer's limit kept from being
    /// opened count as open in the session and never end.
    var hasOwners: Bool {
        var found = false
        forEachOpen { _, owner in found = found || owner != .nobody }
        return found
    }
}
