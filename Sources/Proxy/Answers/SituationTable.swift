internal import HTTP
internal import Routing
internal import TLS
internal import Telemetry

extension Situation {
    /// The one table: situation → HTTP status, flag, details, body, gRPC status, blame, retry, connection.
    package var outcome: Outcome {
        switch self {
        case .requestRefused(let error): .requestRefused(error)
        case .requestMalformed(let violation): .requestMalformed(violation)
        case .pathRefused: .pathRefused
        case .upgradeRefused: .upgradeRefused
        case .grpcDowngraded: .grpcDowngraded
        case .grpcWebMalformed: .grpcWebMalformed
        case .headerTimedOut: .headerTimedOut
        case .clientClosed: .clientClosed
        case .clientReset: .clientReset
        case .noRoute: .noRoute
        case .connectMethod: .connectMethod
        case .protocolUnknown: .protocolUnknown
        case .optionsAsterisk: .optionsAsterisk
        case .misdirected: .misdirected
        case .redirectedToHTTPS: .redirectedToHTTPS
        case .unknownCluster: .unknownCluster
        case .noHealthyEndpoint: .noHealthyEndpoint
        case .endpointsFailing: .endpointsFailing
        case .hostUnresolved: .hostUnresolved
        case .directResponse(let status): .answered(status, "the gateway answers this itself")
        case .redirect(let status): .answered(status, "the gateway redirects this request")
        case .corsPreflight: .corsPreflight
        case .operationsTooLarge(let isAnswer): .operationsTooLarge(isAnswer: isAnswer)
        case .faultInjected(let status, let grpc): .faultInjected(status, grpc)
        case .connectFailed: .connectFailed
        case .connectLacking: .connectLacking
        case .connectTimedOut: .connectTimedOut
        case .handshakeFailed(let failure): .handshakeFailed(failure)
        case .closedUnsent: .closedUnsent
        case .upstreamClosed: .upstreamClosed
        case .upstreamReset: .upstreamReset
        case .upstreamRefused: .upstreamRefused
        case .upstreamProtocolError: .upstreamProtocolError(nil)
        case .upstreamMalformed(let violation): .upstreamProtocolError(violation)
        case .upgradeUnsupported: .upgradeUnsupported
        case .overflow: .overflow
        case .localReset: .localReset
        case .routeTimedOut, .deadlineExceeded: .timedOut
        case .deadlineUnmeetable(let isRoutes): .deadlineUnmeetable(isRoutes)
        case .resolutionTooSlow(let isRoutes): .resolutionTooSlow(isRoutes)
        case .deadlineUnread: .deadlineUnread
        case .deadlineHopeless: .deadlineHopeless
        case .tryTimedOut: .tryTimedOut
        case .idleSending: .idleSending
        case .idleReceiving: .idleReceiving
        case .upstreamStalled: .upstreamStalled
        case .overloaded: .overloaded
        case .drainOver: .drainOver
        }
    }
}

// MARK: - The client's request

extension Outcome {
    fileprivate static func requestRefused(_ error: HTTP1Error) -> Outcome {
        // RFC 9112 §9.6: nobody knows where the next request would begin.
        Outcome(
            error.status, error == .missingHost ? .none : Refusal.http1(error).flag,
            error.details.description, error.body, blame: error == .headerMemory ? .gateway : .client, after: .close)
    }

    fileprivate static func requestMalformed(_ violation: HTTP2Violation) -> Outcome {
        // Malformed ones are reset, as RFC 9113 §8.1.1 wants it.
        let limits = HTTP2Limits()
        if violation.isLackOfMemory {
            return Outcome(
                violation.mayBeAnswered ? 503 : 0, .overload, violation.name, says: violation.sentence,
                grpc: .resourceExhausted, blame: .gateway)
        }
        return Outcome(
            violation.mayBeAnswered ? 431 : 0, .clientProtocolError, violation.name,
            violation.mayBeAnswered
                ? "The header section is too large: \(limits.headerOctets >> 10) KiB and \(limits.headerFields) fields "
                    + "are allowed, and no flag changes that."
                : "", says: violation.sentence,
            grpc: violation.mayBeAnswered ? .resourceExhausted : .internal, blame: .client)
    }

