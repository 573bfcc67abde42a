internal import HTTP
internal import Octets

/// The server's side of one HTTP/2 connection. The window of a stream is opened again only as its answer is sent, so a
/// client that does not read cannot make memory grow.
///
/// Thread: the server's. Freed by: its `Connection`.
final class HTTP2Speaker {
    /// Octets of one answer that may wait to be sent.
    private static let waitingLimit = 65_536

    private let session: HTTP2Session
    private unowned let connection: Connection
    private var exchanges: [Exchange?] = []    // by the session's slot
    private var sent: [Int] = []    // slots whose octets have gone out: their answers have room to grow

    init(connection: Connection) {
        var limits = HTTP2Limits()
        limits.concurrentStreams = 250
        session = HTTP2Session(isServer: true, limits: limits, pools: connection.server.pools)
        self.connection = connection
    }

    var isFinished: Bool { session.isFinished }

    /// - Returns: false when the connection cannot go on.
    func receive(_ octets: Octets) -> Bool {
        var rest = octets
        var isAlive = true
        while isAlive, !rest.isEmpty {
            isAlive = session.receive(&rest)
            endTurn()
        }
        return isAlive
    }

    /// Appends what there is to send.
    func produce(into out: OctetBuffer, limit: Int) {
        while out.count < limit {
            let slots = sent
            sent.removeAll(keepingCapacity: true)
            for slot in slots { pump(slot) }
            guard session.wantsFlush else { break }
            let before = out.count
            session.flush(into: out, limit: limit)
            endTurn()
            if out.count == before, sent.isEmpty { break }
        }
    }

    /// Acts on what has happened, and keeps in mind what has gone out: octets that the window allows leave as soon as
    /// they are there, also while octets are received.
    private func endTurn() {
        actOnEvents()
        for index in session.taken.indices { sent.append(session.taken[index].owner.exchange ?? -1) }
        session.endTurn()
    }

    /// Continues an exchange whose sleep is over.
    func wake(_ exchange: Exchange) { begin(exchange) }

    /// First step of the graceful end. Source: RFC 9113 §6.8.
    func announceShutdown() { session.announceShutdown() }
    /// Second step of the graceful end. Source: RFC 9113 §6.8.
    func refuseNewStreams() { session.refuseNewStreams() }

    /// The connection is gone: nothing may wake its streams any more.
    func close() {
        for case let exchange? in exchanges { forget(exchange) }
        exchanges.removeAll()
    }

    private func actOnEvents() {
        for index in session.events.indices {
            let event = session.events[index]
            switch event.kind {
            case .headers: opened(event.slot)
            case .data: received(event.slot, event.data)
            case .trailers:
                if let block = session.takeHeaders(event.slot) { connection.server.pools.letGo(block) }
            case .end:
                exchange(event.slot)?.isRequestEnded = true
                pump(event.slot)
            case .closed: closed(event.slot, event.errorCode)
            case .violation:
                // One that is only too large is still open for an answer.
                guard event.slot >= 0, session.isOpen(event.slot) else { continue }
                let code = event.violation?.code ?? ErrorCode.cancel
                session.reset(event.slot, code: code)
                closed(event.slot, code)
            case .goAway, .settings, .expectsContinue: break
            }
        }
    }

    private func exchange(_ slot: Int) -> Exchange? { exchanges.indices.contains(slot) ? exchanges[slot] : nil }

    private func opened(_ slot: Int) {
        guard let headers = session.takeHeaders(slot) else { return }
        session.setOwner(slot, .exchange(slot))
        while exchanges.count <= slot { exchanges.append(nil) }
        let exchange = Exchange(headers, slot: slot, connection: connection)
        exchanges[slot] = exchange
        if let sleep = exchange.plan.sleep, exchange.plan.problem == nil {
            connection.server.arm(&exchange.alarm, after: sleep, .wake(exchange))
        } else {
            begin(exchange)
        }
    }

    private func received(_ slot: Int, _ data: Octets) {
        guard let exchange = exchange(slot), exchange.phase != .done else {
            return session.consume(slot, data.count)
        }
        exchange.inbox.append(data)
        pump(slot)
    }

    private func closed(_ slot: Int, _ code: UInt32) {
        guard let exchange = exchange(slot) else { return }
        if code != ErrorCode.none, exchange.plan.resetCode == nil {
            connection.server.log("stream reset by peer: code \(code) (\(exchange.path))")
        }
        forget(exchange)
        exchanges[slot] = nil
    }

    private func forget(_ exchange: Exchange) {
        connection.server.disarm(&exchange.alarm)
        if exchange.phase == .sleeping { connection.server.pools.letGo(exchange.headers) }
        exchange.phase = .done
        connection.server.pools.give(exchange.inbox)
    }

    private func begin(_ exchange: Exchange) {
        let pools = connection.server.pools
        let plan = exchange.plan
        exchange.phase = .answering
        defer { pools.letGo(exchange.headers) }
        if let code = plan.resetCode {
            exchange.phase = .done
            return session.reset(exchange.slot, code: code)
        }
        if plan.goesAway { session.refuseNewStreams() }
        let preamble = pools.takeBuffer()
        let block = pools.takeBlock()
        exchange.makeHead(block, preamble: preamble)
        let isRefused = plan.kind != .plain && (plan.problem != nil || (plan.status ?? 0) > 0 && plan.copies == nil)
        let isHead = plan.kind == .plain && exchange.headers.first(.method) == "HEAD"
        if isRefused {
            let status = plan.problem == nil ? plan.status ?? 0 : Int(GRPC.Status.invalidArgument.rawValue)
            Exchange.append(status, plan.problem ?? plan.message, to: block)
        }
        session.submitResponse(exchange.slot, block, isEnd: isRefused || isHead)
        if isRefused || isHead { ended(exchange) }
        session.send(exchange.slot, preamble.octets)
        pools.give(preamble)
        pools.letGo(block)
        pump(exchange.slot)
    }

    /// Lets the answer grow as far as there is room, and opens the window by what it took.
    private func pump(_ slot: Int) {
        guard let exchange = exchange(slot), exchange.phase == .answering else { return }
        let room = Self.waitingLimit - session.pending(slot)
        guard room > 0 else { return }
        let pools = connection.server.pools
        let out = pools.takeBuffer()
        defer { pools.give(out) }
        let before = exchange.inbox.count
        let outcome = exchange.answer.advance(
            exchange.inbox, isEnded: exchange.isRequestEnded, into: out, limit: room)
        session.consume(slot, before - exchange.inbox.count)
        session.send(slot, out.octets)
        if case .finished(let status, let message) = outcome { finish(exchange, status, message) }
    }

    private func finish(_ exchange: Exchange, _ status: GRPC.Status, _ message: String) {
        let pools = connection.server.pools
        if exchange.plan.kind == .plain {
            session.finish(exchange.slot)
        } else {
            let isWanted = status == .ok && exchange.plan.status != nil
            let trailers = pools.takeBlock()
            Exchange.append(
                isWanted ? exchange.plan.status ?? 0 : Int(status.rawValue),
                isWanted ? exchange.plan.message : message, to: trailers)
            session.finish(exchange.slot, trailers: trailers)
            pools.letGo(trailers)
        }
        ended(exchange)
    }

    /// The answer is complete; what the client may still send is not wanted.
    private func ended(_ exchange: Exchange) {
        exchange.phase = .done
        session.consume(exchange.slot, exchange.inbox.count)
        exchange.inbox.clear()
        session.resetAfterEnd(exchange.slot)
    }
}
