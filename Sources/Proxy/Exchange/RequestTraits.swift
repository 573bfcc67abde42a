internal import HTTP

/// What is known of a request once its header section was looked at. Plain data: an exchange that is used again gets a
/// fresh one.
struct RequestTraits: BitwiseCopyable {
    /// The client's path has another form than the normal one.
    var isPathChanged = false
    var isGRPC = false
    /// The method is HEAD: no answer has a body.
    var isHeadMethod = false
    /// The client sends its body when it hears that it may.
    var wantsContinue = false
    /// The method asks for nothing to be changed.
    var isSafe = false
    /// It asks to leave HTTP for a WebSocket.
    var isWebSocket = false
    /// A page of the request's origin may use the answer.
    var isOriginAllowed = false
}

/// What is counted and noted of a request's bodies and answer, for the log, for the metrics, and to end it in order.
struct ExchangeTally: BitwiseCopyable {
    /// Octets of the body that this try's upstream took.
    var upstreamTakenOctets = 0
    /// Octets of the body given back to the client's window.
    var creditedOctets = 0
    /// 0: none was sent.
    var status = 0
    /// nil: none was sent, or the request is no gRPC call.
    var grpcStatus: Int?
    /// Octets of the answer's body.
    var sentOctets = 0
    /// Where messages of the answer end.
    var messages = GRPCMessageBoundary()
    /// From the try's start to the upstream's header section; nil before that has come.
    var upstreamNanoseconds: UInt64?
}
