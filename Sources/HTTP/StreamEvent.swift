package import Octets

/// What happened to a stream of a session (HTTP/1.1 or HTTP/2). A session notes events while it reads, and acts on
/// none of them: its owner goes through them afterwards, in order. Events are plain data, so that noting one costs
/// no reference counting.
@safe package struct StreamEvent: BitwiseCopyable {
    package enum Kind: UInt8, BitwiseCopyable {
        /// A header section is complete, that of an interim response (1xx) included: `takeHeaders` gives it.
        /// `code` is 1 when no body follows; an `.end` comes all the same.
        case headers
        /// Octets of the body, valid until the session is next given input.
        case data
        /// A trailer section is complete: `takeHeaders` gives it. `.end` follows.
        case trailers
        /// The peer will send no more on this stream.
        case end
        /// The stream is over. `code` is the HTTP/2 error code, or 0 when it ended in the usual way.
        case closed
        /// The peer takes no new streams on this connection (GOAWAY, or HTTP/1.1's `connection: close`).
        case goAway
        /// The peer's limits became known or changed.
        case settings
        /// HTTP/1.1 only: the client waits for `100 Continue`.
        case expectsContinue
        /// The peer broke the protocol; `HTTP1Session.violation` or an HTTP/2 GOAWAY says how.
        case violation
    }

    package let kind: Kind
    package let stream: Int    // the session's slot; -1 for the connection
    package let tag: Int    // what the owner set with `setTag`; -1 before
    package let code: UInt32
    package let data: Octets

    init(_ kind: Kind, stream: Int = -1, tag: Int = -1, code: UInt32 = 0, data: Octets = .empty) {
        self.kind = kind
        self.stream = stream
        self.tag = tag
        self.code = code
        self.data = data
    }
}

/// Octets of a stream's body that went out to the peer. The side that they came from may send as many again.
package struct TakenOctets: BitwiseCopyable {
    package let stream: Int    // the session's slot, which is nobody else's before `endTurn`; the tag may be
    package let tag: Int
    package let count: Int
}
