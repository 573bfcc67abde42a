internal import Reactor
internal import Telemetry

/// How far one client of the admin server has come, and until when the phase may last. It knows no socket, no buffer
/// and no clock: `AdminConnection` says what has happened, and does what the actions say.
///
///     idle → reading → waiting → writing → idle …          (until the last answer)
///               ↓                   ↓
///            writing (refused)   lingering → closed
///
/// Whatever takes too long is `closed`, and so is a client that leaves before its answer has been written.
struct AdminConnectionState {
    /// What the connection waits for.
    enum Phase: Equatable {
        /// The beginning of a request.
        case idle
        /// The rest of a request. The head of the request, once it has come.
        case reading(Arrival?)
        /// The answer, which may take time. What the client still sends waits in the socket, and so does its end.
        case waiting(Asked)
        /// That the client takes an answer, and whether it is the last one.
        case writing(isLast: Bool)
        /// The client's end. Our side has ended. What the client still sends is dropped, because closing a socket with
        /// unread octets resets the connection, and the client would lose the answer.
        case lingering(droppedOctets: Int)
        case closed
    }

    /// What the head of a request says.
    struct Head: Equatable {
        let request: AdminRequest
        /// Whether the client leaves the connection open for another request.
        var isKeepAlive = true
        /// How many octets the body has; nil: none, or as many as its chunks have.
        var bodyOctets: UInt64?
        /// Whether the client sends the body only when it is asked for it (`expect: 100-continue`).
        var isAwaitingContinue = false
    }

    /// A request whose head has come.
    struct Arrival: Equatable {
        let head: Head
        /// How many octets of the body have come.
        var bodyOctets = 0
    }

    /// A request that is complete, as far as its answer depends on it.
    struct Asked: Equatable {
        let isHead: Bool
        let isKeepAlive: Bool
    }

    /// For `AdminConnection` to carry out.
    enum Action {
        /// Has the request answered; `answered` is next.
        case ask(AdminRequest)
        /// Has the client send the body: 100 Continue.
        case proceed
        /// Writes an answer; `written` is next.
        /// - Parameters:
        ///   - isHead: the body is left out.
        ///   - isLast: the answer says that the connection ends with it.
        case send(AdminResponse, isHead: Bool, isLast: Bool)
        /// Ends our side (FIN), so that the client knows that no answer follows.
        case finish
        /// One more of `portico_limit_reached_total`.
        case count(ReachedLimit)
    }

    private(set) var phase = Phase.idle
    /// When the phase began, which says who has waited longest when connections are too many.
    private(set) var since: MonotonicTime
    /// How many requests were complete.
    private var requests = 0
    /// Whether the next answer is the last one, whatever the client wants.
    private var endsSoon = false

    /// The largest body of a request, in octets; a larger one is answered 413. No page uses it.
    static let mostBodyOctets = 64 << 10
    /// Requests of one connection; the last answer says `connection: close`. It also limits the work of a turn.
    static let requestsLimit = 100
    /// The largest number of octets that are dropped while lingering.
    static let mostLingerOctets = 256 << 10
    /// How long a connection may be without a request: longer than Prometheus' usual interval.
    private static let idleLimit = Duration.seconds(75)
    /// How long a request may take to arrive.
    private static let readingLimit = Duration.seconds(10)
    /// How long an action may take: longer than a load may.
    private static let actionLimit = Duration.seconds(600)
    /// How long a client may take to read its answer.
    private static let writingLimit = Duration.seconds(30)
    /// How long a client may take to close what has ended.
    private static let lingerLimit = Duration.seconds(2)

    /// - Parameter now: when the client was accepted.
    init(at now: MonotonicTime) { since = now }

    /// Whether the connection is over, and its socket may be closed.
    var isClosed: Bool { phase == .closed }

    /// Whether a request is looked for in what has come.
    var isReading: Bool {
        switch phase {
        case .idle, .reading: true
        case .waiting, .writing, .lingering, .closed: false
        }
    }

    /// When the phase has taken too long, and `expired` is to be called; nil: the connection is closed.
    var deadline: MonotonicTime? {
        switch phase {
        case .idle: since + Self.idleLimit
        case .reading: since + Self.readingLimit
        case .waiting: since + Self.actionLimit
        case .writing: since + Self.writingLimit
        case .lingering: since + Self.lingerLimit
        case .closed: nil
        }
    }

