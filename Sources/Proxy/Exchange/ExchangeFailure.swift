internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// The ways out of an exchange other than the upstream's answer. Each goes through `Situation.outcome`.
extension Exchange {
    /// The upstream stream is gone before its answer was complete.
    /// - Parameter isUnprocessed: the upstream provably did nothing with the request.
    func upstreamFailed(_ situation: Situation, code: UInt32 = ErrorCode.internalError) {
        guard upstream != nil else { return }
        let body = isResponseStarted ? nil : upstream?.codec.detachBody(upstreamStream)
        detachUpstream()
        if isResponseEnded {
            if let body { worker.pools.give(body) }
            return
        }
        guard !isResponseStarted else {
            self.situation = situation
            worker.cancel(&timer)
            isResponseEnded = true
            downstream?.codec.reset(downstreamStream, code: Self.codeForClient(code))
            if let downstream { worker.markDirty(downstream) }
            return
        }
        attemptFailed(situation, body: body)
    }

    /// What breaks an answer off that has begun: the client must not take it for complete, nor for not begun
    /// (RFC 9113 §8.7: REFUSED_STREAM may be sent again).
    private static func codeForClient(_ code: UInt32) -> UInt32 {
        code == ErrorCode.none || code == ErrorCode.refusedStream ? ErrorCode.internalError : code
    }

    /// One try is over without an answer: another one if the request is provably unprocessed, else a
    /// local reply.
    /// - Parameter body: what was sent of the request's body; nil when it cannot be replayed.
    func attemptFailed(_ situation: Situation, body: OctetBuffer?) {
        let failed = endpoint?.number ?? -1
        let endpoints = snapshot?.destination(cluster).cluster.count ?? 0
        if !tried.contains(failed) { tried.append(failed) }
        let isReplayable = body != nil || (isRequestEnded && receivedOctets == 0)
        // A refused connection is refused again at once: it takes another endpoint.
        let hasElsewhere = situation != .connectFailed || tried.count < endpoints
        guard situation.outcome.retry == .unprocessed, isReplayable, hasElsewhere, tries < Self.mostAttempts,
            deadline.map({ $0 > worker.now }) ?? true
        else {
            if let body { worker.pools.give(body) }
            return answer(cause(of: situation), endpoint.map { "endpoint \($0.name)" } ?? "")
        }
        worker.metrics.retried(situation.retryReason)
        connect(replaying: body)
    }

    /// What is behind a failure, where more is known than its form.
    private func cause(of situation: Situation) -> Situation {
        switch situation {
        case .upstreamReset, .upstreamRefused, .upstreamClosed, .upstreamProtocolError, .upstreamMalformed:
            isUntranslated ? .grpcWebRefused : situation
        default: situation
        }
    }

    /// A gRPC-Web request, passed on as it is, to a port that speaks gRPC.
    var isUntranslated: Bool {
        guard let snapshot, cluster >= 0, snapshot.destination(cluster).isHTTP2 else { return false }
        return request?.first(.contentType)?.hasPrefix("application/grpc-web") ?? false
    }

    /// The client's request breaks a rule of HTTP/2, or is too large: answers where the stream is still open.
    func requestRefused(_ fault: HTTP2Fault, on connection: Connection) {
        guard !isResponseEnded else { return }
        guard case .http2(let session) = connection.codec, session({ $0.isOpen(downstreamStream) }) else {
            situation = .requestMalformed(fault)    // its `.closed` follows
            return
        }
        isRequestEnded = session { $0.isEndReceived(downstreamStream) }
        dropUpstream(code: ErrorCode.cancel)
        guard isResponseStarted else { return answer(.requestMalformed(fault), fault.sentence) }
        situation = .requestMalformed(fault)
        isResponseEnded = true
        connection.codec.reset(downstreamStream, code: fault.code)
        worker.markDirty(connection)
    }

    /// Tries that were begun or could not even begin.
    private var tries: Int { max(attempts, tried.count) }

