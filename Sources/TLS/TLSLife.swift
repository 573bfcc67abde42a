/// How far a TLS session has come, and what may still happen in it. It knows neither OpenSSL nor a socket: the session
/// says what has happened, and asks what follows.
struct TLSLife {
    /// How far the handshake has come.
    enum Stage: Comparable {
        /// A server waits for a whole ClientHello.
        case hello
        case handshaking
        case established
    }

    /// What nothing can be read behind.
    enum End {
        case none
        /// The peer has sent close_notify, or has just closed. It may still be written to.
        case peerDone
        /// Nothing else is returned any more.
        case failed(TLSError)
    }

    private(set) var stage: Stage
    private(set) var end = End.none
    /// Whether octets of the peer's came behind the handshake.
    private(set) var hasRead = false
    private var hasSaidGoodbye = false
    /// Steps of OpenSSL's state machine that the peer may still cause behind the handshake.
    private var messagesLeft = mostMessages

    /// What one KeyUpdate and its answer are to OpenSSL's state machine, and a little more.
    static let messageSteps = 8
    /// 32 messages or alerts in a row, and one more for each read that brings data; renewing keys (RFC 8446 §4.6.3)
    /// needs a few in an hour. BoringSSL has the same limit.
    static let mostMessages = 32 * messageSteps

    init(isServer: Bool) { stage = isServer ? .hello : .handshaking }

    var isEstablished: Bool { stage == .established }

    /// Why the session has failed.
    var failure: TLSError? {
        if case .failed(let error) = end { error } else { nil }
    }

    /// Whether more may be read.
    @inline(__always)
    var isOpen: Bool {
        if case .none = end { true } else { false }
    }

    /// What the peer did wrong behind the handshake; nil also for a connection that was lost.
    var breach: TLSError? {
        switch failure {
        case .brokenStream?, .peerAlert?: isEstablished ? failure : nil
        default: nil
        }
    }

    // MARK: events

    /// A whole ClientHello has come.
    mutating func helloCame() { stage = max(stage, .handshaking) }

    mutating func established() { stage = .established }

    /// A read has brought data: the peer may cause a further message. Once for each read, not for each record: records
    /// with an octet each between the messages buy no more of them.
    mutating func dataCame() {
        messagesLeft = min(messagesLeft + Self.messageSteps, Self.mostMessages)
        hasRead = true
    }

    /// A step of a handshake message, or an alert, has come.
    /// - Returns: whether the peer may go on. After the handshake, such a message costs us more than the peer.
    mutating func messageCame() -> Bool {
        guard isEstablished else { return true }
        messagesLeft -= 1
        return messagesLeft >= 0
    }

    mutating func peerEnded() { if isOpen { end = .peerDone } }

    mutating func failed(_ error: TLSError) { end = .failed(error) }

    /// Our side is about to end.
    /// - Returns: whether close_notify is to be sent: once, and not after an error, where OpenSSL forbids it.
    mutating func mayShutDown() -> Bool {
        guard isEstablished, !hasSaidGoodbye, failure == nil else { return false }
        hasSaidGoodbye = true
        return true
    }
}