    fileprivate static var pathRefused: Outcome {
        Outcome(400, .none, "path_normalization_failed", "The path is not valid.", blame: .client, after: .close)
    }

    fileprivate static var upgradeRefused: Outcome {
        Outcome(
            403, .none, "upgrade_failed",
            "A WebSocket is opened by a GET without a body, or on HTTP/2 by a CONNECT that does not end its stream.",
            blame: .client, after: .close)
    }

    fileprivate static var grpcDowngraded: Outcome {
        // Only gRPC gets it, and sees the status 200.
        Outcome(
            426, .clientProtocolError, "grpc_over_http1{no_place_for_grpc-status}",
            "The gRPC call came over HTTP/1.1, where its status has no place: the load balancer in front speaks "
                + "HTTP/1.1 to the gateway; use a TCP listener, or gRPC as the protocol of its targets.",
            grpc: .internal, blame: .client)
    }

    fileprivate static var grpcWebMalformed: Outcome {
        Outcome(
            400, .none, "grpc_base_64_decode_failed", "The body of the gRPC-Web call is not Base64.", blame: .client,
            after: .close)
    }

    fileprivate static var headerTimedOut: Outcome {
        Outcome(408, .none, "request_header_timeout", "request header timeout", blame: .client, after: .close)
    }

    fileprivate static var clientReset: Outcome {
        Outcome(
            0, .clientReset, "http2.remote_reset", says: "the client reset its stream", grpc: .cancelled, blame: .client
        )
    }

    fileprivate static var clientClosed: Outcome {
        Outcome(
            0, .clientClosed, "downstream_remote_disconnect", says: "the client closed its connection",
            grpc: .cancelled, blame: .client, after: .close)
    }
}

// MARK: - Routing

extension Outcome {
    fileprivate static var noRoute: Outcome {
        Outcome(404, .noRoute, "route_not_found", says: "no route matches", blame: .client)
    }

    fileprivate static var connectMethod: Outcome {
        Outcome(404, .noRoute, "route_not_found", "CONNECT is not served here.", blame: .client)
    }

    fileprivate static var protocolUnknown: Outcome {
        Outcome(
            501, .none, "upgrade_failed", "CONNECT is served here for the protocol websocket only.", blame: .client)
    }

    fileprivate static var optionsAsterisk: Outcome {
        Outcome(404, .none, "absolute_path_rejected", says: "OPTIONS * is not supported", blame: .client)
    }

    fileprivate static var misdirected: Outcome {
        Outcome(
            421, .noRoute, "misdirected_request", says: "this authority is served on another TLS connection",
            blame: .client)
    }

    fileprivate static var redirectedToHTTPS: Outcome {
        Outcome(301, .none, "direct_response", says: "this host is served over HTTPS", blame: .client)
    }

    fileprivate static var unknownCluster: Outcome {
        Outcome(503, .noCluster, "cluster_not_found", says: "the route's destination is unknown", blame: .configuration)
    }

    fileprivate static var noHealthyEndpoint: Outcome {
        Outcome(503, .noHealthyEndpoint, "no_healthy_upstream", "no healthy upstream", blame: .configuration)
    }

    fileprivate static var endpointsFailing: Outcome {
        Outcome(503, .noHealthyEndpoint, "no_healthy_upstream", "no healthy upstream", blame: .upstream)
    }

    fileprivate static var hostUnresolved: Outcome {
        Outcome(503, .unresolved, "dns_resolution_failure", "DNS resolution failure", blame: .configuration)
    }

