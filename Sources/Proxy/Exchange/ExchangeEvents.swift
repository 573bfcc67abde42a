internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// What sessions and timers tell an exchange. `ExchangeState` decides what follows.
extension Exchange {
    // MARK: the client's request

    /// Octets of the client's body.
    func requestData(_ octets: Octets) {
        lastProgress = services.loop.now
        if let web, web.isTranslated { return WebTranslation.requestData(octets, web, self) }
        passBody(octets)
    }

    /// Passes octets of the body on, in the form in which the upstream gets them.
    func passBody(_ octets: Octets) {
        guard let downstream else { return }
        if let copies { Mirroring.pass(octets, to: copies, self) }
        let course = state.bodyCame(octets.count)
        // Nothing of a WebSocket passes before its upstream has agreed to it.
        switch course == .send && traits.isWebSocket && state.answer == .none ? .hold : course {
        case .discard: services.consume(downstream, octets.count)
        case .hold:
            let body = heldBody ?? services.pools.takeBuffer()
            body.append(octets)
            heldBody = body
        case .send:
            guard case .stream(let stream) = upstream else { return services.consume(downstream, octets.count) }
            stream.session.send(stream.slot, octets)
            services.markDirty(stream)
        }
    }

    /// All of the request has come from the client: hands its end to the endpoint and mirrors, and starts the times for
    /// the answer, except those of gRPC.
    func requestEnded(trailers: HeaderBlock? = nil) {
        guard state.requestEnded() else { return }
        if let web, web.isTranslated, !web.coding.mayEnd { return answer(.grpcWebMalformed) }
        if let trailers {
            ForwardedFields.clean(trailers: trailers)
            trailers.hold()
            requestTrailers = trailers
        }
        if let copies { Mirroring.finish(copies, self) }
        if !traits.isGRPC { routeTimeoutBegins() }
        guard case .stream(let stream) = upstream, !(traits.isWebSocket && state.answer == .none) else { return }
        if !traits.isGRPC { tryTimeoutBegins() }
        if traits.isWebSocket { return Tunneling.finish(stream, self) }
        stream.session.finish(stream.slot, trailers: trailers)
        services.markDirty(stream)
    }

    /// The client's request breaks a rule of HTTP/2, or is too large: answers where the stream is still open.
    func requestRefused(_ violation: HTTP2Violation, _ frame: PeerFrame?, on connection: Connection) {
        guard state.answer != .over, let downstream else { return }
        if traits.isGRPC || services.log.isOn { explanation = violation.words(frame) }
        guard case .http2(let session) = connection.session, session({ $0.isOpen(downstream.slot) }) else {
            return state.note(.requestMalformed(violation))    // its `.closed` follows
        }
        if session({ $0.isEndReceived(downstream.slot) }) { _ = state.requestEnded() }
        dropUpstream(code: ErrorCode.cancel)
        switch state.end(.requestMalformed(violation)) {
        case .nothing: break
        case .reply: sendReply(.requestMalformed(violation))
        case .breakOff: breakOff(code: violation.code)
        }
    }

    /// The client waits for a word before it sends its body. HTTP/2 upstreams are not asked whether they want it: the
    /// gateway says yes in their place as soon as the request is sent. Source: RFC 9110 §10.1.1.
    func continueIfSent() {
        traits.wantsContinue = true
        guard let downstream, state.answer == .none, case .stream(let stream) = upstream else { return }
        traits.wantsContinue = false
        guard stream.session.isHTTP2 else { return }
        let block = services.pools.takeBlock()
        block.append(stable: ":status", "100")
        downstream.session.submitInterim(downstream.slot, block)
        services.pools.letGo(block)
        services.markDirty(downstream)
    }

    /// The stream to the client is gone: it was answered, or the client gave it up.
    /// - Parameter lost: what that means when the answer was not complete.
    func downstreamClosed(_ lost: Situation, code: UInt32 = ErrorCode.cancel) {
        timers.cancelAll(in: services.loop)
        state.clientGone(lost)
        dropUpstream(code: code)
        run()
    }

    // MARK: the upstream's answer

