internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// What stays of an exchange when it is over: a line in the access log, and counts.
extension Worker {
    func record(_ exchange: Exchange) {
        let nanoseconds = now.nanoseconds(since: exchange.started)
        let route = exchange.route >= 0 ? exchange.snapshot?.shared.routeMetrics[exchange.route] : nil
        metrics.requestEnded(
            route: route ?? Metrics.noRoute, status: exchange.status, grpcStatus: exchange.grpcStatus,
            durationNanoseconds: nanoseconds)
        guard log.isOn else { return }
        write(exchange, nanoseconds)
    }

    private func write(_ exchange: Exchange, _ nanoseconds: UInt64) {
        var record = AccessRecord(start: exchange.startedWall)
        if let request = exchange.request {
            record.method = request.first(.method) ?? .empty
            record.path = request.first(.path) ?? .empty
            record.forwardedFor = request.first(.forwardedFor)
            record.userAgent = request.first(.userAgent)
            record.requestID = request.first(.requestID)
            record.authority = request.first(.authority)
        }
        record.protocol = exchange.downstream?.codec.isHTTP2 == true ? .http2 : .http11
        record.status = exchange.status
        record.grpcStatus = exchange.grpcStatus
        record.bytesReceived = UInt64(exchange.receivedOctets)
        record.bytesSent = UInt64(exchange.sentOctets)
        record.durationNanoseconds = nanoseconds
        record.upstreamServiceNanoseconds = exchange.upstreamNanoseconds
        record.tries = exchange.attempts
        record.upstreamHost = exchange.endpoint?.name
        if exchange.cluster >= 0 { record.cluster = exchange.snapshot?.shared.plan.clusters[exchange.cluster].name }
        if exchange.route >= 0 { record.routeName = exchange.snapshot?.shared.plan.routes[exchange.route].name }
        record.downstreamRemote = exchange.downstream?.peerText
        record.downstreamLocal = exchange.downstream?.localText
        record.upstreamLocal = exchange.upstreamLocal
        record.serverName = exchange.downstream?.tls?.serverName
        explain(&record, exchange)
        log.log(record)
    }

    private func explain(_ record: inout AccessRecord, _ exchange: Exchange) {
        guard let situation = exchange.situation else {
            guard exchange.isResponseStarted else { return }
            // Many servers answer what they do not understand by a status of their own.
            let isRefused = exchange.status >= 400 && exchange.isUntranslated
            record.details =
                isRefused
                ? "grpc_web_not_translated"
                : losesStatus(exchange) ? Self.lostStatus : "via_upstream"
            return
        }
        let outcome = situation.outcome
        record.flags = outcome.flag.text
        record.details = exchange.upstreamNanoseconds >= 0 ? outcome.detailsAfterHeaders : outcome.details
    }

    /// A gRPC call that came in HTTP/1.1, usually from a balancer in front that speaks no HTTP/2, and whose client did
    /// not ask for trailers: its status has no place in the answer.
    private func losesStatus(_ exchange: Exchange) -> Bool {
        let hasBody = exchange.isGRPC && exchange.sentOctets > 0
        return hasBody && exchange.downstream?.codec.isHTTP2 == false && exchange.request?.first(.te) == nil
    }

    private static let lostStatus = "via_upstream{grpc-status_lost:http/1.1_without_te:_trailers}"

    /// A request that could not even be read gets a line of its own.
    func logRefusal(_ refusal: HTTP1Error, on connection: Connection) {
        guard log.isOn else { return }
        let outcome = Situation.requestRefused(refusal).outcome
        var record = AccessRecord(start: wallNow)
        record.status = outcome.status
        record.flags = outcome.flag.text
        record.details = outcome.details
        record.downstreamRemote = connection.peer?.description
        record.serverName = connection.tls?.serverName
        log.log(record)
    }
}
