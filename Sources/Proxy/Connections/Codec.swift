internal import HTTP
internal import Octets

/// The protocol a connection speaks. An enum of final classes: calls are direct, nothing is boxed, and
/// nothing is counted; the connection owns the session.
/// Both sessions have the same words, so everybody else needs no case for either.
enum Codec {
    case undecided
    case http1(Unretained<HTTP1Session>)
    case http2(Unretained<HTTP2Session>)

    var isHTTP2: Bool { if case .http2 = self { true } else { false } }

    /// - Parameter rest: what is for the next turn is left.
    func receive(_ rest: inout Octets) -> Bool {
        switch self {
        case .undecided: return true
        case .http1(let session):
            defer { rest = .empty }
            return session { $0.receive(rest) }
        case .http2(let session): return session { $0.receive(&rest) }
        }
    }

    func taken(at index: Int) -> TakenOctets? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { index < $0.taken.count ? $0.taken[index] : nil }
        case .http2(let session): session { index < $0.taken.count ? $0.taken[index] : nil }
        }
    }

    func flush(into out: OctetBuffer, limit: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.flush(into: out, limit: limit) }
        case .http2(let session): session { $0.flush(into: out, limit: limit) }
        }
    }

    var wantsFlush: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.wantsFlush }
        case .http2(let session): session { $0.wantsFlush }
        }
    }

    var isFinished: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isFinished }
        case .http2(let session): session { $0.isFinished }
        }
    }

    /// No further request will be taken.
    var isClosing: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isClosing }
        case .http2(let session): session { !$0.takesRequests }
        }
    }

    var openStreams: Int {
        switch self {
        case .undecided: 0
        case .http1(let session): session { $0.openStreams }
        case .http2(let session): session { $0.openStreams }
        }
    }

    var isReadPaused: Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.isReadPaused }
        case .http2(let session): session { $0.isReadPaused }
        }
    }

    func takeHeaders(_ stream: Int) -> HeaderBlock? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { $0.takeHeaders(stream) }
        case .http2(let session): session { $0.takeHeaders(stream) }
        }
    }

    func submitRequest(_ block: HeaderBlock, isEnd: Bool, tag: Int, keepsBody: Bool) -> Int? {
        switch self {
        case .undecided: nil
        case .http1(let session):
            session { $0.submitRequest(block, isEnd: isEnd, tag: tag, keepsBody: keepsBody) }
        case .http2(let session):
            session { $0.submitRequest(block, isEnd: isEnd, tag: tag, keepsBody: keepsBody) }
        }
    }

    func submitResponse(_ stream: Int, _ block: HeaderBlock, isEnd: Bool) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.submitResponse(stream, block, isEnd: isEnd) }
        case .http2(let session): session { $0.submitResponse(stream, block, isEnd: isEnd) }
        }
    }

    func submitInterim(_ stream: Int, _ block: HeaderBlock) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.submitInterim(stream, block) }
        case .http2(let session): session { $0.submitInterim(stream, block) }
        }
    }

    func send(_ stream: Int, _ octets: Octets) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.send(stream, octets) }
        case .http2(let session): session { $0.send(stream, octets) }
        }
    }

    /// Octets of body waiting to be sent.
    func pending(_ stream: Int) -> Int {
        switch self {
        case .undecided: 0
        case .http1(let session): session { $0.pending(stream) }
        case .http2(let session): session { $0.pending(stream) }
        }
    }

    func finish(_ stream: Int, trailers: HeaderBlock? = nil) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.finish(stream, trailers: trailers) }
        case .http2(let session): session { $0.finish(stream, trailers: trailers) }
        }
    }

    func reset(_ stream: Int, code: UInt32) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.reset(stream, code: code) }
        case .http2(let session): session { $0.reset(stream, code: code) }
        }
    }

    func resetAfterEnd(_ stream: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.resetAfterEnd(stream) }
        case .http2(let session): session { $0.resetAfterEnd(stream) }
        }
    }

    func consume(_ stream: Int, _ count: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.consume(stream, count) }
        case .http2(let session): session { $0.consume(stream, count) }
        }
    }

    func setTag(_ stream: Int, _ tag: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.setTag(stream, tag) }
        case .http2(let session): session { $0.setTag(stream, tag) }
        }
    }

    func tag(_ stream: Int) -> Int {
        switch self {
        case .undecided: -1
        case .http1(let session): session { $0.tag(stream) }
        case .http2(let session): session { $0.tag(stream) }
        }
    }

    func hasSentHeaders(_ stream: Int) -> Bool {
        switch self {
        case .undecided: false
        case .http1(let session): session { $0.hasSentHeaders(stream) }
        case .http2(let session): session { $0.hasSentHeaders(stream) }
        }
    }

    func stopKeeping(_ stream: Int) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.stopKeeping(stream) }
        case .http2(let session): session { $0.stopKeeping(stream) }
        }
    }

    func detachBody(_ stream: Int) -> OctetBuffer? {
        switch self {
        case .undecided: nil
        case .http1(let session): session { $0.detachBody(stream) }
        case .http2(let session): session { $0.detachBody(stream) }
        }
    }

    func forEachOpen(_ body: (Int, Int) -> Void) {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.forEachOpen(body) }
        case .http2(let session): session { $0.forEachOpen(body) }
        }
    }

    func announceShutdown() {
        switch self {
        case .undecided: break
        case .http1(let session): session { $0.announceShutdown() }
        case .http2(let session): session { $0.announceShutdown() }
        }
    }
}
