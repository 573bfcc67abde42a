internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// What a connection tells its client, which notes it, and acts on it when the call of the connection has returned.
protocol APIConnectionClient: AnyObject {
    /// The handshake is done.
    func opened(_ connection: APIConnection)
    /// A header section of an answer.
    func received(_ headers: HeaderBlock, for call: CallNumber)
    /// Octets of an answer have come.
    func received(_ octets: Octets, for call: CallNumber)
    /// The server has ended its answer.
    func finished(_ call: CallNumber)
    /// The stream is over: behind `finished`, or with an error code of HTTP/2.
    func broke(_ call: CallNumber, code: UInt32)
    /// The connection is over; so are its calls.
    func closed(_ connection: APIConnection, reason: String)
}

/// One connection to the API server: a socket, TLS, HTTP/2.
///
/// Thread: its client's. Freed by: `APIClient`, when it is closed.
final class APIConnection {
    private enum Phase { case connecting, shakingHands, open, closed }

    let number: Int
    let address: SocketAddress
    /// The socket, which this object closes when it is freed.
    let descriptor: CInt
    private let tls: TLSSession
    private let session: HTTP2Session
    private let pools: MessagePools
    private unowned let client: any APIConnectionClient
    private let outbox = OctetBuffer(capacity: 4096)
    private let scratch: OctetBuffer
    private var phase = Phase.connecting
    private var isWriteBlocked = false
    /// Whether the server takes no new streams here.
    private(set) var isDraining = false
    /// Whether the handshake was ever done, and whether any request was ever answered.
    private(set) var wasOpened = false
    /// Whether any request was ever answered: a connection that never did counts as a failure to connect.
    private(set) var hasAnswered = false
    /// Whether it has carried a request whose answer is confidential.
    private(set) var hasSecrets = false
    /// When the server was last heard, in milliseconds of the client's steady clock; and when it was asked for a sign
    /// of life.
    private(set) var heardAt: Int64
    private var pingedAt: Int64?    // milliseconds, as `heardAt`

    static let readOctets = 131_072, octetsPerWrite = 65_536
    /// Streams that stay free for requests that are answered soon: of a server that allows few, half of those.
    private static let reservedStreams = 8

    /// - Parameter scratch: is used during calls only.
    /// - Throws: `SystemError` or `TLSError`.
    init(
        number: Int, address: SocketAddress, context: TLSClientContext, serverName: String, pools: MessagePools,
        scratch: OctetBuffer, client: any APIConnectionClient, now: Int64
    ) throws {
        self.number = number
        self.address = address
        self.pools = pools
        self.scratch = scratch
        self.client = client
        heardAt = now
        descriptor = try Socket.connect(address)
        do {
            let expectation = TLSServerExpectation(serverName: serverName, host: serverName)
            tls = try TLSSession(client: context, expecting: expectation, descriptor: descriptor)
        } catch {
            Socket.close(descriptor)
            throw error
        }
        session = HTTP2Session(isServer: false, limits: .upstream, pools: pools)
    }

    deinit { Socket.close(descriptor) }

    /// Whether requests can be sent on it: TLS and HTTP/2 are ready.
    var isOpen: Bool { phase == .open }
    /// Whether it has ended: nothing comes of it any more.
    var isClosed: Bool { phase == .closed }

    /// Whether a further stream can begin at once.
    func hasRoom(isLasting: Bool) -> Bool {
        guard isOpen, !isDraining, session.takesRequests else { return false }
        let allowed = session.peerConcurrentStreams
        return session.openStreams + (isLasting ? min(Self.reservedStreams, allowed / 2) : 0) < allowed
    }

    // MARK: requests

    /// Sends a request.
    /// - Returns: the stream's place; nil when the connection takes none.
    func submit(_ request: APIRequest, host: String, bearer: String?, call: CallNumber) -> Int? {
        guard isOpen, !isDraining else { return nil }
        let block = headers(request, host: host, bearer: bearer)
        defer { pools.letGo(block) }
        hasSecrets = hasSecrets || request.isSecret
        let hasBody = !request.body.isEmpty
        guard let slot = session.submitRequest(block, isEnd: !hasBody, owner: .call(call), keepsBody: false) else {
            return nil
        }
        if hasBody {
            request.body.withOctets { session.send(slot, $0) }
            session.finish(slot)
        }
        return slot
    }

    private func headers(_ request: APIRequest, host: String, bearer: String?) -> HeaderBlock {
        let block = pools.takeBlock()
        Self.append(":method", request.method, to: block)
        Self.append(":scheme", "https", to: block)
        Self.append(":authority", host, to: block)
        Self.append(":path", request.path, to: block)
        Self.append("accept", request.accept, to: block)
        Self.append("user-agent", "portico", to: block)
        if !request.contentType.isEmpty { Self.append("content-type", request.contentType, to: block) }
        if let bearer { Self.append("authorization", "Bearer \(bearer)", to: block, isSensitive: true) }
        return block
    }

    private static func append(
        _ name: StaticString, _ value: String, to block: HeaderBlock, isSensitive: Bool = false
    ) {
        value.withOctets { block.append(stable: Octets(name), block.copy($0), isSensitive: isSensitive) }
    }

    /// Has what was read last overwritten where TLS keeps it.
    func wipeBuffers() { TLSMemory.wipeBuffers(of: tls) }

