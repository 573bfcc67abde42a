internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// One client of the admin server: it reads a request, answers it, then reads the next one. Requests that arrive while
/// an answer is being written wait in the socket.
///
///     idle → reading → (waiting →) writing → idle …          (until the last answer)
///                                     ↓
///                                  lingering → closed
///
/// Thread: the main thread. Freed by: `AdminServer`, when it is closed.
final class AdminConnection {
    /// What a connection waits for.
    enum Phase: Equatable {
        case idle    // between requests
        case reading    // a part of a request has arrived
        case waiting    // for an answer that takes time
        case writing    // an answer that the client has not received yet
        /// Our side has ended. What the client still sends is dropped, because closing a socket with unread octets
        /// resets the connection, and the client would lose the answer.
        case lingering
        case closed
    }

    private static func limits(_ scope: AdminScope) -> HTTP1Limits {
        var limits = HTTP1Limits(headOctets: mostHeadOctets)
        limits.needsHostInOld = scope != .status
        return limits
    }
    /// The largest head of a request, in octets; a larger one is answered 431.
    private static let mostHeadOctets = 8 << 10
    /// The largest body of a request, in octets; a larger one is answered 413. No page uses it.
    private static let mostBodyOctets = 64 << 10
    /// Requests of one connection; the last answer says `connection: close`. It also limits the work of a turn.
    private static let requestsLimit = 100
    /// The largest number of octets that are dropped while lingering.
    private static let mostLingerOctets = 256 << 10
    /// What is read at a time, and kept of the memory of an answer.
    private static let octetsPerRead = 4096

    let descriptor: CInt    // owned; closed by the server
    let scope: AdminScope
    /// What the connection is waiting for.
    private(set) var phase = Phase.idle { didSet { phaseChanges &+= 1 } }
    /// Grows with each change of the phase, so that the server also notices a round that ends in the same phase.
    private(set) var phaseChanges = 0
    /// The deadline of the phase.
    var timer = TimerWheel.TimerID.none
    /// When the phase began, which says who has waited longest when connections are too many.
    var phaseStart = MonotonicTime(nanoseconds: 0)
    /// Octets of answers that the client has not received yet.
    var waitingOctets: Int { output.count }

    private let reached: (ReachedLimit) -> Void
    private var parser: HTTP1Parser
    private let headers = HeaderBlock()
    private let input = OctetBuffer(capacity: 1024)
    private let output = OctetBuffer(capacity: 1024)
    private var request: Request?
    private var requests = 0
    private var isLast = false
    private var endsSoon = false    // the next answer is the last one
    private var lingered = 0

    private struct Request {
        let content: AdminRequest
        let isKeepAlive: Bool
        var bodyOctets = 0
    }

    /// - Parameter reached: counts that a limit was reached.
    init(descriptor: CInt, scope: AdminScope, reached: @escaping (ReachedLimit) -> Void) {
        self.descriptor = descriptor
        self.scope = scope
        self.reached = reached
        parser = HTTP1Parser(role: .request(.http), limits: Self.limits(scope))
    }

    /// Reads and writes as far as the socket allows; `phase` is then where that ended.
    /// - Parameter answer: finds the answer to a request; nil if `complete` is called with it later.
    func advance(answer: (AdminRequest) -> AdminResponse?) {
        while phase != .closed {
            switch phase {
            case .lingering:
                guard drain() else { return }
            case .writing:
                guard flush() else { return }
                if phase == .closed { return }
                if isLast { finish() } else { phase = input.isEmpty ? .idle : .reading }
            case .idle, .reading:
                if parse(answer) { continue }
                guard read() else { return }
            // Octets that arrive meanwhile wait in the socket, and so does the client's end.
            case .waiting, .closed: return
            }
        }
    }

    /// Takes the answer that was to come later; `advance` sends it.
    func complete(_ response: AdminResponse) {
        guard phase == .waiting else { return }
        answer(response)
    }

