internal import HTTP
internal import Octets
internal import Reactor

/// One connection of the caller: HTTP/2, or HTTP/1.1 with one call at a time.
///
/// Thread: the caller's. Freed by: `Caller`, when it is closed.
final class CallConnection {
    private enum Session {
        case none
        case http1(HTTP1Session)
        case http2(HTTP2Session)
    }

    private struct OngoingCall {
        var begin: MonotonicTime
        var slot: Int
        var timer: TimerWheel.TimerID
        var outcome: CallOutcome
        var name = ""    // that its reply must have; empty: any will do
        var message: [UInt8] = []    // what has come of that reply
        var isExpired = false
    }

    private let channel: Channel
    private let index: Int
    private unowned let caller: Caller
    private var session = Session.none
    private var isConnected = false
    private var isEstablished = false
    private var isWriteBlocked = false
    private var isClosed = false
    private var calls: [OngoingCall?] = []    // by the tag of their streams
    private var free: [Int] = []
    private let outbox = OctetBuffer(capacity: 4096)

    init(_ channel: Channel, index: Int, caller: Caller) {
        self.channel = channel
        self.index = index
        self.caller = caller
    }

    /// Reads and writes, after epoll reported the socket.
    func becameReady() {
        guard !isClosed, establish() else { return }
        isWriteBlocked = false
        readAll()
        flush()
    }

    /// Ends a call whose timer has fired. The timer is disarmed and must not be cancelled.
    func timerFired(_ tag: Int) {
        guard calls.indices.contains(tag) else { return }
        calls[tag]?.timer = .none
    }

    /// The deadline of a call has passed.
    func expired(_ tag: Int) {
        guard calls.indices.contains(tag), let call = calls[tag], !call.timer.isArmed else { return }
        calls[tag]?.isExpired = true
        switch session {
        case .none: break
        case .http1: return lose("the deadline has passed")
        case .http2(let session): session.reset(call.slot, code: ErrorCode.cancel)
        }
        flush()
    }

    // MARK: the connection

    private func establish() -> Bool {
        guard !isEstablished else { return true }
        if !isConnected {
            if let code = Socket.connectError(channel.descriptor) {
                lose("\(SystemError("connect to", on: caller.order.target.authority, code: code))")
                return false
            }
            isConnected = true
        }
        switch channel.handshake() {
        case .waiting: return false
        case .failed(let reason):
            lose("TLS: \(reason)")
            return false
        case .done: break
        }
        isEstablished = true
        makeSession()
        return true
    }

    private func makeSession() {
        if caller.order.target.isGRPC || channel.isHTTP2 {
            session = .http2(HTTP2Session(isServer: false, limits: .upstream, pools: caller.pools))
        } else {
            let scheme: HTTP1Parser.Scheme = caller.order.target.isSecure ? .https : .http
            session = .http1(HTTP1Session(isServer: false, scheme: scheme, pools: caller.pools))
        }
    }

    /// Ends all calls of the connection with an error.
    private func lose(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        var lost = 0
        for tag in calls.indices {
            guard var call = calls[tag] else { continue }
            calls[tag] = nil
            lost += 1
            caller.disarm(&call.timer)
            let deadline = caller.order.target.isGRPC ? Int(GRPC.Status.deadlineExceeded.rawValue) : Report.unanswered
            call.outcome.status = call.isExpired ? deadline : caller.unansweredStatus
            call.outcome.message = reason
            caller.end(call.outcome, since: call.begin)
        }
        if lost == 0, !isEstablished { caller.fail(reason) }
        caller.close(index)
    }

    private func readAll() {
        while !isClosed {
            let scratch = caller.scratch
            scratch.clear()
            switch channel.read(into: scratch, most: 65_536) {
            case .octets:
                guard receive(scratch.octets) else { return lose("the peer broke the protocol") }
            case .wouldBlock: return
            case .closed: return inputEnded()
            case .failed: return lose("the connection was reset")
            }
            // What the windows need goes out now: the peer may wait for it.
            flush()
        }
    }

    private func receive(_ octets: Octets) -> Bool {
        var isAlive = true
        switch session {
        case .none: break
        case .http1(let session):
            var rest = octets
            repeat {
                isAlive = session.receive(rest) && session.violation == nil
                rest = .empty
                actOnEvents()
                session.endTurn()
            } while isAlive && session.hasWaitingInput
        case .http2(let session):
            var rest = octets
            while isAlive, !rest.isEmpty {
                isAlive = session.receive(&rest)
                actOnEvents()
                session.endTurn()
            }
        }
        return isAlive
    }

