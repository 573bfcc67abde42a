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

/// One connection to the API server: a socket, TLS, HTTP/2. `APIConnectionState` decides, and this object reads, writes
/// and speaks HTTP/2.
///
/// Thread: its client's. Freed by: `APIClient`, when it is closed.
final class APIConnection {
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
    /// How far it has come.
    private(set) var state: APIConnectionState

    static let readOctets = 131_072, octetsPerWrite = 65_536

    /// - Parameter scratch: is used during calls only.
    /// - Throws: `SystemError` or `TLSError`.
    init(
        number: Int, address: SocketAddress, context: TLSClientContext, serverName: String, pools: MessagePools,
        scratch: OctetBuffer, client: any APIConnectionClient, timing: WatchTiming, now: Int64
    ) throws {
        self.number = number
        self.address = address
        self.pools = pools
        self.scratch = scratch
        self.client = client
        state = APIConnectionState(address: address, timing: timing, at: now)
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

    /// Whether a further stream can begin at once.
    func hasRoom(isLasting: Bool) -> Bool {
        session.takesRequests
            && state.hasRoom(
                isLasting: isLasting, open: session.openStreams, allowed: session.peerConcurrentStreams)
    }

    // MARK: requests

    /// Sends a request.
    /// - Returns: the stream's place; nil when the connection takes none.
    func submit(_ request: APIRequest, host: String, bearer: String?, call: CallNumber) -> Int? {
        guard state.takesRequests else { return nil }
        let block = headers(request, host: host, bearer: bearer)
        defer { pools.letGo(block) }
        state.sent(isSecret: request.isSecret)
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
    func drain() { state.drain() }

    /// Gives a request up.
    func cancel(_ slot: Int, call: CallNumber) {
        guard state.isOpen, session.isOpen(slot), session.owner(slot) == .call(call) else { return }
        session.setOwner(slot, .nobody)
        session.reset(slot, code: ErrorCode.cancel)
    }

    // MARK: reading and writing

    /// Reads once, after epoll reported the socket or the last call returned true.
    /// - Parameter second: of the client's clock.
    /// - Returns: whether there may be more to read.
    func becameReady(at now: Int64, second: UInt32) -> Bool {
        state.becameReady()
        guard establish(at: now) else { return false }
        pools.second = second
        scratch.clear()
        switch tls.read(into: scratch, most: Self.readOctets) {
        case .octets:
            state.heard(at: now)
            defer { scratch.wipe() }    // it may have had a Secret
            if receive() { return true }
            flush()    // it says why
            carryOut(state.violated(session.violation?.sentence))
        case .wantsRead, .wantsWrite: break
        case .closed: carryOut(state.ended())
        case .failed(let error): carryOut(state.broke("\(error)"))
        }
        return false
    }

    /// - Returns: whether the handshake is done.
    private func establish(at now: Int64) -> Bool {
        if state.phase == .connecting {
            let code = Socket.connectError(descriptor)
            carryOut(state.connected(code.map { SystemError("connect to", on: address.description, code: $0) }))
        }
        if state.phase == .shakingHands { carryOut(state.shookHands(handshake(), at: now)) }
        return state.isOpen
    }

    private func handshake() -> APIConnectionState.Handshake {
        switch tls.handshake() {
        case .wantsRead, .wantsWrite: .unfinished
        case .closed: .ended
        case .failed(let error): .failed("\(error)")
        case .done: .done(isHTTP2: tls.negotiatedHTTP2 == true)
        }
    }

    private func carryOut(_ actions: [APIConnectionState.Action]) {
        for action in actions {
            switch action {
            case .announce: client.opened(self)
            case .ping:
                session.ping()
                flush()
            case .report(let reason): client.closed(self, reason: reason)
            case .shutDown:
                tls.shutdown()
                Socket.finish(descriptor)
            }
        }
    }

    private func receive() -> Bool {
        var rest = scratch.octets
        var isAlive = true
        while isAlive, !rest.isEmpty, state.isOpen {
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
            state.answered()
            if let call, event.kind == .headers { client.received(block, for: call) }
            pools.letGo(block)
        case .data:
            if let call { client.received(event.data, for: call) }
            session.consume(event.slot, event.data.count)
        case .end: if let call { client.finished(call) }
        case .closed: if let call { client.broke(call, code: event.errorCode) }
        case .goAway: state.drain()
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
        while state.isOpen, !state.isWriteBlocked {
            if outbox.isEmpty {
                if session.wantsFlush {
                    session.flush(into: outbox, limit: Self.octetsPerWrite)
                    noteEvents()
                }
                if outbox.isEmpty { return carryOut(state.emptied(open: session.openStreams)) }
            }
            switch tls.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wantsRead, .wantsWrite: state.writeBlocked()
            case .closed: carryOut(state.ended())
            case .failed(let error): carryOut(state.broke("\(error)"))
            }
        }
    }

    // MARK: its end

    /// Asks a silent server for a sign of life, or ends the connection when it gave none.
    func checkLife(at now: Int64) { carryOut(state.look(at: now)) }

    /// Ends the connection without a word to the client.
    func close() { carryOut(state.close()) }
}
