internal import HTTP
internal import Octets

/// The requests in hand: which wait for a connection, what has come of each, and what is handed on of that. It knows no
/// socket and no clock; what is to be done stands in `actions`.
struct CallTable {
    /// For the client to carry out: the table itself does no I/O.
    enum Action: Equatable {
        /// The stream of a request is of no use any more.
        case cancel(call: CallNumber, connection: Int, slot: Int)
        /// `checkSilence` is called after so many milliseconds, and not at an earlier time that was asked for.
        case arm(call: CallNumber, after: Int)
        /// `checkSilence` is not called for it any more.
        case disarm(call: CallNumber)
        case reached(ClusterLimit)
    }

    private var calls: [CallNumber: Call] = [:]
    private var nextNumber = 1
    /// Those that wait for a connection, in order.
    private var queue: [CallNumber] = []
    /// Those whose answer is taken as a whole and is on its way.
    private var wholes = 0
    private var events: [(call: CallNumber, event: CallEvent)] = []
    private var actions: [Action] = []

    /// Answers that are taken as a whole at a time: they may be large.
    private static let mostWholes = 4

    // MARK: what is to be done

    /// What the client has to do since the last call, in order.
    mutating func takeActions() -> [Action] {
        guard !actions.isEmpty else { return [] }
        defer { actions = [] }
        return actions
    }

    /// Whether `takeEvents` has something to give.
    var hasEvents: Bool { !events.isEmpty }

    /// What has come of requests since the last call, in order.
    mutating func takeEvents() -> [(call: CallNumber, event: CallEvent)] {
        defer { events = [] }
        return events
    }

    // MARK: requests

    /// A request that is to be sent as soon as there is a connection.
    /// - Parameter now: by the steady clock, in milliseconds; the same is true of the other functions.
    mutating func start(_ request: APIRequest, at now: Int64) -> CallNumber {
        let number = nextNumber
        nextNumber += 1
        var call = Call(request)
        call.aliveAt = now
        calls[number] = call
        queue.append(number)
        if request.isTimedFromStart { actions.append(.arm(call: number, after: request.silence)) }
        return number
    }

    /// Gives a request up; nothing more comes of it.
    mutating func cancel(_ number: CallNumber) {
        guard let call = forget(number) else { return }
        queue.removeAll { $0 == number }
        events.removeAll { $0.call == number }
        cancelStream(of: call, number)
    }

    /// Changes how long the request may be silent.
    mutating func allow(silence: Int, for number: CallNumber) {
        guard calls[number] != nil else { return }
        calls[number]?.request.silence = silence
        actions.append(.arm(call: number, after: silence))
    }

    /// Whether requests wait for a connection.
    var isWaiting: Bool { !queue.isEmpty }

    /// Sends the requests that wait, as far as there is room.
    /// - Parameter send: sends a request; nil when no connection has room for it.
    /// - Returns: whether there was no room for one.
    mutating func sendWaiting(
        at now: Int64, _ send: (CallNumber, APIRequest) -> (connection: Int, slot: Int)?
    ) -> Bool {
        var left: [CallNumber] = []
        var lacksRoom = false
        for number in queue {
            guard let call = calls[number] else { continue }
            if !call.isLasting, wholes >= Self.mostWholes {
                if !call.hasWaited { actions.append(.reached(.answersWaiting)) }
                calls[number]?.hasWaited = true
                left.append(number)
            } else if let place = send(number, call.request) {
                sent(number, call.request, place, at: now)
            } else {
                lacksRoom = true
                left.append(number)
            }
        }
        queue = left
        return lacksRoom
    }

    private mutating func sent(
        _ number: CallNumber, _ request: APIRequest, _ place: (connection: Int, slot: Int), at now: Int64
    ) {
        calls[number]?.connection = place.connection
        calls[number]?.slot = place.slot
        if request.form != .lines { wholes += 1 }
        guard !request.isTimedFromStart else { return }
        calls[number]?.aliveAt = now
        actions.append(.arm(call: number, after: request.silence))
    }

    /// A request may have been silent for too long.
    mutating func checkSilence(_ number: CallNumber, at now: Int64) {
        guard let call = calls[number] else { return }
        let left = call.aliveAt + Int64(call.request.silence) - now
        guard left <= 0 else { return actions.append(.arm(call: number, after: Int(left))) }
        queue.removeAll { $0 == number }
        fail(number, .timedOut)
    }

    // MARK: answers

