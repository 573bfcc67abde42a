import HTTP
import Octets
import Proxy
import Telemetry
import Testing

@Suite struct `A situation` {
    /// status, flag, details, body, gRPC status: docs/behaviour.md, Situations.
    static let rows: [(Situation, Int, String, String, String, UInt8)] = {
        let reset = "upstream connect error or disconnect/reset before headers. reset reason: "
        let token = "upstream_reset_before_response_started"
        return [
            (.noRoute, 404, "NR", "route_not_found", "", 12),
            (.connectMethod, 404, "NR", "route_not_found", "CONNECT is not served here.", 12),
            (.optionsAsterisk, 404, "-", "absolute_path_rejected", "", 12),
            (.unknownCluster, 503, "NC", "cluster_not_found", "", 14),
            (.noHealthyEndpoint, 503, "UH", "no_healthy_upstream", "no healthy upstream", 14),
            (.connectFailed, 503, "UF", "\(token){remote_connection_failure}", "\(reset)remote connection failure", 14),
            (.connectTimedOut, 503, "UF", "\(token){connection_timeout}", "\(reset)connection timeout", 14),
            (.upstreamClosed, 503, "UC", "\(token){connection_termination}", "\(reset)connection termination", 14),
            (.closedUnsent, 503, "UC", "\(token){connection_termination}", "\(reset)connection termination", 14),
            (.upstreamReset, 503, "UR", "\(token){remote_reset}", "\(reset)remote reset", 14),
            (
                .upstreamRefused, 503, "UR", "\(token){remote_refused_stream_reset}",
                "\(reset)remote refused stream reset", 14
            ),
            (.upstreamProtocolError, 502, "UPE", "\(token){protocol_error}", "\(reset)protocol error", 14),
            (.overflow, 503, "UO", "\(token){overflow}", "\(reset)overflow", 14),
            (.routeTimedOut, 504, "UT", "response_timeout", "upstream request timeout", 4),
            (.deadlineExceeded, 504, "UT", "response_timeout", "upstream request timeout", 4),
            (.idleSending, 504, "SI", "stream_idle_timeout", "stream timeout", 14),
            (.idleReceiving, 408, "SI", "stream_idle_timeout", "stream timeout", 2),
            (.upstreamStalled, 504, "SI", "stream_idle_timeout", "stream timeout", 14),
            (.endpointsFailing, 503, "UH", "no_healthy_upstream", "no healthy upstream", 14),
            (.headerTimedOut, 408, "-", "request_header_timeout", "request header timeout", 2),
            (.pathRefused, 400, "-", "path_normalization_failed", "The path is not valid.", 13),
            (
                .upgradeRefused, 403, "-", "upgrade_failed",
                "A WebSocket is opened by a GET without a body, or on HTTP/2 by a CONNECT that does not end its "
                    + "stream.",
                7
            ),
            (.upgradeUnsupported, 502, "-", "upstream_upgrade_unsupported", "", 14),
            (.connectLacking, 503, "UF", "\(token){local_connection_failure}", "\(reset)local connection failure", 14),
            (.deadlineUnread, 504, "UT", "response_not_read", "upstream request timeout", 4),
            (.requestMalformed(.headerMemory), 503, "OM", "http2.header_memory", "", 8),
            (.resolutionTooSlow(isRoutes: true), 504, "UT", "dns_resolution_timeout", "upstream request timeout", 4),
            (
                .requestRefused(.headerMemory), 503, "OM", "http1.header_memory",
                "The header sections of open requests leave no room for another.", 14
            ),
            (.requestRefused(.syntax), 400, "DPE", "http1.codec_error", "The message is not valid HTTP.", 13),
            (
                .requestRefused(.missingHost), 400, "-", "missing_host_header",
                "The host header field is missing.", 13
            ),
            (
                .requestRefused(.oldVersion), 426, "DPE", "low_version",
                "HTTP/0.9 is not spoken here: use HTTP/2 or HTTP/1.1.", 2
            ),
            (.clientClosed, 0, "DC", "downstream_remote_disconnect", "", 1),
            (.clientReset, 0, "DR", "http2.remote_reset", "", 1),
            (.drainOver, 0, "-", "drain_time_over", "", 14),
        ]
    }()

    @Test func `has the row that Envoy shows, or ours where we differ`() {
        for (situation, status, flag, details, body, grpc) in Self.rows {
            let outcome = situation.outcome
            #expect(outcome.status == status, "\(situation)")
            #expect(outcome.flag.rawValue == flag, "\(situation)")
            #expect(outcome.details == details, "\(situation)")
            #expect(outcome.body == body, "\(situation)")
            #expect(outcome.grpcStatus.rawValue == grpc, "\(situation)")
        }
    }

    @Test func `is safe to retry only when provably unprocessed`() {
        let safe = Self.rows.filter { $0.0.outcome.retry.safety == .unprocessed }.map(\.0)
        #expect(safe == [.connectFailed, .connectTimedOut, .closedUnsent, .upstreamRefused, .connectLacking])
    }

    @Test func `always has something to say to a gRPC caller`() {
        for (situation, status, _, _, _, _) in Self.rows where status > 0 {
            #expect(!LocalReply(situation, isGRPC: true).message.isEmpty, "\(situation)")
        }
    }

    @Test func `has other details after response headers`() {
        let details = Situation.upstreamReset.outcome.detailsAfterHeaders
        #expect(details == "upstream_reset_after_response_started{remote_reset}")
        #expect(Situation.routeTimedOut.outcome.detailsAfterHeaders == "response_timeout")
    }
}

@Suite struct `A local reply` {
    private func lines(_ reply: LocalReply) -> [String] {
        let headers = HeaderBlock()
        reply.write(to: headers)
        return headers.fields.map { "\($0.name.string): \($0.value.string)" }
    }

    @Test func `is text for plain HTTP`() {
        let reply = LocalReply(.noHealthyEndpoint, isGRPC: false, explanation: "secret")
        #expect(lines(reply) == [":status: 503", "content-length: 19", "content-type: text/plain"])
        #expect(reply.body == "no healthy upstream")
        #expect(lines(LocalReply(.noRoute, isGRPC: false)) == [":status: 404", "content-length: 0"])
        #expect(lines(LocalReply(.overflow, isGRPC: false)).contains("x-envoy-overloaded: true"))
    }

    @Test(arguments: [(1_024, false), (1_025, true)])
    func `says whether its message has only a beginning`(length: Int, isCut: Bool) {
        let text = String(repeating: "x", count: length)
        let outcome = Situation.directResponse(503).outcome
        #expect(LocalReply(outcome, isGRPC: true, bytes: Array(text.utf8)).isCut == isCut)
        #expect(!LocalReply(outcome, isGRPC: false, bytes: Array(text.utf8)).isCut, "plain HTTP gets all of it")
    }

    @Test func `is trailers only for gRPC`() {
        let reply = LocalReply(.noRoute, isGRPC: true, explanation: "no route matches authority \"é\"")
        #expect(
            lines(reply) == [
                ":status: 200", "content-type: application/grpc", "grpc-status: 12",
                "grpc-message: no route matches authority \"%C3%A9\"",
            ])
        #expect(reply.body.isEmpty && reply.status == 200)
        let timeout = LocalReply(.routeTimedOut, isGRPC: true, explanation: "after 5 s")
        #expect(timeout.message == "upstream request timeout: after 5 s")
        let long = LocalReply(.noRoute, isGRPC: true, explanation: String(repeating: "x", count: 5000))
        #expect(lines(long).last?.count == 1024 + "grpc-message: ".count)
    }
}
