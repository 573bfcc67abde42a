internal import HTTP
internal import TLS
internal import Telemetry

extension Situation {
    /// The one table: situation → HTTP status, flag, details, body, gRPC status, fault, retry, connection.
    package var outcome: Outcome {
        switch self {
        case .requestRefused, .requestMalformed, .pathRefused, .upgradeRefused, .grpcWebMalformed, .headerTimedOut,
            .clientClosed, .clientReset:
            ofClient
        case .noRoute, .connectMethod, .optionsAsterisk, .misdirected, .redirectedToHTTPS, .unknownCluster,
            .noHealthyEndpoint, .overloaded:
            ofRouting
        case .directResponse, .redirect, .corsPreflight, .operationsTooLarge, .faultInjected: ofPolicies
        case .routeTimedOut, .tryTimedOut, .deadlineExceeded, .idleSending, .idleReceiving:
            ofTimer
        default: ofUpstream
        }
    }

    private var ofClient: Outcome {
        switch self {
        case .requestRefused(let error):
            // RFC 9112 §9.6: nobody knows where the next request would begin.
            Outcome(
                error.status, error == .missingHost ? .none : .clientProtocolError,
                error.details.description, error.body.description, fault: .client, after: .close)
        case .requestMalformed(let fault):
            // Malformed ones are reset, as RFC 9113 §8.1.1 wants it.
            Outcome(
                fault.mayBeAnswered ? 431 : 0, .clientProtocolError, fault.name,
                fault.mayBeAnswered ? "The header section is too large." : "", says: fault.sentence,
                grpc: fault.mayBeAnswered ? .resourceExhausted : .internal, fault: .client)
        case .pathRefused:
            Outcome(
                400, .none, "path_normalization_failed", "The path is not valid.", fault: .client, after: .close)
        case .upgradeRefused:
            Outcome(
                403, .none, "upgrade_failed", "The upgrade that the request asks for is not served here.",
                fault: .client, after: .close)
        case .grpcWebMalformed:
            Outcome(
                400, .none, "grpc_base_64_decode_failed", "The body of the gRPC-Web call is not Base64.",
                fault: .client, after: .close)
        case .headerTimedOut:
            Outcome(408, .none, "request_header_timeout", "request header timeout", fault: .client, after: .close)
        case .clientReset:
            Outcome(0, .clientReset, "http2.remote_reset", grpc: .cancelled, fault: .client)
        default:
            Outcome(0, .clientClosed, "downstream_remote_disconnect", grpc: .cancelled, fault: .client, after: .close)
        }
    }

    private var ofRouting: Outcome {
        switch self {
        case .connectMethod:
            Outcome(404, .noRoute, "route_not_found", says: "CONNECT is not supported", fault: .client)
        case .optionsAsterisk:
            Outcome(404, .none, "absolute_path_rejected", says: "OPTIONS * is not supported", fault: .client)
        case .misdirected:
            Outcome(
                421, .noRoute, "misdirected_request",
                says: "this authority is served on another TLS connection", fault: .client)
        case .redirectedToHTTPS:
            Outcome(301, .none, "direct_response", says: "this host is served over HTTPS", fault: .client)
        case .unknownCluster:
            Outcome(
                503, .noCluster, "cluster_not_found",
                says: "the route's destination is unknown", fault: .configuration)
        case .noHealthyEndpoint:
            Outcome(503, .noHealthyEndpoint, "no_healthy_upstream", "no healthy upstream", fault: .configuration)
        case .overloaded:
            Outcome(
                503, .overload, "overload", "gateway overloaded", grpc: .resourceExhausted, fault: .gateway,
                after: .close)
        default:
            Outcome(404, .noRoute, "route_not_found", says: "no route matches", fault: .client)
        }
    }