    /// A header section of the upstream: informational ones are passed on, the final one begins the answer.
    func responseHeaders(_ block: HeaderBlock, isEnd: Bool) {
        guard let downstream, state.answer == .none else { return }
        lastProgress = services.loop.now
        let code = block.statusCode ?? 502
        let isOpened = traits.isWebSocket && Tunneling.isOpened(by: code, self)
        guard code >= 200 || isOpened else { return passInterim(block, to: downstream) }
        if isOpened { timers.cancelAll(in: services.loop) }    // a WebSocket lasts as long as its peers want
        noteGRPCStatus(block)
        if let observer { EndpointReports.headers(self, observer, code, isEnd: isEnd) }
        if needsJudgement, retriesAnswer(block, code) { return }
        if extras != nil, !Respond.editAnswer(block, self) { return answer(.operationsTooLarge(isAnswer: true)) }
        tally.status = isOpened ? Tunneling.edit(opening: block, self) : code
        limits? { holdings.giveBackRetry($0) }
        let time = services.loop.now.nanoseconds(since: tryStarted)
        tally.upstreamNanoseconds = time
        if case .stream(let stream) = upstream {
            stream.session.stopKeeping(stream.slot)
            if traits.isGRPC { DeadlineShedding.note(nanoseconds: time, on: stream, at: services.loop.now) }
        }
        if let cookie = affinity.cookie, let key = destination.unretained?({ $0.hashKey }) ?? nil {
            key.setCookie(cookie, in: block)
        }
        timers.cancelTry(in: services.loop)
        let hasBody = web.map { !$0.isTranslated || WebTranslation.edit(answer: block, code, $0, self) } ?? true
        services.prepareForDownstream(block)
        state.answerBegan()
        downstream.session.submitResponse(downstream.slot, block, isEnd: (isEnd && !isOpened) || !hasBody)
        services.markDirty(downstream)
        if isOpened {
            Tunneling.opened(self)
            if isEnd { downstream.session.finish(downstream.slot) }
        }
        if !hasBody, !isEnd { dropUpstream(code: ErrorCode.cancel) }
        if isEnd || !hasBody { answerEnded() } else { run() }
    }

    /// The sessions bound how many one try may have. A client's window does not hold header sections back: those for a
    /// client that reads nothing are dropped.
    private func passInterim(_ block: HeaderBlock, to downstream: Stream) {
        if downstream.session.isHTTP2 ? downstream.session.isReadPaused : downstream.isHeldBack { return }
        downstream.session.submitInterim(downstream.slot, block)
        services.markDirty(downstream)
    }

    /// Octets of the response's body have come.
    func responseData(_ octets: Octets) {
        guard let downstream, state.answer == .begun else {
            if case .stream(let stream) = upstream { services.consume(stream, octets.count) }
            return
        }
        if traits.isGRPC, deadline != nil { tally.messages.pass(octets) }
        if let web, web.isTranslated {
            WebTranslation.responseData(octets, web, self, to: downstream)
        } else {
            tally.sentOctets += octets.count
            downstream.session.send(downstream.slot, octets)
        }
        services.markDirty(downstream)
    }

    /// All of the answer has come from the endpoint: hands its end, with trailers if there are any, to the client.
    func responseEnded(trailers: HeaderBlock? = nil) {
        guard let downstream, state.answer == .begun else { return }
        let hadStatus = tally.grpcStatus != nil
        if traits.isGRPC { trailers.unretained? { noteGRPCStatus($0) } }
        if let observer { EndpointReports.end(self, observer, hadStatus: hadStatus) }
        finishAnswer(on: downstream, trailers: trailers)
        services.markDirty(downstream)
        answerEnded()
    }

    /// Ends the answer, with its trailers in the form that the client understands.
    private func finishAnswer(on downstream: Stream, trailers: HeaderBlock?) {
        guard let web, web.isTranslated, let trailers else {
            return downstream.session.finish(downstream.slot, trailers: trailers)
        }
        WebTranslation.trailers(trailers, web, self, to: downstream)
        downstream.session.finish(downstream.slot)
    }

    /// The answer was given to the client's session, whole.
    private func answerEnded() {
        timers.cancelAll(in: services.loop)
        guard state.answerEnded(), let downstream else { return run() }
        // The answer came before the request's end: neither side wants the rest.
        downstream.session.resetAfterEnd(downstream.slot)
        dropUpstream(code: ErrorCode.none)
        run()
    }