    fileprivate static var drainOver: Outcome {
        Outcome(
            0, .none, "drain_time_over", says: "the process had to end before the request did (--drain)",
            grpc: .unavailable, blame: .gateway, after: .close)
    }

    fileprivate static var overloaded: Outcome {
        Outcome(
            503, .overload, "overload", "gateway overloaded", grpc: .resourceExhausted, blame: .gateway, after: .close)
    }
}

// MARK: - Policies of the rule

extension Outcome {
    fileprivate static func answered(_ status: Int, _ sentence: String) -> Outcome {
        Outcome(status, .none, "direct_response", says: sentence, blame: .configuration)
    }

    fileprivate static var corsPreflight: Outcome {
        Outcome(200, .none, "cors_response", says: "the gateway answers preflights", blame: .configuration)
    }

    fileprivate static func faultInjected(_ status: Int, _ grpc: GRPC.Status?) -> Outcome {
        Outcome(
            status, .none, "fault_filter_abort", status == 204 || status == 304 ? "" : "fault filter abort",
            says: "fault filter abort", grpc: grpc, blame: .configuration)
    }

    fileprivate static func operationsTooLarge(isAnswer: Bool) -> Outcome {
        // The message was within the limits when it came: what makes more of it is the rule, which can copy less.
        let limit = "\(HeaderScratch.mostTakenOctets >> 10) KiB of \(isAnswer ? "an answer" : "a request")"
        return Outcome(
            isAnswer ? 500 : 431, .none, "header_operations_too_large", "The header section is too large.",
            says: "the rule's header operations make more than \(limit)",
            grpc: .resourceExhausted, blame: .configuration)
    }
}

// MARK: - The upstream

extension Outcome {
    fileprivate static var connectFailed: Outcome {
        .upstream(
            .connectFailure, "remote connection failure",
            Retry(.unprocessed, .connectFailure, on: .connectFailure, isRefusedAtOnce: true))
    }

    fileprivate static var connectLacking: Outcome {
        // Envoy's words for a connection that its own machine could not begin.
        .upstream(
            .connectFailure, "local connection failure",
            Retry(.unprocessed, .connectFailure, on: .connectFailure, isRefusedAtOnce: true), blame: .gateway)
    }

    fileprivate static var connectTimedOut: Outcome {
        .upstream(
            .connectFailure, "connection timeout", Retry(.unprocessed, .connectFailure, on: .connectFailure))
    }

    fileprivate static func handshakeFailed(_ failure: HandshakeFailure) -> Outcome {
        .upstream(
            .connectFailure, "remote connection failure",
            Retry(.unprocessed, .connectFailure, on: .connectFailure, isRefusedAtOnce: true),
            because: (failure.name, failure.sentence))
    }

    fileprivate static var closedUnsent: Outcome {
        // Envoy knows no such loss as one of its own: it waits for the connection before it sends.
        .upstream(
            .upstreamClosed, "connection termination",
            Retry(.unprocessed, .connectionLost, on: [.resetBeforeRequest, .connectFailure, .refusedStream]))
    }

    fileprivate static var upstreamClosed: Outcome {
        .upstream(.upstreamClosed, "connection termination", Retry(.unknown, .connectionLost, on: []))
    }

    fileprivate static var upstreamReset: Outcome {
        .upstream(.upstreamReset, "remote reset", Retry(.unknown, .reset, on: []))
    }

    fileprivate static var upstreamRefused: Outcome {
        .upstream(
            .upstreamReset, "remote refused stream reset", Retry(.unprocessed, .refusedStream, on: .refusedStream))
    }

    fileprivate static func upstreamProtocolError(_ violation: HTTP2Violation?) -> Outcome {
        .upstream(
            .upstreamProtocolError, "protocol error", Retry(.unknown, .reset, on: []),
            because: violation.map { ($0.name, $0.sentence) })
    }

