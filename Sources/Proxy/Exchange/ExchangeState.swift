internal import HTTP

/// How far one request, its newest try and its answer have come, and what follows from each event. It knows no
/// socket, no clock and no worker: events go in, what is to be done comes out, and `Exchange` does it.
struct ExchangeState {
    /// What has come of the client's request.
    enum Request: Equatable {
        /// The header section is all there is.
        case headersOnly
        /// More of the body, or its end, is still to come.
        case receiving
        /// The body's end has come, perhaps with trailers.
        case ended
    }

    /// The try that is under way.
    enum Try: Equatable {
        /// None: not yet, or not any more.
        case none
        /// It waits for a connection.
        case connecting
        /// Its header section was given to the upstream's session.
        case sent
        /// The upstream's final header section has come.
        case answered
    }

    /// What the client has got.
    enum Answer: Equatable {
        case none
        /// The final header section was given to the client's session.
        case begun
        /// Nothing more is said: the answer is complete, or was broken off.
        case over
    }

    private enum Position: Equatable {
        case at(Step)
        case waiting(Step, Wait)
        case over
    }

    private var position = Position.over
    private(set) var request = Request.headersOnly
    /// How far the newest try has come; `.none` before the first one and after the end of each.
    private(set) var tryProgress = Try.none
    private(set) var answer = Answer.none
    /// Why the request ended otherwise than by its upstream's answer.
    private(set) var situation: Situation?
    /// How many tries were begun, this one included.
    private(set) var tries = 0
    /// Numbers of the endpoints that failed this request.
    private(set) var triedEndpoints: [Int] = []
    /// Whether another try was not made only because there had been as many as the policy allows.
    private(set) var areTriesExhausted = false
    /// Octets of the client's body.
    private(set) var receivedOctets = 0

    init() {}

    init(request: Request) {
        position = .at(.admit)
        self.request = request
    }

    /// Makes the state that of a new request, in place: an exchange is used again for many.
    mutating func begin(_ request: Request) {
        position = .at(.admit)
        self.request = request
        tryProgress = .none
        answer = .none
        situation = nil
        tries = 0
        if !triedEndpoints.isEmpty { triedEndpoints = [] }
        areTriesExhausted = false
        receivedOctets = 0
    }

    /// No request is there any more.
    mutating func clear() { position = .over }

    // MARK: the course

    /// The step that is to be performed now; nil while the course waits, and behind its end.
    var running: Step? { if case .at(let step) = position { step } else { nil } }
    var waitingAt: Step? { if case .waiting(let step, _) = position { step } else { nil } }
    /// Whether the course stands still for this, rather than runs, is over or waits for something else.
    func isWaiting(for what: Wait) -> Bool {
        if case .waiting(_, what) = position { true } else { false }
    }
    var isOver: Bool { position == .over }

    /// The step is done: the next one runs.
    mutating func advance() {
        guard let step = running ?? waitingAt else { return }
        position = step.next.map { .at($0) } ?? .over
    }

    /// The course goes on at a later step.
    mutating func goOn(at step: Step) { position = .at(step) }

    /// The course runs again from an earlier step.
    mutating func goBack(to step: Step) { position = .at(step) }

    /// The running step waits.
    mutating func wait(for what: Wait) {
        guard let step = running else { return }
        position = .waiting(step, what)
        if what == .connection { tryProgress = .connecting }
    }

    /// What the course waits for has come.
    /// - Returns: whether it waits for that at all; it then runs the step behind.
    mutating func hasCome(_ what: Wait) -> Bool {
        guard case .waiting(_, what) = position else { return false }
        advance()
        return true
    }

    // MARK: the client's side

    /// What becomes of octets of the client's body.
    enum BodyCourse: Equatable {
        /// They go to the upstream.
        case send
        /// They are kept: the try that is to have them has not begun. The client's window stays closed for them.
        case hold
        /// Nobody wants them any more.
        case discard
    }

    /// Octets of the client's body have come.
    mutating func bodyCame(_ count: Int) -> BodyCourse {
        receivedOctets += count
        return switch tryProgress {
        case .sent, .answered: answer == .over ? .discard : .send
        case .none, .connecting: answer == .none ? .hold : .discard
        }
    }

    /// The client's request is complete.
    /// - Returns: false when it was before.
    mutating func requestEnded() -> Bool {
        guard request == .receiving else { return false }
        request = .ended
        return true
    }

    /// Whether the client has sent its request to the end, or has given it up.
    var isRequestEnded: Bool { request != .receiving }

    /// The stream to the client is gone.
    /// - Parameter lost: what that means when the answer was not complete.
    mutating func clientGone(_ lost: Situation) {
        if answer != .over, situation == nil { situation = lost }
        tryProgress = .none
        position = .at(.finish)
    }

    // MARK: tries

    /// A try begins: an endpoint was picked for it.
    mutating func tryBegan() { tries += 1 }