    // MARK: what the client sends

    /// Octets have come.
    mutating func received(_ count: Int, at now: MonotonicTime) -> [Action] {
        switch phase {
        case .idle: enter(.reading(nil), at: now)
        case .lingering(let dropped):
            phase = .lingering(droppedOctets: dropped + count)
            guard dropped + count <= Self.mostLingerOctets else { return end(by: .adminLinger) }
        case .reading, .waiting, .writing, .closed: break
        }
        return []
    }

    /// The head of a request has come.
    mutating func received(_ head: Head, at now: MonotonicTime) -> [Action] {
        guard isReading else { return [] }
        phase = .reading(Arrival(head: head))
        if let octets = head.bodyOctets, octets > UInt64(Self.mostBodyOctets) { return refuseBody(at: now) }
        return head.isAwaitingContinue ? [.proceed] : []
    }

    /// Octets of the body have come.
    mutating func receivedBody(_ count: Int, at now: MonotonicTime) -> [Action] {
        guard case .reading(var arrival?) = phase else { return [] }
        arrival.bodyOctets += count
        phase = .reading(arrival)
        return arrival.bodyOctets > Self.mostBodyOctets ? refuseBody(at: now) : []
    }

    /// The request is complete.
    mutating func completed(at now: MonotonicTime) -> [Action] {
        guard case .reading(let arrival?) = phase else { return [] }
        requests += 1
        let head = arrival.head
        enter(.waiting(Asked(isHead: head.request.method == "HEAD", isKeepAlive: head.isKeepAlive)), at: now)
        return [.ask(head.request)]
    }

    /// What has come is no request that can be answered.
    /// - Parameter isTooLarge: whether it would have to be smaller.
    mutating func refused(_ response: AdminResponse, isTooLarge: Bool, at now: MonotonicTime) -> [Action] {
        guard isReading else { return [] }
        enter(.writing(isLast: true), at: now)
        return (isTooLarge ? [.count(.adminRequestOctets)] : []) + [.send(response, isHead: false, isLast: true)]
    }

    private mutating func refuseBody(at now: MonotonicTime) -> [Action] {
        refused(AdminResponse(413, "No page takes a body."), isTooLarge: true, at: now)
    }

    // MARK: what it gets

    /// The page that was asked for has answered.
    mutating func answered(_ response: AdminResponse, at now: MonotonicTime) -> [Action] {
        guard case .waiting(let asked) = phase else { return [] }
        let (endsAnyway, isFull) = (!asked.isKeepAlive || endsSoon, requests >= Self.requestsLimit)
        enter(.writing(isLast: endsAnyway || isFull), at: now)
        let send = Action.send(response, isHead: asked.isHead, isLast: endsAnyway || isFull)
        return isFull && !endsAnyway ? [.count(.adminRequests), send] : [send]
    }

    /// The kernel has taken all of the answer.
    /// - Parameter hasMore: whether octets of a further request have come already.
    mutating func written(hasMore: Bool, at now: MonotonicTime) -> [Action] {
        guard case .writing(let isLast) = phase else { return [] }
        if isLast {
            enter(.lingering(droppedOctets: 0), at: now)
            return [.finish]
        }
        enter(hasMore ? .reading(nil) : .idle, at: now)
        return []
    }

    // MARK: its end

    /// The client has ended its side, or the connection is broken.
    mutating func broke() { phase = .closed }

    /// The answer that the client waits for is the last one; without one the connection ends now.
    mutating func endAfterAnswer() {
        endsSoon = true
        switch phase {
        case .idle where requests > 0: phase = .closed
        case .writing: phase = .writing(isLast: true)
        // One that is new is a client's whose request is on its way.
        case .idle, .reading, .waiting, .lingering, .closed: break
        }
    }

    /// The deadline has passed.
    mutating func expired() -> [Action] {
        switch phase {
        case .idle: end(by: .adminIdleTime)
        case .reading, .waiting, .writing: end(by: .adminTime)
        case .lingering: end(by: .adminLinger)
        case .closed: []
        }
    }

    private mutating func end(by limit: ReachedLimit) -> [Action] {
        phase = .closed
        return [.count(limit)]
    }

    private mutating func enter(_ next: Phase, at now: MonotonicTime) {
        phase = next
        since = now
    }
}
