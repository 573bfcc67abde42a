internal import Reactor

/// Whose end of a connection we are: a client's (downstream) or an endpoint's (upstream).
enum ConnectionRole { case downstream, upstream }

/// How far one connection has come in its life, and until when the phase may last. It knows no socket and no timer:
/// its owner tells what has happened, and asks for the deadline. The phases in their order:
///
///     connecting → handshaking → sniffing → open → closing → lingering → closed
///                                        ↘ relaying → closed
///
/// A client's connection begins with `sniffing` or `handshaking`, before which may be `proxyHeader`, an endpoint's with
/// `connecting`; `handshaking` follows if the endpoint is spoken to in TLS, and `open`.
struct ConnectionState {
    /// Where in its life the connection is; each phase has its deadline in `ConnectionDeadline`.
    enum Phase: Equatable {
        /// Upstream: the TCP handshake is in progress.
        case connecting
        /// The TLS handshake is in progress; whether a whole ClientHello has come, or was sent.
        case handshaking(hasHello: Bool)
        /// A header of the PROXY protocol is to come first; whether it is overdue soon, because it has begun or is
        /// required. Only `ProxyHeaders` has connections in this phase.
        case proxyHeader(isUrgent: Bool)
        /// The first octets will tell the protocol; whether some have come.
        case sniffing(hasOctets: Bool)
        case open(Standing)
        /// No session speaks on it: its octets are passed on as they come.
        case relaying
        /// What there is to say is flushed, then the connection ends.
        case closing
        /// All is said and our side is ended; late octets of the peer are thrown away until it closes.
        case lingering
        case closed
    }

    /// How welcome new requests are on an open connection; it only ever moves on.
    enum Standing: Int, Comparable {
        case serving
        /// GOAWAY has announced the end of the connection, and requests are still taken.
        case announced
        /// No new requests; it ends when it is idle.
        case draining
        /// It was idle for too long, and its end was announced.
        case overdue

        static func < (left: Standing, right: Standing) -> Bool { left.rawValue < right.rawValue }
    }

    /// Whether and when octets of the peer are read.
    enum Reading: Equatable {
        /// The next event of epoll is read.
        case ready
        /// Others come first, or more is to be read than one turn wanted to take: it is read later, without an event.
        case listed
        /// The other side has to take more first; octets may wait in the kernel without another event.
        case paused
        /// Nothing is read until a timer fires: the client asks for too much.
        case held
    }

    enum Writing {
        case free, blocked
        /// The peer takes nothing more, for ever.
        case over
    }

    let role: ConnectionRole
    private(set) var phase: Phase
    /// When the phase began.
    private(set) var since: MonotonicTime
    /// When the first phase began.
    private let began: MonotonicTime
    /// When octets last came.
    private(set) var lastActive: MonotonicTime
    /// When they came, or the connection began, before that.
    private(set) var activeBefore: MonotonicTime
    /// When the kernel last said that the endpoint had not ended an upstream's connection.
    private(set) var foundOpen: MonotonicTime
    /// When there was a sign that the endpoint had not ended it.
    var lastKnownOpen: MonotonicTime { max(lastActive, foundOpen) }
    /// Since when a header section has begun and is not complete; no octet refreshes it.
    private(set) var headersSince: MonotonicTime?
    private var headersNumber: UInt32 = 0    // of that section
    /// nil where PING is unknown.
    var keepAlive: KeepAlive?
    /// When the endpoint's other address is tried beside; nil: it is not, or is already. An upstream's connection only.
    var nextAttempt: MonotonicTime?
    /// What an upstream's cluster says of its time.
    var terms = ConnectionTerms()
    private(set) var reading = Reading.ready
    /// Whether the kernel takes octets.
    private(set) var writing = Writing.free
    /// The peer has ended its side, or the connection is broken: it is read to the end, short reads notwithstanding.
    private(set) var hasHungUp = false
    /// Whether little is to be read at a time: the client cancels very many requests.
    private(set) var isSlow = false

    init(role: ConnectionRole, phase: Phase, now: MonotonicTime) {
        self.role = role
        self.phase = phase
        since = now
        began = now
        lastActive = now
        activeBefore = now
        foundOpen = now
    }

    var isClosed: Bool { phase == .closed }

    /// Whether the TCP or TLS handshake of an upstream's connection is in progress.
    var isConnecting: Bool {
        switch phase {
        case .connecting: true
        case .handshaking: role == .upstream
        default: false
        }
    }

    /// Whether its first octets, which will tell what is spoken, are looked at.
    var isBeginning: Bool {
        switch phase {
        case .proxyHeader, .sniffing: true
        default: false
        }
    }

    /// Whether a session may be spoken with: also while its last octets are flushed.
    var isOpen: Bool {
        switch phase {
        case .open, .closing: true
        default: false
        }
    }

