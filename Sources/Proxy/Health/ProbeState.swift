internal import Balancing
internal import HTTP
internal import Octets

/// The course of one check of an endpoint. It knows no socket, no TLS library and no clock: what has happened goes in,
/// and what is to be done comes out. `HealthProbe` does it; `HealthAnswer` judges what the endpoint says.
///
///     connecting → (announcing →) (shaking hands →) asking → over
///
/// A check may be over in each of them. Its time is the matter of `HealthSchedule`.
struct ProbeState {
    /// What is to be done next.
    enum Step: Equatable {
        /// Nothing, until the socket is ready.
        case wait
        /// Asks the kernel what has become of the connection; `connected` follows.
        case finishConnecting
        /// Sends a header of the PROXY protocol; `announced` follows.
        case announce
        /// Makes the TLS session; `tlsBegan` follows.
        case beginTLS
        /// Goes on with the TLS handshake; `shook` follows.
        case shakeHands
        /// Sends the question, on a session that is made for it; `asked` follows.
        case ask(isHTTP2: Bool)
        /// Sends what the session has to say, and reads what has come.
        case exchange
        /// The check is over.
        case end(HealthVerdict)
    }

    /// How far a TLS handshake has come.
    enum Handshake: Equatable {
        /// Octets have to come first, or to go.
        case unfinished
        /// - `http2`: whether ALPN has chosen it; nil: it has chosen nothing.
        case done(http2: Bool?)
        /// The endpoint has closed the connection.
        case closed
        /// - `words`: the reason, without a stop at its end.
        case failed(words: String)
    }

    private enum Phase { case connecting, shakingHands, asking, over }

    private let policy: HealthCheckPolicy
    private let isSecure: Bool
    private let isHTTP2: Bool
    private let announces: Bool
    private var phase = Phase.connecting
    private var answer: HealthAnswer
    private var octetsRead = 0

    /// Whether the endpoint was asked, by a connection whose handshakes are done.
    private(set) var isConnected = false

    /// Octets that are read of an answer. Its time bounds it too.
    static let mostOctets = 131_072

    /// - Parameters:
    ///   - isSecure: the endpoint is spoken to in TLS.
    ///   - isHTTP2: HTTP/2 is spoken where ALPN chooses nothing.
    ///   - announces: a header of the PROXY protocol comes first.
    init(_ policy: HealthCheckPolicy, isSecure: Bool, isHTTP2: Bool, announces: Bool) {
        self.policy = policy
        self.isSecure = isSecure
        self.isHTTP2 = isHTTP2
        self.announces = announces
        answer = HealthAnswer(policy)
    }

    // MARK: the connection

    /// epoll has reported the socket.
    func ready(isWritable: Bool, isHungUp: Bool) -> Step {
        switch phase {
        case .connecting: isWritable || isHungUp ? .finishConnecting : .wait
        case .shakingHands: .shakeHands
        case .asking: .exchange
        case .over: .wait
        }
    }

    /// The kernel has said what has become of the connection.
    /// - Parameter failure: why there is none; nil: there is one.
    mutating func connected(failure: String?) -> Step {
        if let failure { return end(.failed(failure)) }
        return announces ? .announce : secure()
    }

    /// The header of the PROXY protocol was sent.
    /// - Parameter isTaken: whether the kernel has taken all of it, which it does on a new connection.
    mutating func announced(isTaken: Bool) -> Step {
        isTaken ? secure() : end(.failed("the PROXY header was not taken"))
    }

    private mutating func secure() -> Step {
        guard isSecure else { return ask(http2: isHTTP2) }
        phase = .shakingHands
        return .beginTLS
    }

    /// The TLS session was made.
    /// - Parameter failure: why it was not; nil: it was.
    mutating func tlsBegan(failure: String?) -> Step {
        failure.map { end(.failed("TLS: \($0)")) } ?? .shakeHands
    }

    /// The TLS handshake went on as far as it could.
    mutating func shook(_ handshake: Handshake) -> Step {
        switch handshake {
        case .unfinished: .wait
        case .done(let http2): ask(http2: http2 ?? isHTTP2)
        case .closed: end(.failed("the endpoint closed the connection during the TLS handshake"))
        case .failed(let words): end(.failed("the TLS handshake failed: \(words)"))
        }
    }

    // MARK: the question

    private mutating func ask(http2: Bool) -> Step {
        phase = .asking
        isConnected = true
        guard policy.method != .tcp else { return end(.passed) }
        guard http2 || policy.method != .grpc else {
            return end(.failed("the endpoint chose HTTP/1.1 by ALPN, and gRPC needs HTTP/2"))
        }
        return .ask(isHTTP2: http2)
    }

    /// The session has taken the question, or has not.
    mutating func asked(isTaken: Bool) -> Step { isTaken ? .exchange : end(.failed("the check could not be sent")) }

    // MARK: the answer

    /// Octets have come, which the session has read without a verdict.
    mutating func came(octets: Int) -> Step {
        octetsRead += octets
        return octetsRead < Self.mostOctets ? .exchange : end(.failed("the answer is too long"))
    }

    /// What has come breaks the protocol, so that nothing more can be read.
    /// - Parameter words: which rule, where the session says so.
    mutating func broke(words: String?) -> Step {
        end(.failed("the answer is no HTTP/2: \(words ?? "it breaks the protocol")"))
    }

    /// Nothing more can be read, and there is no verdict.
    /// - Parameter failure: why; nil: the endpoint has closed the connection.
    mutating func inputEnded(failure: String? = nil) -> Step {
        end(.failed(failure ?? "the endpoint closed the connection"))
    }

    /// A header section of the answer has come.
    mutating func headers(_ block: HeaderBlock, isEnd: Bool) -> Step {
        guard phase == .asking else { return .wait }
        return judge(answer.headers(block, isEnd: isEnd))
    }

    /// Octets of its body have come.
    mutating func data(_ octets: Octets) -> Step {
        guard phase == .asking else { return .wait }
        return judge(answer.data(octets))
    }

    /// Its end has come, with trailers or without.
    mutating func trailers(_ block: HeaderBlock?) -> Step {
        guard phase == .asking else { return .wait }
        return end(answer.trailers(block))
    }

    /// The stream is over, and no verdict was given before.
    /// - Parameter code: of HTTP/2; 0 is a regular end.
    mutating func closed(code: UInt32) -> Step {
        end(
            .failed(
                code == 0
                    ? "the endpoint ended the stream without an answer"
                    : "the endpoint reset the stream with code \(code)"))
    }

    /// The answer breaks a rule.
    /// - Parameter words: which one, where that is known.
    mutating func violated(words: String?) -> Step { end(.failed(words ?? "the answer breaks the protocol")) }

    /// The endpoint wants no more streams, which is a verdict only if it says that something is wrong.
    mutating func wentAway(code: UInt32) -> Step {
        code == 0 ? .exchange : end(.failed("the endpoint sent GOAWAY with code \(code)"))
    }

    private mutating func judge(_ verdict: HealthVerdict?) -> Step { verdict.map { end($0) } ?? .exchange }

    private mutating func end(_ verdict: HealthVerdict) -> Step {
        guard phase != .over else { return .wait }
        phase = .over
        return .end(verdict)
    }
}
