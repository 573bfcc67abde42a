internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// Tries that fail, and answers that the rule's policy does not accept. `ExchangeState` decides whether another try is
/// made. Source: docs/istio.md, Retries; docs/behaviour.md, Retries.
extension Exchange {
    /// Whether a try that is made now may be followed by another one, for which its body has to be kept.
    var mayTryAgain: Bool { state.tries <= (route.unretained?({ $0.retries.attempts }) ?? 0) }

    /// The endpoints that the next try avoids.
    var avoidedEndpoints: [Int] {
        guard !state.triedEndpoints.isEmpty, route.unretained?({ $0.retries.avoidsTried }) ?? true else { return [] }
        return state.triedEndpoints
    }

    /// One try is over without an answer: another one if the policy wants it, else a local reply.
    /// - Parameter body: what was sent of the request's body; nil when nothing was, or when it is not there any more.
    func tryFailed(_ situation: Situation, keeping body: OctetBuffer?) -> StepEnd {
        endpoint.end()
        if let body { keep(body) }
        if let observer { EndpointReports.failure(self, observer, situation) }
        let isWanted =
            route.unretained?({ !$0.retries.conditions.isDisjoint(with: situation.outcome.retry.conditions) }) ?? false
        let isWhole = state.request == .headersOnly || state.receivedOctets == 0 || heldBody != nil
        if isWanted, !isWhole, mayTryAgain { services.metrics.reached(.replayBody) }
        let failure = failure(situation, isWanted: isWanted, isReplayable: isWhole)
        var end = state.tryFailed(failure)
        if end != .answer, !takesRetry() { end = .answer }
        return another(end, situation.outcome.retry.reason)
            ?? {
                let reason = self.failure.isEmpty ? "" : ": \(self.failure)"
                explanation = endpoint.unretained?({ "endpoint \($0.name)\(reason)" }) ?? ""
                return .answer(situation)
            }()
    }

    /// Whether the cluster's limit allows another try, which then counts until its answer begins.
    private func takesRetry() -> Bool {
        guard let limits, !limits({ holdings.takeRetry($0, services.metrics) }) else { return true }
        injected.insert(.retryOverflow)
        return false
    }

    private func failure(_ situation: Situation?, isWanted: Bool, isReplayable: Bool) -> ExchangeState.Failure {
        ExchangeState.Failure(
            isWanted: isWanted, most: (route.unretained?({ $0.retries.attempts }) ?? 0) + 1,
            hasBackOff: route.unretained?({ $0.retries.backOff != nil }) ?? false, situation: situation,
            endpoint: endpoint.unretained?({ $0.number }),
            endpoints: destination.unretained?({ $0.cluster.count }) ?? 0, isReplayable: isReplayable,
            isDeadlineOver: deadline.map { $0 <= services.loop.now } ?? false)
    }

    /// How the course goes on after a try that failed; nil when no other one is made.
    private func another(_ end: ExchangeState.FailureEnd, _ reason: RetryReason) -> StepEnd? {
        guard end != .answer else { return nil }
        services.metrics.retried(reason)
        EndpointReports.fate(.replayed, of: self)
        guard end == .tryLater else { return .retry }
        timers.backOff = services.loop.arm(at: services.loop.now + backOff(), .backOff, number)
        return .wait(.backOff)
    }

    /// From half of (2ⁿ − 1) times the base to all of it before retry n, and no more than ten times the base. Envoy
    /// waits from nothing to that. Source: envoyproxy/envoy source/common/router/retry_state_impl.cc (retry_back_off).
    private func backOff() -> Duration {
        let base = route.unretained?({ $0.retries.backOff }) ?? nil ?? RetryPolicy.usualBackOff
        let steps = min((1 << min(max(state.tries, 1), 4)) - 1, 10)
        let half = base * steps / 2
        return half + half * (Double(services.random.next() >> 11) / Double(1 << 53 as UInt64))
    }