    /// The standing of an open connection; `.overdue` when it is not open any more.
    var standing: Standing {
        switch phase {
        case .open(let standing): standing
        case .connecting, .proxyHeader, .handshaking, .sniffing, .relaying: .serving
        case .closing, .lingering, .closed: .overdue
        }
    }

    /// Whether new requests may be sent on it, or are taken from it.
    var isServing: Bool { standing < .draining }

    // MARK: events

    /// The peer has closed its side; what it sent before is read still.
    mutating func peerHungUp() { hasHungUp = true }

    /// The peer takes nothing more, so that no new request may be sent. What an endpoint has sent before waits in the
    /// kernel: its GOAWAY says which requests may be sent again, and its answers are whole ones.
    /// Source: RFC 9113 §6.8; RFC 9112 §9.5.
    /// - Returns: whether the connection is still to be read to its end.
    mutating func declined(at now: MonotonicTime) -> Bool {
        guard role == .upstream, case .open = phase else { return false }
        writing = .over
        hasHungUp = true
        _ = stand(.draining, at: now)
        return true
    }

    /// The peer has sent something, so that the time without activity begins anew.
    mutating func octetsCame(at now: MonotonicTime) {
        activeBefore = lastActive
        lastActive = now
    }

    /// The kernel was asked, and knows of no end of the endpoint's side.
    mutating func foundOpen(at now: MonotonicTime) { foundOpen = now }

    /// The time since the first phase began.
    func age(at now: MonotonicTime) -> Duration { now.duration(since: began) }

    /// A header section has begun and is not complete, or that is over.
    /// - Parameter section: its number; nil when there is none. Another number is another section.
    /// - Returns: whether the deadline has come nearer.
    mutating func headers(unfinished section: UInt32?, at now: MonotonicTime) -> Bool {
        guard let section else {
            headersSince = nil
            return false
        }
        guard headersSince == nil || headersNumber != section else { return false }
        headersSince = now
        headersNumber = section
        return true
    }

    /// Moves on to a later phase.
    mutating func enter(_ next: Phase, at now: MonotonicTime) {
        guard phase != .closed else { return }
        phase = next
        since = now
    }

    /// An open connection's standing changes, never back.
    /// - Returns: whether it has changed.
    mutating func stand(_ standing: Standing, at now: MonotonicTime) -> Bool {
        guard case .open(let before) = phase, before < standing else { return false }
        phase = .open(standing)
        if standing == .overdue { since = now }
        return true
    }

    // MARK: time

    /// Until when the connection may stay as it is; nil when it is closed.
    /// - Parameter isIdle: no stream is open.
    func deadline(_ limits: Limits, isIdle: Bool) -> MonotonicTime? {
        switch phase {
        case .connecting: min(since + terms.connectTimeout(limits), nextAttempt ?? .never)
        // The TLS handshake with an endpoint is a part of connecting.
        case .handshaking where role == .upstream: min(began + terms.connectTimeout(limits), nextAttempt ?? .never)
        case .handshaking(hasHello: false): since + limits.helloTimeout
        case .handshaking(hasHello: true), .sniffing(hasOctets: true): since + limits.handshakeTimeout
        case .sniffing(hasOctets: false), .proxyHeader(isUrgent: false): since + limits.firstOctetsTimeout
        case .proxyHeader(isUrgent: true): since + limits.proxyHeaderTimeout
        case .open(.overdue), .closing, .lingering: since + limits.lingerTimeout
        case .relaying: min(lastActive + terms.relayIdleTimeout(limits), endOfRelay ?? .never)
        case .open:
            min(
                openDeadline(limits, isIdle: isIdle), headersSince.map { $0 + limits.headerTimeout } ?? .never,
                endOfService ?? .never)
        case .closed: nil
        }
    }

    /// Until when an open connection may be silent.
    private func openDeadline(_ limits: Limits, isIdle: Bool) -> MonotonicTime {
        if !isIdle, let keepAlive { return keepAlive.deadline(lastActive: max(lastActive, since), limits) }
        return lastActive + idleTimeout(limits)
    }

    /// How long a connection without requests is kept.
    private func idleTimeout(_ limits: Limits) -> Duration {
        role == .downstream ? limits.idleTimeout : terms.idleTimeout(limits)
    }

    /// When it takes no further requests; nil: that has no end, or has come. An open connection's phase begins anew
    /// only when it is overdue.
    private var endOfService: MonotonicTime? {
        isServing ? announcedAt.map { $0 + Self.announceTime } ?? terms.lifetime.map { since + $0 } : nil
    }

    /// When the end of a client's connection was announced because it has lasted long enough.
    private var announcedAt: MonotonicTime?
    /// How long requests are still taken after that. Source: docs/limits.md, Clients' connections.
    private static let announceTime = Duration.seconds(5)

