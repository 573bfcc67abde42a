internal import HTTP
internal import Octets

/// The server's side of one HTTP/1.1 connection. It answers requests in order, one after the other. It reads nothing
/// while an answer is being sent, so that memory is bounded.
///
/// Thread: the server's. Freed by: its `Connection`.
final class HTTP1Speaker {
    private static let inputLimit = 131_072    // more than a header section may have
    private static let bodyLimit = 65_536

    private unowned let connection: Connection
    private var parser = HTTP1Parser(role: .request(.http), limits: .request)
    private let input = OctetBuffer(capacity: 1024)
    private var exchange: Exchange?
    private var isKeptAlive = true
    private var framing = HTTP1Framing.none    // of the answer
    private var isDraining = false
    private var isInputEnded = false

    init(connection: Connection) { self.connection = connection }

    var wantsInput: Bool { input.count < Self.inputLimit && (exchange?.inbox.count ?? 0) < Self.bodyLimit }

    /// Takes octets of the client.
    func receive(_ octets: Octets) {
        input.append(octets)
        advance()
    }

    /// Makes as much of the answer as the outbox has room for, then continues to read.
    func produce() {
        pump()
        advance()
    }

    /// Continues an exchange whose sleep is over.
    func wake(_ exchange: Exchange) { begin(exchange) }

    /// Closes the connection after the current answer.
    func drain() {
        isDraining = true
        if exchange == nil { connection.end() }
    }

    /// Notes the client's end.
    /// - Returns: whether an answer to what was received is still to be made.
    func inputEnded() -> Bool {
        isInputEnded = true
        guard let exchange, exchange.isRequestEnded else { return false }
        isKeptAlive = false
        return true
    }

    /// Forgets the exchange; the connection is closed.
    func close() {
        guard let exchange else { return }
        connection.server.disarm(&exchange.alarm)
        if exchange.phase == .sleeping { connection.server.pools.letGo(exchange.headers) }
        exchange.phase = .done
        connection.server.pools.give(exchange.inbox)
        self.exchange = nil
    }

    private func advance() {
        while !input.isEmpty || exchange?.isRequestEnded == false {
            if let exchange, exchange.isRequestEnded || exchange.inbox.count >= Self.bodyLimit { return }
            let headers = connection.server.pools.takeBlock()
            defer { connection.server.pools.letGo(headers) }
            do throws(HTTP1Error) {
                let (consumed, event) = try parser.next(input.octets, headers: headers)
                let goesOn = take(event, headers)
                // `take` may have closed the connection, but it never changes `input`.
                input.take(consumed)
                guard goesOn else { return }
            } catch {
                return refuse(error)
            }
        }
    }

    private func take(_ event: HTTP1Event, _ headers: HeaderBlock) -> Bool {
        switch event {
        case .needsMore: return false
        case .head(let head): open(head, headers)
        case .body(let data): if let exchange, exchange.phase != .done { exchange.inbox.append(data) }
        case .end: exchange?.isRequestEnded = true
        }
        pump()
        return true
    }

    private func open(_ head: HTTP1Head, _ headers: HeaderBlock) {
        headers.hold()
        let exchange = Exchange(headers, slot: 0, connection: connection)
        self.exchange = exchange
        isKeptAlive = head.isKeepAlive && !isDraining
        framing = answerFraming(head, exchange)
        if head.expectsContinue { connection.outbox.append(text: "HTTP/1.1 100 Continue\r\n\r\n") }
        if let sleep = exchange.plan.sleep, exchange.plan.problem == nil {
            connection.server.arm(&exchange.alarm, after: sleep, .wake(exchange))
        } else {
            begin(exchange)
        }
    }

    /// The framing of the answer. Only the answer to a chunked request has an unknown length; the preamble adds to the
    /// length.
    private func answerFraming(_ head: HTTP1Head, _ exchange: Exchange) -> HTTP1Framing {
        if exchange.headers.first(.method) == "HEAD" { return .none }
        guard exchange.plan.kind == .plain else { return .chunked }
        return switch head.framing {
        case .none: .length(UInt64(exchange.plan.size))
        case .length(let length): .length(max(length, UInt64(exchange.plan.size)))
        case .chunked, .untilClose: .chunked
        }
    }

    private func begin(_ exchange: Exchange) {
        let pools = connection.server.pools
        exchange.phase = .answering
        defer { pools.letGo(exchange.headers) }
        if exchange.plan.resetCode != nil {
            exchange.phase = .done
            return connection.abort()
        }
        if exchange.plan.goesAway { isKeptAlive = false }
        let preamble = pools.takeBuffer()
        let block = pools.takeBlock()
        defer {
            pools.give(preamble)
            pools.letGo(block)
        }
        exchange.makeHead(block, preamble: preamble)
        if case .length(let length) = framing {
            let sum = length.addingReportingOverflow(UInt64(preamble.count))
            framing = sum.overflow ? .chunked : .length(sum.partialValue)
        }
        try? HTTP1Serializer.writeResponse(
            block, framing: framing, connection: isKeptAlive ? .keep : .close, to: connection.outbox)
        writeBody(preamble.octets)
    }

    private func pump() {
        guard let exchange, exchange.phase == .answering else { return }
        let room = Connection.outboxLimit - connection.outbox.count
        guard room > 0 else { return }
        let pools = connection.server.pools
        let out = pools.takeBuffer()
        defer { pools.give(out) }
        let outcome = exchange.answer.advance(
            exchange.inbox, isEnded: exchange.isRequestEnded, into: out, limit: room)
        writeBody(out.octets)
        if case .finished = outcome { finish(exchange) }
    }

    private func writeBody(_ octets: Octets) {
        switch framing {
        case .none: break
        case .chunked: HTTP1Serializer.writeChunk(octets, to: connection.outbox)
        case .length, .untilClose: connection.outbox.append(octets)
        }
    }

    private func finish(_ exchange: Exchange) {
        if framing == .chunked { HTTP1Serializer.writeLastChunk(to: connection.outbox) }
        let goesOn = isKeptAlive && !isDraining && exchange.isRequestEnded
        exchange.phase = .done
        connection.server.pools.give(exchange.inbox)
        self.exchange = nil
        if !goesOn { connection.end() }
    }

    private func refuse(_ error: HTTP1Error) {
        connection.server.log("HTTP/1.1 refused: \(error.details)")
        guard exchange == nil else { return connection.abort() }
        let block = connection.server.pools.takeBlock()
        block.append(":status", text: String(error.status))
        block.append("content-type", text: "text/plain")
        try? HTTP1Serializer.writeResponse(
            block, framing: .length(UInt64(error.body.utf8.count)), connection: .close, to: connection.outbox)
        connection.outbox.append(text: error.body)
        connection.server.pools.letGo(block)
        connection.end()
    }
}