    fileprivate static var upgradeUnsupported: Outcome {
        Outcome(
            502, .none, "upstream_upgrade_unsupported", says: "the endpoint takes no WebSockets over HTTP/2",
            blame: .upstream, after: .close)
    }

    fileprivate static var overflow: Outcome {
        .upstream(.overflow, "overflow", .pointless)    // unprocessed, but full a moment later too
    }

    fileprivate static var localReset: Outcome {
        .upstream(.localReset, "local reset", Retry(.unknown))
    }

    private static var before: String { "upstream_reset_before_response_started" }

    /// A row whose words are built from Envoy's reset reason.
    private static func upstream(
        _ flag: ResponseFlag, _ reason: String, _ retry: Retry,
        because detail: (name: String, sentence: String)? = nil, blame: Blame = .upstream
    ) -> Outcome {
        let token = String(reason.map { $0 == " " ? "_" : $0 }) + (detail.map { "|\($0.name)" } ?? "")
        let cause = detail.map { ": \($0.sentence)" } ?? ""
        return Outcome(
            flag == .upstreamProtocolError ? 502 : 503, flag, "\(before){\(token)}",
            "upstream connect error or disconnect/reset before headers. reset reason: \(reason)\(cause)",
            blame: flag == .overflow || flag == .localReset ? .gateway : blame, retry: retry)
    }

    /// The details when the failure came after response headers were passed on. The answer then is no
    /// longer ours: HTTP/2 streams are reset (INTERNAL_ERROR), HTTP/1.1 connections closed short.
    package var detailsAfterHeaders: String {
        guard details.hasPrefix(Self.before) else { return details }
        return "upstream_reset_after_response_started" + details.dropFirst(Self.before.count)
    }
}

// MARK: - Timers

extension Outcome {
    fileprivate static var timedOut: Outcome {
        // Envoy answers 14 when its route timeout fires, which clients may retry at once. A timer that
        // ran out is a deadline, whoever set it.
        Outcome(
            504, .timeout, "response_timeout", "upstream request timeout", grpc: .deadlineExceeded, blame: .upstream)
    }

    /// Nothing was sent, so no endpoint is to blame.
    fileprivate static func deadlineUnmeetable(_ isRoutes: Bool) -> Outcome {
        Outcome(
            504, .timeout, "deadline_too_short", "upstream request timeout", grpc: .deadlineExceeded,
            blame: isRoutes ? .configuration : .client)
    }

    /// Nothing was sent here either.
    fileprivate static func resolutionTooSlow(_ isRoutes: Bool) -> Outcome {
        Outcome(
            504, .timeout, "dns_resolution_timeout", "upstream request timeout", grpc: .deadlineExceeded,
            blame: isRoutes ? .configuration : .client)
    }

    /// The answer has begun, and what is left of it waits for the client.
    fileprivate static var deadlineUnread: Outcome {
        Outcome(
            504, .timeout, "response_not_read", "upstream request timeout", grpc: .deadlineExceeded, blame: .client)
    }

    fileprivate static var deadlineHopeless: Outcome {
        Outcome(
            504, .timeout, "deadline_shorter_than_answers", "the call's deadline is too near",
            grpc: .deadlineExceeded, blame: .upstream)
    }

    fileprivate static var tryTimedOut: Outcome {
        Outcome(
            504, .timeout, "upstream_per_try_timeout", "upstream request timeout", grpc: .deadlineExceeded,
            blame: .upstream, retry: Retry(.unknown, .tryTimeout, on: []))
    }

    fileprivate static var idleSending: Outcome {
        Outcome(504, .idle, "stream_idle_timeout", "stream timeout", blame: .client)
    }

    fileprivate static var upstreamStalled: Outcome {
        Outcome(504, .idle, "stream_idle_timeout", "stream timeout", blame: .upstream)
    }

    fileprivate static var idleReceiving: Outcome {
        Outcome(408, .idle, "stream_idle_timeout", "stream timeout", blame: .client, after: .close)
    }
}