    /// Begins no new streams, and ends with the last one.
    func drain() { isDraining = true }

    /// Gives a request up.
    func cancel(_ slot: Int, call: CallNumber) {
        guard phase == .open, session.isOpen(slot), session.owner(slot) == .call(call) else { return }
        session.setOwner(slot, .nobody)
        session.reset(slot, code: ErrorCode.cancel)
    }

    // MARK: reading and writing

    /// Reads once, after epoll reported the socket or the last call returned true.
    /// - Parameter second: of the client's clock.
    /// - Returns: whether there may be more to read.
    func becameReady(at now: Int64, second: UInt32) -> Bool {
        isWriteBlocked = false
        guard establish(at: now) else { return false }
        pools.second = second
        scratch.clear()
        switch tls.read(into: scratch, most: Self.readOctets) {
        case .octets:
            heardAt = now
            pingedAt = nil
            defer { scratch.wipe() }    // it may have had a Secret
            if receive() { return true }
            flush()    // it says why
            lose("the server broke the protocol: \(session.violation?.sentence ?? "it does not speak HTTP/2")")
        case .wantsRead, .wantsWrite: break
        case .closed: lose("the server closed the connection")
        case .failed(let error): lose("the connection to the server broke: \(error)")
        }
        return false
    }

    /// - Returns: whether the handshake is done.
    private func establish(at now: Int64) -> Bool {
        if phase == .connecting {
            if let code = Socket.connectError(descriptor) {
                lose("\(SystemError("connect to", on: address.description, code: code))")
                return false
            }
            phase = .shakingHands
        }
        guard phase == .shakingHands else { return phase == .open }
        switch tls.handshake() {
        case .wantsRead, .wantsWrite: return false
        case .closed: lose("the server at \(address) closed the connection during the TLS handshake")
        case .failed(let error): lose("TLS with the server at \(address): \(error)")
        case .done:
            guard tls.negotiatedHTTP2 == true else {
                lose("the server at \(address) does not speak HTTP/2, which this client needs (ALPN h2)")
                return false
            }
            phase = .open
            wasOpened = true
            heardAt = now
            client.opened(self)
            return true
        }
        return false
    }

    private func receive() -> Bool {
        var rest = scratch.octets
        var isAlive = true
        while isAlive, !rest.isEmpty, phase == .open {
            isAlive = session.receive(&rest)
            noteEvents()
        }
        return isAlive
    }

    /// Passes on what the session has noted.
    private func noteEvents() {
        var index = 0
        while index < session.events.count {
            note(session.events[index])
            index += 1
        }
        session.endTurn()
    }

    private func note(_ event: StreamEvent) {
        let call = event.owner.call
        switch event.kind {
        case .headers, .trailers:
            guard let block = session.takeHeaders(event.slot) else { return }
            hasAnswered = true
            if let call, event.kind == .headers { client.received(block, for: call) }
            pools.letGo(block)
        case .data:
            if let call { client.received(event.data, for: call) }
            session.consume(event.slot, event.data.count)
        case .end: if let call { client.finished(call) }
        case .closed: if let call { client.broke(call, code: event.errorCode) }
        case .goAway: isDraining = true
        case .settings, .expectsContinue: break
        case .violation:
            guard event.slot >= 0, let call else { return }
            let code = event.violation?.code ?? ErrorCode.protocolError
            if session.isOpen(event.slot) {
                session.setOwner(event.slot, .nobody)
                session.reset(event.slot, code: code)
            }
            client.broke(call, code: code)
        }
    }

    /// Sends what there is to send.
    func flush() {
        while phase == .open, !isWriteBlocked {
            if outbox.isEmpty {
                guard session.wantsFlush else { return closeIfFinished() }
                session.flush(into: outbox, limit: Self.octetsPerWrite)
                noteEvents()
                if outbox.isEmpty { return closeIfFinished() }
            }
            switch tls.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wantsRead, .wantsWrite: isWriteBlocked = true
            case .closed: lose("the server closed the connection")
            case .failed(let error): lose("the connection to the server broke: \(error)")
            }
        }
    }

    private func closeIfFinished() {
        if isDraining, session.openStreams == 0 { lose("the server asked for another connection") }
    }

    // MARK: its end

    /// Asks a silent server for a sign of life, or ends the connection when it gave none.
    /// - Returns: when to call this again, by the client's clock.
    func checkLife(at now: Int64, timing: WatchTiming) -> Int64 {
        guard phase == .open else {
            lose("the server at \(address) did not answer within \(timing.connect) ms")
            return now
        }
        if let pingedAt {
            if now >= pingedAt + Int64(timing.pong) {
                lose("the server at \(address) has been silent for \(now - heardAt) ms, and answers no PING")
            }
            return pingedAt + Int64(timing.pong)
        }
        guard now >= heardAt + Int64(timing.pingAfter) else { return heardAt + Int64(timing.pingAfter) }
        pingedAt = now
        session.ping()
        flush()
        return now + Int64(timing.pong)
    }

    /// Ends the connection without a word to the client.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        tls.shutdown()
        Socket.finish(descriptor)
    }

    private func lose(_ reason: String) {
        guard phase != .closed else { return }
        phase = .closed
        client.closed(self, reason: reason)
    }
}
