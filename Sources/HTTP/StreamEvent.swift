public import Octets

/// Whose a stream is: what its session notes of the stream is for the owner. Sessions keep it and look at nothing
/// in it. A further kind of owner is a further case, and the compiler names every place that has to know of it.
@frozen @usableFromInline
package enum StreamOwner: BitwiseCopyable, Hashable, Sendable {
    /// Nobody, or nobody any more: what still comes is dropped.
    case nobody
    /// A client's request and its answer; the number is the exchange's place among its worker's.
    case exchange(Int)
    /// A copy of a request, which goes to a mirror; the number is its place among its worker's.
    case mirror(Int)
    /// A request of this process's own, for example to an API server; the number is its sender's.
    case call(Int)

    /// The exchange's number; nil when the stream is nobody's.
    @inlinable @inline(__always) package var exchange: Int? {
        if case .exchange(let number) = self { number } else { nil }
    }

    /// The number of a request of our own; nil when the stream is none.
    package var call: Int? { if case .call(let number) = self { number } else { nil } }
}

/// What happened to a stream of a session (HTTP/1.1 or HTTP/2). A session notes events while it reads, and acts on
/// none of them: its owner goes through them afterwards, in order. Events are plain data, so that noting one costs
/// no reference counting.
@safe @frozen @usableFromInline
package struct StreamEvent: BitwiseCopyable {
    /// What can happen to a stream or to its connection.
    @frozen @usableFromInline
    package enum Kind: UInt8, BitwiseCopyable {
        /// A header section is complete, that of an interim response (1xx) included: `takeHeaders` gives it.
        /// `isLast` says that no body follows; an `.end` comes all the same.
        case headers
        /// Octets of the body, valid until the session is next given input.
        case data
        /// A trailer section is complete: `takeHeaders` gives it. `.end` follows.
        case trailers
        /// The peer will send no more on this stream.
        case end
        /// The stream is over; `errorCode` says how.
        case closed
        /// The peer takes no new streams on this connection (GOAWAY, or HTTP/1.1's `connection: close`).
        case goAway
        /// The peer's limits became known or changed.
        case settings
        /// HTTP/1.1 only: the client waits for `100 Continue`.
        case expectsContinue
        /// The peer broke the protocol: `violation` says how, and on HTTP/1.1 `HTTP1Session.violation`.
        case violation
    }

    /// What is known of it besides.
    @frozen @usableFromInline
    enum Detail: BitwiseCopyable {
        case none
        /// Of `.headers`: no body follows.
        case last
        /// Of `.closed` and `.goAway`: the HTTP/2 error code.
        case code(UInt32)
        /// Of `.violation` on HTTP/2: what rule, and the frame that broke it.
        case violation(HTTP2Violation, PeerFrame)
    }

    @usableFromInline package let kind: Kind
    @usableFromInline package let slot: Int    // the session's place of the stream; -1 for the connection
    @usableFromInline package let owner: StreamOwner    // as set with `setOwner`; `.nobody` before
    @usableFromInline let detail: Detail
    /// Octets of a body, of `.data` only.
    @usableFromInline package let data: Octets

    /// Of `.headers`: whether no body follows.
    @inlinable @inline(__always) package var isLast: Bool { if case .last = detail { true } else { false } }
    /// Of `.closed` and `.goAway`: the HTTP/2 error code; 0 when the stream ended in the usual way, and for all other
    /// events.
    @inlinable @inline(__always) package var errorCode: UInt32 { if case .code(let code) = detail { code } else { 0 } }
    /// Of `.violation`: the rule of HTTP/2 that the peer broke; nil on HTTP/1.1.
    package var violation: HTTP2Violation? { if case .violation(let violation, _) = detail { violation } else { nil } }
    /// Of `.violation`: the frame with which the peer broke the rule; nil on HTTP/1.1.
    package var violationFrame: PeerFrame? { if case .violation(_, let frame) = detail { frame } else { nil } }

    init(_ kind: Kind, slot: Int = -1, owner: StreamOwner = .nobody, detail: Detail = .none, data: Octets = .empty) {
        self.kind = kind
        self.slot = slot
        self.owner = owner
        self.detail = detail
        self.data = data
    }
}

/// Octets of a stream's body that went out to the peer. The side that they came from may send as many again.
@frozen @usableFromInline
package struct TakenOctets: BitwiseCopyable {
    /// The session's place of the stream, which is no other stream's before `endTurn`.
    @usableFromInline package let slot: Int
    @usableFromInline package let owner: StreamOwner    // as set with `setOwner`
    /// How many octets went out.
    @usableFromInline package let count: Int
}