    /// A header section of an answer has come.
    /// - Returns: whether it is a final one: interim responses say nothing.
    mutating func received(_ headers: HeaderBlock, for number: CallNumber, at now: Int64) -> Bool {
        guard let text = headers.first(.status)?.string, let status = Int(text), status >= 200, let call = calls[number]
        else { return false }
        if status == 200, let form = Self.unreadableForm(headers) {
            fail(number, .streamEnded("the server answers in \(form), and JSON was asked for"))
            return true
        }
        calls[number]?.status = status
        calls[number]?.retryAfter = headers.first(named: "retry-after").flatMap { Int($0.string) }
        guard status == 200, call.isLasting else { return true }
        calls[number]?.aliveAt = now
        events.append((number, .opened))
        return true
    }

    /// What a message has of that.
    private static let mostFormScalars = 60

    /// What an answer is written in, if that is not JSON as it stands: a newer server has other forms, such as CBOR.
    /// nil also for an answer that does not say it.
    private static func unreadableForm(_ headers: HeaderBlock) -> String? {
        if let coding = headers.first(named: "content-encoding")?.string.lowercased(), coding != "identity" {
            return AnswerWords.printable(coding, most: mostFormScalars)
        }
        guard let type = headers.first(named: "content-type")?.string.lowercased(),
            !type.hasPrefix("application/json")
        else { return nil }
        return AnswerWords.printable(type, most: mostFormScalars)
    }

    /// Octets of an answer have come.
    mutating func received(_ octets: Octets, for number: CallNumber, at now: Int64) {
        guard let place = calls.index(forKey: number) else { return }
        let isTooLarge: Bool
        if calls.values[place].isStreaming {
            calls.values[place].aliveAt = now
            let isSecret = calls.values[place].request.isSecret
            var lines: [CallEvent] = []
            isTooLarge = !calls.values[place].received.lines.feed(octets) { line in
                lines.append(isSecret ? .secretLine(SecretOctets(wiping: &line)) : .line(line))
                return true
            }
            for line in lines { events.append((number, line)) }
        } else {
            let received = calls.values[place].received
            isTooLarge = received.body.count + octets.count > calls.values[place].limit
            if !isTooLarge { received.append(octets) }
        }
        if isTooLarge { fail(number, .tooLarge) }
    }

    /// The server has ended its answer.
    mutating func finished(_ number: CallNumber) {
        guard let call = calls[number] else { return }
        guard let status = call.status else {
            return finish(number, .failed(.streamEnded("the server gave no answer")))
        }
        if call.isStreaming {
            let isWhole = !call.received.lines.isWithinLine
            return finish(
                number, isWhole ? .ended : .failed(.streamEnded("the server ended a watch within a line")))
        }
        if status == 200, call.request.isSecret { return finish(number, .secretAnswer(call.received.takeSecret())) }
        finish(number, .answer(APIAnswer(status: status, retryAfter: call.retryAfter, body: call.received.body)))
    }

    /// The server has reset the stream of a request.
    /// - Parameter code: the error code of HTTP/2. A request that the server refused is sent again.
    mutating func broke(_ number: CallNumber, code: UInt32) {
        guard let call = calls[number] else { return }
        if code == ErrorCode.refusedStream, call.status == nil { return sendAgain(number, call) }
        finish(number, .failed(.streamEnded("the server reset the stream (code \(code) of HTTP/2)")))
    }

    private mutating func sendAgain(_ number: CallNumber, _ call: Call) {
        if !call.isLasting { wholes -= 1 }
        if !call.request.isTimedFromStart { actions.append(.disarm(call: number)) }
        calls[number]?.restart()
        queue.insert(number, at: 0)
    }

    /// A connection is over; so are its requests.
    mutating func lost(connection: Int, reason: String) {
        for (number, call) in calls.sorted(by: { $0.key < $1.key }) where call.connection == connection {
            finish(number, .failed(.connectionLost(reason)))
        }
    }

    // MARK: ends

    private mutating func forget(_ number: CallNumber) -> Call? {
        guard let call = calls.removeValue(forKey: number) else { return nil }
        actions.append(.disarm(call: number))
        if call.connection != nil, !call.isLasting { wholes -= 1 }
        return call
    }

    private mutating func finish(_ number: CallNumber, _ event: CallEvent) {
        guard forget(number) != nil else { return }
        events.append((number, event))
    }

    /// Ends a request that this side has enough of.
    private mutating func fail(_ number: CallNumber, _ failure: CallFailure) {
        guard let call = forget(number) else { return }
        switch failure {
        case .tooLarge: actions.append(.reached(.answerOctets))
        case .timedOut: actions.append(.reached(.answerTime))
        case .connectionLost, .streamEnded: break
        }
        events.append((number, .failed(failure)))
        cancelStream(of: call, number)
    }

    private mutating func cancelStream(of call: Call, _ number: CallNumber) {
        guard let connection = call.connection else { return }
        actions.append(.cancel(call: number, connection: connection, slot: call.slot))
    }
}
