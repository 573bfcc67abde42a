import HTTP
import Testing

@testable import Proxy
@testable import Routing

@Suite struct `The course of a request` {
    /// A state whose steps up to `step` have run.
    private func state(at step: Step, request: ExchangeState.Request = .headersOnly) -> ExchangeState {
        var state = ExchangeState(request: request)
        while let running = state.running, running != step { state.advance() }
        return state
    }

    /// A state that waits for the upstream's header section.
    private func sent(request: ExchangeState.Request = .headersOnly) -> ExchangeState {
        var state = state(at: .send, request: request)
        state.tryBegan()
        state.trySent()
        state.advance()
        state.wait(for: .headers)
        return state
    }

    private func begun(request: ExchangeState.Request = .headersOnly) -> ExchangeState {
        var state = sent(request: request)
        state.answerBegan()
        state.wait(for: .end)
        return state
    }

    @Test func `runs every step once, in order, and ends`() {
        var state = ExchangeState(request: .headersOnly)
        var steps: [Step] = []
        while let step = state.running {
            steps.append(step)
            state.advance()
        }
        #expect(steps == Step.allCases)
        #expect(state.isOver)
    }

    @Test(arguments: Step.allCases) func `can wait at each step, and goes on behind it`(step: Step) {
        for what in [Wait.connection, .backOff, .delay, .headers, .end] {
            var state = state(at: step)
            state.wait(for: what)
            #expect(state.running == nil && state.waitingAt == step)
            for other in [Wait.connection, .backOff, .delay, .headers, .end] where other != what {
                let hasCome = state.hasCome(other)
                #expect(!hasCome, "\(other) wakes whoever waits for \(what)")
            }
            let hasCome = state.hasCome(what)
            #expect(hasCome && state.running == step.next)
            let hasComeTwice = state.hasCome(what)
            #expect(!hasComeTwice)
        }
    }

    @Test(arguments: Step.allCases) func `keeps a body that comes before its try, at every step`(step: Step) {
        var state = state(at: step, request: .receiving)
        let course = state.bodyCame(10)
        #expect(course == .hold)
        #expect(state.receivedOctets == 10)
        state.wait(for: .connection)
        let later = state.bodyCame(5)
        #expect(later == .hold && state.receivedOctets == 15)
    }

    @Test func `sends a body once the try is sent, and drops it once the answer is over`() {
        var state = sent(request: .receiving)
        let result1 = state.bodyCame(1)
        #expect(result1 == .send)
        state.answerBegan()
        let result2 = state.bodyCame(1)
        #expect(result2 == .send)
        let isSending = state.answerEnded()
        #expect(isSending)
        let result3 = state.bodyCame(1)
        #expect(result3 == .discard)
        state.upstreamDropped()
        let result4 = state.bodyCame(1)
        #expect(result4 == .discard)
        #expect(state.receivedOctets == 4)
    }

    @Test func `holds the body again between two tries`() {
        var state = sent(request: .receiving)
        let result5 = state.bodyCame(1)
        #expect(result5 == .send)
        _ = state.upstreamLost(.closedUnsent)
        let result6 = state.bodyCame(1)
        #expect(result6 == .hold)
    }

    @Test func `ends the request once`() {
        var state = ExchangeState(request: .receiving)
        #expect(!state.isRequestEnded)
        let isFirst = state.requestEnded()
        #expect(isFirst)
        let isSecond = state.requestEnded()
        #expect(!isSecond)
        #expect(state.isRequestEnded)
        var alone = ExchangeState(request: .headersOnly)
        let isEndedAgain = alone.requestEnded()
        #expect(alone.isRequestEnded && !isEndedAgain)
    }

    @Test func `is as new for the next request`() {
        var used = sent(request: .receiving)
        _ = used.bodyCame(7)
        _ = used.tryFailed(failure(.closedUnsent))
        _ = used.end(.noRoute)
        used.clientGone(.clientReset)
        used.clear()
        #expect(used.isOver && used.running == nil)
        used.begin(.headersOnly)
        let fresh = ExchangeState(request: .headersOnly)
        #expect(String(describing: used) == String(describing: fresh))
    }