    /// Says to the endpoint which try this is.
    /// Source: envoyproxy/envoy source/common/router/router.cc (include_request_attempt_count).
    @inline(__always)
    func appendAttempt(to section: HeaderBlock) {
        guard state.tries > 1 else { return section.append(reserved: "x-envoy-attempt-count", "1") }
        appendLaterAttempt(to: section)
    }

    @inline(never)
    private func appendLaterAttempt(to section: HeaderBlock) {
        let digits = services.pools.takeBuffer()
        digits.append(decimal: state.tries)
        section.append("x-envoy-attempt-count", digits.octets)
        services.pools.give(digits)
    }

    /// The pause before another try is over: an endpoint is picked. Without effect if the exchange does not wait for
    /// that.
    func backOffPassed() {
        guard state.waitingAt != nil, case .none = upstream, state.hasCome(.backOff) else { return }
        state.goBack(to: .pick)
        run()
    }

    // MARK: answers that are not accepted

    /// Whether the policy has to be asked about the answer whose header section has come. Istio's default looks at
    /// nothing but the gRPC status.
    @inline(__always)
    var needsJudgement: Bool { (tally.grpcStatus ?? 0) != 0 || (route.unretained?({ $0.judgesAnswers }) ?? false) }

    /// Drops an answer that the policy does not accept, and makes another try.
    /// - Returns: false when the client gets this answer.
    @inline(never)
    func retriesAnswer(_ block: HeaderBlock, _ code: Int) -> Bool {
        guard case .stream(let stream) = upstream, let route = route.unretained else { return false }
        let isRateLimited = block.first(reserved: "x-envoy-ratelimited") != nil
        let isWanted = route { route in
            route.retries.wants(status: code, grpcStatus: tally.grpcStatus, isRateLimited: isRateLimited)
        }
        guard isWanted else { return false }
        let isWhole =
            state.request == .headersOnly || state.receivedOctets == 0 || stream.session.hasBody(stream.slot)
        guard state.refusesAnswer(failure(nil, isWanted: true, isReplayable: isWhole)), takesRetry() else {
            return false
        }
        let isOfGRPC = (tally.grpcStatus ?? 0) != 0
        self.failure =
            isOfGRPC ? "the endpoint answered grpc-status \(tally.grpcStatus ?? 0)" : "the endpoint answered \(code)"
        tally.grpcStatus = nil
        let body = stream.session.detachBody(stream.slot)
        detachUpstream()
        if let body { keep(body) }
        let end = state.tryFailed(failure(nil, isWanted: true, isReplayable: true))
        // The rest of the answer, if any is to come, is of no use.
        stream.session.reset(stream.slot, code: ErrorCode.cancel)
        stream.connection { upstreams.noteReset(on: $0) }
        services.markDirty(stream)
        follow(another(end, isOfGRPC ? .grpcStatus : .status) ?? .answer(.localReset))
        return true
    }

    // MARK: the time of a try

    /// The time of a try runs from the moment when it and the end of the request were sent, and of a gRPC call, which
    /// may never end, from its header section.
    func tryTimeoutBegins() {
        guard state.answer == .none, let limit = route.unretained?({ $0.retries.perTryTimeout }) ?? nil else { return }
        timers.tryTimeout = services.loop.arm(at: services.loop.now + limit, .tryTimeout, number)
    }

    /// One try has had its time without an answer: resets its stream; another try follows if the rule allows one.
    func tryTimedOut() {
        guard state.answer == .none, case .stream(let stream) = upstream else { return }
        if let observer { EndpointReports.timeout(self, observer) }
        upstreamFailed(.tryTimedOut, code: ErrorCode.cancel, because: "no answer within the time of one try")
        stream.session.reset(stream.slot, code: ErrorCode.cancel)
        stream.connection { upstreams.noteReset(on: $0) }
        services.markDirty(stream)
    }
}