    /// The answer that the client waits for is the last one; without one the connection ends now.
    func endAfterAnswer() {
        endsSoon = true
        if phase == .idle { phase = .closed }
        if phase == .writing { isLast = true }
    }

    private func end(by limit: ReachedLimit) {
        reached(limit)
        phase = .closed
    }

    private func finish() {
        Socket.finish(descriptor)
        phase = .lingering
    }

    /// Writes what is left of the answers.
    /// - Returns: false if the socket takes no more at the moment.
    private func flush() -> Bool {
        while !output.isEmpty {
            switch Socket.write(descriptor, output.octets) {
            case .octets(let count): output.take(count)
            case .wouldBlock: return false
            case .closed, .failed:
                phase = .closed
                return true
            }
        }
        output.clear(keeping: Self.octetsPerRead)
        return true
    }

    /// Reads what the socket has.
    /// - Returns: false if there is nothing to read at the moment.
    private func read() -> Bool {
        switch Socket.read(descriptor, into: input, most: Self.octetsPerRead) {
        case .octets:
            if phase == .idle { phase = .reading }
            return true
        case .wouldBlock: return false
        case .closed, .failed:
            phase = .closed
            return true
        }
    }

    private func drain() -> Bool {
        input.clear()
        let result = Socket.read(descriptor, into: input, most: Self.octetsPerRead)
        guard case .octets(let count) = result else {
            if result != .wouldBlock { phase = .closed }
            return result != .wouldBlock
        }
        lingered += count
        if lingered > Self.mostLingerOctets { end(by: .adminLinger) }
        return true
    }

    /// Parses a request and asks for its answer.
    /// - Returns: false if more octets are needed.
    private func parse(_ answer: (AdminRequest) -> AdminResponse?) -> Bool {
        while phase == .idle || phase == .reading {
            do throws(HTTP1Error) {
                let (consumed, event) = try parser.next(input.octets, headers: headers)
                act(on: event, answer)
                input.take(consumed)
                if event == .needsMore { return false }
            } catch {
                if error == .headersTooLarge || error == .tooManyHeaders { reached(.adminRequestOctets) }
                send(AdminResponse(error.status, "\(error.details)"), isLast: true)
            }
        }
        return true
    }

    private func act(on event: HTTP1Event, _ answer: (AdminRequest) -> AdminResponse?) {
        switch event {
        case .needsMore: break
        case .head(let head): start(head)
        case .body(let body):
            request?.bodyOctets += body.count
            if let request, request.bodyOctets > Self.mostBodyOctets { refuseBody() }
        case .end:
            guard let request else { break }
            requests += 1
            if let response = answer(request.content) { self.answer(response) } else { phase = .waiting }
        }
    }

    private func answer(_ response: AdminResponse) {
        guard let request else { return }
        let (endsAnyway, isFull) = (!request.isKeepAlive || endsSoon, requests >= Self.requestsLimit)
        if isFull, !endsAnyway { reached(.adminRequests) }
        send(
            response, isHead: request.content.method == "HEAD",
            isLast: endsAnyway || isFull)
        self.request = nil
    }

    private func start(_ head: HTTP1Head) {
        request = Request(content: AdminRequest(headers), isKeepAlive: head.isKeepAlive)
        if case .length(let length) = head.framing, length > UInt64(Self.mostBodyOctets) { return refuseBody() }
        if head.expectsContinue, head.framing != .none {
            output.append("HTTP/1.1 100 Continue\r\n\r\n")
            _ = flush()    // if the socket does not take it now, it is sent with the answer
        }
    }

    private func refuseBody() {
        reached(.adminRequestOctets)
        send(AdminResponse(413, "No page takes a body."), isLast: true)
    }

    private func send(_ response: AdminResponse, isHead: Bool = false, isLast: Bool) {
        response.write(to: output, isHead: isHead, isLast: isLast)
        self.isLast = isLast
        phase = .writing
    }
}

@available(*, unavailable) extension AdminConnection: Sendable {}