    // MARK: tries

    private func failure(
        _ situation: Situation?, endpoint: Int = 0, of endpoints: Int = 2, isReplayable: Bool = true,
        isDeadlineOver: Bool = false, isWanted: Bool? = nil, hasBackOff: Bool = false
    ) -> ExchangeState.Failure {
        .init(
            isWanted: isWanted ?? situation.map {
                !RetryPolicy.standard.conditions.isDisjoint(with: $0.outcome.retry.conditions)
            } ?? true, most: 3,
            hasBackOff: hasBackOff, situation: situation, endpoint: endpoint, endpoints: endpoints,
            isReplayable: isReplayable,
            isDeadlineOver: isDeadlineOver)
    }

    @Test func `tries another endpoint when nothing was done, three times at most`() {
        for situation in Self.situations where situation.outcome.retry.safety == .unprocessed {
            var state = sent()
            let result7 = state.tryFailed(failure(situation, endpoint: 0, of: 3))
            #expect(result7 == .tryAgain, "\(situation)")
            state.tryBegan()
            let result8 = state.tryFailed(failure(situation, endpoint: 1, of: 3))
            #expect(result8 == .tryAgain)
            #expect(state.triedEndpoints == [0, 1])
            state.tryBegan()
            let result9 = state.tryFailed(failure(situation, endpoint: 2, of: 3))
            #expect(result9 == .answer)
            #expect(state.tries == 3)
        }
    }

    @Test func `makes no other try when the request may have been processed`() {
        for situation in Self.situations where situation.outcome.retry.safety != .unprocessed {
            var state = sent()
            let result10 = state.tryFailed(failure(situation))
            #expect(result10 == .answer, "\(situation)")
        }
    }

    @Test func `makes no other try without the body or behind the deadline`() {
        var state = sent()
        let result11 = state.tryFailed(failure(.closedUnsent, isReplayable: false))
        #expect(result11 == .answer)
        state = sent()
        let result12 = state.tryFailed(failure(.closedUnsent, isDeadlineOver: true))
        #expect(result12 == .answer)
    }

    @Test func `waits a moment when every endpoint has refused`() {
        var state = sent()
        let result13 = state.tryFailed(failure(.connectFailed, endpoint: 0, of: 1))
        #expect(result13 == .tryLater)
        state = sent()
        let result14 = state.tryFailed(failure(.connectFailed, endpoint: 0, of: 2))
        #expect(result14 == .tryAgain)
        state.tryBegan()
        let result15 = state.tryFailed(failure(.connectFailed, endpoint: 1, of: 2))
        #expect(result15 == .tryLater)
    }

    @Test func `waits before it tries again what may have been processed, or whose rule says how long`() {
        for failed in [
            failure(.upstreamReset, of: 3, isWanted: true), failure(.upstreamRefused, of: 3, hasBackOff: true),
        ] {
            var state = sent()
            let result = state.tryFailed(failed)
            #expect(result == .tryLater)
        }
    }

    @Test func `refuses an answer while there are tries, and notes when only their number forbids it`() {
        var state = sent()
        let first = state.refusesAnswer(failure(nil))
        #expect(first && !state.areTriesExhausted)
        let end = state.tryFailed(failure(nil))
        #expect(end == .tryLater)
        state.tryBegan()
        state.tryBegan()
        let last = state.refusesAnswer(failure(nil))
        #expect(!last && state.areTriesExhausted)
        let unwanted = state.refusesAnswer(failure(nil, isWanted: false))
        #expect(!unwanted)
        var late = begun()
        let begunAnswer = late.refusesAnswer(failure(nil))
        #expect(!begunAnswer)
    }

    @Test func `does not count a try that was withdrawn`() {
        var state = sent()
        state.tryWithdrawn()
        #expect(state.tries == 0 && state.running == .pick && state.tryProgress == .none)
    }