    /// A client's connection has lasted long enough.
    /// - Returns: whether its end is to be announced; false: no further requests are taken.
    mutating func aged(at now: MonotonicTime) -> Bool {
        guard announcedAt == nil else { return false }
        announcedAt = now
        return true
    }

    /// When a relay ends, whatever it does; nil: never.
    private var endOfRelay: MonotonicTime? { terms.lifetime.map { since + $0 } }

    /// What the end of a connection's time means.
    enum Expiry: Equatable {
        /// It is not over: ask again then.
        case notYet(MonotonicTime)
        /// Nothing waits for it any more.
        case nothing
        case connectTimedOut
        /// The connection is not ready yet: the endpoint's other address is tried beside.
        case attemptDelayed
        case handshakeTimedOut
        case silent
        case prefaceTimedOut
        case proxyHeaderTimedOut
        /// An endpoint that owes answers, or a client that waits for some, said nothing for long: PING asks whether it
        /// is there.
        case silentPeer
        /// It did not answer that either.
        case unanswered
        /// A header section was begun and not completed in time.
        case headersTimedOut
        /// It has taken requests for as long as its cluster wants, or as clients may: it ends with those that it has.
        case aged
        /// There was no request for too long: the end is announced to the peer.
        case idle
        /// Nothing was relayed for too long, in either direction.
        case relayIdle
        /// Its cluster allows a relay no more time.
        case relayAged
        /// The peer was to close, or to take our last octets, and did not: the connection is closed.
        case overdue
    }

    /// When the timer has to fire for a deadline: streams that begin meanwhile may bring it nearer.
    func wake(_ deadline: MonotonicTime, _ limits: Limits, at now: MonotonicTime) -> MonotonicTime {
        keepAlive.map { min(deadline, now + $0.silence(limits)) } ?? deadline
    }

    /// A peer has said nothing for long. It may have, while we read nothing or it takes nothing; that is the
    /// matter of others.
    private func silence(_ limits: Limits, at now: MonotonicTime) -> Expiry {
        guard let keepAlive else { return .notYet(now + limits.upstreamKeepAlive) }
        guard reading == .ready, writing == .free else { return .notYet(now + keepAlive.silence(limits)) }
        return keepAlive.isUnanswered(lastActive: max(lastActive, since)) ? .unanswered : .silentPeer
    }

    /// Asked when a timer fires.
    /// - Parameter isIdle: no stream is open.
    func expiry(_ limits: Limits, isIdle: Bool, at now: MonotonicTime) -> Expiry {
        guard let deadline = deadline(limits, isIdle: isIdle) else { return .nothing }
        guard deadline <= now else { return .notYet(wake(deadline, limits, at: now)) }
        switch phase {
        case .connecting where nextAttempt != nil: return .attemptDelayed
        case .connecting: return .connectTimedOut
        case .handshaking where role == .upstream: return nextAttempt == nil ? .connectTimedOut : .attemptDelayed
        case .handshaking: return .handshakeTimedOut
        case .sniffing(hasOctets: false): return .silent
        case .sniffing(hasOctets: true): return .prefaceTimedOut
        case .proxyHeader: return .proxyHeaderTimedOut
        case .open where headersSince.map({ $0 + limits.headerTimeout <= now }) ?? false: return .headersTimedOut
        case .open where endOfService.map({ $0 <= now }) ?? false: return .aged
        case .open where !isIdle && keepAlive != nil: return silence(limits, at: now)
        // With open streams the time that counts is theirs.
        case .open where !isIdle: return .notYet(now + idleTimeout(limits))
        case .open(.overdue), .closing, .lingering: return .overdue
        case .relaying: return endOfRelay.map { $0 <= now } ?? false ? .relayAged : .relayIdle
        case .open: return .idle
        case .closed: return .nothing
        }
    }
}

extension ConnectionState {
    /// Reading has emptied the socket, or may begin anew: the next event of epoll is read.
    mutating func awaitReadiness() { reading = .ready }
    /// More is to be read than one turn wanted to take: the next turn reads on.
    mutating func readNextTurn() { reading = .listed }
    /// Nothing is read until the other side has taken more.
    mutating func pauseReading() { reading = .paused }
    /// Nothing is read until the timer of the connection's pause fires.
    mutating func holdReading() { reading = .held }
    /// The session says whether the client cancels so much that little is to be read at a time.
    mutating func slowDown(_ isSlow: Bool) { self.isSlow = isSlow }

    /// The kernel has not taken all: nothing is written before it says that it takes more.
    mutating func writingBlocked() { if writing == .free { writing = .blocked } }
    /// The kernel takes octets.
    /// - Returns: whether it had refused some before.
    mutating func becameWritable() -> Bool {
        guard writing == .blocked else { return false }
        writing = .free
        return true
    }
}
