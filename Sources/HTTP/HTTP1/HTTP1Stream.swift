internal import Octets

/// The one stream of an HTTP/1.1 connection: a request with its response. Plain data on purpose: it is copied for each
/// step of a request, and a reference in it would be counted each time.
struct HTTP1Stream: BitwiseCopyable {
    /// Whether the stream leaves HTTP for another protocol. Source: RFC 9110 §7.8.
    enum Tunnel {
        case none
        /// The request asks for it; nothing of the other protocol is read or sent before the answer.
        case asked
        /// The answer was 101: octets pass as they are.
        case open
        /// The answer was another one: it passes as usual, and what comes behind the request is never read.
        case refused

        /// Whether nothing is read from the client: it is not known whose protocol it is, or it is nobody's.
        var holdsInput: Bool { self == .asked || self == .refused }
    }

    /// Whether the connection carries octets of another protocol, or is about to.
    var tunnel = Tunnel.none
    var owner = StreamOwner.nobody
    var isHeadMethod = false    // the request's method is HEAD
    var acceptsTrailers = false    // the client said `te: trailers`
    var isKeepAlive = true    // the peer's wish
    var isEndReceived = false
    var hasSentHeaders = false
    var isFlushed = false    // the head was handed over by `flush`
    var hasNeverLeft = false    // and was not taken by the kernel, nor was anything behind it
    var firstFlush = 0    // octets of the flush that handed the head over
    /// Whether the end of our message was framed.
    var isEndSent = false
    var framing = HTTP1Framing.none    // of what we send

    /// Whether the peer may have seen something of it.
    var mayHaveArrived: Bool { isFlushed && !hasNeverLeft }

    /// That many octets were handed over by `flush`.
    mutating func flushed(_ count: Int) {
        firstFlush = isFlushed ? 0 : count
        isFlushed = true
    }

    /// The last octets that were handed over were not taken by the kernel.
    mutating func neverLeft(_ count: Int) { if isFlushed, count > 0, count == firstFlush { hasNeverLeft = true } }
}

extension HTTP1Stream {
    /// A client's stream, which begins with the head of its request.
    /// - Parameter isLast: the connection ends with this request, whatever the client wishes.
    init(of head: HTTP1Head, _ block: HeaderBlock, isLast: Bool) {
        self.init()
        isHeadMethod = block.first(.method) == "HEAD"
        acceptsTrailers = block.first(.te) != nil
        isKeepAlive = head.isKeepAlive && !isLast
        guard head.framing == .untilClose else { return }
        tunnel = .asked
        isKeepAlive = false
    }
}
