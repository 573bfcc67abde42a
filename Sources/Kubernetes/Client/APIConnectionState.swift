internal import Reactor

/// How far a connection to the API server has come. It knows no socket, no session and no clock: `APIConnection` says
/// what has happened, and does what the actions say.
///
///     connecting → shakingHands → open → closed
///
/// It is closed from any phase: by what breaks, by silence, when all is done on one that is draining, or by its client.
struct APIConnectionState: Equatable {
    /// Where in its life the connection is.
    enum Phase: Equatable {
        /// TCP's handshake is in progress.
        case connecting
        /// TLS' handshake is in progress.
        case shakingHands
        /// Requests can be sent.
        case open(Facts)
        /// Nothing comes of it any more. What was known of it when it was open; nil: it never was.
        case closed(Facts?)
    }

    /// What is known of an open connection.
    struct Facts: Equatable {
        var life: Life
        /// Whether it takes no new streams, and ends with the last one.
        var isDraining = false
        /// Whether any request was ever answered.
        var hasAnswered = false
        /// Whether it has carried a request whose answer is confidential.
        var hasSecrets = false
    }

    /// Whether the server is known to be there; times in milliseconds of the client's steady clock.
    enum Life: Equatable {
        /// When octets last came from it.
        case heard(at: Int64)
        /// When it was asked for a sign of life, and when octets had last come.
        case asked(at: Int64, heardAt: Int64)
    }

    /// How TLS' handshake went on.
    enum Handshake: Equatable {
        /// It is done, and ALPN has chosen HTTP/2, or not.
        case done(isHTTP2: Bool)
        case unfinished
        /// The server has closed the connection.
        case ended
        /// With the reason, in words.
        case failed(String)
    }

    /// For `APIConnection` to carry out.
    enum Action: Equatable {
        /// Requests are taken from now on; the client is to know it.
        case announce
        /// Asks the server for a sign of life.
        case ping
        /// The client is to know that the connection is over, and why.
        case report(String)
        /// Says the end to the server, of TLS and of TCP.
        case shutDown
    }

    private(set) var phase = Phase.connecting
    /// Whether octets wait until the kernel takes them.
    private(set) var isWriteBlocked = false
    private let address: SocketAddress
    private let timing: WatchTiming
    private let began: Int64    // when it was made; milliseconds, as in `Life`

    /// Streams that stay free for requests that are answered soon: of a server that allows few, half of those.
    private static let reservedStreams = 8

    /// - Parameter now: in milliseconds of the client's steady clock, as everywhere.
    init(address: SocketAddress, timing: WatchTiming, at now: Int64) {
        self.address = address
        self.timing = timing
        began = now
    }

    private var facts: Facts? {
        switch phase {
        case .connecting, .shakingHands: nil
        case .open(let facts): facts
        case .closed(let facts): facts
        }
    }

    /// Whether requests can be sent on it: TLS and HTTP/2 are ready.
    var isOpen: Bool { if case .open = phase { true } else { false } }
    /// Whether it has ended.
    var isClosed: Bool { if case .closed = phase { true } else { false } }
    /// Whether the handshake was ever done.
    var wasOpened: Bool { facts != nil }
    /// Whether any request was ever answered: a connection that never did counts as a failure to connect.
    var hasAnswered: Bool { facts?.hasAnswered ?? false }
    /// Whether the server takes no new streams here.
    var isDraining: Bool { facts?.isDraining ?? false }
    /// Whether it has carried a request whose answer is confidential.
    var hasSecrets: Bool { facts?.hasSecrets ?? false }
    /// Whether streams may begin, as far as we know; the server may allow no more of them.
    var takesRequests: Bool { isOpen && !isDraining }

    /// When `look` has something to do, in milliseconds of the client's steady clock; nil: the connection is over.
    var deadline: Int64? {
        switch phase {
        case .connecting, .shakingHands: began + Int64(timing.connect)
        case .open(let facts):
            switch facts.life {
            case .heard(let time): time + Int64(timing.pingAfter)
            case .asked(let time, _): time + Int64(timing.pong)
            }
        case .closed: nil
        }
    }