    private func noteGRPCStatus(_ block: HeaderBlock) {
        guard traits.isGRPC, let status = block.grpcStatusCode else { return }
        tally.grpcStatus = status
    }

    /// Octets went out to one side: the window of the other side opens again. A replayed body went out before and
    /// opens nothing.
    func passWindow(of connection: Connection, _ taken: TakenOctets) {
        // The pooled exchange may serve another request since: the stream tells.
        if isUsing(upstream: connection, taken.slot) {
            tally.upstreamTakenOctets += taken.count
            let fresh = tally.upstreamTakenOctets - tally.creditedOctets
            lastProgress = services.loop.now
            guard fresh > 0, let downstream else { return }
            tally.creditedOctets = tally.upstreamTakenOctets
            services.consume(downstream, fresh)
        } else if isServing(downstream: connection, taken.slot) {
            lastProgress = services.loop.now
            let count = web.map { WebTranslation.credit(taken.count, $0) } ?? taken.count
            if case .stream(let stream) = upstream { services.consume(stream, count) }
        }
    }

    // MARK: tries that fail

    /// No connection can be had: the queue gives up what waits in it.
    func connectionFailed(_ situation: Situation, because reason: String) {
        guard state.isWaiting(for: .connection) else { return }
        services.loop.cancel(&timers.waiting)
        use(.none, keeping: nil)
        (failure, upstreamReached) = (reason, nil)
        follow(tryFailed(situation, keeping: nil))
    }

    /// The look-up of the host that this waits for has ended.
    func hostSettled() {
        guard state.isWaiting(for: .resolution) else { return }
        use(.none, keeping: nil)
        state.goBack(to: .resolve)
        run()
    }

    /// The upstream's stream is gone before its answer was complete.
    /// - Parameter reason: in words; may be empty.
    func upstreamFailed(_ situation: Situation, code: UInt32 = ErrorCode.internalError, because reason: String = "") {
        guard case .stream(let stream) = upstream else { return }
        failure = reason
        let body = state.answer == .none ? stream.session.detachBody(stream.slot) : nil
        detachUpstream()
        switch state.upstreamLost(situation) {
        case .nothing: break
        case .tryFails: return follow(tryFailed(situation, keeping: body))
        case .breakOff:
            if let observer { EndpointReports.failure(self, observer, situation) }
            timers.cancelAll(in: services.loop)
            breakOff(code: code)
        }
        if let body { services.pools.give(body) }
    }

    /// Octets that an upstream had, which come before those that wait already.
    func keep(_ body: OctetBuffer) {
        if let held = heldBody {
            body.append(held.octets)
            services.pools.give(held)
        }
        heldBody = body
    }

    /// Does what a step would, outside of the course: an event has ended the try.
    func follow(_ end: StepEnd) {
        switch end {
        case .next: break
        case .goOn(let step): state.goOn(at: step)
        case .retry: state.goBack(to: .pick)
        case .wait(let what):
            state.goBack(to: .connect)
            state.wait(for: what)
        case .answer(let situation): answer(situation)
        }
        run()
    }

    /// The upstream's limit leaves no room for this stream, which was not sent yet.
    func moveElsewhere() {
        guard case .stream(let stream) = upstream else { return }
        let body = stream.session.detachBody(stream.slot)
        detachUpstream()
        stream.session.reset(stream.slot, code: ErrorCode.cancel)
        services.markDirty(stream)
        guard body != nil || state.receivedOctets == 0 else {
            answer(.upstreamRefused)
            return
        }
        if let body { keep(body) }
        state.tryWithdrawn()
        run()
    }

    /// Gives up what the try has of its upstream: a place in the queue, or a stream.
    func dropUpstream(code: UInt32) {
        endpoint.end()
        switch upstream {
        case .none: return
        case .resolving(let host):
            host { services.hostWaits.leave(number, $0) }
            use(.none, keeping: nil)
        case .queued(let pool, let place):
            pool { upstreams.leave($0, place, number) }
            services.loop.cancel(&timers.waiting)
            use(.none, keeping: nil)
        case .reserved(let connection):
            connection { upstreams.giveBack($0) }
            use(.none, keeping: nil)
        case .stream(let stream):
            stream.session.reset(stream.slot, code: code)
            services.markDirty(stream)
            stream.connection { upstreams.noteReset(on: $0) }
            detachUpstream()
        }
        state.upstreamDropped()
    }

