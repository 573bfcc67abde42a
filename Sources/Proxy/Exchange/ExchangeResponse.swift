internal import HTTP
internal import Octets
internal import Reactor

/// From the upstream's answer to the client.
extension Exchange {
    /// A header section of the upstream: informational ones are passed on, the final one starts the answer.
    func responseHeaders(_ block: HeaderBlock, isEnd: Bool) {
        guard let downstream = toDownstream, !isResponseStarted else { return }
        status = Self.status(block)
        guard status >= 200 else { return downstream { passInterim(block, to: $0) } }
        upstreamNanoseconds = Int64(clamping: worker.now.nanoseconds(since: upstreamStarted))
        toUpstream? { $0.codec.stopKeeping(upstreamStream) }
        noteGRPCStatus(block)
        worker.prepareForDownstream(block)
        isResponseStarted = true
        downstream {
            $0.codec.submitResponse(downstreamStream, block, isEnd: isEnd)
            worker.markDirty($0)
        }
        if isEnd { responseCompleted() }
    }

    /// The client's window does not hold header sections back: their number must.
    private func passInterim(_ block: HeaderBlock, to downstream: Connection) {
        interimResponses += 1
        guard interimResponses <= Self.mostInterimResponses else {
            guard let upstream else { return }
            let stream = upstreamStream
            upstreamFailed(.upstreamProtocolError, code: ErrorCode.protocolError)
            upstream.codec.reset(stream, code: ErrorCode.protocolError)
            return worker.markDirty(upstream)
        }
        // Nor does it help against a client that reads nothing: they are dropped.
        if downstream.codec.isHTTP2, downstream.codec.isReadPaused { return }
        downstream.codec.submitInterim(downstreamStream, block)
        worker.markDirty(downstream)
    }

    /// As many as `HTTP1Limits` allows.
    private static let mostInterimResponses = 16

    func responseData(_ octets: Octets) {
        guard let downstream = toDownstream, isResponseStarted, !isResponseEnded else {
            upstream?.consume(upstreamStream, octets.count)
            return
        }
        sentOctets += octets.count
        if isGRPC, deadline != nil { boundary.pass(octets) }
        downstream {
            $0.codec.send(downstreamStream, octets)
            worker.markDirty($0)
        }
    }

    func responseTrailers(_ block: HeaderBlock) {
        guard let downstream = toDownstream, isResponseStarted, !isResponseEnded else { return }
        noteGRPCStatus(block)
        downstream {
            $0.codec.finish(downstreamStream, trailers: block)
            worker.markDirty($0)
        }
        responseCompleted()
    }

    func responseEnded() {
        guard let downstream = toDownstream, isResponseStarted, !isResponseEnded else { return }
        downstream {
            $0.codec.finish(downstreamStream)
            worker.markDirty($0)
        }
        responseCompleted()
    }

    /// The answer is given to the downstream session, whole.
    private func responseCompleted() {
        isResponseEnded = true
        worker.cancel(&timer)
        guard !isRequestEnded else { return }
        // The answer came before the request's end: neither side wants the rest.
        downstream?.codec.resetAfterEnd(downstreamStream)
        dropUpstream(code: ErrorCode.none)
    }

    private func noteGRPCStatus(_ block: HeaderBlock) {
        guard isGRPC, let text = block.first(.grpcStatus) else { return }
        var value = 0
        guard (1...3).contains(text.count) else { return }
        for index in 0..<text.count {
            guard text[index].isDigit else { return }
            value = value * 10 + Int(text[index] - 0x30)
        }
        grpcStatus = value
    }

    private static func status(_ block: HeaderBlock) -> Int {
        guard let text = block.first(.status), text.count == 3 else { return 502 }
        var value = 0
        for index in 0..<3 {
            guard text[index].isDigit else { return 502 }
            value = value * 10 + Int(text[index] - 0x30)
        }
        return value
    }
}