    /// Whether a further stream can begin at once.
    /// - Parameters:
    ///   - isLasting: whether it lasts, as a watch does.
    ///   - open: how many streams are open.
    ///   - allowed: how many the server allows.
    func hasRoom(isLasting: Bool, open: Int, allowed: Int) -> Bool {
        takesRequests && open + (isLasting ? min(Self.reservedStreams, allowed / 2) : 0) < allowed
    }

    // MARK: its beginning

    /// TCP's handshake is over.
    /// - Parameter error: why it has failed; nil: it has not.
    mutating func connected(_ error: SystemError?) -> [Action] {
        guard phase == .connecting else { return [] }
        if let error { return lose("\(error)") }
        phase = .shakingHands
        return []
    }

    /// TLS' handshake has come so far.
    mutating func shookHands(_ handshake: Handshake, at now: Int64) -> [Action] {
        guard phase == .shakingHands else { return [] }
        switch handshake {
        case .unfinished: return []
        case .ended: return lose("the server at \(address) closed the connection during the TLS handshake")
        case .failed(let reason): return lose("TLS with the server at \(address): \(reason)")
        case .done(isHTTP2: false):
            return lose("the server at \(address) does not speak HTTP/2, which this client needs (ALPN h2)")
        case .done(isHTTP2: true):
            phase = .open(Facts(life: .heard(at: now)))
            return [.announce]
        }
    }

    // MARK: reading and writing

    /// The kernel has octets, or takes some.
    mutating func becameReady() { isWriteBlocked = false }

    /// The kernel takes no more octets at the moment.
    mutating func writeBlocked() { isWriteBlocked = true }

    /// Octets have come from the server.
    mutating func heard(at now: Int64) { change { $0.life = .heard(at: now) } }

    /// A request was sent.
    /// - Parameter isSecret: whether its answer is confidential.
    mutating func sent(isSecret: Bool) { if isSecret { change { $0.hasSecrets = true } } }

    /// The header section of an answer has come.
    mutating func answered() { change { $0.hasAnswered = true } }

    /// No new streams begin; it ends with the last one.
    mutating func drain() { change { $0.isDraining = true } }

    private mutating func change(_ edit: (inout Facts) -> Void) {
        guard case .open(var facts) = phase else { return }
        edit(&facts)
        phase = .open(facts)
    }

    // MARK: its end

    /// The time is looked at: a silent server is asked for a sign of life, and a connection whose server gave none, or
    /// was not reached in time, is over.
    mutating func look(at now: Int64) -> [Action] {
        guard let deadline, now >= deadline else { return [] }
        switch facts?.life {
        case nil: return lose("the server at \(address) did not answer within \(timing.connect) ms")
        case .heard(let time):
            change { $0.life = .asked(at: now, heardAt: time) }
            return [.ping]
        case .asked(_, let heardAt):
            return lose("the server at \(address) has been silent for \(now - heardAt) ms, and answers no PING")
        }
    }

    /// All that was to be sent was sent.
    /// - Parameter open: how many streams are open still.
    mutating func emptied(open: Int) -> [Action] {
        isDraining && open == 0 ? lose("the server asked for another connection") : []
    }

    /// A read or write has found the end of what the server sends.
    mutating func ended() -> [Action] { lose("the server closed the connection") }

    /// A read or write has failed, in the words of TLS or of the kernel.
    mutating func broke(_ reason: String) -> [Action] { lose("the connection to the server broke: \(reason)") }

    /// The server does not keep to HTTP/2.
    /// - Parameter violation: what it did; nil: it never began with HTTP/2.
    mutating func violated(_ violation: String?) -> [Action] {
        lose("the server broke the protocol: \(violation ?? "it does not speak HTTP/2")")
    }

    /// The client needs it no more.
    mutating func close() -> [Action] { end(with: .shutDown) }

    private mutating func lose(_ reason: String) -> [Action] { end(with: .report(reason)) }

    private mutating func end(with action: Action) -> [Action] {
        guard !isClosed else { return [] }
        phase = .closed(facts)
        return [action]
    }
}
