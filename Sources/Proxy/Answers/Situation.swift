package import HTTP
internal import Routing
package import Telemetry
package import TLS

/// Every way in which a request can end without its upstream's answer. What each means on the wire, in the
/// log and for a retry stands in one table, `outcome`.
/// Source: docs/behaviour.md, Situations.
package enum Situation: Equatable, Sendable {
    // The client's request
    case requestRefused(HTTP1Error)
    case requestMalformed(HTTP2Violation)
    case pathRefused
    case upgradeRefused    // no handshake that opens a WebSocket
    case grpcDowngraded    // a gRPC call in HTTP/1.1 whose answer has no place for its status
    case grpcWebMalformed    // the body of a gRPC-Web call is not Base64
    case headerTimedOut    // `--header-timeout` is counted from the first octet, and no further one extends it
    case clientClosed
    case clientReset
    // Routing
    case noRoute
    case connectMethod
    case protocolUnknown    // an extended CONNECT for another protocol than `websocket`
    case optionsAsterisk
    case misdirected    // another server of this port has the authority, and other TLS rules
    case redirectedToHTTPS    // a server in clear text redirects the host
    case unknownCluster
    case noHealthyEndpoint
    case endpointsFailing    // there are some, and all of them are ejected or fail their health check
    case hostUnresolved    // the host that the request names has no addresses that may be sent to
    case directResponse(Int)    // the rule answers by itself, with that status
    case redirect(Int)    // the rule sends the client elsewhere, with that status
    case corsPreflight    // a browser asks what a page may do
    /// The rule's header operations make too many octets, of the answer or of the request.
    case operationsTooLarge(isAnswer: Bool)
    case faultInjected(status: Int, grpc: GRPC.Status?)    // the rule's `fault.abort`
    // Upstream, before response headers
    case connectFailed
    case connectLacking    // this machine lacks what a connection needs: descriptors, local ports, memory
    case connectTimedOut
    case handshakeFailed(HandshakeFailure)    // of TLS with the endpoint
    case closedUnsent    // connection lost, nothing of the request was written
    case upstreamClosed
    case upstreamReset
    case upstreamRefused    // REFUSED_STREAM, or GOAWAY with a lower last stream
    case upstreamProtocolError
    case upstreamMalformed(HTTP2Violation)
    case upgradeUnsupported    // the endpoint speaks HTTP/2 and takes no WebSockets on it
    case overflow    // a limit of connections, pending or active requests
    case localReset    // the gateway gave the stream up by itself
    // Timers
    case routeTimedOut
    case tryTimedOut    // the rule's perTryTimeout
    case deadlineHopeless    // an endpoint in overload would not answer before the deadline: nothing was sent
    case deadlineExceeded    // of a gRPC call: the client's grpc-timeout, or the route's timeout
    /// The route's timeout, or else the client's deadline, has passed during the look-up of the request's host.
    case resolutionTooSlow(isRoutes: Bool)
    case deadlineUnread    // the client takes its answer too slowly
    case deadlineUnmeetable(isRoutes: Bool)    // shorter than any answer takes; else it is the client's
    case idleSending    // the client takes nothing of its answer
    case idleReceiving    // the client sends nothing of its request
    case upstreamStalled    // the endpoint takes nothing of the request
    // The gateway as a whole
    case overloaded
    case drainOver    // the process ends, and the time for that is over
}

/// The side that a situation is due to: whom to call about it.
package enum Blame: String, Sendable, CaseIterable {
    case client, upstream, configuration, gateway

    /// Its name in the access log.
    package var name: StaticString {
        switch self {
        case .client: "client"
        case .upstream: "upstream"
        case .configuration: "configuration"
        case .gateway: "gateway"
        }
    }

    /// How grave it is for those who run the gateway: what strangers do wrong is no warning.
    package var level: StaticString {
        switch self {
        case .client: "info"
        case .upstream: "warning"
        case .configuration, .gateway: "error"
        }
    }
}

extension Outcome {
    /// What has happened, in words: for gRPC callers and for the access log.
    /// - Parameter explanation: what is known of this case; may be empty.
    func words(_ explanation: String) -> String {
        if explanation.isEmpty { return body.isEmpty ? sentence : body }
        return body.isEmpty ? explanation : "\(body): \(explanation)"
    }

    /// Says in a line of the access log who is to blame for it; an answer that a rule has asked for is nobody's.
    func blame(in entry: inout AccessLogEntry) {
        guard status == 0 || status >= 400 else { return }
        (entry.blame, entry.level) = (blame.name, blame.level)
    }
}

/// What is known about the request when its upstream failed.
package enum RetrySafety: Sendable {
    /// Provably unprocessed: every request may be sent again.
    case unprocessed
    /// Perhaps processed: idempotent requests only, if the route's policy says so.
    case unknown
    /// Another try cannot help, or must not be made.
    case pointless
}

/// What speaks for another try, and against it.
package struct Retry: Sendable {
    package let safety: RetrySafety
    /// The conditions of a rule (`retries.retryOn`) of which one is enough for another try.
    /// Source: envoyproxy/envoy source/common/router/retry_state_impl.cc (x-envoy-retry-on).
    let conditions: RetryPolicy.Conditions
    /// The reason under which metrics count another try.
    let reason: RetryReason
    /// Whether the endpoint would refuse another connection at once, too.
    let isRefusedAtOnce: Bool

    private static let anyLoss: RetryPolicy.Conditions = [.reset, .any5xx, .gatewayError]

    /// - Parameter conditions: besides those for the loss of any answer; nil: no other try is made.
    init(
        _ safety: RetrySafety, _ reason: RetryReason = .connectionLost, on conditions: RetryPolicy.Conditions? = nil,
        isRefusedAtOnce: Bool = false
    ) {
        self.safety = safety
        self.reason = reason
        self.conditions = conditions.map { Self.anyLoss.union($0) } ?? []
        self.isRefusedAtOnce = isRefusedAtOnce
    }

    /// There is no other try.
    static var pointless: Retry { Retry(.pointless) }
}

/// What happens to an HTTP/1.1 client connection after the answer. HTTP/2 closes the stream only.
package enum AfterAnswer: Sendable {
    /// Keep it if the request was received completely, else close.
    case keep
    case close
}

/// One row of the table.
package struct Outcome: Sendable {
    /// 0: nobody is there to be answered; only the log gets the row.
    package let status: Int
    /// What gRPC callers get.
    package let grpcStatus: GRPC.Status
    /// What the access log shows as RESPONSE_FLAGS.
    package let flag: ResponseFlag
    /// Envoy's RESPONSE_CODE_DETAILS. After response headers went out: `detailsAfterHeaders`.
    package let details: String
    /// The body for plain HTTP, Envoy's words; also the beginning of `grpc-message`.
    package let body: String
    /// What `grpc-message` says where `body` is empty.
    package let sentence: String
    /// Which side it is due to.
    package let blame: Blame
    /// What speaks for another try.
    package let retry: Retry
    /// What becomes of an HTTP/1.1 client's connection.
    package let after: AfterAnswer

    init(
        _ status: Int, _ flag: ResponseFlag, _ details: String, _ body: String = "",
        says sentence: String = "", grpc: GRPC.Status? = nil, blame: Blame,
        retry: Retry = .pointless, after: AfterAnswer = .keep
    ) {
        self.status = status
        self.flag = flag
        self.details = details
        self.body = body
        self.sentence = sentence
        self.blame = blame
        self.retry = retry
        self.after = after
        grpcStatus = grpc ?? GRPC.status(forHTTP: status)
    }
}