    private func inputEnded() {
        if case .http1(let session) = session {
            session.inputEnded()
            actOnEvents()
            session.endTurn()
        }
        lose("the peer closed the connection")
    }

    private func flush() {
        while !isClosed, !isWriteBlocked {
            if outbox.isEmpty {
                startCalls()
                switch session {
                case .none: return
                case .http1(let session): session.flush(into: outbox, limit: 65_536)
                case .http2(let session): session.flush(into: outbox, limit: 65_536)
                }
                actOnEvents()
                endTurn()
                if outbox.isEmpty { return closeIfUsedUp() }
            }
            switch channel.write(outbox.octets) {
            case .octets(let count): outbox.take(count)
            case .wouldBlock: isWriteBlocked = true
            case .closed, .failed: lose("the connection was reset")
            }
        }
    }

    private func endTurn() {
        switch session {
        case .none: break
        case .http1(let session): session.endTurn()
        case .http2(let session): session.endTurn()
        }
    }

    /// Closes after GOAWAY or `connection: close`, because the next calls need another connection.
    private func closeIfUsedUp() {
        guard calls.allSatisfy({ $0 == nil }), !takesRequests else { return }
        isClosed = true
        caller.close(index)
    }

    private var takesRequests: Bool {
        switch session {
        case .none: true
        case .http1(let session): session.takesRequests
        case .http2(let session): session.takesRequests
        }
    }
}

// MARK: calls

extension CallConnection {
    private func startCalls() {
        guard isEstablished, !isClosed else { return }
        var ongoing = calls.count(where: { $0 != nil })
        while ongoing < caller.concurrency(of: index), mayStart, let number = caller.begin() {
            start(caller.order.name(of: number))
            ongoing += 1
        }
    }

    private var mayStart: Bool {
        switch session {
        case .none: false
        case .http1(let session): session.takesRequests
        case .http2(let session): session.takesRequests && session.openStreams < session.peerConcurrentStreams
        }
    }

    private func start(_ name: String) {
        let tag = free.popLast() ?? calls.count
        if tag == calls.count { calls.append(nil) }
        let headers = requestHeaders(name)
        defer { caller.pools.letGo(headers) }
        let isGRPC = caller.order.target.isGRPC
        let slot: Int? =
            switch session {
            case .none: nil
            case .http1(let session):
                session.submitRequest(headers, isEnd: true, owner: .exchange(tag), keepsBody: false)
            case .http2(let session):
                session.submitRequest(headers, isEnd: !isGRPC, owner: .exchange(tag), keepsBody: false)
            }
        guard let slot else {
            free.append(tag)
            return caller.end(CallOutcome(status: caller.unansweredStatus, message: "not sent"), since: .now())
        }
        if isGRPC, case .http2(let session) = session {
            sendRequest(session, slot, name)
        }
        calls[tag] = OngoingCall(
            begin: .now(), slot: slot, timer: caller.arm(connection: index, call: tag),
            outcome: CallOutcome(status: caller.unansweredStatus), name: caller.order.checksReplies ? name : "")
    }

    private func sendRequest(_ session: HTTP2Session, _ slot: Int, _ name: String) {
        let message = caller.pools.takeBuffer()
        let framed = caller.pools.takeBuffer()
        Protobuf.appendText(name, to: message)
        framed.append(0 as UInt8)
        for shift in stride(from: 24, through: 0, by: -8) {
            framed.append(UInt8(truncatingIfNeeded: message.count >> shift))
        }
        framed.append(message.octets)
        session.send(slot, framed.octets)
        session.finish(slot)
        caller.pools.give(message)
        caller.pools.give(framed)
    }

    private func requestHeaders(_ name: String) -> HeaderBlock {
        let order = caller.order
        let block = caller.pools.takeBlock()
        block.append(":method", text: order.target.isGRPC ? "POST" : "GET")
        block.append(":scheme", text: order.target.isSecure ? "https" : "http")
        block.append(":authority", text: order.authority)
        block.append(":path", text: order.path)
        if order.target.isGRPC {
            block.append("te", text: "trailers")
            block.append("content-type", text: "application/grpc")
            if let timeout = order.timeout { GRPCTimeout(remaining: timeout).append(to: block) }
        }
        block.append("user-agent", text: "portico-echo")
        if order.checksReplies, !order.target.isGRPC {
            block.append("x-name", text: name)
            block.append("echo-headers", text: "1")
        }
        for header in order.headers {
            let name = caller.pools.takeBuffer()
            let value = caller.pools.takeBuffer()
            name.append(text: header.name)
            value.append(text: header.value)
            block.append(copying: name.octets, value.octets)
            caller.pools.give(name)
            caller.pools.give(value)
        }
        return block
    }

