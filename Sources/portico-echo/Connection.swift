internal import HTTP
internal import Octets
internal import Reactor

/// The connection of one client: its socket, its protocol, and the octets to send.
///
/// Thread: the server's. Freed by: `Server`, when it is closed.
final class Connection {
    private enum Speaker {
        case undecided(OctetBuffer)
        case http1(HTTP1Speaker)
        case http2(HTTP2Speaker)
    }

    /// How many octets may wait for the socket before answers are held back.
    static let outboxLimit = 65_536
    private static let readsPerTurn = 16
    private static let lingering = Duration.seconds(1)
    /// How long the TLS handshake and the first octets may take.
    private static let startTimeLimit = Duration.seconds(15)
    private static let preface: Octets = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    let server: Server
    let token: UInt64
    let identity: Identity
    let outbox = OctetBuffer(capacity: 1024)
    private let channel: Channel
    private var speaker: Speaker
    private var isEstablished = false
    private var isWriteBlocked = false
    private var isEnding = false    // no more answers; it closes when everything is sent
    private var isFinished = false    // this side has ended; it waits for the client's end
    private var isClosed = false
    private var alarm = Alarm.none

    init(_ channel: Channel, token: UInt64, identity: Identity, server: Server) {
        self.channel = channel
        self.token = token
        self.identity = identity
        self.server = server
        speaker = .undecided(OctetBuffer(capacity: 64))
        server.arm(&alarm, after: Self.startTimeLimit, .close(self))
    }

    /// Reads and writes, after epoll reported the socket.
    func becameReady() {
        guard !isClosed, establish() else { return }
        isWriteBlocked = false
        readAll()
        flush()
    }

    /// Continues an exchange whose sleep is over.
    func wake(_ exchange: Exchange) {
        switch speaker {
        case .undecided: break
        case .http1(let speaker): speaker.wake(exchange)
        case .http2(let speaker): speaker.wake(exchange)
        }
        flush()
    }

    /// Begins the graceful end. Source: RFC 9113 §6.8.
    func drain() {
        switch speaker {
        case .undecided: isEnding = true
        case .http1(let speaker): speaker.drain()
        case .http2(let speaker):
            speaker.announceShutdown()
            server.arm(&alarm, after: .milliseconds(100), .refuseNewStreams(self))
        }
        flush()
    }

    /// Ends the graceful end's first step: new streams are refused from now on.
    func refuseNewStreams() {
        if case .http2(let speaker) = speaker { speaker.refuseNewStreams() }
        flush()
    }

    /// Makes no more answers. The socket is closed when everything is sent.
    func end() { isEnding = true }

    /// Closes with a TCP reset. Octets that were not sent are lost.
    func abort() {
        Socket.abort(channel.descriptor)
        close()
    }

    /// Closes the socket and forgets the connection.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        server.disarm(&alarm)
        switch speaker {
        case .undecided: break
        case .http1(let speaker): speaker.close()
        case .http2(let speaker): speaker.close()
        }
        speaker = .undecided(OctetBuffer(capacity: 64))
        server.forget(self)
    }

    // MARK: reading

    private func establish() -> Bool {
        guard !isEstablished else { return true }
        switch channel.handshake() {
        case .done: isEstablished = true
        case .waiting: break
        case .failed(let reason):
            server.log("TLS handshake failed: \(reason)")
            close()
        }
        return isEstablished
    }

    private func readAll() {
        for _ in 0..<Self.readsPerTurn {
            guard wantsInput else { return }
            let scratch = server.scratch
            scratch.clear()
            switch channel.read(into: scratch, most: 16_384) {
            case .octets:
                received(scratch.octets)
            case .wouldBlock: return
            case .closed: return inputEnded()
            case .failed: return close()
            }
            if isClosed { return }
        }
        server.readLater(token)
    }

    private var wantsInput: Bool {
        if case .http1(let speaker) = speaker, !isEnding { return speaker.wantsInput }
        return true
    }

    private func received(_ octets: Octets) {
        guard !isEnding else { return }
        switch speaker {
        case .undecided(let inbox):
            inbox.append(octets)
            decide(inbox)
        case .http1(let speaker): speaker.receive(octets)
        case .http2(let speaker): if !speaker.receive(octets) { isEnding = true }
        }
    }

    /// Decides the protocol: HTTP/2 with prior knowledge begins with its preface, anything else is HTTP/1.1.
    private func decide(_ inbox: OctetBuffer) {
        let length = min(inbox.count, Self.preface.count)
        if inbox.octets.prefix(length) != Self.preface.prefix(length) {
            server.disarm(&alarm)
            let made = HTTP1Speaker(connection: self)
            speaker = .http1(made)
            made.receive(inbox.octets)
        } else if length == Self.preface.count {
            server.disarm(&alarm)
            let made = HTTP2Speaker(connection: self)
            speaker = .http2(made)
            if !made.receive(inbox.octets) { isEnding = true }
        }
    }

    private func inputEnded() {
        if case .http1(let speaker) = speaker, !isFinished, !isEnding, speaker.inputEnded() { return }
        close()
    }

    // MARK: writing

    private func flush() {
        var isMade = true
        while !isClosed, !isWriteBlocked, isMade || !outbox.isEmpty {
            if outbox.count < Self.outboxLimit { isMade = produce() }
            write()
        }
        guard !isClosed, outbox.isEmpty else { return }
        outbox.clear(keeping: 1024)
        if isEnding { finish() }
    }

    /// Makes as much of the answers as the outbox has room for.
    /// - Returns: whether it appended something.
    private func produce() -> Bool {
        guard !isEnding else { return false }
        let before = outbox.count
        switch speaker {
        case .undecided: break
        case .http1(let speaker):
            let couldRead = speaker.wantsInput
            speaker.produce()
            if !couldRead, !isClosed, speaker.wantsInput { server.readLater(token) }
        case .http2(let speaker):
            speaker.produce(into: outbox, limit: Self.outboxLimit)
            if speaker.isFinished { isEnding = true }
        }
        return outbox.count > before
    }

    private func write() {
        while !isClosed, !outbox.isEmpty {
            switch channel.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wouldBlock:
                isWriteBlocked = true
                return
            case .closed, .failed: close()
            }
        }
    }

    /// Ends this side and waits a moment for the client's end. If the socket were closed at once, the kernel would drop
    /// what the client has not read.
    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        channel.finish()
        server.arm(&alarm, after: Self.lingering, .close(self))
    }
}
