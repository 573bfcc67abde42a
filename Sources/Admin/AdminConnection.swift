internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// One client of the admin server: it reads a request, answers it, then reads the next one. Requests that arrive while
/// an answer is being written wait in the socket. `AdminConnectionState` decides, and this object has the socket, the
/// parser and the buffers.
///
/// Thread: the main thread. Freed by: `AdminServer`, when it is closed.
final class AdminConnection {
    private static func limits(_ scope: AdminScope) -> HTTP1Limits {
        var limits = HTTP1Limits(headOctets: mostHeadOctets)
        limits.needsHostInOld = scope != .status
        return limits
    }
    /// The largest head of a request, in octets; a larger one is answered 431.
    private static let mostHeadOctets = 8 << 10
    /// What is read at a time, and kept of the memory of an answer.
    private static let octetsPerRead = 4096

    let descriptor: CInt    // owned; closed by the server
    let scope: AdminScope
    /// How far it has come.
    private(set) var state: AdminConnectionState
    /// Fires at `timerDeadline`.
    var timer = TimerWheel.TimerID.none
    /// The deadline that the timer is set to; nil: it is not set.
    var timerDeadline: MonotonicTime?
    /// Octets of answers that the client has not received yet.
    var waitingOctets: Int { output.count }

    private let reached: (ReachedLimit) -> Void
    private var parser: HTTP1Parser
    private let headers = HeaderBlock()
    private let input = OctetBuffer(capacity: 1024)
    private let output = OctetBuffer(capacity: 1024)

    /// - Parameters:
    ///   - now: when the client was accepted.
    ///   - reached: counts that a limit was reached.
    init(descriptor: CInt, scope: AdminScope, at now: MonotonicTime, reached: @escaping (ReachedLimit) -> Void) {
        self.descriptor = descriptor
        self.scope = scope
        self.reached = reached
        state = AdminConnectionState(at: now)
        parser = HTTP1Parser(role: .request(.http), limits: Self.limits(scope))
    }

    /// Finds the answer to a request; nil if `complete` is called with it later.
    typealias Answering = (AdminRequest) -> AdminResponse?

    /// Reads and writes as far as the socket allows; `state` is then where that ended.
    func advance(at now: MonotonicTime, answer: Answering) {
        while true {
            switch state.phase {
            case .lingering:
                input.clear()
                guard read(at: now) else { return }
            case .writing:
                guard flush() else { return }
                carryOut(state.written(hasMore: !input.isEmpty, at: now), at: now)
            case .idle, .reading:
                if parse(at: now, answer) { continue }
                guard read(at: now) else { return }
            case .waiting, .closed: return
            }
        }
    }

    /// Takes the answer that was to come later; `advance` sends it.
    func complete(_ response: AdminResponse, at now: MonotonicTime) {
        carryOut(state.answered(response, at: now), at: now)
    }

    /// The answer that the client waits for is the last one; without one the connection ends now.
    func endAfterAnswer() { state.endAfterAnswer() }

    /// The deadline has passed.
    func expire(at now: MonotonicTime) { carryOut(state.expired(), at: now) }

    private func carryOut(
        _ actions: [AdminConnectionState.Action], at now: MonotonicTime, _ answer: Answering = { _ in nil }
    ) {
        for action in actions {
            switch action {
            case .ask(let request):
                if let response = answer(request) { carryOut(state.answered(response, at: now), at: now) }
            case .proceed:
                output.append("HTTP/1.1 100 Continue\r\n\r\n")
                _ = flush()    // if the socket does not take it now, it is sent with the answer
            case .send(let response, let isHead, let isLast): response.write(to: output, isHead: isHead, isLast: isLast)
            case .finish: Socket.finish(descriptor)
            case .count(let limit): reached(limit)
            }
        }
    }

    /// Writes what is left of the answers.
    /// - Returns: false if the socket takes no more at the moment.
    private func flush() -> Bool {
        while !output.isEmpty {
            switch Socket.write(descriptor, output.octets) {
            case .octets(let count): output.take(count)
            case .wouldBlock: return false
            case .closed, .failed:
                state.broke()
                return true
            }
        }
        output.clear(keeping: Self.octetsPerRead)
        return true
    }

    /// Reads what the socket has.
    /// - Returns: false if there is nothing to read at the moment.
    private func read(at now: MonotonicTime) -> Bool {
        switch Socket.read(descriptor, into: input, most: Self.octetsPerRead) {
        case .octets(let count): carryOut(state.received(count, at: now), at: now)
        case .wouldBlock: return false
        case .closed, .failed: state.broke()
        }
        return true
    }

    /// Parses a request and asks for its answer.
    /// - Returns: false if more octets are needed.
    private func parse(at now: MonotonicTime, _ answer: Answering) -> Bool {
        while state.isReading {
            do throws(HTTP1Error) {
                let (consumed, event) = try parser.next(input.octets, headers: headers)
                carryOut(note(event, at: now), at: now, answer)
                input.take(consumed)
                if event == .needsMore { return false }
            } catch {
                let isTooLarge = error == .headersTooLarge || error == .tooManyHeaders
                let response = AdminResponse(error.status, "\(error.details)")
                carryOut(state.refused(response, isTooLarge: isTooLarge, at: now), at: now)
            }
        }
        return true
    }

    private func note(_ event: HTTP1Event, at now: MonotonicTime) -> [AdminConnectionState.Action] {
        switch event {
        case .needsMore: []
        case .head(let head): state.received(AdminConnectionState.Head(headers, head), at: now)
        case .body(let body): state.receivedBody(body.count, at: now)
        case .end: state.completed(at: now)
        }
    }
}

@available(*, unavailable) extension AdminConnection: Sendable {}

extension AdminConnectionState.Head {
    /// A head that was parsed.
    fileprivate init(_ headers: HeaderBlock, _ head: HTTP1Head) {
        request = AdminRequest(headers)
        isKeepAlive = head.isKeepAlive
        if case .length(let length) = head.framing { bodyOctets = length }
        isAwaitingContinue = head.expectsContinue && head.framing != .none
    }
}
