package import Octets

/// Whose a stream is: what its session notes of the stream is for the owner. Sessions keep it and look at nothing
/// in it. A further kind of owner is a further case, and the compiler names every place that has to know of it.
package enum StreamOwner: BitwiseCopyable, Hashable, Sendable {
    /// Nobody, or nobody any more: what still comes is dropped.
    case nobody
    /// A client's request and its answer; the number is the exchange's place among its worker's.
    case exchange(Int)

    /// The exchange's number; nil when the stream is nobody's.
    @inline(__always) package var exchange: Int? {
        if case .exchange(let number) = self { number } else { nil }
    }
}

/// What a session (HTTP/1.1 or HTTP/2) has to tell of one of its streams. Sessions note events while
/// they read and act on nothing; the owner goes through them afterwards, in order.
/// Plain data on purpose: noting one costs no reference counting.
@safe package struct StreamEvent: BitwiseCopyable {
    package enum Kind: UInt8, BitwiseCopyable {
        /// A header section is complete: `takeHeaders` has it. Informational responses (1xx) too.
        /// `code` is 1 when nothing follows it; the `.end` still comes.
        case headers
        /// Octets of the body, valid until the session is next given input.
        case data
        /// A trailer section is complete: `takeHeaders` has it; `.end` follows.
        case trailers
        /// The peer will send no more on this stream.
        case end
        /// The stream is gone; `code` is the HTTP/2 error code, 0 when it ended in the usual way.
        case closed
        /// The peer takes no new streams on this connection (GOAWAY, or HTTP/1.1's `connection: close`).
        case goAway
        /// The peer's limits became known or changed.
        case settings
        /// HTTP/1.1 only: the client waits for `100 Continue`.
        case expectsContinue
        /// The peer broke the protocol; `HTTP1Session.refusal` or an HTTP/2 GOAWAY says how.
        case refused
    }

    package let kind: Kind
    package let slot: Int    // the session's place of the stream; -1 for the connection
    package let owner: StreamOwner    // as set with `setOwner`; `.nobody` before
    package let code: UInt32
    package let data: Octets

    init(_ kind: Kind, slot: Int = -1, owner: StreamOwner = .nobody, code: UInt32 = 0, data: Octets = .empty) {
        self.kind = kind
        self.slot = slot
        self.owner = owner
        self.code = code
        self.data = data
    }
}

/// Octets of a stream's body that went out to the peer, for the window of whoever they came from.
package struct TakenOctets: BitwiseCopyable {
    package let slot: Int    // the session's place of the stream, which is no other stream's before `endTurn`
    package let owner: StreamOwner
    package let count: Int
}