    private func actOnEvents() {
        switch session {
        case .none: break
        case .http1(let session):
            for event in session.events { act(on: event, session.takeHeaders) { session.consume($0, $1) } }
        case .http2(let session):
            for index in session.events.indices {
                act(on: session.events[index], session.takeHeaders) { session.consume($0, $1) }
            }
        }
    }

    private func act(
        on event: StreamEvent, _ takeHeaders: (Int) -> HeaderBlock?, _ consume: (Int, Int) -> Void
    ) {
        switch event.kind {
        case .headers, .trailers:
            guard let block = takeHeaders(event.slot) else { return }
            note(block, of: event.owner.exchange ?? -1)
            caller.pools.letGo(block)
        case .data:
            note(event.data, of: event.owner.exchange ?? -1)
            consume(event.slot, event.data.count)
        case .closed: closed(event.owner.exchange ?? -1, event.errorCode)
        case .end, .goAway, .settings, .expectsContinue, .violation: break
        }
    }

    private func note(_ block: HeaderBlock, of tag: Int) {
        guard calls.indices.contains(tag), var call = calls[tag] else { return }
        if let host = block.first(named: "x-echo-host") { call.outcome.host = host.string }
        if caller.order.target.isGRPC {
            if let status = block.first(.grpcStatus) { call.outcome.status = Plan.number(status, most: 999) ?? 2 }
            if let message = block.first(.grpcMessage) { call.outcome.message = Self.decoded(message) }
            if let status = block.first(.status), status != "200", block.first(.grpcStatus) == nil {
                call.outcome.message = "HTTP status \(status.string)"
            }
        } else if let status = block.first(.status) {
            call.outcome.status = Plan.number(status, most: 999) ?? Report.unanswered
            if !call.name.isEmpty, let name = block.first(named: "echo-x-name") {
                call.outcome.reply = name.string == call.name ? .own : .foreign
            }
        }
        calls[tag] = call
    }

    /// A `grpc-message` without its percent-encoding.
    private static func decoded(_ text: Octets) -> String {
        var octets: [UInt8] = []
        var index = 0
        while index < text.count {
            let pair = text.slice(index + 1, index + 3).string
            if text[index] == UInt8(ascii: "%"), pair.utf8.count == 2, let octet = UInt8(pair, radix: 16) {
                octets.append(octet)
                index += 3
            } else {
                octets.append(text[index])
                index += 1
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    /// Notes the name that a server without `x-echo-host` gives in a HelloReply, and whose reply it is.
    private func note(_ data: Octets, of tag: Int) {
        if caller.order.checksReplies { compare(data, tag) }
        guard caller.order.target.isGRPC, data.count > 5, calls.indices.contains(tag), let call = calls[tag],
            call.outcome.host.isEmpty, let text = Protobuf.text(in: data.dropFirst(5))?.string,
            text.hasPrefix("hostname:")
        else { return }
        calls[tag]?.outcome.host = String(text.dropFirst(9).prefix { $0 != "," })
    }

    /// The reply to `HelloRequest{name}` has `in:NAME,`; it may come in pieces.
    private func compare(_ data: Octets, _ tag: Int) {
        guard caller.order.target.isGRPC, calls.indices.contains(tag), var call = calls[tag],
            call.outcome.reply == .none
        else { return }
        call.message += data.array
        if let name = Self.name(in: call.message) { call.outcome.reply = name == call.name ? .own : .foreign }
        calls[tag] = call
    }

    /// The name in a reply; nil: it is not complete.
    private static func name(in message: [UInt8]) -> String? {
        message.withOctets { whole in
            guard whole.count > 5, let text = Protobuf.text(in: whole.dropFirst(5))?.string,
                let start = text.firstRange(of: ", in:")?.upperBound
            else { return nil }
            return String(text[start...].prefix { $0 != "," })
        }
    }

    private func closed(_ tag: Int, _ code: UInt32) {
        guard calls.indices.contains(tag), var call = calls[tag] else { return }
        calls[tag] = nil
        free.append(tag)
        caller.disarm(&call.timer)
        if call.isExpired {
            let isGRPC = caller.order.target.isGRPC
            call.outcome.status = isGRPC ? Int(GRPC.Status.deadlineExceeded.rawValue) : Report.unanswered
            call.outcome.message = "the deadline has passed"
        } else if code != ErrorCode.none {
            call.outcome.message = "the stream was reset with code \(code)"
        }
        caller.end(call.outcome, since: call.begin)
    }
}