    /// The try's header section was given to the upstream's session.
    mutating func trySent() { tryProgress = .sent }

    /// Nothing of the try was sent, and it is made again as if it had not been.
    mutating func tryWithdrawn() {
        tryProgress = .none
        tries -= 1
        position = .at(.pick)
    }

    /// What is known when a try fails.
    struct Failure {
        /// Whether the policy has another try made after this.
        let isWanted: Bool
        /// How many tries the policy allows, the first one included.
        let most: Int
        /// Whether the policy says itself how long to wait before each other try.
        let hasBackOff: Bool
        /// Why the try failed; nil when its answer is one that the policy does not accept.
        let situation: Situation?
        /// Number of the endpoint; nil when none was picked.
        let endpoint: Int?
        /// How many endpoints the cluster has.
        let endpoints: Int
        /// Whether all of the body that was sent is still there.
        let isReplayable: Bool
        let isDeadlineOver: Bool
    }

    /// What becomes of an exchange whose try has failed.
    enum FailureEnd: Equatable {
        /// Another endpoint, or the same one, is tried at once.
        case tryAgain
        /// The next try waits a moment.
        case tryLater
        /// No other try: the client is answered.
        case answer
    }

    /// The try is over without an answer, or its answer is not accepted.
    mutating func tryFailed(_ failure: Failure) -> FailureEnd {
        tryProgress = .none
        if let endpoint = failure.endpoint, !triedEndpoints.contains(endpoint) { triedEndpoints.append(endpoint) }
        guard hasAnotherTry(failure) else { return .answer }
        guard let retry = failure.situation?.outcome.retry, retry.safety == .unprocessed, !failure.hasBackOff else {
            return .tryLater
        }
        // An endpoint that refused a connection refuses the next one at once, too.
        let isElsewhere = triedEndpoints.count < failure.endpoints
        return isElsewhere || (!retry.isRefusedAtOnce && tries <= Self.mostHurriedTries) ? .tryAgain : .tryLater
    }

    /// After so many tries another one of an endpoint that has failed is never made at once.
    private static let mostHurriedTries = 2

    /// Whether the upstream's final header section, which has come, is dropped and the request sent again.
    mutating func refusesAnswer(_ failure: Failure) -> Bool { answer == .none && hasAnotherTry(failure) }

    private mutating func hasAnotherTry(_ failure: Failure) -> Bool {
        guard failure.isWanted, failure.isReplayable, !failure.isDeadlineOver else { return false }
        areTriesExhausted = tries >= failure.most && failure.most > 1
        return tries < failure.most
    }

    /// What follows from the loss of the upstream's stream.
    enum LossEnd: Equatable {
        case nothing
        /// The answer had begun: it is broken off.
        case breakOff
        /// The try has failed: see `tryFailed`.
        case tryFails
    }

    /// The upstream's stream is gone before the answer was complete.
    mutating func upstreamLost(_ lost: Situation) -> LossEnd {
        tryProgress = .none
        switch answer {
        case .over: return .nothing
        case .none: return .tryFails
        case .begun:
            situation = lost
            answer = .over
            return .breakOff
        }
    }

    /// The upstream's stream was given up by us.
    mutating func upstreamDropped() { tryProgress = .none }

    // MARK: the answer

    /// The upstream's final header section goes to the client.
    mutating func answerBegan() {
        tryProgress = .answered
        answer = .begun
        if case .waiting(.await, .headers) = position { position = .at(.relay) }
    }

    /// All of the upstream's answer was given to the client's session.
    /// - Returns: whether the client is still sending, which nobody wants any more.
    mutating func answerEnded() -> Bool {
        answer = .over
        return request == .receiving
    }

    enum LocalEnd: Equatable {
        /// The answer is over: nothing can be said any more.
        case nothing
        /// The gateway's own answer takes the place of the upstream's.
        case reply
        /// The upstream's answer has begun and is broken off.
        case breakOff
    }

    /// The gateway ends the request: its deadline has passed, the client broke a rule, or no upstream can be had.
    mutating func end(_ why: Situation) -> LocalEnd {
        guard answer != .over else { return .nothing }
        situation = why
        let isBegun = answer == .begun
        answer = .over
        tryProgress = .none
        position = .waiting(.relay, .end)
        return isBegun ? .breakOff : .reply
    }

    /// Why a request ends whose time is over.
    /// - Parameters:
    ///   - isRoutes: it was the route's timeout, and not the client's deadline.
    ///   - isUnread: octets of the answer wait for the client.
    func timeOver(isGRPC: Bool, isRoutes: Bool, isUnread: Bool) -> Situation {
        if isWaiting(for: .resolution) { return .resolutionTooSlow(isRoutes: isRoutes) }
        if answer == .begun, isUnread { return .deadlineUnread }
        return isGRPC ? .deadlineExceeded : .routeTimedOut
    }

    /// Notes why the request ends when the stream to the client is gone already and its event is still to come.
    mutating func note(_ why: Situation) { situation = why }
}