    /// No event of the upstream stream reaches this exchange any more.
    func detachUpstream() {
        guard case .stream(let stream) = upstream else { return }
        stream.session.setOwner(stream.slot, .nobody)
        timers.cancelTry(in: services.loop)
        if services.isLogging { (upstreamLocal, upstreamReached) = stream.connection { ($0.localText, $0.reached) } }
        use(.none, keeping: nil)
        limits? { holdings.giveBackRequest($0) }
        endpoint.end()
    }

    // MARK: answers made here

    /// Answers in the upstream's place, in the form the client understands.
    func answer(_ situation: Situation) {
        timers.cancelAll(in: services.loop)
        dropUpstream(code: ErrorCode.cancel)
        switch state.end(situation) {
        case .nothing: break
        case .reply: sendReply(situation)
        case .breakOff: breakOff(code: ErrorCode.internalError)
        }
    }

    private func sendReply(_ situation: Situation) {
        guard let downstream else { return }
        var reply = Respond.reply(to: situation, self)
        if situation == .redirectedToHTTPS { reply.location = secureLocation }
        tally.status = reply.status
        tally.grpcStatus = reply.isGRPC ? Int(reply.outcome.grpcStatus.rawValue) : nil
        let session = downstream.session
        if !state.isRequestEnded || reply.outcome.after == .close, !session.isHTTP2 { session.announceShutdown() }
        tally.sentOctets = reply.send(on: session, downstream.slot, hasBody: !traits.isHeadMethod, services) {
            if extras != nil { Respond.edit($0, in: situation, self) }
        }
        if !state.isRequestEnded { session.resetAfterEnd(downstream.slot) }
        services.markDirty(downstream)
    }

    /// The URL of the request with the scheme `https`: its authority as it was received, also with a port.
    /// Source: envoyproxy/envoy source/common/http/utility.cc (createSslRedirectPath).
    private var secureLocation: [UInt8] {
        let authority = request.unretained?({ $0.first(.authority) ?? $0.first(.host) }) ?? .empty
        return Array("https://".utf8) + authority.array + path.array
    }

    /// Cuts short an answer that has begun. It must look neither complete (NO_ERROR) nor safe to send again
    /// (REFUSED_STREAM). Source: RFC 9113 §8.7.
    private func breakOff(code: UInt32) {
        guard let downstream else { return }
        let isMisleading = code == ErrorCode.none || code == ErrorCode.refusedStream
        downstream.session.reset(downstream.slot, code: isMisleading ? ErrorCode.internalError : code)
        services.markDirty(downstream)
    }

    // MARK: time

    /// The time for the whole answer is over. The endpoint's stream is given up; the client gets a status, or its
    /// answer ends.
    func deadlinePassed() {
        guard state.answer != .over else { return }
        if let observer { EndpointReports.timeout(self, observer) }
        explanation = deadlineInWords    // while it is known what the endpoint had
        dropUpstream(code: ErrorCode.cancel)
        timers.cancelAll(in: services.loop)
        let situation = state.timeOver(
            isGRPC: traits.isGRPC, isRoutes: isDeadlineRoutes, isUnread: downstream?.isHeldBack ?? false)
        switch state.end(situation) {
        case .nothing: break
        case .reply: sendReply(situation)
        case .breakOff: endWithStatus(.deadlineExceeded, "upstream request timeout: \(explanation)")
        }
    }

    /// No connection to the endpoint has come free, or could be made, in time.
    func waitedTooLong() {
        guard state.isWaiting(for: .connection), case .queued = upstream else { return Tunneling.waitedTooLong(self) }
        services.metrics.reached(.waitingTimeout)
        explanation =
            "no connection to endpoint \(endpoint.unretained?({ $0.name }) ?? "") was free within "
            + "\(services.limits.waitingTimeout) (--waiting-timeout)"
        answer(.overflow)
    }

