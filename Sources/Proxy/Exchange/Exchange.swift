internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing

/// One request and its answer: a stream on a downstream connection, a stream on an upstream one, the
/// route between them and the timers. It lives as long as the downstream stream; several upstream
/// streams may follow each other when one fails provably unprocessed.
///
/// Its life, in this order; `Situation` has a row for each way out of it:
///
///     headersRead → hostMatched → routeMatched → endpointPicked → upstreamAcquired → headersSent
///     → bodyRelayed → responseRelayed → trailersRelayed → logged
///
/// Pooled by its worker and used again; its worker's thread only.
final class Exchange {
    let worker: Worker
    let index: Int    // the tag of its streams
    var downstream: Connection?
    var downstreamStream = -1
    var upstream: Connection?
    var upstreamStream = -1

    // The request
    var request: HeaderBlock?    // held; sent as it is to the upstream
    var requestTrailers: HeaderBlock?    // held for a replay
    var isGRPC = false
    var isHead = false
    var isSafe = false    // the method asks for nothing to be changed
    var isHeadAlone = false    // the request is its header section: END_STREAM came with it
    var isRequestEnded = false
    var receivedOctets = 0
    var takenOctets = 0    // octets of the body that this try's upstream took
    var consumedOctets = 0    // octets of the body given back to the client's window

    // The route
    var snapshot: WorkerSnapshot?
    var route = -1
    var cluster = -1
    var endpoint: Endpoint?
    var tried: [Int] = []    // numbers of endpoints that failed this request
    var attempts = 0
    var upstreamLocal: String?    // for the access log only

    // The response
    var isResponseStarted = false    // final headers were given to the downstream
    var isResponseEnded = false
    var interimResponses = 0
    var status = 0
    var grpcStatus = -1
    var sentOctets = 0
    var situation: Situation?    // why it ended otherwise than by the upstream's answer
    var boundary = MessageBoundary()    // of gRPC messages in the response

    // Time
    var started = MonotonicTime(nanoseconds: 0)
    var startedWall = WallTime(seconds: 0, nanoseconds: 0)
    var upstreamStarted = MonotonicTime(nanoseconds: 0)
    var upstreamNanoseconds: Int64 = -1    // until the upstream's response headers
    var deadline: MonotonicTime?    // of the client's grpc-timeout or the route's timeout
    var timer = TimerWheel.Handle.none

    init(worker: Worker, index: Int) {
        self.worker = worker
        self.index = index
    }

    // Connections are followed on every event: without counting. The worker keeps them for the turn.
    @inline(__always) var toDownstream: Unretained<Connection>? { downstream.unretained }
    @inline(__always) var toUpstream: Unretained<Connection>? { upstream.unretained }

    /// Whether events of that stream are meant for this exchange.
    func isServing(downstream connection: Connection, _ stream: Int) -> Bool {
        downstreamStream == stream && (downstream.unretained.map { $0 === connection } ?? false)
    }

    func isUsing(upstream connection: Connection, _ stream: Int) -> Bool {
        upstreamStream == stream && (upstream.unretained.map { $0 === connection } ?? false)
    }

    /// Makes it as new for the next request. Its streams are detached already.
    func clear() {
        downstream = nil
        downstreamStream = -1
        snapshot = nil
        route = -1
        cluster = -1
        endpoint = nil
        if !tried.isEmpty { tried = [] }
        attempts = 0
        upstreamLocal = nil
        isGRPC = false
        isHead = false
        isSafe = false
        isHeadAlone = false
        isRequestEnded = false
        isResponseStarted = false
        isResponseEnded = false
        interimResponses = 0
        status = 0
        grpcStatus = -1
        receivedOctets = 0
        sentOctets = 0
        takenOctets = 0
        consumedOctets = 0
        situation = nil
        boundary = MessageBoundary()
        upstreamNanoseconds = -1
        deadline = nil
    }
}

/// Where one gRPC message ends and the next begins, in a stream of octets: one octet of flags, four of
/// length, then the message. Trailers may be added only between messages.
/// Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message.
struct MessageBoundary {
    private var prefix = 0    // octets of the next message's prefix seen, 0...4
    private var length: UInt32 = 0
    private var rest: UInt64 = 0    // octets of the message still to come

    var isBetweenMessages: Bool { prefix == 0 && rest == 0 }

    mutating func pass(_ octets: Octets) {
        var index = 0
        while index < octets.count {
            if rest > 0 {
                let step = Int(min(rest, UInt64(octets.count - index)))
                rest -= UInt64(step)
                index += step
                continue
            }
            if prefix > 0 { length = length << 8 | UInt32(octets[index]) }
            prefix += 1
            index += 1
            if prefix == 5 {
                rest = UInt64(length)
                (prefix, length) = (0, 0)
            }
        }
    }
}