    private var ofPolicies: Outcome {
        switch self {
        case .directResponse(let status):
            Outcome(
                status, .none, "direct_response", says: "the gateway answers this itself", fault: .configuration)
        case .redirect(let status):
            Outcome(
                status, .none, "direct_response", says: "the gateway redirects this request", fault: .configuration)
        case .faultInjected(let status, let grpc):
            Outcome(
                status, .none, "fault_filter_abort", status == 204 || status == 304 ? "" : "fault filter abort",
                says: "fault filter abort", grpc: grpc, fault: .configuration)
        case .corsPreflight:
            Outcome(200, .none, "cors_response", says: "the gateway answers preflights", fault: .configuration)
        default:
            Outcome(
                431, .none, "header_operations_too_large",
                "The header section is too large.", says: "the rule's header operations make too many octets",
                grpc: .resourceExhausted, fault: .client)
        }
    }

    private var ofUpstream: Outcome {
        switch self {
        case .connectFailed:
            .upstream(.connectFailure, "remote connection failure", .unprocessed)
        case .connectTimedOut:
            .upstream(.connectFailure, "connection timeout", .unprocessed)
        case .handshakeFailed(let fault):
            .upstream(.connectFailure, "remote connection failure", .unprocessed, because: (fault.name, fault.sentence))
        case .closedUnsent:
            .upstream(.upstreamClosed, "connection termination", .unprocessed)
        case .upstreamReset:
            .upstream(.upstreamReset, "remote reset", .unknown)
        case .upstreamRefused:
            .upstream(.upstreamReset, "remote refused stream reset", .unprocessed)
        case .upstreamProtocolError:
            .upstream(.upstreamProtocolError, "protocol error", .unknown)
        case .upstreamMalformed(let fault):
            .upstream(.upstreamProtocolError, "protocol error", .unknown, because: (fault.name, fault.sentence))
        case .overflow:
            .upstream(.overflow, "overflow", .pointless)    // unprocessed, but full a moment later too
        case .localReset:
            .upstream(.localReset, "local reset", .unknown)
        default:
            .upstream(.upstreamClosed, "connection termination", .unknown)
        }
    }

    private var ofTimer: Outcome {
        switch self {
        case .idleSending:
            Outcome(504, .idle, "stream_idle_timeout", "stream timeout", fault: .upstream)
        case .idleReceiving:
            Outcome(408, .idle, "stream_idle_timeout", "stream timeout", fault: .client, after: .close)
        case .tryTimedOut:
            Outcome(
                504, .timeout, "upstream_per_try_timeout", "upstream request timeout",
                grpc: .deadlineExceeded, fault: .upstream, retry: .unknown)
        default:
            // Envoy answers 14 when its route timeout fires, which clients may retry at once. A timer that
            // ran out is a deadline, whoever set it.
            Outcome(
                504, .timeout, "response_timeout", "upstream request timeout",
                grpc: .deadlineExceeded, fault: .upstream)
        }
    }
}

extension Outcome {
    private static var before: String { "upstream_reset_before_response_started" }

    /// A row whose words are built from Envoy's reset reason.
    fileprivate static func upstream(
        _ flag: ResponseFlag, _ reason: String, _ retry: RetrySafety,
        because fault: (name: String, sentence: String)? = nil
    ) -> Outcome {
        let token = String(reason.map { $0 == " " ? "_" : $0 }) + (fault.map { "|\($0.name)" } ?? "")
        let cause = fault.map { ": \($0.sentence)" } ?? ""
        return Outcome(
            flag == .upstreamProtocolError ? 502 : 503, flag, "\(before){\(token)}",
            "upstream connect error or disconnect/reset before headers. reset reason: \(reason)\(cause)",
            fault: flag == .overflow || flag == .localReset ? .gateway : .upstream, retry: retry)
    }

    /// The details when the failure came after response headers were passed on. The answer then is no
    /// longer ours: HTTP/2 streams are reset (INTERNAL_ERROR), HTTP/1.1 connections closed short.
    package var detailsAfterHeaders: String {
        guard details.hasPrefix(Self.before) else { return details }
        return "upstream_reset_after_response_started" + details.dropFirst(Self.before.count)
    }
}