    /// Whether the deadline is the route's timeout, and not the client's `grpc-timeout`.
    var isDeadlineRoutes: Bool {
        guard traits.isGRPC else { return true }
        guard let deadline, let routeTimeout else { return false }
        return deadline.duration(since: started) == routeTimeout + heldBack
    }

    /// Whose deadline it is, how long it was, and what the request had come to.
    var deadlineInWords: String {
        let route = self.route.unretained?({ $0.route.name }) ?? ""
        let limit = traits.isGRPC ? deadline?.duration(since: started) : routeTimeout
        let whose = isDeadlineRoutes ? "the timeout of route \(route)" : "the client's grpc-timeout"
        let words = "\(whose), \(limit?.milliseconds ?? ""), has passed"
        guard state.tries > 0, let endpoint = self.endpoint.unretained?({ $0.name }) else {
            return "\(words); no endpoint had the request"
        }
        switch state.tryProgress {
        case .none: return "\(words); it waited for another try, after endpoint \(endpoint)"
        case .connecting: return "\(words); it waited for a connection to endpoint \(endpoint)"
        case .sent: return "\(words) without an answer; endpoint \(endpoint) had the request"
        case .answered: return "\(words) before the end of the answer; endpoint \(endpoint) had the request"
        }
    }

    /// Nothing has come from the client, or nothing has gone to it, for too long.
    func progressTimedOut(_ situation: Situation) {
        guard state.answer != .over else { return }
        explanation = wordsOfStandstill(situation)
        if situation == .upstreamStalled, let observer { EndpointReports.failure(self, observer, situation) }
        dropUpstream(code: ErrorCode.cancel)
        answer(situation)
    }

    private func wordsOfStandstill(_ situation: Situation) -> String {
        switch situation {
        case .idleSending: "the client takes nothing of its answer"
        case .upstreamStalled:
            endpoint.unretained?({ "endpoint \($0.name) takes nothing of the request" })
                ?? "no endpoint has been found that takes the request"
        default: "the client sends nothing of its request"
        }
    }

    /// The process's memory is short, and this request holds much of it. Where its answer has begun, its stream ends
    /// with ENHANCE_YOUR_CALM, which gRPC clients report as RESOURCE_EXHAUSTED.
    func memoryEnded() {
        guard state.answer != .over else { return }
        timers.cancelAll(in: services.loop)
        dropUpstream(code: ErrorCode.cancel)
        explanation = "the gateway's memory is near its ceiling"
        switch state.end(.overloaded) {
        case .nothing: break
        case .reply: sendReply(.overloaded)
        case .breakOff: breakOff(code: ErrorCode.enhanceYourCalm)
        }
    }

    /// Ends a gRPC answer that has begun by a status, where one has a place between messages; else breaks it off.
    private func endWithStatus(_ code: GRPC.Status, _ message: String) {
        guard let downstream else { return }
        let session = downstream.session
        guard traits.isGRPC, tally.messages.isBetweenMessages, session.isHTTP2 || web != nil else {
            return breakOff(code: ErrorCode.internalError)
        }
        tally.grpcStatus = Int(code.rawValue)
        let trailers = services.pools.takeBlock()
        trailers.append(stable: "grpc-status", code.octets)
        LocalReply.append(grpcMessage: message, to: trailers)
        finishAnswer(on: downstream, trailers: trailers)
        services.pools.letGo(trailers)
        if session.pending(downstream.slot) > 0 {
            // What the client's window holds back is given up with the call.
            session.reset(downstream.slot, code: ErrorCode.cancel)
        } else if !state.isRequestEnded {
            session.resetAfterEnd(downstream.slot)
        }
        services.markDirty(downstream)
    }

    /// Whether the deadline that was sent to the upstream has come, which `grpc-timeout` rounds down: an upstream that
    /// keeps it gives the call up a little before our own timer.
    var hasSentDeadlineCome: Bool {
        guard traits.isGRPC, let deadline else { return false }
        // As it was written when the try was sent, which may be later than the request came.
        let sent = GRPCTimeout(remaining: deadline.duration(since: tryStarted))
        return tryStarted + sent.duration <= services.loop.now + Self.clockGrain
    }

    /// How much early the timer of another machine may be.
    private static let clockGrain = Duration.milliseconds(1)
}