    @Test func `blames no endpoint for a look-up that was too slow`() {
        var state = state(at: .resolve)
        state.wait(for: .resolution)
        for isRoutes in [true, false] {
            let situation = state.timeOver(isGRPC: true, isRoutes: isRoutes, isUnread: false)
            #expect(situation == .resolutionTooSlow(isRoutes: isRoutes))
        }
        #expect(sent().timeOver(isGRPC: true, isRoutes: true, isUnread: false) == .deadlineExceeded)
        #expect(sent().timeOver(isGRPC: false, isRoutes: true, isUnread: true) == .routeTimedOut)
    }

    @Test func `blames no endpoint for an answer that its client does not read`() {
        #expect(begun().timeOver(isGRPC: true, isRoutes: true, isUnread: true) == .deadlineUnread)
        #expect(begun().timeOver(isGRPC: true, isRoutes: true, isUnread: false) == .deadlineExceeded)
    }

    // MARK: every way out

    /// One of each; the switch does not compile without a new one.
    private static let situations: [Situation] = {
        let all: [Situation] = [
            .requestRefused(.syntax), .requestMalformed(.path), .pathRefused, .upgradeRefused, .grpcWebMalformed,
            .headerTimedOut, .clientClosed, .clientReset, .noRoute, .connectMethod, .protocolUnknown, .optionsAsterisk,
            .misdirected,
            .redirectedToHTTPS, .unknownCluster, .noHealthyEndpoint, .connectFailed, .connectTimedOut, .closedUnsent,
            .upstreamClosed, .upstreamReset,
            .upstreamRefused, .upstreamProtocolError, .upstreamMalformed(.status), .overflow,
            .localReset, .routeTimedOut, .deadlineExceeded, .idleSending, .idleReceiving, .upstreamStalled,
            .upgradeUnsupported, .resolutionTooSlow(isRoutes: true), .deadlineUnread, .connectLacking,
            .endpointsFailing, .overloaded, .drainOver, .directResponse(200),
            .tryTimedOut,
            .faultInjected(status: 500, grpc: nil),
        ]
        return all
    }()

    @Test(arguments: Step.allCases) func `can be ended at every step by every situation`(step: Step) {
        for situation in Self.situations {
            var state = state(at: step, request: .receiving)
            let result16 = state.end(situation)
            #expect(result16 == .reply, "\(step) \(situation)")
            #expect(state.situation == situation && state.answer == .over && state.waitingAt == .relay)
            let result17 = state.end(.deadlineExceeded)
            #expect(result17 == .nothing, "answered twice")
            #expect(state.situation == situation)
            state.clientGone(.clientReset)
            #expect(state.situation == situation, "the client's leaving hides why it was answered")
            #expect(state.running == .finish)
        }
    }

    @Test func `breaks off an answer that has begun`() {
        for situation in Self.situations {
            var state = begun()
            let result18 = state.end(situation)
            #expect(result18 == .breakOff)
            #expect(state.situation == situation)
        }
        var lost = begun()
        let result19 = lost.upstreamLost(.upstreamReset)
        #expect(result19 == .breakOff)
        #expect(lost.situation == .upstreamReset && lost.answer == .over)
    }

    @Test func `fails the try when the upstream is lost before its answer`() {
        var state = sent()
        let result20 = state.upstreamLost(.upstreamReset)
        #expect(result20 == .tryFails)
        #expect(state.answer == .none && state.situation == nil)
    }

    @Test func `takes the loss of an upstream behind the answer for nothing`() {
        var state = begun()
        let isStillSending = state.answerEnded()
        #expect(!isStillSending)
        let result21 = state.upstreamLost(.upstreamClosed)
        #expect(result21 == .nothing)
        #expect(state.situation == nil)
    }

    @Test func `records who left first`() {
        var complete = begun()
        _ = complete.answerEnded()
        complete.clientGone(.clientReset)
        #expect(complete.situation == nil && complete.running == .finish)
        var early = sent()
        early.clientGone(.clientClosed)
        #expect(early.situation == .clientClosed && early.running == .finish && early.tryProgress == .none)
        var told = sent()
        told.note(.requestMalformed(.path))
        told.clientGone(.clientReset)
        #expect(told.situation == .requestMalformed(.path))
    }
}
