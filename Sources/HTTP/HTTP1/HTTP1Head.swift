package import Octets

/// Where a message's body ends. Source: RFC 9112 §6.3.
package enum HTTP1Framing: BitwiseCopyable, Equatable, Sendable {
    case none
    case length(UInt64)
    case chunked
    /// The body ends with the connection. Of a request, and of a response with status 101: the octets behind the head
    /// are those of another protocol.
    case untilClose

    /// The framing that the block's `content-length` announces; nil without a usable one.
    init?(announcedBy block: HeaderBlock) {
        guard let text = block.first(.contentLength), let length = HTTP1Syntax.length(text) else { return nil }
        self = .length(length)
    }
}

/// What an `upgrade` field with its `connection: upgrade` asks for. A WebSocket client cannot do without; every other
/// protocol is an offer that the server may ignore, and the client is content with an HTTP/1.1 answer.
/// Source: RFC 9110 §7.8.
package enum HTTP1Upgrade: Equatable, Sendable {
    case none, webSocket
}

/// What a head says beyond the fields that stand in its `HeaderBlock`.
package struct HTTP1Head: Equatable, Sendable {
    /// How the length of the body is said.
    package var framing: HTTP1Framing
    /// The sender leaves the connection open for another message.
    package var isKeepAlive: Bool
    /// `expect: 100-continue` stands in the request; the field stays in the block.
    package var expectsContinue: Bool
    /// What the head asks to change to.
    package var upgrade: HTTP1Upgrade
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    package var minorVersion: UInt8
    /// Responses: 100 to 999; 0 for requests. Below 200 it is an interim response: no `.end` follows,
    /// the next event is another head.
    package var status: UInt16

    /// An interim response (1xx): another head follows. 101 is none, because it ends HTTP on the connection.
    package var isInterim: Bool { status >= 100 && status < 200 && status != 101 }
}

/// What `HTTP1Parser.next` found at the front of the octets given to it.
package enum HTTP1Event: Equatable, Sendable {
    /// Nothing more without further octets. What was not consumed must be given again, in front.
    case needsMore
    case head(HTTP1Head)
    /// A part of the body: a slice of the input, never empty, valid as long as the input.
    case body(Octets)
    /// The message is complete; its trailers were checked and dropped.
    case end
}

/// What the connection's end means for the message that was being read.
package enum HTTP1EndOfInput: Equatable, Sendable {
    case betweenMessages, messageCompleted, cutShort
}

/// The bounds of one message; beyond them it is refused, never truncated.
package struct HTTP1Limits: Equatable, Sendable {
    /// Start line and fields with their line ends, in octets; beyond: `.headersTooLarge`.
    package var headOctets: Int
    /// Field lines, of the head and again of the trailers; beyond: `.tooManyHeaders`.
    package var fields: Int
    /// Octets of all chunk extensions of a message; beyond: `.chunkExtensionTooLarge`.
    package var extensionOctets: Int
    /// Octets of the trailers; beyond: `.headersTooLarge`.
    package var trailerOctets: Int
    /// Interim responses before the final one; beyond: `.tooManyInterimResponses`.
    package var interimResponses: Int
    /// Whether a request of HTTP/1.0 must have `host`, as one of HTTP/1.1 must. Health checks of load balancers have
    /// none.
    package var needsHostInOld = true
    /// How many informational responses (1xx) one try of a request may have.
    package static let mostInterimResponses = 16

    /// Limits with the sizes that messages usually keep to.
    package init(
        headOctets: Int, fields: Int = 100, extensionOctets: Int = 4096, trailerOctets: Int = 16 << 10,
        interimResponses: Int = HTTP1Limits.mostInterimResponses
    ) {
        self.headOctets = headOctets
        self.fields = fields
        self.extensionOctets = extensionOctets
        self.trailerOctets = trailerOctets
        self.interimResponses = interimResponses
    }

    private static let requestOctets = 60 << 10, responseOctets = 256 << 10

    /// 60 KiB and 100 fields, as Envoy.
    package static var request: HTTP1Limits { HTTP1Limits(headOctets: requestOctets) }
    /// 256 KiB and 100 fields.
    package static var response: HTTP1Limits { HTTP1Limits(headOctets: responseOctets) }
}