    /// Answers in the upstream's place, in the form the client understands.
    func answer(_ situation: Situation, _ explanation: String = "") {
        self.situation = situation
        worker.cancel(&timer)
        guard let downstream, !isResponseStarted else { return }
        let reply = LocalReply(situation, isGRPC: isGRPC, explanation: explanation)
        status = reply.status
        grpcStatus = isGRPC ? Int(reply.outcome.grpcStatus.rawValue) : -1
        isResponseStarted = true
        isResponseEnded = true
        let block = worker.pools.takeBlock()
        reply.write(to: block)
        worker.prepareForDownstream(block)
        if !isRequestEnded || reply.outcome.after == .close, !downstream.codec.isHTTP2 {
            downstream.codec.announceShutdown()
        }
        send(reply, block, to: downstream)
        worker.pools.letGo(block)
        if !isRequestEnded { downstream.codec.resetAfterEnd(downstreamStream) }
        worker.markDirty(downstream)
    }

    private func send(_ reply: LocalReply, _ block: HeaderBlock, to downstream: Connection) {
        let hasBody = !reply.body.isEmpty && !isHead
        downstream.codec.submitResponse(downstreamStream, block, isEnd: !hasBody)
        guard hasBody else { return }
        var body = reply.body
        body.withUTF8 { text in unsafe downstream.codec.send(downstreamStream, Octets(UnsafeRawBufferPointer(text))) }
        sentOctets = body.utf8.count
        downstream.codec.finish(downstreamStream)
    }

    /// The deadline has passed.
    func timedOut() {
        guard !isResponseEnded else { return }
        dropUpstream(code: ErrorCode.cancel)
        guard isResponseStarted else { return answer(isGRPC ? .deadlineExceeded : .routeTimedOut) }
        situation = isGRPC ? .deadlineExceeded : .routeTimedOut
        isResponseEnded = true
        guard let downstream else { return }
        worker.markDirty(downstream)
        guard isGRPC, boundary.isBetweenMessages, downstream.codec.isHTTP2 else {
            return downstream.codec.reset(downstreamStream, code: ErrorCode.internalError)
        }
        grpcStatus = Int(GRPC.Status.deadlineExceeded.rawValue)
        let trailers = worker.pools.takeBlock()
        trailers.append(stable: "grpc-status", GRPC.Status.deadlineExceeded.octets)
        trailers.append(stable: "grpc-message", "upstream request timeout")
        downstream.codec.finish(downstreamStream, trailers: trailers)
        worker.pools.letGo(trailers)
        if downstream.codec.pending(downstreamStream) > 0 {
            // What the client's window holds back is given up with the call.
            downstream.codec.reset(downstreamStream, code: ErrorCode.cancel)
        } else if !isRequestEnded {
            downstream.codec.resetAfterEnd(downstreamStream)
        }
    }

    /// The upstream's limit leaves no room for this stream, which was not sent yet.
    func moveElsewhere() {
        guard let connection = upstream else { return }
        let stream = upstreamStream
        let body = connection.codec.detachBody(stream)
        detachUpstream()
        connection.codec.reset(stream, code: ErrorCode.cancel)
        worker.markDirty(connection)
        attempts -= 1    // no try was made
        guard body != nil || receivedOctets == 0 else { return answer(.upstreamRefused) }
        connect(replaying: body)
    }

    /// The downstream stream is gone: it was answered, or the client gave it up.
    /// - Parameter lost: what that means when the answer was not complete.
    func downstreamClosed(_ lost: Situation, code: UInt32 = ErrorCode.cancel) {
        worker.cancel(&timer)
        if !isResponseEnded, situation == nil { situation = lost }
        dropUpstream(code: code)
        worker.finished(self)
    }

    /// Gives up the upstream stream, if there is one.
    func dropUpstream(code: UInt32) {
        guard let connection = upstream else { return }
        let stream = upstreamStream
        detachUpstream()
        connection.codec.reset(stream, code: code)
        worker.markDirty(connection)
    }

    /// No event of the upstream stream reaches this exchange any more.
    func detachUpstream() {
        guard let connection = toUpstream else { return }
        connection {
            $0.codec.setTag(upstreamStream, -1)
            if worker.log.isOn { upstreamLocal = $0.localText }
        }
        upstream = nil
        upstreamStream = -1
        endpoint.unretained? { $0.ended() }
    }
}
